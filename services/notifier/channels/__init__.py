"""The channels: each takes a parcel to one destination and says what became of it. To add one: its file, and its entry.

What a channel is told of a recipient stands in its `Destination` and in no record, log or metric.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.notifier.domain.bodies import Delivered, Failed
from shared.partners import NoticeChannel

WAKES = frozenset({NoticeChannel.APPRISE})
"""What rings where somebody sleeps: SMS, voice, a pager. E-mail does not."""
FOR_PEOPLE = frozenset({NoticeChannel.EMAIL, NoticeChannel.APPRISE, NoticeChannel.LOG})
"""What people read: many notices may come as one message, in the reader's language."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice as it is shown."""

    notice: str
    says: Mapping[str, str]
    """The sentence by language; `en` is always there."""
    data: Mapping[str, Any]
    """The data of its `notice.raised`."""
    raised_at: str
    link: str | None
    """Where it can be acknowledged, for who has the link."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one recipient is told on one channel."""

    recipient: str
    channel: NoticeChannel
    address: str
    keys: tuple[str, ...] = ()
    """What signs, the newest first."""
    language: str = "en"
    title: str = ""
    left: bool = False
    """Its system said before that it is gone from this address."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to a destination at once: one notice, or a digest of several where people read."""

    id: str
    """The same over all attempts: `webhook-id`, the message id of a mail."""
    to: Destination
    shown: tuple[Shown, ...]
    attempt: int


class Channel(Protocol):
    """One way to tell a recipient."""

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        """One attempt; never raises for what the recipient's side does."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
