"""Subscriptions: recipients that the desk adds while everything runs, decided.

A record per name. Its address and keys are sealed, and who paused it and why; its state names none of these, nor the
host, only the events of its history that hold them. Beside them a record per address that a subscriber of the partners
file has left.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from services.notifier.domain.subscription_state import LIVE, Status, pause_of, sealed_of, signing_seqs, status_at
from shared import topics
from shared.bad_letter import FieldError
from shared.decisions import Decide, Decision, Message, history_of
from shared.events import (
    ALERT_RAISED,
    SUBSCRIBER_LEFT,
    SUBSCRIPTION_ADDED,
    SUBSCRIPTION_FULL,
    SUBSCRIPTION_GONE,
    SUBSCRIPTION_KEY_ROTATED,
    SUBSCRIPTION_PAUSED,
    SUBSCRIPTION_REMOVED,
    SUBSCRIPTION_RESUMED,
    Draft,
)
from shared.records import Record
from shared.times import read, text_of

OLD_KEY_SIGNS = timedelta(hours=24)
"""How long a recipient has to take over a new key: until then the old one signs too."""
MOST_KEYS = 3
"""Keys that sign at one time."""

Hears = Mapping[str, Any]
"""`{"audience": id}`, or `{"when": {fact: [values]}}`."""
HearsOnlyNeverHeld = Callable[[Hears], bool]


@dataclass(frozen=True, slots=True)
class Add:
    """A recipient is added."""

    name: str
    channel: str
    address: str
    key: str | None
    """What signs; None on a channel that signs nothing."""
    signs: str | None
    """`v1` or `v1a`; what kind of key a later one must be."""
    hears: Hears
    language: str
    group: int | None
    """Seconds in which notices are gathered into one message."""
    rate: int | None
    """Messages a minute at most."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold back what may be held back, until a time or until it is resumed."""

    author: str
    reason: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Serve it again; one that is gone needs a new address."""

    address: str | None = None


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Sign with a new key, and with the old one for a while."""

    key: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Take it away."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The recipient's system said that it is gone for good."""

    address_seq: int
    """Whose address did: an answer of the old one says nothing about the new one."""


@dataclass(frozen=True, slots=True)
class Left:
    """The system of a subscriber of the partners file said that it is gone from the address of this record."""

    subscriber: str


class Why(StrEnum):
    """Why the desk is refused."""

    UNKNOWN = "unknown"
    TAKEN = "taken"
    FORBIDDEN = "forbidden"
    WRONG = "wrong"
    """What is said cannot be, however it stands."""
    NEVER_HELD = "never-held"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing happens, and what the desk is told."""

    why: Why
    says: str = ""
    errors: tuple[FieldError, ...] = ()


FULL_SOON = 800
"""Events of a record at which somebody is told; it holds 1,000 (`shared.records`)."""
TAKEN_UNTIL: Mapping[type, int] = {Add: 900, Pause: 900, RotateKey: 900, Resume: 990}
"""Up to how many events each is taken. The rest is for what must never be lost: what is paused can be resumed; that
its system is gone is kept; it can be removed."""
FULL = "The record of this name is full: it can be removed, and added under another name."
ONLY_NEVER_HELD = "It hears only what nothing may hold back, so it cannot be paused; it can be removed."


def decide_by(hears_only_never_held: HearsOnlyNeverHeld) -> Decide:
    """The decision on one message to one subscription."""

    def decide(record: Record, message: Message, now: datetime) -> Decision:
        decision = decided(record, message.body, now)
        version = record.version + len(decision.events)
        if decision.events and version > TAKEN_UNTIL.get(type(message.body), version):
            return Decision(reply=Refused(Why.FORBIDDEN, FULL))
        if record.version < FULL_SOON <= version:
            return Decision([*decision.events, _full_soon(record)], decision.reply)
        return decision

    def decided(record: Record, body: Any, now: datetime) -> Decision:
        if isinstance(body, Left):
            is_known = record.version > 0
            return Decision([] if is_known else [Draft(SUBSCRIBER_LEFT, (), {"subscriber": body.subscriber})])
        is_live = record.state.get("status") in LIVE
        if isinstance(body, Add):
            return _again(record, body) if is_live else Decision([_added(body)])
        if not is_live:
            return Decision(reply=Refused(Why.UNKNOWN))
        if isinstance(body, Pause):
            return _pause(record, body, now, hears_only_never_held)
        if isinstance(body, Resume):
            return _resume(record, body)
        if isinstance(body, RotateKey):
            return _rotate(record, body, now)
        if isinstance(body, Gone):
            is_news = record.state["status"] != Status.GONE and record.state["address_seq"] == body.address_seq
            return Decision([Draft(SUBSCRIPTION_GONE, (), {})] if is_news else ())
        return Decision([Draft(SUBSCRIPTION_REMOVED, (), {})])

    return decide


def _full_soon(record: Record) -> Draft:
    """The alert that its record will soon take no more."""
    data = {"alert": record.id, "kind": SUBSCRIPTION_FULL, "service": "notifier", "subscriber": record.state["name"]}
    return Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data)


def _added(add: Add) -> Draft:
    content = {"address": add.address} | ({"key": add.key} if add.key else {})
    return Draft(SUBSCRIPTION_ADDED, (), _said(add), content)


def _said(add: Add) -> dict[str, Any]:
    return {
        "name": add.name,
        "channel": add.channel,
        "signs": add.signs,
        "hears": add.hears,
        "language": add.language,
        "group": add.group,
        "rate": add.rate,
    }


def _again(record: Record, add: Add) -> Decision:
    """The same again changes nothing; another one must not take its place unseen."""
    said = _said(add)
    differs = [name for name, value in said.items() if record.state[name] != value]
    if sealed_of(record.state, history_of(record)).address != add.address:
        differs.append("address")
    if not differs:
        return Decision()
    errors = tuple(FieldError(f"/{name}", "Differs from what stands here under this name.") for name in differs)
    return Decision(reply=Refused(Why.TAKEN, "Another subscription has this name.", errors))


def _pause(record: Record, body: Pause, now: datetime, hears_only_never_held: HearsOnlyNeverHeld) -> Decision:
    """The same again changes nothing; who says something else of a pause has the last word."""
    status = status_at(record.state, text_of(now))
    if status == Status.GONE:
        return Decision()
    if hears_only_never_held(record.state["hears"]):
        return Decision(reply=Refused(Why.NEVER_HELD, ONLY_NEVER_HELD))
    if status == Status.PAUSED:
        stands = pause_of(record.state, history_of(record))
        if stands and (stands.author, stands.reason, stands.until) == (body.author, body.reason, body.until):
            return Decision()
    if body.until is not None and read(body.until) <= now:
        return Decision(reply=Refused(Why.WRONG, errors=(FieldError("/until", "Must be a time to come."),)))
    content = {"author": body.author, "reason": body.reason}
    return Decision([Draft(SUBSCRIPTION_PAUSED, (), {"until": body.until}, content)])


def _resume(record: Record, body: Resume) -> Decision:
    moves = body.address is not None and body.address != sealed_of(record.state, history_of(record)).address
    if record.state["status"] == Status.GONE and not moves:
        says = "Its system said that it is gone: it needs a new address."
        return Decision(reply=Refused(Why.FORBIDDEN, says, (FieldError("/address", "Must be a new one."),)))
    if record.state["status"] == Status.ACTIVE and not moves:
        return Decision()
    content = {"address": body.address} if moves else None
    return Decision([Draft(SUBSCRIPTION_RESUMED, (), {"moved": moves}, content)])


def _rotate(record: Record, body: RotateKey, now: datetime) -> Decision:
    if record.state["signs"] is None:
        return Decision(reply=Refused(Why.FORBIDDEN, f"Nothing is signed on the channel {record.state['channel']}."))
    signing = signing_seqs(record.state, text_of(now))
    if len(signing) >= MOST_KEYS:
        says = f"{MOST_KEYS} keys sign already: wait until the oldest has run out, so that no recipient loses its own."
        return Decision(reply=Refused(Why.FORBIDDEN, says))
    until = text_of(now + OLD_KEY_SIGNS)
    return Decision([Draft(SUBSCRIPTION_KEY_ROTATED, (), {"until": until}, {"key": body.key})])
