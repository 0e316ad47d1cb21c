"""The bare router: letters in, cases out."""

import asyncio

from benchmarks.bare.common import Collection, Sender, consume, load_steps, start
from services.router.app import INDEXES
from shared import topics
from shared.vocabulary import Lane


async def main() -> None:
    """Prepare, then consume."""
    cases = Collection("cases")
    await cases.prepare(INDEXES)
    sender = Sender(cases)
    received = topics.letters_received(Lane.NORMAL)
    await asyncio.gather(consume(received, "bare-router", load_steps("router"), cases, sender), sender.run())


if __name__ == "__main__":
    start(main)
