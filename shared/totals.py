"""Running totals that survive `kill -9`: what a batch will add is noted before the batch is written.

    note in a slot: {totals: what is settled, pending: [[record, version, chain, which delta], ...]}
    the batch       on the same primary, so whoever keeps the batch keeps the note that came before it
    the next note   settles the one before: a batch that landed adds its deltas
    otherwise       whoever finds the slot looks whether each record has that chain at that version

A slot is one document of one process; several batches are under way at once, each with a slot of its own. The sum over
all slots is the total. What is pending counts once it is known to have landed, so nothing counts twice.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from shared.accounts import Terms, difference
from shared.failures import TryAgain
from shared.mongo import Slots, Store
from shared.records import Record

COLLECTION = "totals"
EVERY = 1.0
"""Seconds between two looks at the slots; one that was idle for so long is written as settled."""
GIVEN_UP_AFTER = timedelta(seconds=60)
"""A write whose record did not move for so long after its note never landed; a primary that lost us has ended it."""
LEFT_AFTER = timedelta(minutes=5)
"""A note that is so old was left by a process that died: any other of the service settles it."""
TAKEN_AFTER = timedelta(days=1)
"""A slot that nobody wrote for so long is used again, whoever had it."""
MOST_PENDING = 10_000
"""Attempts in one slot: a document of MongoDB holds 16 MB, and a batch that is tried for a minute adds up."""
_CHAIN = 8
"""Bytes of a chain that tell two attempts on one version apart."""

Pending = tuple[str, int, str]
"""A record, the version it will have, and the beginning of its chain then, in hex."""
Delta = Mapping[str, int]


@dataclass(slots=True)
class Slot:
    """One document: what is settled, and what a batch under way will add."""

    id: str
    owner: str
    instance: str
    collection: str
    totals: dict[str, int] = field(default_factory=dict)
    pending: dict[Pending, Delta] = field(default_factory=dict)
    at: datetime | None = None
    """When its last batch was noted."""
    used: float = 0.0
    is_behind: bool = False
    """Whether the document still holds as pending what is settled here."""
    revision: int = 0
    """How often it was written, so that who takes it over overwrites nothing that it did not read."""

    def settle(self, pending: Pending, landed: bool) -> None:
        """One attempt has come to its end; what is not pending (any more) changes nothing."""
        delta = self.pending.pop(pending, {})
        self.is_behind = True
        if landed:
            for name, number in delta.items():
                self.totals[name] = self.totals.get(name, 0) + number

    def document(self) -> dict[str, Any]:
        """The slot as it is stored."""
        codes: dict[tuple[tuple[str, int], ...], int] = {}
        coded = [[*key, codes.setdefault((*delta.items(),), len(codes))] for key, delta in self.pending.items()]
        return {
            "_id": self.id,
            "owner": self.owner,
            "instance": self.instance,
            "collection": self.collection,
            "at": self.at,
            "revision": self.revision,
            "totals": dict(self.totals),
            "deltas": [dict(delta) for delta in codes],
            "pending": orjson.dumps(coded) if coded else b"",
        }


def pending_in(document: Mapping[str, Any]) -> dict[Pending, Delta]:
    """What a stored slot says of the batch that was under way."""
    coded = orjson.loads(document["pending"]) if document["pending"] else []
    deltas = document["deltas"]
    return {(record, version, chain): deltas[code] for record, version, chain, code in coded}


def has_landed(pending: Pending, chains: Sequence[bytes]) -> bool | None:
    """Whether an attempt is in the history with these chains; None while its version is still to come."""
    _, version, chain = pending
    return chains[version - 1][:_CHAIN].hex() == chain if len(chains) >= version else None


class Totals:
    """The slots of this process for the records of one collection; a `Bookkeeper` of their loop."""

    def __init__(
        self, slots: Slots, store: Store, terms: Terms, instance: str, now: Callable[[], datetime], owner: str = ""
    ) -> None:
        """`now`: the real time; `owner`: another name for every start of a process."""
        self._slots, self._store, self.terms, self._instance, self._now = slots, store, terms, instance, now
        self._owner = owner or secrets.token_hex(8)
        self._free: list[Slot] = []
        self._unsettled: list[Slot] = []
        self._next = 0
        self._beginning = asyncio.Lock()
        self._has_begun = False

    @property
    def collection(self) -> str:
        """The collection whose records are counted."""
        return self._store.name

    def open(self) -> "Note":
        """The note on a new batch."""
        return Note(self)

    async def run(self) -> None:
        """Settle and write what is idle, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            with contextlib.suppress(TryAgain):  # the loop says that MongoDB is away
                await self.flush()

    async def flush(self, idle: float = EVERY) -> None:
        """Write as settled what has been idle for so many seconds, and look after what is not known to have landed."""
        await self._begin()
        before = time.monotonic() - idle
        for slot in [one for one in self._free if one.is_behind and one.used <= before]:
            if slot in self._free:  # a batch may have taken it meanwhile
                self._free.remove(slot)
                await self._write_settled(slot)
        for slot in list(self._unsettled):
            self._unsettled.remove(slot)
            try:
                await self._look(slot)
            except BaseException:
                self.give(slot)
                raise
            await self._write_settled(slot)

    async def adopt(self, document: Mapping[str, Any]) -> None:
        """Take over what another process left; what it does afterwards it notes elsewhere."""
        slot = Slot(
            document["_id"],
            self._owner,
            self._instance,
            self.collection,
            dict(document["totals"]),
            pending_in(document),
            document["at"],
            time.monotonic(),
            revision=document.get("revision", 0) + 1,
        )
        # `at` stays: the age of what is pending counts from its own note.
        # Its owner may live, and have noted another batch since: then it keeps the slot.
        if await self._slots.put(slot.document(), document["owner"], document, safe=True):
            self.give(slot)

    async def documents(self) -> list[dict[str, Any]]:
        """All slots of the collection, of every process."""
        return await self._slots.of(self.collection)

    def is_left(self, document: Mapping[str, Any]) -> bool:
        """Whether a slot holds what a process of before did not settle."""
        is_others = document["owner"] != self._owner
        return is_others and bool(document["pending"]) and document["at"] < self._now() - LEFT_AFTER

    async def take(self) -> Slot:
        """A slot for one batch alone; raises `TryAgain`."""
        await self._begin()
        if self._free:
            return self._free.pop()
        self._next += 1
        return Slot(f"{self.collection}/{self._instance}/{self._next}", self._owner, self._instance, self.collection)

    def give(self, slot: Slot) -> None:
        """A slot whose batch has come to its end."""
        slot.used = time.monotonic()
        (self._unsettled if slot.pending else self._free).append(slot)

    async def put(self, slot: Slot) -> bool:
        """Note what stands in a slot; False if another process has taken it over."""
        slot.at = self._now()
        return await self._put(slot)

    async def _put(self, slot: Slot) -> bool:
        slot.revision += 1  # also if nobody learns whether it was written
        if not await self._slots.put(slot.document(), self._owner):
            return False
        slot.is_behind = False
        return True

    async def _begin(self) -> None:
        """What an earlier process of this name left is settled first; so is what nobody has used for long."""
        async with self._beginning:
            if self._has_begun:
                return
            long_ago = self._now() - TAKEN_AFTER
            for document in await self.documents():
                name, _, number = document["_id"].rpartition("/")
                if name == f"{self.collection}/{self._instance}":
                    self._next = max(self._next, int(number))
                is_mine = document["instance"] == self._instance
                is_unused = document["at"] is not None and document["at"] < long_ago
                if (is_mine or is_unused) and document["owner"] != self._owner:
                    await self.adopt(document)
            self._has_begun = True

    async def _look(self, slot: Slot) -> None:
        ids = sorted({record for record, _, _ in slot.pending})
        is_old = slot.at is not None and slot.at < self._now() - GIVEN_UP_AFTER
        chains = await self._store.chains(ids)
        for pending in list(slot.pending):
            landed = has_landed(pending, chains.get(pending[0], ()))
            if landed is not None or is_old:
                slot.settle(pending, bool(landed))

    async def _write_settled(self, slot: Slot) -> None:
        """Write a slot that is nobody's at the moment; its time stays that of its note."""
        is_lost = False
        try:
            if slot.is_behind:
                is_lost = not await self._put(slot)
        finally:
            if not is_lost:
                self.give(slot)


class Note:
    """The note on one batch, over all its tries; a `Booking`."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._slots: list[Slot] = []
        """One, and more only where so many tries or records would not fit into it."""

    async def before(self, records: Sequence[Record]) -> None:
        """Note what these records will add; what earlier tries would have added stays noted."""
        changes: dict[Pending, Delta] = {}
        terms = self._totals.terms
        for record in records:
            if delta := difference(terms(record.stored_state), terms(record.state)):
                changes[_pending(record)] = delta
        while changes:
            await self._add(changes)
            for slot in [one for one in self._slots if not changes.keys().isdisjoint(one.pending)]:
                if not await self._totals.put(slot):
                    # Whoever took it over settles it; a note that is not there was followed by no write.
                    self._slots.remove(slot)
                    break
            else:
                return

    async def _add(self, changes: Mapping[Pending, Delta]) -> None:
        """Each change stands in one slot alone, or it would count twice."""
        there = {key for slot in self._slots for key in slot.pending}
        for key, delta in changes.items():
            if key in there:
                continue
            if not self._slots or len(self._slots[-1].pending) >= MOST_PENDING:
                self._slots.append(await self._totals.take())
            self._slots[-1].pending[key] = delta

    def close(self, landed: Sequence[Record] | None) -> None:
        """Settle what is known to have landed; the rest is looked after, for it may have."""
        for slot in self._slots:
            for record in landed or ():
                slot.settle(_pending(record), landed=True)
            self._totals.give(slot)


def _pending(record: Record) -> Pending:
    return record.id, record.version, record.chain[:_CHAIN].hex()
