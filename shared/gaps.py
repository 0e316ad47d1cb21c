"""Gaps: what another process wrote before our own events of a record, and is probably just sending.

Ours must not go before it, so they wait a moment for the other's mark. Only what stays unmarked is sent here too, for
the other may have died.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared import times
from shared.failures import TryAgain
from shared.mongo import Store
from shared.parcels import Parcel, parcels_of
from shared.sealing import Sealer

GRACE = timedelta(seconds=1)
"""The age from which another's event without a mark counts as left behind."""
AGAIN, AGAIN_AT_MOST = 0.02, 0.3
"""Seconds to the next look for the other's mark; twice as many each time."""
PAUSE = 0.5
"""The same while MongoDB does not answer."""
LOADED_AT_ONCE = 50


@dataclass(slots=True)
class _Gap:
    """One record's parcels that wait, the moment of the next look, since when, and the seconds to the look after it."""

    due: float
    since: float
    again: float = AGAIN
    parcels: list[Parcel] = field(default_factory=list)

    @property
    def seqs(self) -> Iterable[int]:
        """What is ours."""
        return (event.seq for parcel in self.parcels for event in parcel.events)


Filled = Callable[[Sequence[Parcel], Sequence[Parcel]], None]
"""Takes parcels back, with what is to be sent in their place."""


class Gaps:
    """Holds parcels before which something is missing."""

    def __init__(
        self, sealer: Sealer, now: Callable[[], datetime], filled: Filled, is_full: Callable[[], bool]
    ) -> None:
        """`now`: the time of the events; `is_full`: whether so much is to be sent that no more should be loaded."""
        self._sealer, self._now, self._filled, self._is_full = sealer, now, filled, is_full
        self._gaps: dict[Store, dict[str, _Gap]] = {}
        self._came = asyncio.Event()
        self.count = 0
        """How many parcels wait."""

    def add(self, parcel: Parcel) -> None:
        """Hold one more."""
        moment = time.monotonic()
        gap = self._gaps.setdefault(parcel.store, {}).setdefault(parcel.record, _Gap(moment, moment))
        gap.parcels.append(parcel)
        self.count += 1
        self._came.set()

    async def run(self) -> None:
        """Look until cancelled, for each record when its time has come."""
        while True:
            next_due = min((gap.due for gaps in self._gaps.values() for gap in gaps.values()), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - time.monotonic())):
                    await self._came.wait()
            self._came.clear()
            moment = time.monotonic()
            for store, gaps in list(self._gaps.items()):
                if due := {record: gap for record, gap in gaps.items() if gap.due <= moment}:
                    await self._look(store, due)

    async def _look(self, store: Store, due: Mapping[str, _Gap]) -> None:
        """See how far others have marked these, and what is to be sent now."""
        try:
            marks = await store.marked(list(due))
            old = []
            for record, gap in due.items():
                published, next_at = marks.get(record, (0, None))
                if published >= min(gap.seqs) - 1:
                    self._fill(store, record, published)
                elif self._is_left_behind(gap, next_at):
                    old.append(record)
                else:
                    gap.due, gap.again = time.monotonic() + gap.again, min(2 * gap.again, AGAIN_AT_MOST)
            while old and not self._is_full():
                await self._load(store, old[:LOADED_AT_ONCE])
                old = old[LOADED_AT_ONCE:]
        except TryAgain:  # MongoDB is away: the loop says so
            old = [record for record in due if record in self._gaps[store]]
        for record in old:
            self._gaps[store][record].due = time.monotonic() + PAUSE

    async def _load(self, store: Store, records: Sequence[str]) -> None:
        """Send what others wrote before ours, and ours after it; what does not open the sweep goes on saying so."""
        documents = {document["_id"]: document for document in await store.histories(records)}
        found = {parcel.record: parcel for parcel in parcels_of(store, documents.values(), self._sealer)}
        for record in records:
            published = documents[record]["published"] if record in documents else 0
            if record in found or published >= min(self._gaps[store][record].seqs) - 1:
                self._fill(store, record, published, found.get(record))
            else:
                self._put(store, record, [])

    def _fill(self, store: Store, record: str, published: int, found: Parcel | None = None) -> None:
        gap = self._gaps[store][record]
        ours = [replace(parcel, published=published) for parcel in gap.parcels]
        self._put(store, record, [*_until_ours(found, gap), *ours])

    def _put(self, store: Store, record: str, instead: Sequence[Parcel]) -> None:
        gap = self._gaps[store].pop(record)
        self.count -= len(gap.parcels)
        self._filled(gap.parcels, instead)

    def _is_left_behind(self, gap: _Gap, next_at: str | None) -> bool:
        """Whether what is missing before ours has waited for its mark so long that nobody may be sending it."""
        if next_at is None or time.monotonic() - gap.since >= GRACE.total_seconds():
            return True
        try:
            written = times.read(next_at)
        except ValueError:
            return True
        # A clock that was put back must not hold anything up for longer.
        return abs(self._now() - written) >= GRACE


def _until_ours(found: Parcel | None, gap: _Gap) -> list[Parcel]:
    """What was found unsent, without what others wrote after ours: that is theirs to send."""
    last = max(gap.seqs)
    events = tuple(event for event in found.events if event.seq <= last) if found else ()
    return [replace(found, events=events)] if found and events else []
