"""The totals counted anew from the records, and compared with what was kept, at one and the same moment.

Both are read in one snapshot, so a system that works meanwhile makes no difference; and a difference that was found can
be put right while it works, for what is added later is added to both.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared import totals
from shared.accounts import NAMES, Terms, difference, total
from shared.failures import DAMAGED, TryAgain
from shared.mongo import Moment, Mongo
from shared.times import text_of
from shared.totals import Delta, has_landed, pending_in

MENDED = "mended"
"""The name of the slot in which corrections stand, beside those of the processes."""


@dataclass(frozen=True, slots=True)
class Recount:
    """What was kept of one collection, and what there is."""

    collection: str
    kept: Mapping[str, int]
    counted: Mapping[str, int]
    records: int
    damaged: Sequence[str]
    """Records that are none of ours: what they count for, nobody can tell."""
    corrections: Mapping[str, Any] | None
    """The slot of earlier corrections as it stood."""

    @property
    def differs(self) -> Mapping[str, int]:
        """What must be added to what was kept; empty where both agree."""
        return difference(self.kept, self.counted)


async def recount(mongo: Mongo, collection: str, terms: Terms) -> Recount:
    """Count one collection; raises `TryAgain`."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(TryAgain):
            return await _recount(mongo, collection, terms)
        await asyncio.sleep(0.2)
    return await _recount(mongo, collection, terms)


TRIES = 3
"""MongoDB has no moment to read from while a collection or an index is just being made."""


async def _recount(mongo: Mongo, collection: str, terms: Terms) -> Recount:
    async with mongo.moment() as moment:
        slots = [one async for one in moment.find(totals.COLLECTION, {"collection": collection})]
        counted: dict[str, int] = {}
        records = 0
        damaged: list[str] = []
        async for document in moment.find(collection, {}, {"state": 1}):
            records += 1
            try:
                counts = terms(document["state"])
                if not counts.keys() <= NAMES:
                    raise ValueError("a status that is none")
            except DAMAGED:
                damaged.append(str(document["_id"]))
                continue
            for name, number in counts.items():
                counted[name] = counted.get(name, 0) + number
        parts = [one["totals"] for one in slots] + [delta async for delta in _landed(moment, collection, slots)]
    corrections = next((one for one in slots if one["_id"] == f"{collection}/{MENDED}"), None)
    return Recount(collection, total(parts), counted, records, damaged, corrections)


async def mend(mongo: Mongo, found: Recount, by: str, now: datetime) -> None:
    """Put right what a recount has found, with its author; raises `TryAgain` if somebody else has since."""
    before = found.corrections or {"owner": "", "totals": {}, "corrections": []}
    at = text_of(now)
    correction = {"by": by, "at": at, "difference": dict(found.differs)}
    slot = {
        "_id": f"{found.collection}/{MENDED}",
        "owner": f"{MENDED} {at}",
        "instance": MENDED,
        "collection": found.collection,
        "at": None,
        "totals": total([before["totals"], found.differs]),
        "deltas": [],
        "pending": b"",
        "corrections": [*before["corrections"], correction],
    }
    if not await mongo.slots(totals.COLLECTION).put(slot, before["owner"], safe=True):
        raise TryAgain("somebody else has just put the totals right")


async def _landed(moment: Moment, collection: str, slots: list[dict[str, Any]]) -> AsyncIterator[Delta]:
    """What is pending in the slots and stands in the records at that moment."""
    pending = [one for slot in slots for one in pending_in(slot).items()]
    ids = sorted({record for (record, _, _), _ in pending})
    if not ids:
        return
    found = moment.find(collection, {"_id": {"$in": ids}}, {"chains": "$history.chain"})
    chains = {document["_id"]: document["chains"] async for document in found}
    for key, delta in pending:
        if has_landed(key, chains.get(key[0], ())):
            yield delta
