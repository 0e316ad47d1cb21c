"""What one side's router does with cases that lie in MongoDB: updates that lie on Kafka, clocks that are due."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pymongo import WriteConcern

from benchmarks.books import PATIENCE, Books, Measured
from benchmarks.cpu import Cpu
from benchmarks.ground import Ground, Side, hold
from benchmarks.measure import UPDATES, Rounds, Seen
from benchmarks.prepared_cases import Lives, acknowledgements, due
from benchmarks.watch import Commits, Watch

OFTEN = 0.01
"""Seconds between looks whether all is done: the last mark is the end."""


@dataclass(frozen=True, slots=True)
class OnCases:
    """One thing to measure on cases: what there is of, how it is made ready."""

    what: str
    prepare: Callable[[Ground, int, int], Lives]
    groups: Mapping[str, str]
    """Side -> the consumer group that must have committed all of `UPDATES`; none for clocks."""


UPDATED = OnCases("update", acknowledgements, {"ours": "rogatory-router-updates-normal", "bare": "bare-router-updates"})
RUNG = OnCases("clock", due, {})


class CaseRounds:
    """Rounds of one key: the cases are made once, and put into an empty database for every round."""

    def __init__(self, rounds: Rounds, ground: Ground, of: OnCases, warm: int, count: int) -> None:
        self._rounds, self._ground, self._of, self._warm = rounds, ground, of, warm
        self._lives = of.prepare(ground, warm, count)
        records = dict.fromkeys(self._lives.shows_on, 1) | ({UPDATES: 1} if of.groups else {})
        self.measured = Measured(("router",), records, ("cases",), what=of.what)

    def run(self, side: Side, measured: Measured, count: int) -> Seen:
        """Measure so many cases."""
        with self._rounds.fresh(side, measured.services):
            return asyncio.run(self._run(side, measured, count))

    async def _run(self, side: Side, measured: Measured, count: int) -> Seen:
        warm = self._warm
        async with AsyncExitStack() as stack:
            shown = [await stack.enter_async_context(self._rounds.watch(side, topic)) for topic in self._lives.shows_on]
            books = Books(self._ground, side, measured, shown[0])
            await books.open()
            await self._go(side, shown, books, "warm")
            for watch in shown:
                watch.forget()
            cpu = Cpu({**side.pids, **self._ground.pids})
            seconds = await self._go(side, shown, books, "run")
            used = cpu.microseconds_each(count)
            await asyncio.sleep(0.3)
            await books.check(warm + count)
            return Seen(count / seconds, used)

    async def _go(self, side: Side, shown: list[Watch], books: Books, name: str) -> float:
        """Seconds from when all lies there until all is sent and marked, and what was heard is committed."""
        lying, ids = self._lives.parts[name], set(self._lives.parts[name].ids)
        async with Commits(self._ground.kafka.bootstrap) as commits:
            hold(side, True)
            try:
                database = self._ground.client[side.name]
                cases = database.get_collection("cases", write_concern=WriteConcern("majority", j=True))
                cases.insert_many(lying.documents, ordered=False)
                await self._rounds.file(side, lying.outs)
                ends = await shown[0].ends(side.topic(UPDATES))
            finally:
                began = time.monotonic()
                hold(side, False)
            for watch in shown:
                await watch.until(ids, PATIENCE)
            await books.marked(OFTEN)
            if group := self._of.groups.get(side.name):
                await commits.reach(group, ends, OFTEN, PATIENCE)
            return time.monotonic() - began
