"""What one side does with case events that lie on Kafka: webhooks taken per second."""

import asyncio
import time

from benchmarks.books import NO_RECORDS, PATIENCE, Measured
from benchmarks.cpu import Cpu
from benchmarks.ground import Ground, Side, hold
from benchmarks.measure import Rounds, Seen
from benchmarks.offices import Offices
from benchmarks.prepared_notices import happenings
from benchmarks.taken import Taken

DELIVERED = {"state.status": "delivered", "next_due": {"$exists": False}}
NOTICES = Measured(("notifier",), {}, ("notices",), what="notice")
"""Of a side that keeps them, and is to have marked each."""


class NoticeRounds:
    """Rounds of one key: each has fresh processes, an empty database and a new sink."""

    def __init__(self, rounds: Rounds, ground: Ground, offices: Offices, warm: int, count: int) -> None:
        self._rounds, self._ground, self._offices = rounds, ground, offices
        self._happenings = happenings(ground.keys, ground.steps, offices, warm, count)

    def run(self, side: Side, measured: Measured, count: int) -> Seen:
        """Measure so many notices."""
        with self._rounds.fresh(side, measured.services):
            return asyncio.run(self._run(side, count))

    async def _run(self, side: Side, count: int) -> Seen:
        async with Taken(self._offices.port) as taken:
            await self._go(side, taken, "warm")
            await settle(self._ground, side, warm := len(self._happenings.parts["warm"]))
            cpu = Cpu({**side.pids, **self._ground.pids, "sink": taken.pid})
            seconds = await self._go(side, taken, "run")
            await settle(self._ground, side, warm + count)
            used = cpu.microseconds_each(count)
            await asyncio.sleep(0.3)
            await taken.check(self._happenings.notices("run"))
            check(self._ground, side, warm + count)
            return Seen(count / seconds, used)

    async def _go(self, side: Side, taken: Taken, name: str) -> float:
        """Seconds from when all lies on Kafka until the last webhook is taken."""
        await taken.expect(len(self._happenings.notices(name)))
        hold(side, True)
        try:
            await self._rounds.file(side, self._happenings.outs(name))
        finally:
            began = time.monotonic()
            hold(side, False)
        return await taken.last() - began


async def settle(ground: Ground, side: Side, count: int) -> None:
    """Wait until so many notices are marked as delivered."""
    end, notices = time.monotonic() + PATIENCE, ground.client[side.name].notices
    while (found := notices.count_documents(DELIVERED)) < count:
        assert time.monotonic() < end, f"{side.name} has marked {found} of {count}"
        await asyncio.sleep(0.05)


def check(ground: Ground, side: Side, count: int) -> None:
    """Raise unless exactly so many documents are there, each of them a notice that was delivered."""
    database = ground.client[side.name]
    for name in [name for name in database.list_collection_names() if not name.endswith(NO_RECORDS)]:
        found, wanted = database[name].count_documents({}), count * (name == "notices")
        assert found == wanted, f"{side.name}: {found} {name} instead of {wanted}"
