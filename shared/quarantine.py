"""Quarantine: what could not be read or must not be tried again, kept whole and sealed, with the reason.

An entry is a record like any other, so its alert leaves by the same outbox; what is no Kafka record and somebody must
know (a refused event, a stopped loop) is kept the same way.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from shared import topics
from shared.decisions import Decision, Message
from shared.events import ALERT_RAISED, QUARANTINE, Draft, Event
from shared.failures import TryAgain
from shared.ids import Ids
from shared.loop import Loop
from shared.metrics import REASONS, Metrics
from shared.records import Record, State

KEPT_OF_HUGE = 1_000
"""Bytes that are kept of each part of a record that is too large for a document."""
MAX_HEADERS = 1_000


@dataclass(frozen=True, slots=True)
class _Alert:
    kind: str
    facts: Mapping[str, Any]
    content: bytes | None = None


def decide(record: Record, message: Message, _now: datetime) -> Decision:
    """Raise one alert per entry; the same position with the same bytes is the same entry."""
    if record.version:
        return Decision()
    alert: _Alert = message.body
    data = {"alert": record.id, "kind": alert.kind, "service": message.by, **alert.facts}
    return Decision([Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data, alert.content)])


def evolve(state: State, event: Event) -> State:
    """An entry is held from its first event on."""
    return {**state, "status": "held", **{name: value for name, value in event.data.items() if name != "alert"}}


class Quarantine:
    """One service's quarantine."""

    def __init__(self, service: str, loop: Loop, ids: Ids, metrics: Metrics) -> None:
        """`loop`: over the service's quarantine collection, with this module's `decide` and `evolve`."""
        self._service, self._loop, self._ids, self._metrics = service, loop, ids, metrics

    async def keep(self, entries: Sequence[tuple[ConsumerRecord[Any, Any], str]]) -> None:
        """Keep Kafka records whole, each with its reason, before their offsets are committed.

        One that no document can hold is kept by its beginning and its digest. Raises `TryAgain` if any is not kept.
        """
        outcomes = await self._loop.handle([self._entry(record, reason) for record, reason in entries], "kafka")
        huge = [entry for entry, outcome in zip(entries, outcomes, strict=True) if outcome.refused]
        cut = await self._loop.handle([self._entry(record, reason, KEPT_OF_HUGE) for record, reason in huge], "kafka")
        if any(outcome.refused for outcome in cut):
            raise TryAgain("quarantine does not take a record")
        for _, reason in entries:
            self._metrics.quarantined.labels(reason if reason in REASONS else "other").inc()

    async def alarm(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        """Raise an alert of a kind, once per key, for what is no Kafka record."""
        alert = self._ids.alert(kind, key)
        await self._loop.handle(
            [Message(alert, f"{self._service}/{kind}", self._service, _Alert(kind, facts))], "clock"
        )

    def _entry(self, record: ConsumerRecord[Any, Any], reason: str, most: int | None = None) -> Message:
        value = record.value or b""
        entry = self._ids.quarantined(record.topic, record.partition, record.offset, value)
        facts = {
            "topic": record.topic,
            "lane": topics.lane_of(record.topic),
            "partition": record.partition,
            "offset": record.offset,
            "size": len(value),
            "reason": reason,
        }
        whole = {
            "key": _text(record.key, most),
            "value": _text(record.value, most),
            "sha256": hashlib.sha256(value).hexdigest(),
            "headers": [[_name(name), _text(text, most)] for name, text in (record.headers or ())[:MAX_HEADERS]],
            "timestamp": record.timestamp,
        }
        return Message(
            entry,
            f"{record.topic}/{record.partition}/{record.offset}",
            self._service,
            _Alert(QUARANTINE, facts, orjson.dumps(whole)),
        )


def _text(raw: bytes | None, most: int | None = None) -> str | None:
    """Bytes as base64 (RFC 4648 section 4), for they may be anything; at most so many of them."""
    return None if raw is None else base64.b64encode(raw[:most]).decode()


def _name(name: str) -> str:
    """A header's name, with bytes that are no UTF-8 written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
