"""What becomes of an entry: held, tried again, held again, discarded; every act says who and why. Pure.

held --> replaying --> replayed (an edited copy of what may be urgent: proposed by one person, confirmed by another)
  ^          |
  |          +--> held again, with the new reason
  +--> discarded (what may be urgent: proposed by one person, confirmed by another)
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared import topics
from shared.decisions import Decision, Message, history_of
from shared.events import (
    ALERT_RAISED,
    ANSWER_UNREADABLE,
    QUARANTINE,
    QUARANTINE_DISCARD_PROPOSED,
    QUARANTINE_DISCARDED,
    QUARANTINE_HELD,
    QUARANTINE_LOOKED,
    QUARANTINE_REPLAY_PROPOSED,
    QUARANTINE_REPLAYED,
    QUARANTINE_REPLAYING,
    Draft,
    Event,
)
from shared.quarantine.copies import Copy, at_attempt, original, proposed
from shared.quarantine.difference import with_difference
from shared.quarantine.people import may_be_one
from shared.records import MAX_RECORD_BYTES, MAX_RECORD_EVENTS, Record, State

MOST_EVENTS, MOST_BYTES = MAX_RECORD_EVENTS - 20, MAX_RECORD_BYTES - 50_000
"""What people may fill of an entry's record: the rest is for what comes of the last replay, and for the discard."""
NOTHING = "nothing to do"
"""What comes of trying again what was heard before, or what asks for nothing."""
_WITH_ACCOUNTS = ", under another account where tokens name accounts."
RAISED = "raised"
"""An alert about what is no Kafka record: nothing is held."""


class Status(StrEnum):
    """How an entry stands."""

    HELD = "held"
    REPLAYING = "replaying"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Why(StrEnum):
    """Why an act is refused."""

    UNKNOWN = "not-found"
    NOT_NOW = "not-now"
    SECOND = "second-person"


@dataclass(frozen=True, slots=True)
class Refused:
    """An act that is not possible, and why."""

    why: Why
    says: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody must know: the beginning of an entry, or an alert of another kind."""

    kind: str
    facts: Mapping[str, Any]
    content: bytes | None = None
    agency: str | None = None
    """Whose record it was, to be told so."""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody does something, and answers for it."""

    by: str
    reason: str
    account: str | None = None
    """Whose token it was, where that says so."""

    @property
    def said(self) -> dict[str, str]:
        """Who and why, as the history keeps it."""
        said = {"by": self.by, "reason": self.reason}
        return said | ({"account": self.account} if self.account else {})


@dataclass(frozen=True, slots=True)
class Replay(Act):
    """Try it again."""

    asked_at: str = ""
    """When the whole of it was asked for: many entries may be asked for at once."""
    value: bytes | None = None
    """An edited copy of the bytes."""
    headers: Mapping[str, bytes | None] = field(default_factory=dict)
    """Headers to be put in the place of its own; None: left out."""

    @property
    def is_edited(self) -> bool:
        """Whether it is not the stored bytes that are to be tried."""
        return self.value is not None or bool(self.headers)


@dataclass(frozen=True, slots=True)
class Discard(Act):
    """Nobody is to try it again."""


@dataclass(frozen=True, slots=True)
class Look(Act):
    """Show what it says."""

    how: str = "look"


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of trying it again."""

    attempt: int
    outcome: str = ""
    records: Sequence[str] = ()
    reason: str | None = None
    """Why it is held again; None: it was heard."""
    behind: str | None = None
    """The entry of the same key before it that failed."""


def decide(record: Record, message: Message, _now: datetime) -> Decision:
    """What follows; the same position with the same bytes is the same entry."""
    body = message.body
    if isinstance(body, Alert):
        return Decision() if record.version else Decision(_raised(record, message.by, body))
    state = record.state
    if state.get("kind") != QUARANTINE or not record.version:
        return _refused(Why.UNKNOWN, "There is no such entry.")
    if isinstance(body, Discard):
        return _discard(state, body)
    if isinstance(body, Act) and (record.version > MOST_EVENTS or record.size > MOST_BYTES):
        return _refused(Why.NOT_NOW, "Its record is full: it can only be discarded.")
    if isinstance(body, Replay):
        return _replay(record, body)
    if isinstance(body, Look):
        return Decision([Draft(QUARANTINE_LOOKED, (), {**body.said, "how": body.how})])
    return _settle(record, body)


def _raised(record: Record, service: str, alert: Alert) -> list[Draft]:
    data = {"alert": record.id, "kind": alert.kind, "service": service, **alert.facts}
    drafts = [Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data, alert.content)]
    if alert.agency is not None:
        told = {name: alert.facts[name] for name in ("topic", "partition", "offset", "reason")}
        where = (topics.answers_to(alert.agency),)
        drafts.append(Draft(ANSWER_UNREADABLE, where, {**told, "sha256": alert.digest}))
    return drafts


def _replay(record: Record, asked: Replay) -> Decision:
    state = record.state
    if state["status"] == Status.DISCARDED:
        return _refused(Why.NOT_NOW, "It was discarded.")
    if state["status"] != Status.HELD:
        return _asked_again(record, asked)
    if state.get("cut") and asked.value is None:
        return _refused(Why.NOT_NOW, "Only its beginning is kept: send the whole as an edited copy.")
    data = {**asked.said, "asked_at": asked.asked_at}
    return _try_copy(record, asked, data) if asked.is_edited else Decision([Draft(QUARANTINE_REPLAYING, (), data)])


def _asked_again(record: Record, asked: Replay) -> Decision:
    """It is being tried, or was heard: asking again changes nothing, but no other copy is dropped in silence."""
    if asked.is_edited:
        history = history_of(record)
        if original(history).edited(asked.value, asked.headers) != at_attempt(history, record.state["attempt"]):
            stands = "is being tried" if record.state["status"] == Status.REPLAYING else "was heard already"
            return _refused(Why.NOT_NOW, f"It {stands}: this copy was not taken.")
    return Decision()


def _try_copy(record: Record, asked: Replay, said: Mapping[str, Any]) -> Decision:
    """A copy may be another letter: one person must not put it in the place of what may be urgent."""
    before = original(history_of(record))
    after = before.edited(asked.value, asked.headers)
    data = {**said, "edited": {"from": _digest(before), "to": _digest(after), "headers": len(asked.headers)}}
    proposal = record.state.get("proposal", {})
    if "copy" in proposal and proposed(history_of(record), proposal["copy"]) == after:
        if may_be_one(asked.by, asked.account, proposal):
            return _refused(
                Why.SECOND, f"It may be urgent: somebody else must confirm that this copy is tried{_WITH_ACCOUNTS}"
            )
        confirmed = {"proposed_by": proposal["by"], "copy": proposal["copy"]}
        return Decision([Draft(QUARANTINE_REPLAYING, (), data | confirmed)])
    content = with_difference(before, after)
    if record.size + len(content) > MOST_BYTES:
        return _refused(Why.NOT_NOW, "Its record has no room for another edited copy.")
    event = QUARANTINE_REPLAY_PROPOSED if _is_urgent(record.state) else QUARANTINE_REPLAYING
    return Decision([Draft(event, (), data, content)])


def _digest(copy: Copy) -> dict[str, Any]:
    value = copy.value or b""
    return {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}


def _discard(state: State, asked: Discard) -> Decision:
    if state["status"] == Status.DISCARDED:
        return Decision()
    if state["status"] == Status.REPLAYING:
        return _refused(Why.NOT_NOW, "It is being tried again: wait for what comes of it.")
    if state["status"] == Status.REPLAYED:
        return _refused(Why.NOT_NOW, "It was tried again and heard.")
    if not _is_urgent(state):
        return Decision([Draft(QUARANTINE_DISCARDED, (), asked.said)])
    proposal = state.get("proposal")
    if proposal is None or "copy" in proposal:
        return Decision([Draft(QUARANTINE_DISCARD_PROPOSED, (), asked.said)])
    if may_be_one(asked.by, asked.account, proposal):
        return _refused(
            Why.SECOND, f"It may be urgent: somebody else must confirm that it is discarded{_WITH_ACCOUNTS}"
        )
    return Decision([Draft(QUARANTINE_DISCARDED, (), {**asked.said, "proposed_by": proposal["by"]})])


def _is_urgent(state: State) -> bool:
    return bool(state.get("urgent", True))


def _settle(record: Record, settled: Settled) -> Decision:
    state = record.state
    if state.get("attempt") != settled.attempt or state["status"] not in (Status.REPLAYING, Status.HELD):
        return Decision()
    reason = settled.reason
    if reason is None and settled.outcome == NOTHING and _replaces(record):
        reason = NOTHING
    if reason is None:
        # Also where another replica has said that it failed: what was heard was heard.
        some = {"outcome": settled.outcome, "records": [*settled.records[:20]], "count": len(settled.records)}
        return Decision([Draft(QUARANTINE_REPLAYED, (), some)])
    if state["status"] == Status.HELD:
        return Decision()
    data = {"reason": reason} | ({"behind": settled.behind} if settled.behind else {})
    return Decision([Draft(QUARANTINE_HELD, (), data)])


def _replaces(record: Record) -> bool:
    """Whether what is tried is a copy of what may be urgent: one that asks for nothing must not end it."""
    attempt = record.state["attempt"]
    is_edited = any(event.seq == attempt and "edited" in event.data for event in history_of(record))
    return is_edited and _is_urgent(record.state)


def _refused(why: Why, says: str) -> Decision:
    return Decision(reply=Refused(why, says))


def evolve(state: State, event: Event) -> State:
    """An entry is held from its first event on; who looked changes nothing."""
    data = event.data
    if event.type == ALERT_RAISED:
        facts = {name: value for name, value in data.items() if name != "alert"}
        if data["kind"] != QUARANTINE:
            return {**state, "status": RAISED, **facts}
        return {**state, "status": Status.HELD.value, "kept_at": event.at, **facts}
    if event.type == QUARANTINE_REPLAYING:
        kept = {name: value for name, value in state.items() if name not in ("proposal", "behind", "failed_at")}
        return {**kept, "status": Status.REPLAYING.value, "attempt": event.seq, "asked_at": data["asked_at"]}
    if event.type == QUARANTINE_HELD:
        behind = {"behind": data["behind"]} if "behind" in data else {"reason": data["reason"]}
        return {**state, "status": Status.HELD.value, "failed_at": event.at, **behind}
    if event.type == QUARANTINE_REPLAYED:
        return {**state, "status": Status.REPLAYED.value, "outcome": data["outcome"]}
    if event.type == QUARANTINE_DISCARD_PROPOSED:
        return {**state, "proposal": {"at": event.at, **data}}
    if event.type == QUARANTINE_REPLAY_PROPOSED:
        kept = {name: data[name] for name in ("by", "reason", "account") if name in data}
        return {**state, "proposal": {"at": event.at, **kept, "copy": event.seq}}
    if event.type == QUARANTINE_DISCARDED:
        return {**state, "status": Status.DISCARDED.value}
    return state
