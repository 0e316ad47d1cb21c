"""A record is its history: one document per letter, case or notice, and the pure functions over it.

The history is the state (`state` is its fold by `evolve`), the outbox (events past `published` are still to be sent),
the inbox (`cause` tells what was already heard) and the audit log (`chain`).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from shared import topics
from shared.events import UPDATE_REJECTED, Draft, Event
from shared.failures import NeverWill
from shared.sealing import RecordKey, Sealer, place_of
from shared.times import text_of

MAX_EVENT_BYTES = 900_000
"""The largest event on a topic; Kafka's own limit is 1 MB a batch."""
MAX_RECORD_EVENTS = 1_000
"""Beside rejected updates: whoever sends many of those must not fill the record of a case."""
MAX_RECORD_BYTES = 4_000_000

State = dict[str, Any]
"""What queries read; no names, no free text. Each service says what is in its own."""
Evolve = Callable[[State, Event], State]
"""The next state; pure, total over the service's own events, and blind to what is sealed."""


@dataclass(slots=True)
class Record:
    """One record as the loop holds it: the stored head, and the events of this batch not yet written."""

    id: str
    subject: str
    """What its events are about, and their Kafka key: its own id, or the case's for a notice."""
    context: Mapping[str, str]
    """What only our own services may know of it (the letter of a case); CloudEvents attributes on internal topics."""
    version: int = 0
    published: int = 0
    state: State = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    chain: bytes = b""
    causes: set[str] = field(default_factory=set)
    size: int = 0
    unsent_since: datetime | None = None
    key: RecordKey | None = None
    stored_version: int = 0
    stored_state: State = field(default_factory=dict)
    """The state as it stands in MongoDB, before the events of this batch."""
    fresh: list[Event] = field(default_factory=list)
    """The events of this batch."""
    broken: str = ""
    """Why it takes no more events until somebody has looked; empty for all but damaged ones."""
    history: list[Event] | None = None
    """All stored events with their content, only where `decide` asked for them."""

    def append(self, draft: Draft, *, by: str, cause: str, now: datetime, evolve: Evolve, sealer: Sealer) -> None:
        """Put one event at the end; raises `NeverWill` where a limit forbids it, and then nothing has changed."""
        event, key = self._event(draft, by, cause, text_of(now), sealer)
        size = self.size + len(event.data_json) + len(event.sealed or b"") + 300
        rejected = self.state.get("rejections", 0) + (event.type == UPDATE_REJECTED)
        if event.seq - rejected > MAX_RECORD_EVENTS or size > MAX_RECORD_BYTES:
            raise NeverWill(f"the record is full ({MAX_RECORD_EVENTS} events or {MAX_RECORD_BYTES} bytes)")
        self.state = evolve(self.state, event)
        self.key, self.size, self.chain, self.version = key, size, event.chain, event.seq
        self.sent = {**self.sent, **event.to}
        self.causes.add(cause)
        self.fresh.append(event)

    def kept(self) -> "Record":
        """The record as it stands in MongoDB once its fresh events do; for one with nothing left to send."""
        sent_up_to = self.version if self.published == self.stored_version else self.published
        return Record(
            self.id,
            self.subject,
            self.context,
            self.version,
            sent_up_to,
            self.state,
            self.sent,
            self.chain,
            set(self.causes),
            self.size,
            self.unsent_since,
            self.key,
            self.version,
            self.state,
        )

    def _event(self, draft: Draft, by: str, cause: str, at: str, sealer: Sealer) -> tuple[Event, RecordKey | None]:
        seq = self.version + 1
        to = {topic: self.sent.get(topic, 0) + 1 for topic in draft.to}
        data_json = orjson.dumps(draft.data)
        content, sealed, key = None, None, self.key
        if draft.content is not None:
            content = draft.content if isinstance(draft.content, bytes) else orjson.dumps(draft.content)
            key = key or sealer.new_key(self.id)
            sealed = key.seal(content, place_of(self.id, seq))
        told = content if any(map(topics.carries_content, to)) else None
        if to and len(data_json) + len(told or b"") > MAX_EVENT_BYTES:
            raise NeverWill(f"the event is larger than {MAX_EVENT_BYTES} bytes")
        chain = link(self.chain, self.id, seq, draft.type, at, by, cause, to, data_json, sealed)
        return Event(seq, draft.type, at, by, cause, to, draft.data, data_json, content, sealed, chain), key


def link(
    before: bytes,
    record: str,
    seq: int,
    event_type: str,
    at: str,
    by: str,
    cause: str,
    to: Mapping[str, int],
    data_json: bytes,
    sealed: bytes | None,
) -> bytes:
    """The next link of the chain: it changes when anything about the event or before it does (SHA-256)."""
    attributes = orjson.dumps([record, seq, event_type, at, by, cause, sorted(to.items())])
    # The chain before has a fixed length (or none), and JSON text holds no zero byte: the parts cannot run together.
    return hashlib.sha256(b"%b\0%b\0%b\0%b" % (before, attributes, data_json, sealed or b"")).digest()


def needs_sending(events: Iterable[Event]) -> bool:
    """Whether any of these events stands on a topic."""
    return any(event.to for event in events)


def leaves_unsent(record: Record) -> bool:
    """Whether a record, once its fresh events are written, has events that a sender must still see."""
    is_all_sent_before = record.published == record.stored_version
    return not is_all_sent_before or needs_sending(record.fresh)


def stored_form(event: Event) -> dict[str, Any]:
    """An event as it stands in a record's `history`."""
    form: dict[str, Any] = {
        "seq": event.seq,
        "type": event.type,
        "at": event.at,
        "by": event.by,
        "cause": event.cause,
        "to": dict(event.to),
        "data": event.data_json,
        "chain": event.chain,
    }
    if event.sealed is not None:
        form["sealed"] = event.sealed
    return form


def event_of(record: str, form: Mapping[str, Any], key: RecordKey | None = None) -> Event:
    """The event of its stored form, with its content where the record's key is given; raises `sealing.Broken`."""
    sealed: bytes | None = form.get("sealed")
    content = key.open(sealed, place_of(record, form["seq"])) if key and sealed is not None else None
    return Event(
        form["seq"],
        form["type"],
        form["at"],
        form["by"],
        form["cause"],
        form["to"],
        orjson.loads(form["data"]),
        form["data"],
        content,
        sealed,
        form["chain"],
    )


def fold(events: Iterable[Event], evolve: Evolve) -> State:
    """The state of a whole history; equal to the stored state, or something is broken."""
    state: State = {}
    for event in events:
        state = evolve(state, event)
    return state


def chain_holds(record: str, events: Iterable[Event]) -> bool:
    """Whether every link of a history follows from the one before."""
    before = b""
    for e in events:
        before = link(before, record, e.seq, e.type, e.at, e.by, e.cause, e.to, e.data_json, e.sealed)
        if before != e.chain:
            return False
    return True


def insertion(record: Record, now: datetime) -> dict[str, Any]:
    """The whole document of a record that is new."""
    document: dict[str, Any] = {
        "_id": record.id,
        "published": 0,
        **_head(record, now),
        "history": [stored_form(event) for event in record.fresh],
        "context": dict(record.context),
    }
    if record.subject != record.id:
        document["subject"] = record.subject
    return document


def update(record: Record, now: datetime) -> dict[str, Any]:
    """What changes in a stored document; to be guarded by `_id` and `version == record.stored_version`."""
    change: dict[str, Any] = {
        "$set": _head(record, now),
        "$push": {"history": {"$each": [stored_form(event) for event in record.fresh]}},
    }
    if "next_due" not in record.state:
        change["$unset"] = {"next_due": ""}
    return change


def _head(record: Record, now: datetime) -> dict[str, Any]:
    head: dict[str, Any] = {
        "version": record.version,
        "state": {**record.state, "sent": record.sent},
        "size": record.size,
    }
    if not leaves_unsent(record):
        head["published"] = record.version
    else:
        # Always set anew: a sender may take the mark away between our read and our write.
        head["unsent_since"] = record.unsent_since or now
    if record.key:
        head["key"] = record.key.wrapped
    if "next_due" in record.state:
        head["next_due"] = record.state["next_due"]
    return head


HEAD = {
    "version": 1,
    "published": 1,
    "state": 1,
    "size": 1,
    "key": 1,
    "unsent_since": 1,
    "subject": 1,
    "context": 1,
    "causes": "$history.cause",
    "chain": {"$last": "$history.chain"},
}
"""The projection that decides: the head of a record and the causes it has heard, never the whole history."""


def record_of(document: Mapping[str, Any], sealer: Sealer) -> Record:
    """The record of a document read with the projection `HEAD`; raises `sealing.Broken`."""
    state = dict(document["state"])
    sent = dict(state.pop("sent"))
    wrapped: bytes | None = document.get("key")
    return Record(
        id=document["_id"],
        subject=document.get("subject", document["_id"]),
        context=document["context"],
        version=document["version"],
        published=document["published"],
        state=state,
        sent=sent,
        chain=document["chain"],
        causes=set(document["causes"]),
        size=document["size"],
        unsent_since=document.get("unsent_since"),
        key=sealer.key_of(document["_id"], wrapped) if wrapped else None,
        stored_version=document["version"],
        stored_state=state,
    )


def value_on(topic: str, event: Event) -> bytes:
    """The bytes of an event on one topic: `data`, and `content` inside it where the readers are entitled."""
    if event.content is None or not topics.carries_content(topic):
        return event.data_json
    joint = b"," if len(event.data_json) > 2 else b""
    return event.data_json[:-1] + joint + b'"content":' + event.content + b"}"
