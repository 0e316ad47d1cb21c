"""The records as MongoDB has them, whole, by a majority: the only file here that knows the driver. It never writes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from types import TracebackType
from typing import Any, Protocol, Self

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError
from pymongo.read_concern import ReadConcern

from shared.failures import BadStart, TryAgain

Document = Mapping[str, Any]
AT_ONCE = 200


def text_at(head: Mapping[str, Any], *path: str) -> str | None:
    """The text at a path of a record's head, if there is one: what another wrote there may be anything."""
    value: Any = head
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class NoticeHead:
    """A notice or a ladder, as far as it says whom it tells of what."""

    record: str
    alert: str
    subscriber: str
    """Empty of a ladder."""
    step: str
    """Of a ladder, where the notice is of one."""


def notice_head(head: Mapping[str, Any]) -> NoticeHead:
    """What the head of a record says."""
    return NoticeHead(
        str(head["_id"]), *(text_at(head, "state", name) or "" for name in ("alert", "subscriber", "step"))
    )


class Documents(Protocol):
    """Where documents come from."""

    def between(self, collection: str, low: str, high: str) -> Iterator[Document]:
        """The whole documents whose ids lie in a range, in their order."""
        ...

    def some(self, collection: str, ids: Sequence[str]) -> Iterator[Document]:
        """The whole documents with these ids."""
        ...

    def present(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Which of these ids have a document."""
        ...

    def heads(self, collection: str, ids: Sequence[str], wanted: Sequence[str]) -> Iterator[Document]:
        """Of the documents with these ids what is wanted."""
        ...

    def notices(self, about: Collection[str]) -> Iterator[NoticeHead]:
        """The notices and the ladders about these cases and alerts."""
        ...

    def outside(self, collection: str, ranges: Sequence[tuple[str, str]]) -> list[str]:
        """Ids beside these ranges, a few of them."""
        ...

    def one(self, collection: str, name: str) -> Document | None:
        """A document that is no record."""
        ...

    def all(self, collection: str) -> Iterator[Document]:
        """Every document of a small collection."""
        ...

    def count(self, collection: str) -> int:
        """About how many there are."""
        ...

    def now(self) -> datetime:
        """MongoDB's time."""
        ...


class Mongo:
    """A connection that reads; every error of the driver comes out as `TryAgain`."""

    def __init__(self, uri: str, database: str) -> None:
        """Opens lazily; raises `BadStart` if the address cannot be one."""
        try:
            self._client: MongoClient[dict[str, Any]] = MongoClient(
                uri,
                tz_aware=True,
                appname="rogatory-verify",
                serverSelectionTimeoutMS=10_000,
                # A time beyond the year 9999, or text that is none, must not end the reading of all that follows.
                datetime_conversion="DATETIME_AUTO",
                unicode_decode_error_handler="replace",
            )
        except (ConfigurationError, InvalidURI, ValueError):
            # The address may hold a password: it is not repeated.
            raise BadStart("ROGATORY_MONGO is not a MongoDB address (mongodb://host:port/...)") from None
        self._database = self._client.get_database(database, read_concern=ReadConcern("majority"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        if isinstance(error, PyMongoError):
            raise TryAgain(f"MongoDB: {type(error).__name__}") from error

    def between(self, collection: str, low: str, high: str) -> Iterator[Document]:
        """The whole documents whose ids lie in a range, in their order."""
        query = {"_id": {"$gte": low, "$lt": high}}
        return iter(self._database[collection].find(query, batch_size=AT_ONCE).sort("_id", 1))

    def some(self, collection: str, ids: Sequence[str]) -> Iterator[Document]:
        """The whole documents with these ids."""
        for at in range(0, len(ids), AT_ONCE):
            yield from self._database[collection].find({"_id": {"$in": list(ids[at : at + AT_ONCE])}})

    def present(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Which of these ids have a document."""
        return {one["_id"] for one in self.heads(collection, ids, ())}

    def heads(self, collection: str, ids: Sequence[str], wanted: Sequence[str]) -> Iterator[Document]:
        """Of the documents with these ids what is wanted."""
        shown = {"_id": 1, **dict.fromkeys(wanted, 1)}
        for at in range(0, len(ids), 1_000):
            yield from self._database[collection].find({"_id": {"$in": list(ids[at : at + 1_000])}}, shown)

    def notices(self, about: Collection[str]) -> Iterator[NoticeHead]:
        """The notices and the ladders about these cases and alerts."""
        query = {"state.about": {"$in": sorted(about)}}
        shown = dict.fromkeys(("state.alert", "state.subscriber", "state.step"), 1)
        for one in self._database["notices"].find(query, shown):
            yield notice_head(one)

    def outside(self, collection: str, ranges: Sequence[tuple[str, str]]) -> list[str]:
        """Ids beside these ranges, a few of them."""
        borders = sorted(ranges)
        gaps: list[dict[str, Any]] = [{"$lt": borders[0][0]}, {"$gte": borders[-1][1]}]
        gaps += [{"$gte": one[1], "$lt": other[0]} for one, other in pairwise(borders)]
        # What is no text sorts apart, and no comparison with text finds it.
        query = {"$or": [*({"_id": gap} for gap in gaps), {"_id": {"$not": {"$type": "string"}}}]}
        return [str(one["_id"])[:40] for one in self._database[collection].find(query, {"_id": 1}).limit(20)]

    def one(self, collection: str, name: str) -> Document | None:
        """A document that is no record."""
        return self._database[collection].find_one({"_id": name})

    def all(self, collection: str) -> Iterator[Document]:
        """Every document of a small collection."""
        return iter(self._database[collection].find())

    def count(self, collection: str) -> int:
        """About how many there are."""
        return self._database[collection].estimated_document_count()

    def now(self) -> datetime:
        """MongoDB's time."""
        at: datetime = self._client.admin.command("hello")["localTime"]
        return at if at.tzinfo else at.replace(tzinfo=UTC)
