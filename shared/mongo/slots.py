"""Documents that are no records and belong to somebody."""

from collections.abc import Callable, Mapping
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError

from shared.failures import TryAgain
from shared.mongo.driver import SAFE, UNKEPT, at_notes


class Slots:
    """Documents `<of>/<name>` that belong to an owner each, and are written whole by the owner alone."""

    def __init__(self, collection: Any, is_sharded: Callable[[], bool] = lambda: False) -> None:
        """`is_sharded`: whether what is written next may go to another server than this."""
        self._is_sharded = is_sharded
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
            raise TryAgain(at_notes(error, self._quick.name)) from error
        return found

    async def put(
        self, document: Mapping[str, Any], owner: str, read: Mapping[str, Any] | None = None, *, safe: bool = False
    ) -> bool:
        """Put a document in the place of the one with its id; False if that belongs to somebody else than `owner`.

        False also if it has another `revision` now than when it was `read`, where that is given.
        The primary has it when this returns, before whatever is written next; the journal, and a majority, only if
        `safe`, or where that goes to another primary.
        """
        target = self._safe if safe or self._is_sharded() else self._quick
        guard: dict[str, Any] = {"_id": document["_id"], "owner": owner}
        if read is not None:
            guard["revision"] = read.get("revision")  # None is one that has none
        try:
            await target.replace_one(guard, document, upsert=True)
        except DuplicateKeyError:
            return False
        except UNKEPT as error:
            raise TryAgain(at_notes(error, self._quick.name)) from error
        return True
