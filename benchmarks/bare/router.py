"""The bare router: letters and updates in, cases and news of them out."""

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
    steps = load_steps("router")
    received, said = topics.letters_received(Lane.NORMAL), topics.updates_from(AUTHORITY, Lane.NORMAL)
    await asyncio.gather(
        consume(received, "bare-router", steps, cases, sender),
        consume(said, "bare-router-updates", steps, cases, sender, updates=True),
        sender.run(),
    )


if __name__ == "__main__":
    start(main)
