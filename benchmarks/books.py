"""The books of one round: what must have come of everything, exactly, before its figure counts."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.ground import Ground, Side
from benchmarks.watch import Watch

PATIENCE = 180.0
NO_RECORDS = ("audit", "totals", "_checkpoints", "_unanchored")
"""The ends of the names of collections in which no letter shows by itself: which rules the notifier's auditor began
with, sums, what was signed over all of them, and what is still to be signed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One thing to measure: the services that run, how letters come, what must have come of each."""

    services: Sequence[str]
    records: Mapping[str, int]
    """Topic -> records per letter."""
    collections: Sequence[str]
    """Each holds one document per letter."""
    posted: bool = False
    """By HTTP; otherwise they lie ready on the topic."""
    until_last_notice: bool = True
    """Otherwise the last answer is the end."""
    updates_per_second: float = 0.0
    """So many earlier cases are given to an officer meanwhile."""
    records_of_other: Mapping[str, int] = field(default_factory=dict)
    """Topic -> records of each other thing that comes beside the letters: such an update, or an urgent letter."""
    collections_of_other: Sequence[str] = ()
    """Each holds one document of each of those."""
    beside: Mapping[str, int] = field(default_factory=dict)
    """Collection -> documents that lie in it from the start."""
    members: int = 0
    """So many of each of our services must share the work before a letter comes; 0: nobody looks.

    Of several, one may send again what another has not sent for ten seconds: readers know what they have seen, so that
    is counted and spoils nothing.
    """
    what: str = "letter"
    """What there are so many of."""


class Books:
    """What must have come of the letters: records on topics, documents, nothing unsent, nothing twice."""

    def __init__(self, ground: Ground, side: Side, measured: Measured, watch: Watch) -> None:
        self._database, self._side = ground.client[side.name], side
        self._measured, self._watch = measured, watch
        self._start: dict[str, int] = {}
        self.others = 0
        """How many other things came beside the letters."""

    async def open(self) -> None:
        """Note how many records there are before."""
        named = {**self._measured.records, **self._measured.records_of_other}
        self._start = {topic: await self._watch.records(self._side.topic(topic)) for topic in named}

    async def settle(self, count: int, patience: float = PATIENCE) -> None:
        """Wait until all work on so many letters is done, also what comes after the last notice."""
        end, wanted = time.monotonic() + patience, self._wanted(count)
        while time.monotonic() < end:
            written = await self._written()
            enough = all(written[topic] >= number for topic, number in wanted.items())
            if enough and not any(map(self._unsent, self._measured.collections)):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self._side.name} did not finish {count}: {await self._written()} of {wanted}")

    async def marked(self, pause: float) -> None:
        """Wait until every record is marked as sent."""
        end = time.monotonic() + PATIENCE
        while any(map(self._unsent, self._measured.collections)):
            assert time.monotonic() < end, f"{self._side.name} did not mark what it sent"
            await asyncio.sleep(pause)

    async def check(self, count: int) -> int:
        """Raise unless exactly the right number of records and documents is there; says how many came again."""
        written, wanted = await self._written(), self._wanted(count)
        again = {topic: number - wanted[topic] for topic, number in written.items()}
        is_right = all(number >= 0 for number in again.values()) if self._measured.members > 1 else written == wanted
        assert is_right, f"{self._side.name}: {written} records instead of {wanted}"
        for name in [name for name in self._database.list_collection_names() if not name.endswith(NO_RECORDS)]:
            # By the index: what lies there by the million must not be read for it.
            found = self._database[name].count_documents({}, hint="_id_")
            wanted_here = count * (name in self._measured.collections) + self._measured.beside.get(name, 0)
            wanted_here += self.others * (name in self._measured.collections_of_other)
            assert found == wanted_here, f"{self._side.name}: {found} {name} instead of {wanted_here}"
        return sum(again.values())

    def _wanted(self, count: int) -> dict[str, int]:
        wanted = dict.fromkeys(self._start, 0)
        for records, number in ((self._measured.records, count), (self._measured.records_of_other, self.others)):
            for topic, each in records.items():
                wanted[topic] += each * number
        return wanted

    async def _written(self) -> dict[str, int]:
        return {
            topic: await self._watch.records(self._side.topic(topic)) - start for topic, start in self._start.items()
        }

    def _unsent(self, collection: str) -> Any:
        return self._database[collection].count_documents({"unsent_since": {"$exists": True}}, limit=1)
