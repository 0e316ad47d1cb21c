"""Who must hear of an event, and what becomes of each notice, decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.notifier.rules import FACTS, AlertRules, Rule
from shared import topics
from shared.decisions import Decision, Message
from shared.events import (
    ALERT_RAISED,
    CASE_CLOCK_MISSED,
    CASE_CLOCK_WARNED,
    CASE_LAPSED,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
    NOTICE_GIVEN_UP,
    NOTICE_RAISED,
    Draft,
    Event,
)
from shared.ids import Ids
from shared.partners import NoticeChannel, Subscriber
from shared.records import Record, State
from shared.times import text_of

CLAIM = timedelta(seconds=60)
"""How long an attempt has a notice for itself; after that its process is taken for dead."""
WAITS = tuple(timedelta(seconds=s) for s in (1, 5, 30, 120, 600, 3_600, 4 * 3_600, 12 * 3_600))
"""The wait after each failed attempt; after the last one the notice has failed for good."""
_OF_CLOCKS = frozenset({CASE_CLOCK_WARNED, CASE_CLOCK_MISSED, CASE_LAPSED})
LONGEST_WAIT = timedelta(hours=12)
"""What a recipient's Retry-After can ask for at most."""


@dataclass(frozen=True, slots=True)
class Raising:
    """A rule fires: one alert to one recipient on one channel."""

    alert: str
    rule: str
    says: str
    subscriber: str
    channel: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A notice is due to be sent; `due` is the clock that rang."""

    due: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """The recipient's system took it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not; `for_good` where asking again cannot help."""

    attempt: int
    reason: str
    retry_after: timedelta | None = None
    for_good: bool = False


def facts_of(event_type: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The facts of an event that rules look at and notices say."""
    facts = {"event": event_type} | {name: str(data[name]) for name in FACTS if name in data}
    if event_type in _OF_CLOCKS:
        said = data["said"]
        facts |= {"clock": str(said["clock"]), "clock_kind": str(said["kind"]), "step": str(said["step"])}
    return facts


def split(
    facts: Mapping[str, str], about: str, cause: str, rules: AlertRules, subscribers: Mapping[str, Subscriber], ids: Ids
) -> list[Message]:
    """One message per rule that fires, recipient and channel."""
    return [
        _raising(rule, facts, about, cause, subscriber, channel, ids)
        for rule in rules.choose(facts)
        for subscriber in rule.tell
        for channel in subscribers[subscriber].channels
    ]


def _raising(
    rule: Rule, facts: Mapping[str, str], about: str, cause: str, subscriber: str, channel: str, ids: Ids
) -> Message:
    alert = ids.alert(rule.name, cause)
    says = rule.says.format_map({name: facts.get(name, "") for name in FACTS})
    body = Raising(alert, rule.name, says, subscriber, channel, facts)
    return Message(ids.notice(alert, subscriber, channel), cause, "notifier", body, subject=about)


def decide(record: Record, message: Message, now: datetime) -> Decision:
    """A notice is raised once; attempted when it is due; delivered, or failed and due again later, or for good."""
    body, state = message.body, record.state
    if isinstance(body, Raising):
        return Decision() if record.version else Decision([_raised(record, body, now)])
    if isinstance(body, Attempt):
        return Decision(_attempted(record, now) if state.get("next_due") == body.due else ())
    if state.get("status") != "attempting" or state["attempts"] != body.attempt:
        return Decision()  # another process has taken over since
    if isinstance(body, Delivered):
        return Decision([Draft(NOTICE_DELIVERED, (), {"attempt": body.attempt})])
    return Decision(_failed(record, body, now))


def _raised(record: Record, raising: Raising, now: datetime) -> Draft:
    data = {
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
    to = (topics.notices_to(raising.subscriber),) if raising.channel == NoticeChannel.KAFKA else ()
    return Draft(NOTICE_RAISED, to, data)


def _attempted(record: Record, now: datetime) -> list[Draft]:
    attempts = record.state["attempts"]
    if attempts > len(WAITS):
        # Every attempt ended without an outcome, as if its process had died: enough.
        return _failed(record, Failed(attempts, "no outcome", for_good=True), now)
    return [Draft(NOTICE_ATTEMPTED, (), {"attempt": attempts + 1, "until": text_of(now + CLAIM)})]


def _failed(record: Record, failed: Failed, now: datetime) -> list[Draft]:
    """It is due again later; or it has failed for good, and somebody must hear of that."""
    is_over = failed.for_good or failed.attempt > len(WAITS)
    next_due = None if is_over else text_of(now + _wait(failed))
    drafts = [Draft(NOTICE_FAILED, (), {"attempt": failed.attempt, "reason": failed.reason, "next_due": next_due})]
    # That a notice failed is told once: where that cannot be told either, another notice would not help.
    if is_over and record.state.get("kind") != NOTICE_GIVEN_UP:
        drafts.append(_given_up(record, failed.reason))
    return drafts


def _wait(failed: Failed) -> timedelta:
    return max(WAITS[failed.attempt - 1], min(failed.retry_after or timedelta(), LONGEST_WAIT))


def _given_up(record: Record, reason: str) -> Draft:
    data = {
        "alert": record.id,
        "kind": NOTICE_GIVEN_UP,
        "service": "notifier",
        "notice": record.id,
        "subscriber": record.state["subscriber"],
        "reason": reason,
    }
    return Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data)


def evolve(state: State, event: Event) -> State:
    """A notice is what was raised, and how far its delivery has come."""
    data = event.data
    if event.type == NOTICE_RAISED:
        kept = {name: data[name] for name in ("alert", "rule", "subscriber", "channel", "about", "raised_at")}
        if "kind" in data["facts"]:
            kept["kind"] = data["facts"]["kind"]
        if data["channel"] == NoticeChannel.KAFKA:
            # The sender's acknowledgement is the delivery; nothing is due.
            return {**kept, "status": "published"}
        return {**kept, "status": "waiting", "attempts": 0, "next_due": data["raised_at"]}
    if event.type == NOTICE_ATTEMPTED:
        return {**state, "status": "attempting", "attempts": data["attempt"], "next_due": data["until"]}
    if event.type == ALERT_RAISED:
        return state
    settled = {name: value for name, value in state.items() if name != "next_due"}
    if event.type == NOTICE_DELIVERED:
        return {**settled, "status": "delivered", "delivered_at": event.at}
    if data["next_due"]:
        return {**settled, "status": "waiting", "next_due": data["next_due"]}
    return {**settled, "status": "failed"}


def body_of(event: Event) -> dict[str, Any]:
    """The body of a webhook: Standard Webhooks' recommended members, the notice as its data."""
    return {"type": event.type, "timestamp": event.at, "data": dict(event.data)}
