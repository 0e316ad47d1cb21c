"""What MongoDB was asked and how it found the answer, as its own profiler keeps it for every operation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo

OURS = "rogatory"
"""By this name our services are known to MongoDB."""
_ALL = "COLLSCAN"
_FINDS = frozenset({"query", "command", "update", "remove"})
_ROOM = 256 * 1024 * 1024
_NOT_THERE = frozenset({"EOF"})
"""Plans of collections that are not there."""


@dataclass(frozen=True)
class Asked:
    """One query, by which something is found to be read, changed or deleted."""

    collection: str
    does: str
    query: Mapping[str, Any]
    sort: Sequence[str]
    hint: str | None
    """The index that it was told to take."""
    indexes: tuple[str, ...]
    """Those that it was found by; none where every document was looked at."""
    examined: int
    """Documents."""
    keys: int
    found: int

    @property
    def shape(self) -> str:
        """What was asked, without the values."""
        order = f" sort {', '.join(self.sort)}" if self.sort else ""
        return f"{self.collection}: {self.does} {shape_of(self.query)}{order}"

    @property
    def fields(self) -> set[str]:
        """The names that it asks about."""
        return set(_fields_of(self.query))

    @property
    def names_its_shards(self) -> bool:
        """Whether the ids say on which shards it is found, where collections are sharded by `_id`."""
        wanted = self.query.get("_id")
        return isinstance(wanted, str) or (isinstance(wanted, Mapping) and not wanted.keys().isdisjoint({"$in", "$eq"}))


def shape_of(query: Any) -> str:
    """A query without its values."""
    if isinstance(query, Mapping):
        return "{" + ", ".join(f"{name}: {shape_of(value)}" for name, value in sorted(query.items())) + "}"
    if isinstance(query, list):
        inner = sorted({shape_of(one) for one in query if isinstance(one, Mapping)})
        return f"[{', '.join(inner)}]" if inner else "[...]"
    return str(query) if isinstance(query, bool) else "."


def _fields_of(query: Any) -> Iterator[str]:
    for one in query if isinstance(query, list) else [query]:
        for name, value in one.items() if isinstance(one, Mapping) else ():
            if name.startswith("$"):
                yield from _fields_of(value)
            else:
                yield name


class Profile:
    """The profile of one database."""

    def __init__(self, uri: str, database: str) -> None:
        self._client = pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True)
        self._database = self._client[database]

    def begin(self) -> None:
        """Keep every operation from now on, and forget those of before."""
        self._database.command("profile", 0)
        self._database.drop_collection("system.profile")
        self._database.create_collection("system.profile", capped=True, size=_ROOM)
        self._database.command("profile", 2)

    def end(self) -> None:
        """Keep no more."""
        self._database.command("profile", 0)

    def asked(self) -> Iterator[Asked]:
        """Every query that one of our services has sent."""
        room = self._database.command("collStats", "system.profile")
        assert room["size"] < room["maxSize"] * 0.9, "the profile was too small for all that was asked"
        for kept in self._database["system.profile"].find({"appName": OURS, "op": {"$in": [*_FINDS]}}):
            command = kept["command"]
            if found := _query_in(command):
                does, query, sort = found
                yield Asked(
                    kept["ns"].partition(".")[2],
                    does,
                    query,
                    sort,
                    command.get("hint"),
                    tuple(sorted(_indexes(kept))),
                    kept.get("docsExamined", 0),
                    kept.get("keysExamined", 0),
                    kept.get("nreturned", kept.get("nMatched", kept.get("ndeleted", 0))),
                )

    def indexes(self) -> dict[str, set[str]]:
        """The names of the indexes of each collection."""
        names = self._database.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}})
        return {name: set(self._database[name].index_information()) for name in names}


def _query_in(command: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Sequence[str]] | None:
    if "$truncated" in command:
        raise ValueError("a query is too long for the profile")
    if "find" in command:
        return "find", command.get("filter", {}), [*command.get("sort", {})]
    if "aggregate" in command:
        match: Mapping[str, Any] = next((stage["$match"] for stage in command["pipeline"] if "$match" in stage), {})
        return "count", match, ()
    if "q" in command:
        return "change" if "u" in command else "delete", command["q"], ()
    return None


def _indexes(kept: Mapping[str, Any]) -> set[str]:
    """The names of the indexes of a plan; of a count the profile tells only what it was told to take."""
    plan = kept.get("planSummary", _ALL)  # none was made for what failed
    if plan == "IDHACK":
        return {"_id_"}
    if plan in _NOT_THERE:
        return {plan}
    if "execStats" in kept:
        return _indexes_in(kept["execStats"])
    return {kept["command"]["hint"]} if "hint" in kept["command"] and _ALL not in plan else set()


def _indexes_in(stage: Mapping[str, Any]) -> set[str]:
    inner = [stage["inputStage"]] if "inputStage" in stage else stage.get("inputStages", ())
    own = {stage["indexName"]} if "indexName" in stage else set()
    return own.union(*map(_indexes_in, inner))
