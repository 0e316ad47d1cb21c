"""What an event owes, told a second time: its facts, and the rules that fire and tell somebody.

On purpose nothing here is shared with the fan-out but the rules themselves: what the one gets wrong the other finds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from services.notifier.rules.alert_rules import AlertRules, Rule
from shared.envelope import STRUCTURED, read_envelope
from shared.events import ALERT_RAISED, CASE_CLOCK_MISSED, CASE_CLOCK_WARNED, CASE_LAPSED, CASE_TYPES, schema_of
from shared.failures import NeverWill
from shared.times import read

_SCHEMAS = {name.encode(): schema_of(name).encode() for name in (*CASE_TYPES, ALERT_RAISED)}
_OF_ALERT = ALERT_RAISED.encode()
_OF_CLOCKS = frozenset(name.encode() for name in (CASE_CLOCK_WARNED, CASE_CLOCK_MISSED, CASE_LAPSED))
_ALERT_MAY_SAY = ("lane", "rota")
Channels = Mapping[str, Sequence[str]]
"""By which each subscriber of the partners file is told."""


@dataclass(slots=True)
class Seen:
    """An event as the audit sees it."""

    cause: str
    """Its source and id."""
    about: str
    """The case, or the alert of a service."""
    facts: dict[str, str]
    left: timedelta | None
    """How long the clock that it is about still has."""
    at: float
    """When Kafka had it, in seconds."""


def seen_in(record: ConsumerRecord[Any, Any]) -> Seen | None:
    """The event of a record; None for one that is not known or cannot be read: the notifier sets it aside."""
    headers: dict[str, bytes] = dict(record.headers)  # one that is null fails below
    value: bytes = record.value or b""
    try:
        if headers.get("content-type", b"").startswith(STRUCTURED) or "ce_type" not in headers:
            headers, value = _headers_of(record)
        name = headers["ce_type"]
        if _SCHEMAS.get(name) != headers.get("ce_dataschema"):
            return None
        data = orjson.loads(value)
        about, facts = _of_alert(data) if name == _OF_ALERT else _of_case(data)
        facts["event"] = name.decode()
        left = _of_clock(data, facts, headers) if name in _OF_CLOCKS else None
        cause = f"{headers['ce_source'].decode()}#{headers['ce_id'].decode()}"
        if not isinstance(about, str):
            return None
    except (KeyError, TypeError, ValueError, AttributeError, NeverWill):
        return None
    return Seen(cause, about, facts, left, record.timestamp / 1000)


def _headers_of(record: ConsumerRecord[Any, Any]) -> tuple[dict[str, bytes], bytes]:
    """Of an event that is not written as our own services write them."""
    event = read_envelope(record.headers, record.value)
    named = {"id": event.id, "source": event.source, "type": event.type, **event.attributes}
    return {f"ce_{name}": text.encode() for name, text in named.items()}, event.data


def _of_case(data: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return data["case"], {
        "type": data["type"],
        "authority": data["authority"],
        "status": data["status"],
        "lane": data["lane"],
        "urgency": data["urgency"],
        "direction": data["direction"],
        "party": data["party"],
    }


def _of_alert(data: dict[str, Any]) -> tuple[str, dict[str, str]]:
    facts = {"kind": data["kind"], "service": data["service"]}
    for name in _ALERT_MAY_SAY:
        if (value := data.get(name)) is not None:
            facts[name] = value
    return data["alert"], facts


def _of_clock(data: dict[str, Any], facts: dict[str, str], headers: dict[str, bytes]) -> timedelta | None:
    said = data["said"]
    facts["clock"], facts["clock_kind"], facts["step"] = said["clock"], said["kind"], said["step"]
    due, at = said.get("due"), headers.get("ce_time")
    return read(due) - read(at.decode()) if isinstance(due, str) and at else None


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a rule tells by its own words: which person is on duty, and who subscribed, only their own lists know."""

    notices: tuple[tuple[str, str], ...] = ()
    """To subscribers and systems: the recipient and the channel of each."""
    people: bool = False
    """Whether it tells people, at once."""
    climbs: bool = False
    """Whether a ladder begins."""


def telling(rules: AlertRules, channels: Channels) -> Mapping[str, Named]:
    """The rules that tell somebody, by name."""
    found = (rule for rule in rules.rules if rules.members(rule) or rules.ladder_of(rule))
    return {rule.name: _named(rules, rule, channels) for rule in found}


def _named(rules: AlertRules, rule: Rule, channels: Channels) -> Named:
    notices: list[tuple[str, str]] = []
    people = False
    for member in rules.members(rule):
        if member.subscriber:
            notices += [(member.subscriber, str(channel)) for channel in channels.get(member.subscriber, ())]
        elif member.system:
            notices.append((member.key, str(member.by[0])))
        else:
            people = True
    return Named(tuple(notices), people, rules.ladder_of(rule) is not None)


def owing(seen: Seen, rules: AlertRules, tell: Collection[str]) -> Sequence[str]:
    """The rules that fire and tell somebody."""
    try:
        return [rule.name for rule in rules.choose(seen.facts, seen.left) if rule.name in tell]
    except TypeError:  # a fact that is no text, and so no event that the notifier reads
        return []
