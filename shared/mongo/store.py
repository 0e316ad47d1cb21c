"""The records of one collection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel, ReadPreference, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from shared import records
from shared.failures import NeverWill, TryAgain
from shared.mongo.driver import DUPLICATE_KEY, QUICK, SAFE, SURE_MS
from shared.records import Record

LOOKED_AT = 100
"""Records among which one with a key is looked for; their ids are hashes, so any are as good as others."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record's write, already encoded, so that what cannot be stored fails alone and not with its neighbours."""

    insert: RawBSONDocument | None = None
    update: UpdateOne | None = None


class Store:
    """The records of one collection; every error of the driver comes out as `TryAgain`."""

    def __init__(self, collection: Any) -> None:
        self.name: str = collection.name
        self._safe: Any = collection.with_options(
            codec_options=CodecOptions(tz_aware=True),
            write_concern=SAFE,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._sure: Any = self._safe.with_options(read_concern=ReadConcern("linearizable"))
        # A mark needs no journal: a lost one only repeats an event.
        self._marks: Any = self._safe.with_options(write_concern=QUICK)

    async def prepare(self, indexes: Iterable[Mapping[str, Any]] = ()) -> None:
        """Make the indexes that every store needs, and the given ones (arguments of pymongo's `IndexModel`)."""
        partial = {"partialFilterExpression": {"unsent_since": {"$exists": True}}}
        models = [IndexModel([("unsent_since", 1)], name="unsent", **partial)]
        models += [IndexModel(**index) for index in indexes]
        try:
            await self._safe.create_indexes(models)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error

    async def read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The heads of records, as a majority has them: a local read once announced what a failover then undid."""
        return await self.find({"_id": {"$in": list(ids)}}, records.HEAD, limit=len(ids))

    async def histories(self, ids: Sequence[str], *, sure: bool = False) -> list[dict[str, Any]]:
        """The whole documents; for the rare need only. `sure`: see `find`."""
        return await self.find({"_id": {"$in": list(ids)}}, None, limit=len(ids), sure=sure)

    async def versions(self, ids: Sequence[str]) -> dict[str, int]:
        """The versions of records for sure (see `find`); what is not there is left out."""
        found = await self.find({"_id": {"$in": list(ids)}}, {"version": 1}, limit=len(ids), sure=True)
        return {one["_id"]: one["version"] for one in found}

    async def chains(self, ids: Sequence[str]) -> dict[str, list[bytes]]:
        """The chain after every event of these records, for sure (see `find`)."""
        found = await self.find({"_id": {"$in": list(ids)}}, {"chains": "$history.chain"}, limit=len(ids), sure=True)
        return {one["_id"]: one["chains"] for one in found}

    async def marked(self, ids: Sequence[str]) -> dict[str, tuple[int, str | None]]:
        """Up to which version each record is marked as sent, and when the first event beyond was written, if any."""
        wanted = {"published": 1, "next": {"$arrayElemAt": ["$history.at", "$published"]}}
        found = await self.find({"_id": {"$in": list(ids)}}, wanted, limit=len(ids))
        return {one["_id"]: (one["published"], one.get("next")) for one in found}

    async def unsent(self, before: datetime, limit: int, skip: int = 0) -> list[dict[str, Any]]:
        """Ids and sizes of records with events that nobody was seen to send since before a time, the oldest first."""
        query, wanted = {"unsent_since": {"$lt": before}}, {"size": 1}
        return await self.find(query, wanted, limit=limit, sort=["unsent_since"], skip=skip)

    async def any_key(self) -> tuple[str, bytes] | None:
        """A record and its wrapped key, to see whether the deployment's key is the one that wrapped it.

        Among a few alone: a collection in which nothing is sealed would be read whole at every start.
        """
        found = await self.find({}, {"key": 1}, limit=LOOKED_AT, sort=["-_id"])
        return next(((one["_id"], one["key"]) for one in found if "key" in one), None)

    async def count_unsent(self, limit: int = 100_000) -> tuple[int, datetime | None]:
        """How many records wait to be sent (counted up to `limit`), and since when the oldest does."""
        count = await self.count({"unsent_since": {"$exists": True}}, limit, "unsent")
        oldest = await self.find(
            {"unsent_since": {"$exists": True}}, {"unsent_since": 1}, limit=1, sort=["unsent_since"]
        )
        return count, oldest[0]["unsent_since"] if oldest else None

    async def count(self, query: Mapping[str, Any], limit: int, hint: str) -> int:
        """How many documents there are, counted up to `limit`, by an index named `hint`."""
        try:
            number: int = await self._safe.count_documents(query, limit=limit, hint=hint)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
        return number

    async def find(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None,
        *,
        limit: int,
        sort: Sequence[str] = (),
        skip: int = 0,
        sure: bool = False,
    ) -> list[dict[str, Any]]:
        """Documents in one round trip (`limit` > 0); a name to sort by that begins with `-` sorts the last first.

        `sure`: everything that was acknowledged before is in them, whoever is the primary. A read by majority alone may
        lack it: who was just elected has all of it, and answers for some milliseconds by what it knew a majority to
        have (MongoDB manual, read concern "linearizable"). It costs what a write by majority costs.
        """
        if limit == 0:
            return []
        order = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in sort]
        more = {"max_time_ms": SURE_MS} if sure else {}
        collection = self._sure if sure else self._safe
        cursor = collection.find(query, projection, limit=limit, skip=skip, batch_size=limit + 1, **more)
        try:
            found: list[dict[str, Any]] = await (cursor.sort(order) if order else cursor).to_list(None)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
        return found

    def change(self, record: Record, now: datetime) -> Change:
        """The encoded write of a record's fresh events; raises `NeverWill` if BSON cannot hold them."""
        try:
            if record.stored_version == 0:
                return Change(insert=RawBSONDocument(bson.encode(records.insertion(record, now))))
            guard = {"_id": record.id, "version": record.stored_version}
            update = records.update(record, now)
            # Encoded once, here: what cannot be stored fails alone.
            update["$set"]["state"] = RawBSONDocument(bson.encode(update["$set"]["state"]))
        except (BSONError, OverflowError, UnicodeEncodeError, ValueError) as error:
            raise NeverWill("MongoDB cannot store it") from error
        return Change(update=UpdateOne(guard, update))

    async def write(self, changes: Sequence[Change]) -> bool:
        """Write a batch by majority and journal; True if every change landed, False if some may not have.

        A bulk result names no losers, so False means: read again and see. Raises `TryAgain` if the outcome of the
        whole is unknown.
        """
        inserts = [change.insert for change in changes if change.insert is not None]
        updates = [change.update for change in changes if change.update is not None]
        try:
            if inserts:
                await self._safe.insert_many(inserts, ordered=False)
            if updates:
                result = await self._safe.bulk_write(updates, ordered=False)
                return bool(result.matched_count == len(updates))
        except BulkWriteError as error:
            codes = {one.get("code") for one in error.details.get("writeErrors", ())}
            if codes <= {DUPLICATE_KEY} and not error.details.get("writeConcernErrors"):
                return False
            raise TryAgain("BulkWriteError") from error
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
        return True

    async def mark_sent(self, ids_by_version: Mapping[int, Sequence[str]]) -> None:
        """Note that records were sent up to a version; one that has moved on since stays unsent from there on."""
        marks = [
            UpdateMany(
                {"_id": {"$in": list(ids)}, "version": v}, {"$set": {"published": v}, "$unset": {"unsent_since": ""}}
            )
            for v, ids in ids_by_version.items()
        ]
        # Where several processes write one record it is always on its way: unmarked, each would send all of it again.
        moved_on = [
            UpdateMany(
                {"_id": {"$in": list(ids)}, "version": {"$gt": v}, "published": {"$lt": v}}, {"$set": {"published": v}}
            )
            for v, ids in ids_by_version.items()
        ]
        try:
            result = await self._marks.bulk_write(marks, ordered=False)
            if result.matched_count < sum(map(len, ids_by_version.values())):
                await self._marks.bulk_write(moved_on, ordered=False)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
