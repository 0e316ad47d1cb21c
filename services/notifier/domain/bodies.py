"""What is said to a notice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

PAUSED = "paused"
"""In the place of a silence: the subscription is paused."""


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
    claimant: str = ""
    """The process that sends it at once: raising and claiming it are one write."""


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
class Overdue:
    """Its time on this channel went by while its recipient's places were taken; `due` is the clock that rang."""

    due: str


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
