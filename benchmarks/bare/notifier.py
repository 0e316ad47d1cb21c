"""The bare notifier: case events in, notices out."""

import asyncio

from benchmarks.bare.common import Collection, Sender, consume, load_steps, start
from services.notifier.app import INDEXES
from shared import topics
from shared.vocabulary import Lane


async def main() -> None:
    """Prepare, then consume."""
    notices = Collection("notices")
    await notices.prepare(INDEXES)
    sender = Sender(notices)
    events = topics.case_events(Lane.NORMAL)
    await asyncio.gather(consume(events, "bare-notifier", load_steps("notifier"), notices, sender), sender.run())


if __name__ == "__main__":
    start(main)
