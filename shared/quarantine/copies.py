"""A Kafka record as it lies in an entry's sealed content, and the edited copy of one."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from shared.events import ALERT_RAISED, QUARANTINE_REPLAY_PROPOSED, QUARANTINE_REPLAYING, Event
from shared.times import text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Headers = tuple[tuple[str, bytes | None], ...]
_HALF = re.compile("[\ud800-\udfff]")
_WRITTEN_OUT = re.compile(r"\\x([89a-f][0-9a-f])")


@dataclass(frozen=True, slots=True)
class Copy:
    """Everything of a record but where it lay."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    @property
    def sent_at(self) -> str | None:
        """The time of the timestamp; None where it is none: senders may write any number there."""
        try:
            return text_of(_EPOCH + timedelta(milliseconds=self.timestamp)) if self.timestamp >= 0 else None
        except OverflowError:
            return None

    def edited(self, value: bytes | None, headers: Mapping[str, bytes | None]) -> "Copy":
        """With other bytes (None: its own), and with headers in the place of its own of that name (None: left out)."""
        named = {name.lower() for name in headers}
        kept = tuple((name, text) for name, text in self.headers if name.lower() not in named)
        new = tuple((name, text) for name, text in headers.items() if text is not None)
        return replace(self, value=self.value if value is None else value, headers=kept + new)

    def cut(self, most: int | None, headers: int) -> "Copy":
        """At most so many headers; of each part and name at most so many bytes or characters, None: all."""
        few = [(name[:most], text and text[:most]) for name, text in self.headers[:headers]]
        return replace(self, key=self.key and self.key[:most], value=self.value and self.value[:most], headers=(*few,))

    def lacks(self, whole: "Copy") -> dict[str, int]:
        """How many bytes, characters and headers the whole has beside this, by the parts that lack any."""
        pairs = zip(self.headers, whole.headers, strict=False)
        lacking = {
            "key": len(whole.key or b"") - len(self.key or b""),
            "value": len(whole.value or b"") - len(self.value or b""),
            "headers": len(whole.headers) - len(self.headers),
            "of_headers": sum(len(w) + len(x or b"") - len(n) - len(t or b"") for (n, t), (w, x) in pairs),
        }
        return {part: count for part, count in lacking.items() if count}

    def as_content(self) -> dict[str, Any]:
        """As JSON values: bytes as base64 (RFC 4648 section 4), for they may be anything."""
        odd = [place for place, (name, _) in enumerate(self.headers) if _HALF.search(name)]
        return {
            "key": _text(self.key),
            "value": _text(self.value),
            "sha256": hashlib.sha256(self.value or b"").hexdigest(),
            "headers": [[_name(name), _text(text)] for name, text in self.headers],
            "timestamp": self.timestamp,
        } | ({"odd_names": odd} if odd else {})

    def as_record(self, topic: str, partition: int, offset: int) -> "ConsumerRecord[Any, Any]":
        """As the consumer would hand it out again."""
        key, value = len(self.key or b""), len(self.value or b"")
        headers: Any = self.headers  # aiokafka's type forgets that a header may be null
        return ConsumerRecord(
            topic, partition, offset, self.timestamp, 0, self.key, self.value, None, key, value, headers
        )


def copy_of(record: "ConsumerRecord[Any, Any]") -> Copy:
    """The copy of a record as it came."""
    return Copy(record.key, record.value, tuple(record.headers or ()), record.timestamp)


def original(history: Sequence[Event]) -> Copy:
    """What was set aside."""
    return _read(next(event for event in history if event.type == ALERT_RAISED))


def at_attempt(history: Sequence[Event], attempt: int) -> Copy:
    """What an attempt is to try: the edited copy that was sent with it or that it confirms, or what was set aside."""
    asked = _event(history, attempt)
    if "copy" in asked.data:
        return proposed(history, asked.data["copy"])
    return original(history) if asked.content is None else _read(asked)


def proposed(history: Sequence[Event], seq: int) -> Copy:
    """The edited copy that an event brought."""
    return _read(_event(history, seq))


def edits(history: Sequence[Event]) -> list[tuple[Event, Copy, Any]]:
    """Every edited copy, with the event that brought it and how it differs."""
    types = (QUARANTINE_REPLAYING, QUARANTINE_REPLAY_PROPOSED)
    brought = [event for event in history if event.type in types and event.content is not None]
    return [(event, _read(event), orjson.loads(event.content or b"{}").get("difference")) for event in brought]


def _event(history: Sequence[Event], seq: int) -> Event:
    return next(event for event in history if event.seq == seq)


def _read(event: Event) -> Copy:
    told = orjson.loads(event.content or b"{}")
    odd = set(told.get("odd_names", ()))
    headers = tuple(
        (_odd(name) if place in odd else name, _bytes(text)) for place, (name, text) in enumerate(told["headers"])
    )
    return Copy(_bytes(told["key"]), _bytes(told["value"]), headers, told["timestamp"])


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _name(name: str) -> str:
    """A header's name, with bytes that are no UTF-8 written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _odd(name: str) -> str:
    """The name as it came: what was written out are bytes again."""
    return _WRITTEN_OUT.sub(lambda found: chr(0xDC00 + int(found[1], 16)), name)
