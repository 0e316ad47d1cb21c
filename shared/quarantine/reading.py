"""Entries as people see them: a list by pages, one masked, one in the clear."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from shared.events import Event
from shared.mongo import Store
from shared.quarantine.copies import Copy, edits, original
from shared.quarantine.deciding import Status
from shared.quarantine.foreseeing import Foreseen
from shared.quarantine.opening import opened
from shared.quarantine.safe import clear, kind_of, masked_header, masked_json, shown
from shared.sealing import Sealer

ENTRIES: Mapping[str, Any] = {"state.kept_at": {"$gte": ""}}
"""What is an entry: alerts of other kinds lie in the same collection and were never kept."""
INDEXES: tuple[Mapping[str, Any], ...] = (
    # What else may be asked for stands in each index, so that nothing is fetched that does not match.
    {"keys": [("state.kept_at", 1), ("_id", 1), ("state.topic", 1), ("state.reason", 1)], "name": "kept"},
    {
        "keys": [("state.status", 1), ("state.kept_at", 1), ("_id", 1), ("state.topic", 1), ("state.reason", 1)],
        "name": "status",
    },
    {
        "keys": [("state.topic", 1), ("state.kept_at", 1), ("_id", 1), ("state.status", 1), ("state.reason", 1)],
        "name": "topic",
    },
    {
        "keys": [("state.reason", 1), ("state.kept_at", 1), ("_id", 1), ("state.status", 1), ("state.topic", 1)],
        "name": "reason",
    },
)


class Proposal(BaseModel):
    """Who would discard it, or try an edited copy of what may be urgent, and why; somebody else must say so too."""

    act: str
    """`discard` or `replay`."""
    by: str
    reason: str
    at: str


class EntryView(BaseModel):
    """An entry, without anything that was sent."""

    entry: str
    service: str
    status: str
    reason: str
    """Why it is held."""
    behind: str | None
    """The entry of the same key before it that failed when both were tried again."""
    topic: str
    lane: str
    urgent: bool
    """Whether it may be urgent: two people are needed to discard it."""
    partition: int
    offset: int
    size: int
    cut: bool
    """Whether only its beginning is kept, for it was too large."""
    kept_at: str
    outcome: str | None
    """What came of the replay."""
    failed_at: str | None
    """When it was tried again and held again."""
    proposal: Proposal | None


class EntryPage(BaseModel):
    """Some entries, the oldest first, and where the next begin."""

    entries: list[EntryView]
    next: str | None


class Told(BaseModel):
    """One thing that happened to an entry."""

    event: str
    at: str
    by: str
    """For whom it was done: the desk, an operator, the service itself."""
    said: dict[str, Any]


class Shown(BaseModel):
    """Bytes, as far as they may be shown."""

    bytes: int
    sha256: str | None
    """Left out of a masked key: it may be a short reference, which its digest would tell."""
    kind: str
    """What they look like: `null`, `empty`, `JSON`, `text`, `bytes`."""
    tree: Any = None
    """JSON: masked, how it is made; in the clear, with every text shown safely."""
    text: str | None = None
    """In the clear, with everything written out that is not plainly visible."""


class CopyView(BaseModel):
    """A Kafka record."""

    key: Shown
    timestamp: str | None
    """Its own, which the sender or the broker gave it; None where it gives no time."""
    headers: list[tuple[str, str | None]]
    value: Shown
    brought_at: str | None = None
    """Of an edited copy: when somebody brought it."""
    difference: Any = None
    """In the clear alone: how it differs from what was set aside."""


class EntryWhole(EntryView):
    """One entry with its story, and what was sent: masked, or in the clear."""

    masked: bool
    replay: Foreseen
    """What a replay would do now."""
    original: CopyView
    edited: list[CopyView]
    story: list[Told]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are meant; what is not told may be anything."""

    topic: str | None = None
    reason: str | None = None
    status: Status | None = None
    older_than: str | None = None
    """Kept before this time."""

    @property
    def query(self) -> dict[str, Any]:
        """The query of the store."""
        query: dict[str, Any] = {f"state.{name}": value for name, value in self._told if value is not None}
        kept = {"$gte": ""} | ({"$lt": self.older_than} if self.older_than is not None else {})
        return query | {"state.kept_at": kept}

    @property
    def _told(self) -> tuple[tuple[str, str | None], ...]:
        return (("topic", self.topic), ("reason", self.reason), ("status", self.status and self.status.value))


class Entries:
    """Entries, read from their store."""

    def __init__(self, store: Store, sealer: Sealer, known: Collection[str] = ()) -> None:
        """`known`: codes that may be shown beside our own: the law's request types, the life cycle's updates."""
        self._store, self._sealer, self._known = store, sealer, known

    async def page(self, wanted: Wanted, after: str | None, limit: int) -> EntryPage:
        """The entries that are meant, the oldest first."""
        query = wanted.query
        if after is not None:
            kept_at, _, entry = after.partition("~")
            query["state.kept_at"] = query["state.kept_at"] | {"$gte": kept_at}
            later = {"state.kept_at": {"$gt": kept_at}}
            query["$or"] = [later, {"state.kept_at": kept_at, "_id": {"$gt": entry}}]
        found = await self._store.find(query, {"state": 1}, limit=limit + 1, sort=("state.kept_at", "_id"))
        last = found[limit - 1] if len(found) > limit else None
        return EntryPage(
            entries=[view(one["_id"], one["state"]) for one in found[:limit]],
            next=f"{last['state']['kept_at']}~{last['_id']}" if last else None,
        )

    async def document(self, entry: str) -> Mapping[str, Any] | None:
        """One entry as it is stored; None where there is none."""
        found = await self._store.find({"_id": entry, **ENTRIES}, None, limit=1)
        return found[0] if found else None

    async def one(self, entry: str, replay: Foreseen, *, masked: bool = True) -> EntryWhole | None:
        """One entry, with what a replay of it would do now; raises `sealing.Broken`."""
        document = await self.document(entry)
        if document is None:
            return None
        history = opened(document, self._sealer)
        copies = [
            self._copy(copy, masked, event.at, None if masked else clear(difference))
            for event, copy, difference in edits(history)
        ]
        return EntryWhole(
            **vars(view(entry, document["state"])),
            masked=masked,
            replay=replay,
            original=self._copy(original(history), masked),
            edited=copies,
            story=[Told(event=e.type, at=e.at, by=e.by, said=_said(e)) for e in history],
        )

    def _copy(self, copy: Copy, masked: bool, brought_at: str | None = None, difference: Any = None) -> CopyView:
        headers: Sequence[tuple[str, str | None]] = [
            masked_header(name, text, self._known) if masked else (shown(name), None if text is None else shown(text))
            for name, text in copy.headers
        ]
        key = self._shown(copy.key, masked)
        if masked:
            key.sha256 = None
        return CopyView(
            key=key,
            timestamp=copy.sent_at,
            headers=list(headers),
            value=self._shown(copy.value, masked),
            brought_at=brought_at,
            difference=difference,
        )

    def _shown(self, value: bytes | None, masked: bool) -> Shown:
        kind = kind_of(value)
        digest = hashlib.sha256(value or b"").hexdigest()
        told = Shown(bytes=len(value or b""), sha256=digest, kind=kind)
        if kind == "JSON" and value is not None:
            told.tree = masked_json(value, self._known) if masked else clear(orjson.loads(value))
        if not masked and value is not None:
            told.text = shown(value)
        return told


def view(entry: str, state: Mapping[str, Any]) -> EntryView:
    """An entry by its state."""
    return EntryView(
        entry=entry,
        service=state["service"],
        status=state["status"],
        reason=shown(state["reason"]),
        behind=state.get("behind"),
        topic=shown(state["topic"]),
        lane=state["lane"],
        urgent=state["urgent"],
        partition=state["partition"],
        offset=state["offset"],
        size=state["size"],
        cut=state.get("cut", False),
        kept_at=state["kept_at"],
        outcome=state.get("outcome"),
        failed_at=state.get("failed_at"),
        proposal=_proposal(state["proposal"]) if "proposal" in state else None,
    )


def _proposal(told: Mapping[str, Any]) -> Proposal:
    said = {name: shown(told[name]) for name in ("by", "reason", "at")}
    return Proposal(act="replay" if "copy" in told else "discard", **said)


_OF_THE_VIEW = frozenset(
    {"alert", "kind", "service", "topic", "lane", "urgent", "partition", "offset", "size", "order", "cut"}
    | {"asked_at", "copy"}
)


def _said(event: Event) -> dict[str, Any]:
    """What the event says beside what the view says already, safe to be shown."""
    return {
        name: shown(value) if isinstance(value, str) else value
        for name, value in event.data.items()
        if name not in _OF_THE_VIEW
    }
