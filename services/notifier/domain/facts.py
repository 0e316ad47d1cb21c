"""What of an event the rules look at and notices say: codes and ids, nothing personal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.events import CASE_CLOCK_MISSED, CASE_CLOCK_WARNED, CASE_LAPSED

FACTS = (
    "event",
    "type",
    "authority",
    "status",
    "lane",
    "urgency",
    "direction",
    "party",
    "clock",
    "clock_kind",
    "step",
    "kind",
    "service",
    "severity",
    "rota",
    "alertname",
)
"""What a rule may look at, and a notice may say."""
TOLD = ("recipient", "channel", "reason")
"""What a notice may say beside: of an alert that somebody was not reached."""

_OF_CLOCKS = frozenset({CASE_CLOCK_WARNED, CASE_CLOCK_MISSED, CASE_LAPSED})


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as the rules see it."""

    facts: Mapping[str, str]
    about: str
    """The case, or the alert of a service."""
    cause: str
    """The event's source and id: the same for ever."""
    at: str
    """When it happened."""
    due: str | None = None
    """When the clock that it is about ends."""
    bound: str | None = None
    """When the case's next clock ends: telling a system later than that is too late, and somebody must know."""


def facts_of(event_type: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The facts of an event."""
    facts = {"event": event_type}
    for name in (*FACTS, *TOLD):
        value = data.get(name)
        if value is not None:
            facts[name] = str(value)
    if event_type in _OF_CLOCKS:
        said = data["said"]
        facts |= {"clock": str(said["clock"]), "clock_kind": str(said["kind"]), "step": str(said["step"])}
    return facts


def due_of(event_type: str, data: Mapping[str, Any]) -> str | None:
    """When the clock ends that an event is about."""
    if event_type not in _OF_CLOCKS:
        return None
    due = data["said"].get("due")
    return due if isinstance(due, str) else None


def bound_of(data: Mapping[str, Any]) -> str | None:
    """When the next of a case's running clocks ends, as far as the event says."""
    running = [clock for clock in data.get("clocks") or () if "stopped_at" not in clock and "missed_at" not in clock]
    return min((clock["due"] for clock in running if isinstance(clock.get("due"), str)), default=None)
