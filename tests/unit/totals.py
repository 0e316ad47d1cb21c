"""A stand-in for MongoDB under running totals: records and slots that fail, die and answer late as they are told."""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.accounts import total
from shared.failures import TryAgain
from shared.loop import Loop
from shared.mongo import Change, Slots
from shared.totals import Delta, Totals, has_landed, pending_in
from tests.unit.test_loop import Fed, MemoryStore, loop

START = datetime(2026, 11, 24, 8, tzinfo=UTC)


class Killed(BaseException):
    """The process died there."""


class CountedStore(MemoryStore):
    """Records that yield to others at every call; `late`: writes that nobody had an answer to and that land later."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[Sequence[Change]] = []

    async def read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return await super().read(ids)

    async def write(self, changes: Sequence[Change]) -> bool:
        await asyncio.sleep(0)
        try:
            return await super().write(changes)
        finally:
            await asyncio.sleep(0)

    async def chains(self, ids: Sequence[str]) -> dict[str, list[bytes]]:
        await asyncio.sleep(0)
        return {i: [form["chain"] for form in self.documents[i]["history"]] for i in ids if i in self.documents}

    def counted(self) -> dict[str, int]:
        """What the records themselves add up to."""
        return total(terms(document["state"]) for document in self.documents.values())


Fault = Callable[[Mapping[str, Any]], None]


class MemorySlots(Slots):
    """Slots in memory; `faults`: what happens at each writing of one beside it, from the first on."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.faults: list[Callable[[], bool]] = []
        """Each says whether the slot is written; it may raise instead."""

    async def of(self, what: str) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return [copy.deepcopy(one) for name, one in sorted(self.documents.items()) if name.startswith(f"{what}/")]

    async def put(
        self, document: Mapping[str, Any], owner: str, read: Mapping[str, Any] | None = None, *, safe: bool = False
    ) -> bool:
        kept_form = copy.deepcopy(dict(document))
        await asyncio.sleep(0)
        if self.faults and not self.faults.pop(0)():
            raise TryAgain("no answer")
        kept = self.documents.get(document["_id"])
        if kept is not None and kept["owner"] != owner:
            return False
        if kept is not None and read is not None and kept.get("revision") != read.get("revision"):
            return False
        self.documents[document["_id"]] = kept_form
        await asyncio.sleep(0)
        return True


def terms(state: Mapping[str, Any]) -> Mapping[str, int]:
    """Every third word ends a case, and the next opens it again."""
    said = state.get("said")
    if not said:
        return {}
    return {"case/opened": 1, "case/open" if len(said) % 3 else "case/ended": 1}


class World:
    """One database, its time, and processes that are started and die."""

    def __init__(self) -> None:
        self.store, self.slots, self.at = CountedStore(), MemorySlots(), START
        self._started = 0

    def now(self) -> datetime:
        """The time."""
        return self.at

    def start(self, instance: str) -> tuple[Loop, Totals]:
        """A process of this name."""
        self._started += 1
        totals = Totals(self.slots, self.store, terms, instance, self.now, f"{instance} #{self._started}")
        process = loop(self.store, Fed())
        process.bookkeepers.append(totals)
        return process, totals

    def wait(self, span: timedelta) -> None:
        """Time goes by; what nobody had an answer to has landed by then, or never does."""
        while self.store.late:
            self.store.keep(self.store.late.pop(0))
        self.at += span

    def settled(self) -> dict[str, int]:
        """The sum of what all slots have settled."""
        return _without_zeros(total(one["totals"] for one in self.slots.documents.values()))

    def kept(self) -> dict[str, int]:
        """The sum of all slots, with what is pending in them and stands in the records."""
        parts: list[Delta] = [one["totals"] for one in self.slots.documents.values()]
        for one in self.slots.documents.values():
            for pending, delta in pending_in(one).items():
                history = self.store.documents.get(pending[0], {"history": []})["history"]
                if has_landed(pending, [form["chain"] for form in history]):
                    parts.append(delta)
        return _without_zeros(total(parts))

    def is_right(self) -> bool:
        """Whether the slots and the records say the same."""
        return self.kept() == self.store.counted()

    def is_settled(self) -> bool:
        """Whether nothing is pending any more."""
        return not any(one["pending"] for one in self.slots.documents.values())


def _without_zeros(summed: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in summed.items() if number}
