"""How long a notice takes from Kafka to its webhook: one event for all offices, and events at a fixed rate."""

import asyncio
import random
import time

from benchmarks.ground import Ground, Side
from benchmarks.measure import Latency, Rounds, latency, send
from benchmarks.measure_notices import NOTICES, check, settle
from benchmarks.offices import Offices
from benchmarks.prepared_notices import happenings
from benchmarks.taken import Taken

LEAST_PAUSE, MOST_PAUSE = 0.05, 0.15
"""Seconds between one event for all and the next: a chance time, so that no timer runs in step."""


class WaitRounds:
    """Rounds of one key, over the same events: each has fresh processes, an empty database and a new sink."""

    def __init__(self, rounds: Rounds, ground: Ground, offices: Offices, warm: int, count: int, rate: float) -> None:
        """`rate`: events a second, each for one office; 0: one event after another, each for all of them."""
        self._rounds, self._ground, self._offices, self._rate = rounds, ground, offices, rate
        self._happenings = happenings(ground.keys, ground.steps, offices, warm, count, for_all=not rate)

    def run(self, side: Side, *, keeps: bool) -> Latency:
        """From each event until the last of its webhooks is taken; `keeps`: in the database, too."""
        with self._rounds.fresh(side, NOTICES.services):
            return asyncio.run(self._run(side, keeps))

    async def _run(self, side: Side, keeps: bool) -> Latency:
        warm, ids = self._happenings.notices("warm"), self._happenings.notices("run")
        async with Taken(self._offices.port) as taken:
            await taken.expect(len(warm))
            await self._rounds.file(side, self._happenings.outs("warm"))
            await taken.last()
            if keeps:
                await settle(self._ground, side, len(warm))
            waited = await (self._at_rate if self._rate else self._one_by_one)(side, taken)
            if keeps:
                await settle(self._ground, side, len(warm) + len(ids))
                check(self._ground, side, len(warm) + len(ids))
            return latency(waited)

    async def _at_rate(self, side: Side, taken: Taken) -> list[float]:
        """Open loop."""
        events = self._happenings.parts["run"]
        await taken.expect(sum(len(one.notices) for one in events))
        left = await self._rounds.send_at_rate(side, [one.out for one in events], self._rate, len(events))
        await taken.last()
        at = await taken.check(self._happenings.notices("run"))
        return [max(at[notice] for notice in one.notices) - since for one, since in zip(events, left, strict=True)]

    async def _one_by_one(self, side: Side, taken: Taken) -> list[float]:
        chance, waited = random.Random(self._offices.port), []
        async with self._rounds.producer() as producer:
            for one in self._happenings.parts["run"]:
                await taken.expect(len(one.notices))
                await asyncio.sleep(chance.uniform(LEAST_PAUSE, MOST_PAUSE))
                since = time.monotonic()
                await (await send(producer, side, one.out))
                waited.append(await taken.last() - since)
                await taken.check(one.notices)
        return waited
