"""What a service's domain works with: a message, the decision on it, and the history it may ask for. All pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.events import Draft, Event
from shared.records import Record


@dataclass(frozen=True, slots=True)
class Message:
    """What one source says to one record."""

    record: str
    cause: str
    """Who sent it, and its source and id there; the same message has the same cause for ever."""
    by: str
    """The actor."""
    body: Any
    subject: str = ""
    """For a record that it may begin: see `Record`. Empty: the record's own id."""
    context: Mapping[str, str] = field(default_factory=dict)
    seen: Record | None = None
    """Its record as this process last kept it, or `NEW`: not read before it is written. The guarded write tells where
    that is out of date; then it is read."""


NEW = Record("", "", {})
"""As far as its source knows, a message begins its record."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that follow from a message, and what a caller who waits may be told beside the record's state."""

    events: Sequence[Draft] = ()
    reply: Any = None


Decide = Callable[[Record, Message, datetime], Decision]
"""Pure: the same record, message and time give the same events. Raises `NeverWill`, `NeedsHistory`, nothing else."""


class NeedsHistory(Exception):
    """`decide` cannot judge without what is sealed: the loop reads the record's history and asks again."""


def history_of(record: Record) -> list[Event]:
    """All events of a record with their content; raises `NeedsHistory` until the loop has read them."""
    if record.stored_version and record.history is None:
        raise NeedsHistory
    return [*(record.history or ()), *record.fresh]
