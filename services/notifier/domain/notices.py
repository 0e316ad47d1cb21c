"""A notice: one alert to one recipient on one channel. Raised once, sent until it is taken, or handed on."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.notifier.domain.bodies import Ack, Attempt, Delivered, Failed, HandedOn, Overdue, Raising, Resolved
from services.notifier.domain.failing import WAITS, failed
from shared import topics
from shared.decisions import Decision
from shared.events import (
    NOTICE_ACKNOWLEDGED,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
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

BY = "notifier"
CLAIM = timedelta(seconds=60)
"""How long an attempt has a notice for itself; after that its process is taken for dead."""
SHORTLY = timedelta(minutes=10)
"""How long the last channel is tried with what nothing may hold back, before somebody else must know."""

NO_PLACE = "its turn did not come"
NO_SUCH_NOTICE = "no such notice"
NOT_THIS_SUBSCRIBERS = "not this subscriber's notice"


Body = Raising | Attempt | Delivered | Failed | Overdue | HandedOn | Ack | Resolved


def decide(record: Record, body: Body, now: datetime) -> Decision:
    """A notice is raised once; attempted when it is due; delivered, or failed and due again later, or for good."""
    state = record.state
    if isinstance(body, Raising):
        return Decision(() if record.version else _raised(record, body, now))
    if isinstance(body, Attempt):
        return Decision(_attempted(record, body.claimant, now) if state.get("next_due") == body.due else ())
    if isinstance(body, Overdue):
        return Decision(_overdue(record, body, now))
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
    return Decision(failed(record, body, now))


def _raised(record: Record, raising: Raising, now: datetime) -> list[Draft]:
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
    raised = Draft(NOTICE_RAISED, (topics.notices_to(raising.subscriber),) if is_public else (), data)
    return [raised, _claimed(1, raising.claimant, now)] if raising.claimant else [raised]


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
        return failed(record, Failed(attempts, "no outcome", for_good=True), now)
    return [_claimed(attempts + 1, claimant, now)]


def _claimed(attempt: int, claimant: str, now: datetime) -> Draft:
    data = {"attempt": attempt, "until": text_of(now + CLAIM)}
    return Draft(NOTICE_ATTEMPTED, (), {**data, "claimant": claimant} if claimant else data)


def _overdue(record: Record, body: Overdue, now: datetime) -> list[Draft]:
    state = record.state
    is_over = state.get("status") == "waiting" and state.get("give_up_at", "~") <= text_of(now)
    if not is_over or state["next_due"] != body.due:
        return []
    return failed(record, Failed(state["attempts"], NO_PLACE, for_good=True), now)


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
