"""A notice: one alert to one recipient on one channel. Raised once, sent until it is taken, or handed on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import topics
from shared.decisions import Decision
from shared.events import (
    ALERT_RAISED,
    NOTICE_ACKNOWLEDGED,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
    NOTICE_GIVEN_UP,
    NOTICE_HANDED_ON,
    NOTICE_RAISED,
    NOTICE_RESOLVED,
    Draft,
    Event,
)
from shared.failures import NeverWill
from shared.partners import NoticeChannel
from shared.records import Record, State
from shared.times import text_of

CLAIM = timedelta(seconds=60)
"""How long an attempt has a notice for itself; after that its process is taken for dead."""
WAITS = tuple(timedelta(seconds=s) for s in (1, 5, 30, 120, 600, 3_600, 4 * 3_600, 12 * 3_600))
"""The wait after each failed attempt; after the last one the notice has failed for good."""
LONGEST_WAIT = timedelta(hours=12)
"""What a recipient's Retry-After can ask for at most."""
JITTER = 0.2
"""By how much a wait is longer at most: what failed together need not come again together."""
PAUSED = "paused"
"""In the place of a silence: the subscription is paused."""

TOGETHER = 30
"""Seconds: the parts of a digest that failed are due again at the same moment."""
SHORTLY = timedelta(minutes=10)
"""How long the last channel is tried with what nothing may hold back, before somebody else must know."""

NO_SUCH_NOTICE = "no such notice"
NOT_THIS_SUBSCRIBERS = "not this subscriber's notice"


@dataclass(frozen=True, slots=True)
class Raising:
    """A rule fires: one alert to one recipient on one channel."""

    alert: str
    rule: str
    says: str
    subscriber: str
    """The recipient: a subscriber, `person.<id>`, `subscription.<name>` or `system.<name>`."""
    channel: str
    facts: Mapping[str, str]
    due: str | None = None
    """When the clock ends that it is about."""
    then: Sequence[str] = ()
    """The channels to try when this one does not take it."""
    give_up_at: str | None = None
    """When to go on to the next of them."""
    not_before: str | None = None
    """It waits: for its window, or for the end of quiet hours."""
    in_digest: bool = False
    """It may go with others in one message."""
    rate: int | None = None
    """Notices a minute that the recipient wants at most."""
    never_held: bool = False
    silence: str | None = None
    """The silence that holds it back, or `PAUSED`."""
    step: str | None = None
    """Of a ladder: round and step."""
    happened_at: str | None = None
    """When that happened which it tells; a later step of a ladder counts from itself."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A notice is due to be sent; `due` is the clock that rang."""

    due: str
    claimant: str = ""
    """The process that sends it: when it starts anew, what it was sending is free at once."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The recipient's system took it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not; `for_good` where asking again cannot help."""

    attempt: int
    reason: str
    """In our words: neither an address nor what the other side wrote."""
    retry_after: timedelta | None = None
    for_good: bool = False
    gone: bool = False
    """The recipient's system says that it is gone (HTTP 410)."""
    at_once: bool = False
    """It was cut off, which says nothing about the recipient: again without a wait."""
    is_known: bool = False
    """That this recipient cannot be told was said a moment ago: only what nothing may hold back says so again."""


@dataclass(frozen=True, slots=True)
class HandedOn:
    """The notice on the next channel stands."""

    channel: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Somebody has seen a notice and takes it; `by` is an id, no name."""

    by: str
    via: str
    only: str | None = None
    """Whose notice it must be: what a subscriber says counts for its own."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the notice was about is over."""

    why: str
    at: str


Body = Raising | Attempt | Delivered | Failed | HandedOn | Ack | Resolved


def decide(record: Record, body: Body, now: datetime) -> Decision:
    """A notice is raised once; attempted when it is due; delivered, or failed and due again later, or for good."""
    state = record.state
    if isinstance(body, Raising):
        return Decision() if record.version else Decision([_raised(record, body, now)])
    if isinstance(body, Attempt):
        return Decision(_attempted(record, body.claimant, now) if state.get("next_due") == body.due else ())
    if isinstance(body, HandedOn):
        is_due = state.get("status") == "handing_on"
        return Decision([Draft(NOTICE_HANDED_ON, (), {"channel": body.channel})] if is_due else ())
    if isinstance(body, Ack):
        return Decision(_acknowledged(record, body))
    if isinstance(body, Resolved):
        since = state.get("happened_at") or state.get("raised_at", "")
        is_open = bool(state) and "resolved_at" not in state and body.at > str(since)
        return Decision([Draft(NOTICE_RESOLVED, (), {"why": body.why})] if is_open else ())
    if state.get("status") != "attempting" or state["attempts"] != body.attempt:
        return Decision()  # another process has taken over since
    if isinstance(body, Delivered):
        return Decision([Draft(NOTICE_DELIVERED, (), {"attempt": body.attempt})])
    return Decision(_failed(record, body, now))


def _raised(record: Record, raising: Raising, now: datetime) -> Draft:
    data: dict[str, Any] = {
        "notice": record.id,
        "alert": raising.alert,
        "rule": raising.rule,
        "says": raising.says,
        "about": record.subject,
        "subscriber": raising.subscriber,
        "channel": raising.channel,
        "raised_at": text_of(now),
        "facts": dict(raising.facts),
    }
    for name in _MORE:
        value = getattr(raising, name)
        if value:
            data[name] = list(value) if name == "then" else value
    if "give_up_at" not in data and raising.channel != NoticeChannel.KAFKA and (bound := _bound(raising, now)):
        data["give_up_at"] = bound
    is_public = raising.channel == NoticeChannel.KAFKA and raising.silence is None
    return Draft(NOTICE_RAISED, (topics.notices_to(raising.subscriber),) if is_public else (), data)


def _bound(raising: Raising, now: datetime) -> str | None:
    """Until when a channel after which there is none is tried; None: as long as there are waits."""
    if raising.never_held:
        return text_of(now + SHORTLY)
    return raising.due if raising.due and raising.due > text_of(now) and not raising.not_before else None


_MORE = ("due", "then", "give_up_at", "not_before", "in_digest", "rate", "never_held", "silence", "step", "happened_at")
_KEPT = (
    "alert",
    "rule",
    "subscriber",
    "channel",
    "about",
    "raised_at",
    "then",
    "give_up_at",
    "in_digest",
    "rate",
    "never_held",
    "silence",
    "step",
    "happened_at",
)


def _attempted(record: Record, claimant: str, now: datetime) -> list[Draft]:
    attempts = record.state["attempts"]
    if attempts > len(WAITS) or "acknowledged_at" in record.state:
        # Every attempt ended without an outcome, as if its process had died: enough; or nobody waits for it any more.
        return _failed(record, Failed(attempts, "no outcome", for_good=True), now)
    data = {"attempt": attempts + 1, "until": text_of(now + CLAIM)} | ({"claimant": claimant} if claimant else {})
    return [Draft(NOTICE_ATTEMPTED, (), data)]


def _failed(record: Record, failed: Failed, now: datetime) -> list[Draft]:
    """It is due again later; or handed on; or it has failed for good, and somebody must hear of that."""
    state = record.state
    again = _again(record, failed, now)
    given_up = state.get("give_up_at")
    is_over = failed.for_good or failed.attempt > len(WAITS) or (given_up is not None and text_of(again) > given_up)
    is_taken = "acknowledged_at" in state
    data: dict[str, Any] = {"attempt": failed.attempt, "reason": failed.reason}
    if not is_over and not is_taken:
        return [Draft(NOTICE_FAILED, (), {**data, "next_due": text_of(again)})]
    if state.get("then") and not is_taken:
        return [Draft(NOTICE_FAILED, (), {**data, "next_due": None, "hand_on": text_of(now)})]
    drafts = [Draft(NOTICE_FAILED, (), {**data, "next_due": None})]
    # That a notice failed is told once: where that cannot be told either, another notice would not help.
    is_said = state.get("kind") == NOTICE_GIVEN_UP or (failed.is_known and not state.get("never_held"))
    if not is_said and not is_taken:
        drafts.append(given_up_draft(record, record.state["subscriber"], failed.reason))
    return drafts


def _again(record: Record, failed: Failed, now: datetime) -> datetime:
    """When it is due again."""
    if failed.at_once:
        return now
    again = now + _wait(record.id, failed)
    if not record.state.get("in_digest"):
        return again
    # What went as one message comes again as one.
    return datetime.fromtimestamp((again.timestamp() // TOGETHER + 1) * TOGETHER, UTC)


def _wait(notice: str, failed: Failed) -> timedelta:
    wait = max(WAITS[min(failed.attempt, len(WAITS)) - 1], min(failed.retry_after or timedelta(), LONGEST_WAIT))
    if failed.retry_after and wait == failed.retry_after:
        return wait
    # Drawn from the notice's id, so that the same decision is the same for ever.
    return wait * (1 + JITTER * int(notice[-4:], 16) / 0xFFFF)


def given_up_draft(record: Record, recipient: str, reason: str) -> Draft:
    """The alert that somebody could not be told."""
    data = {
        "alert": record.id,
        "kind": NOTICE_GIVEN_UP,
        "service": "notifier",
        "notice": record.id,
        "recipient": recipient,
        "subscriber": recipient,
        "channel": record.state.get("channel", ""),
        "reason": reason,
    }
    return Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data)


def _acknowledged(record: Record, ack: Ack) -> list[Draft]:
    if not record.version:
        raise NeverWill(NO_SUCH_NOTICE)
    state = record.state
    if ack.only is not None and state["subscriber"] != ack.only:
        raise NeverWill(NOT_THIS_SUBSCRIBERS)
    if "acknowledged_at" in state:
        return []
    is_public = state["channel"] == NoticeChannel.KAFKA and "silence" not in state
    to = (topics.notices_to(state["subscriber"]),) if is_public else ()
    data = {"notice": record.id, "alert": state["alert"], "about": record.subject, "by": ack.by, "via": ack.via}
    return [Draft(NOTICE_ACKNOWLEDGED, to, data)]


def evolve(state: State, event: Event) -> State:
    """A notice is what was raised, and how far its delivery has come."""
    data = event.data
    if event.type == NOTICE_RAISED:
        return _begun(data)
    if event.type == NOTICE_ATTEMPTED:
        claimed = {"claimant": data["claimant"]} if "claimant" in data else {}
        return {**state, "status": "attempting", "attempts": data["attempt"], "next_due": data["until"], **claimed}
    if event.type == NOTICE_ACKNOWLEDGED:
        return {**_at_rest(state), "acknowledged_at": event.at, "acknowledged_by": data["by"]}
    if event.type == NOTICE_RESOLVED:
        return {**state, "resolved_at": event.at, "resolved_why": data["why"]}
    if event.type not in _SETTLED:
        return state
    settled = {name: value for name, value in state.items() if name not in ("next_due", "follow_at", "claimant")}
    if event.type == NOTICE_DELIVERED:
        return {**settled, "status": "delivered", "delivered_at": event.at}
    if event.type == NOTICE_HANDED_ON:
        return {**settled, "status": "handed_on"}
    if data["next_due"]:
        return {**settled, "status": "waiting", "next_due": data["next_due"]}
    if "hand_on" in data:
        return {**settled, "status": "handing_on", "follow_at": data["hand_on"]}
    return {**settled, "status": "failed"}


_SETTLED = frozenset({NOTICE_DELIVERED, NOTICE_FAILED, NOTICE_HANDED_ON})


def _begun(data: Mapping[str, Any]) -> State:
    kept = {name: data[name] for name in _KEPT if name in data}
    if "kind" in data["facts"]:
        kept["kind"] = data["facts"]["kind"]
    if "silence" in data:
        return {**kept, "status": "silenced"}
    if data["channel"] == NoticeChannel.KAFKA:
        # The sender's acknowledgement is the delivery; nothing is due.
        return {**kept, "status": "published"}
    due = data.get("not_before") or data["raised_at"]
    return {**kept, "status": "waiting", "attempts": 0, "next_due": due}


def _at_rest(state: State) -> State:
    """What is acknowledged need not be sent; an attempt that is under way ends by itself."""
    if state.get("status") not in ("waiting", "handing_on"):
        return state
    return {**{k: v for k, v in state.items() if k not in ("next_due", "follow_at")}, "status": "acknowledged"}
