"""MongoDB: the only file that knows the driver.

Motor is what runs; `ROGATORY_MONGO_DRIVER=pymongo` runs the same code on PyMongo's own async client, for Motor is past
its end of life. Only calls that are the same on both are used, save the two in `_settled`.
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, IndexModel, ReadPreference, UpdateMany, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, ConfigurationError, DuplicateKeyError, InvalidURI, PyMongoError
from pymongo.read_concern import ReadConcern

from shared import records
from shared.failures import BadStart, NeverWill, TryAgain
from shared.records import Record

Driver = Literal["motor", "pymongo"]

SAFE = WriteConcern("majority", j=True, wtimeout=15_000)
"""How everything is written that somebody is told of: by majority and journal."""
_QUICK = WriteConcern(1)
DUPLICATE_KEY = 11000
_UNKEPT = (PyMongoError, BSONError)
"""Why a note was not kept; one that is too large the driver refuses with an error that is none of its own."""
PATIENCE_MS = 5_000
"""How long a call waits for a primary before it says `TryAgain`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record's write, already encoded, so that what cannot be stored fails alone and not with its neighbours."""

    insert: RawBSONDocument | None = None
    update: UpdateOne | None = None


def _at(error: Exception, notes: str) -> str:
    """A reason that names the notes: where they alone fail, whoever reads it looks there."""
    return f"{type(error).__name__} at the notes in {notes}"


async def _settled(result: Any) -> Any:
    """The result of a call that one driver awaits and the other does not."""
    return (await result) if inspect.isawaitable(result) else result


class Mongo:
    """A connection to one deployment's database."""

    def __init__(self, uri: str, database: str, driver: Driver = "motor") -> None:
        """Opens lazily; raises `BadStart` if the address cannot be one."""
        options: dict[str, Any] = {
            "serverSelectionTimeoutMS": PATIENCE_MS,
            "connectTimeoutMS": PATIENCE_MS,
            "socketTimeoutMS": 20_000,
            "retryWrites": True,
            "tz_aware": True,
            "appname": "rogatory",
        }
        try:
            kind: Any = AsyncIOMotorClient if driver == "motor" else AsyncMongoClient
            self._client: Any = kind(uri, **options)
        except (ConfigurationError, InvalidURI, ValueError):
            # The address may hold a password: it is not repeated.
            raise BadStart("ROGATORY_MONGO is not a MongoDB address (mongodb://host:port/...)") from None
        self._database: Any = self._client[database]

    def store(self, collection: str) -> "Store":
        """The records of one collection."""
        return Store(self._database[collection])

    def slots(self, collection: str) -> "Slots":
        """Documents that are no records and belong to somebody."""
        return Slots(self._database[collection])

    @contextlib.asynccontextmanager
    async def moment(self) -> AsyncIterator["Moment"]:
        """Everything as a majority had it at one moment, for as long as the server keeps that (300 s by itself)."""
        try:
            async with await _settled(self._client.start_session(snapshot=True)) as session:
                yield Moment(self._database, session)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error

    async def ping(self) -> None:
        """Returns when a primary answers; raises `TryAgain` otherwise."""
        await self._hello()

    async def time(self) -> datetime:
        """The primary's own time, in milliseconds; raises `TryAgain`."""
        at: datetime = (await self._hello())["localTime"]
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    async def _hello(self) -> Mapping[str, Any]:
        try:
            hello: Mapping[str, Any] = await self._client.admin.command("hello")
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
        if not hello.get("isWritablePrimary"):
            raise TryAgain("no primary")
        return hello

    async def kept(self, collection: str, document: str) -> Mapping[str, Any] | None:
        """A document that is no record, such as the simulation's; raises `TryAgain`."""
        try:
            found: Mapping[str, Any] | None = await self._plain(collection).find_one({"_id": document})
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
        return found

    async def keep(self, collection: str, document: Mapping[str, Any]) -> None:
        """Put such a document in the place of the one with its id; raises `TryAgain`."""
        try:
            await self._plain(collection).replace_one({"_id": document["_id"]}, document, upsert=True)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error

    async def note(self, collection: str, document: Mapping[str, Any]) -> None:
        """Keep a document without waiting for journal or majority; raises `TryAgain`.

        The same primary has it before whatever is written after it, so who keeps that keeps this too.
        """
        try:
            await self._database[collection].with_options(write_concern=_QUICK).insert_one(document)
        except _UNKEPT as error:
            raise TryAgain(_at(error, collection)) from error

    async def noted(self, collection: str, query: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        """What was kept so, the oldest first; raises `TryAgain`."""
        try:
            cursor = self._database[collection].find(query, limit=limit).sort("at", 1)
            found: list[dict[str, Any]] = await cursor.to_list(None)
        except PyMongoError as error:
            raise TryAgain(_at(error, collection)) from error
        return found

    async def forget(self, collection: str, ids: Sequence[str]) -> None:
        """Let such documents go; raises `TryAgain`."""
        try:
            await self._database[collection].with_options(write_concern=_QUICK).delete_many({"_id": {"$in": list(ids)}})
        except PyMongoError as error:
            raise TryAgain(_at(error, collection)) from error

    def _plain(self, collection: str) -> Any:
        return self._database[collection].with_options(write_concern=SAFE)

    async def close(self) -> None:
        """Close every connection."""
        await _settled(self._client.close())


class Moment:
    """What all collections hold at one and the same moment; `Mongo.moment` makes one."""

    def __init__(self, database: Any, session: Any) -> None:
        self._database, self._session = database, session

    async def find(
        self, collection: str, query: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The documents of one collection, as they come."""
        kept = self._database[collection].with_options(codec_options=CodecOptions(tz_aware=True))
        async for document in kept.find(query, projection, session=self._session):
            yield document


class Slots:
    """Documents `<of>/<name>` that belong to an owner each, and are written whole by the owner alone."""

    def __init__(self, collection: Any) -> None:
        options = {"codec_options": CodecOptions(tz_aware=True), "read_preference": ReadPreference.PRIMARY}
        self._safe: Any = collection.with_options(write_concern=SAFE, **options)
        self._quick: Any = collection.with_options(write_concern=WriteConcern(1), **options)

    async def of(self, what: str) -> list[dict[str, Any]]:
        """All whose id begins with `<what>/`."""
        try:
            found: list[dict[str, Any]] = await self._quick.find(
                {"_id": {"$gte": f"{what}/", "$lt": f"{what}0"}}  # in ASCII, 0 follows the slash
            ).to_list(None)
        except PyMongoError as error:
            raise TryAgain(_at(error, self._quick.name)) from error
        return found

    async def put(
        self, document: Mapping[str, Any], owner: str, read: Mapping[str, Any] | None = None, *, safe: bool = False
    ) -> bool:
        """Put a document in the place of the one with its id; False if that belongs to somebody else than `owner`.

        False also if it has another `revision` now than when it was `read`, where that is given.
        The primary has it when this returns, before whatever is written next; the journal, and a majority, only if
        `safe`.
        """
        target = self._safe if safe else self._quick
        guard: dict[str, Any] = {"_id": document["_id"], "owner": owner}
        if read is not None:
            guard["revision"] = read.get("revision")  # None is one that has none
        try:
            await target.replace_one(guard, document, upsert=True)
        except DuplicateKeyError:
            return False
        except _UNKEPT as error:
            raise TryAgain(_at(error, self._quick.name)) from error
        return True


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
        # A mark needs no journal: a lost one only repeats an event.
        self._marks: Any = self._safe.with_options(write_concern=_QUICK)

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

    async def histories(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The whole documents; for the rare need only."""
        return await self.find({"_id": {"$in": list(ids)}}, None, limit=len(ids))

    async def chains(self, ids: Sequence[str]) -> dict[str, list[bytes]]:
        """The chain after every event of these records."""
        found = await self.find({"_id": {"$in": list(ids)}}, {"chains": "$history.chain"}, limit=len(ids))
        return {one["_id"]: one["chains"] for one in found}

    async def unsent(self, before: datetime, limit: int, skip: int = 0) -> list[dict[str, Any]]:
        """Ids and sizes of records with events that nobody was seen to send since before a time, the oldest first."""
        query, wanted = {"unsent_since": {"$lt": before}}, {"size": 1}
        return await self.find(query, wanted, limit=limit, sort=["unsent_since"], skip=skip)

    async def any_key(self) -> tuple[str, bytes] | None:
        """A record and its wrapped key, to see whether the deployment's key is the one that wrapped it."""
        found = await self.find({"key": {"$exists": True}}, {"key": 1}, limit=1)
        return (found[0]["_id"], found[0]["key"]) if found else None

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
    ) -> list[dict[str, Any]]:
        """Documents in one round trip (`limit` > 0); a name to sort by that begins with `-` sorts the last first."""
        if limit == 0:
            return []
        order = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in sort]
        cursor = self._safe.find(query, projection, limit=limit, skip=skip, batch_size=limit + 1)
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
        """Note that records were sent up to a version; one that has moved on since stays unsent."""
        marks = [
            UpdateMany(
                {"_id": {"$in": list(ids)}, "version": v}, {"$set": {"published": v}, "$unset": {"unsent_since": ""}}
            )
            for v, ids in ids_by_version.items()
        ]
        try:
            await self._marks.bulk_write(marks, ordered=False)
        except PyMongoError as error:
            raise TryAgain(type(error).__name__) from error
