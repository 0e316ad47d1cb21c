"""The bare router's clocks: finds what is due in the same pages as ours, writes that it rang, and says so."""

import asyncio

from benchmarks.bare.common import Collection, Sender, load_steps, start
from services.router.app import INDEXES
from services.router.ticking import AT_ONCE, EVERY


async def main() -> None:
    """Prepare, then look."""
    cases = Collection("cases")
    await cases.prepare(INDEXES)
    sender = Sender(cases)
    await asyncio.gather(_look(cases, sender), sender.run())


async def _look(cases: Collection, sender: Sender) -> None:
    steps, full = load_steps("clocks"), False
    while True:
        if not full:
            await asyncio.sleep(EVERY)
        due = [steps[case] for case in await cases.due(AT_ONCE, many=full)]
        if due:
            await cases.read(due)
            await cases.update(due)
            sender.feed(due)
        full = len(due) == AT_ONCE


if __name__ == "__main__":
    start(main)
