"""The bare router where cases lie there already: acknowledgements in, news of cases out."""

import asyncio

from benchmarks.bare.common import Collection, Sender, consume, load_steps, start
from benchmarks.letters import AUTHORITY
from services.router.app import INDEXES
from shared import topics
from shared.vocabulary import Lane


async def main() -> None:
    """Prepare, then consume."""
    cases = Collection("cases")
    await cases.prepare(INDEXES)
    sender = Sender(cases)
    said, steps = topics.updates_from(AUTHORITY, Lane.NORMAL), load_steps("updates")
    await asyncio.gather(consume(said, "bare-router-updates", steps, cases, sender, updates=True), sender.run())


if __name__ == "__main__":
    start(main)
