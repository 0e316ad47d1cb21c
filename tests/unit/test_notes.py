"""Notes need no majority where what they are about goes to the same primary; where there are shards they do."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import WriteConcern

from shared.mongo import SAFE, Mongo

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
QUICK = WriteConcern(1)
PRIMARY = {"isWritablePrimary": True, "localTime": NOW}
ROUTER = {**PRIMARY, "msg": "isdbgrid"}
"""As a router to shards answers."""


class Collection:
    """Keeps nothing but how safely it was told to."""

    name = "notes"

    def __init__(self, said: list[WriteConcern], concern: WriteConcern | None = None) -> None:
        self._said, self._concern = said, concern

    def with_options(self, write_concern: WriteConcern, **_: Any) -> "Collection":
        return Collection(self._said, write_concern)

    async def insert_one(self, _document: Any) -> None:
        assert self._concern
        self._said.append(self._concern)

    async def replace_one(self, _query: Any, _document: Any, upsert: bool) -> None:
        assert self._concern
        assert upsert
        self._said.append(self._concern)


class Server:
    """Says what it is."""

    def __init__(self, says: dict[str, Any]) -> None:
        self._says = says

    @property
    def admin(self) -> "Server":
        return self

    async def command(self, name: str) -> dict[str, Any]:
        assert name == "hello"
        return self._says


@pytest.mark.parametrize(
    ("says", "concerns"), [(None, [QUICK, QUICK, SAFE]), (PRIMARY, [QUICK, QUICK, SAFE]), (ROUTER, [SAFE] * 3)]
)
async def test_how_safely_notes_are_kept(says: dict[str, Any] | None, concerns: list[WriteConcern]) -> None:
    said: list[WriteConcern] = []
    connection = Mongo("mongodb://127.0.0.1:1/", "rogatory")
    real = connection._client
    connection._database = {"notes": Collection(said)}
    slots = connection.slots("notes")
    if says is not None:
        connection._client = Server(says)
        await connection.time()

    await connection.note("notes", {"_id": "1", "at": NOW})
    await slots.put({"_id": "of/1"}, "owner")
    await slots.put({"_id": "of/1"}, "owner", safe=True)

    assert said == concerns
    real.close()
