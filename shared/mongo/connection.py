"""A connection to one deployment's database."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from shared.failures import BadStart, TryAgain
from shared.mongo.driver import PATIENCE_MS, QUICK, SAFE, UNKEPT, Driver, at_notes, settled
from shared.mongo.slots import Slots
from shared.mongo.store import Store


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
        self._is_sharded = False

    def store(self, collection: str) -> Store:
        """The records of one collection."""
        return Store(self._database[collection])

    def slots(self, collection: str) -> Slots:
        """Documents that are no records and belong to somebody."""
        return Slots(self._database[collection], lambda: self._is_sharded)

    @contextlib.asynccontextmanager
    async def moment(self) -> AsyncIterator["Moment"]:
        """Everything as a majority had it at one moment, for as long as the server keeps that (300 s by itself)."""
        try:
            async with await settled(self._client.start_session(snapshot=True)) as session:
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
        self._is_sharded = hello.get("msg") == "isdbgrid"  # so answers a router to shards, and nothing else does
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

        The same primary has it before whatever is written after it, so who keeps that keeps this too. Where there are
        shards that may be another primary: then a majority must have it.
        """
        concern = SAFE if self._is_sharded else QUICK
        try:
            await self._database[collection].with_options(write_concern=concern).insert_one(document)
        except UNKEPT as error:
            raise TryAgain(at_notes(error, collection)) from error

    async def prepare_notes(self, collection: str) -> None:
        """Make the index by which notes are found; raises `TryAgain`."""
        try:
            await self._database[collection].create_index([("at", 1)], name="noted")
        except PyMongoError as error:
            raise TryAgain(at_notes(error, collection)) from error

    async def noted(self, collection: str, query: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        """What was kept so, the oldest first; raises `TryAgain`."""
        try:
            cursor = self._database[collection].find(query, limit=limit).sort("at", 1)
            found: list[dict[str, Any]] = await cursor.to_list(None)
        except PyMongoError as error:
            raise TryAgain(at_notes(error, collection)) from error
        return found

    async def forget(self, collection: str, ids: Sequence[str]) -> None:
        """Let such documents go; raises `TryAgain`."""
        try:
            await self._database[collection].with_options(write_concern=QUICK).delete_many({"_id": {"$in": list(ids)}})
        except PyMongoError as error:
            raise TryAgain(at_notes(error, collection)) from error

    def _plain(self, collection: str) -> Any:
        return self._database[collection].with_options(write_concern=SAFE)

    async def close(self) -> None:
        """Close every connection."""
        await settled(self._client.close())


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
