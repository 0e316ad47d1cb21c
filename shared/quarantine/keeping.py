"""Keeping: records that cannot be taken are set aside whole, and somebody hears of it.

An entry is a record like any other, so its alert leaves by the same outbox; what is no Kafka record and somebody must
know (a refused event, a stopped loop) is kept the same way.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from shared import topics
from shared.decisions import Message
from shared.events import QUARANTINE
from shared.failures import TryAgain
from shared.ids import Ids
from shared.lenient_records import UnreadBatch
from shared.loop import Loop, Outcome
from shared.metrics import REASONS, Metrics
from shared.quarantine.copies import copy_of
from shared.quarantine.deciding import Alert
from shared.vocabulary import Lane

KEPT_OF_HUGE, HEADERS_OF_HUGE = 1_000, 100
"""Bytes that are kept of each part of a record that is too large for a document, and its headers.

Written out, a character of a header's name has six bytes at most: 0.8 MB altogether, so that every such entry fits.
"""
MAX_HEADERS = 1_000
"""That are kept of any record."""
_KEPT_AT_ONCE = 4_000_000
"""Bytes of records of which entries are made together: each is many times as long while it is made."""
_Unread = tuple[ConsumerRecord[Any, Any], str]


class Quarantine:
    """One service's quarantine."""

    def __init__(self, service: str, loop: Loop, ids: Ids, metrics: Metrics) -> None:
        """`loop`: over the service's quarantine collection, with `deciding`'s `decide` and `evolve`."""
        self._service, self._loop, self._ids, self._metrics = service, loop, ids, metrics

    async def keep(self, entries: Sequence[_Unread]) -> None:
        """Keep Kafka records whole, each with its reason, before their offsets are committed.

        One that no document can hold is kept by its beginning and its digest. Raises `TryAgain` if any is not kept.
        """
        for portion in _portions(entries):
            await self._keep(portion)

    async def _keep(self, entries: Sequence[_Unread]) -> None:
        outcomes = await self._loop.handle([self._entry(record, reason) for record, reason in entries], "kafka")
        self._count(entries, outcomes)
        huge = [entry for entry, outcome in zip(entries, outcomes, strict=True) if outcome.refused]
        cut = await self._loop.handle([self._entry(record, reason, KEPT_OF_HUGE) for record, reason in huge], "kafka")
        self._count(huge, cut)
        if any(outcome.refused for outcome in cut):
            raise TryAgain("quarantine does not take a record")

    def _count(self, entries: Sequence[_Unread], outcomes: Sequence[Outcome]) -> None:
        """Not what was kept before a batch came again."""
        for (_, reason), outcome in zip(entries, outcomes, strict=True):
            if outcome.fresh:
                self._metrics.quarantined.labels(reason if reason in REASONS else "other").inc()

    async def alarm(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        """Raise an alert of a kind, once per service and key, for what is no Kafka record."""
        alert = self._ids.alert(kind, f"{self._service}/{key}")
        await self._loop.handle([Message(alert, f"{self._service}/{kind}", self._service, Alert(kind, facts))], "clock")

    def _entry(self, record: ConsumerRecord[Any, Any], reason: str, most: int | None = None) -> Message:
        return entry_of(record, reason, self._service, self._ids, most)


def _portions(entries: Sequence[_Unread]) -> Iterator[list[_Unread]]:
    portion: list[_Unread] = []
    size = 0
    for entry in entries:
        record = entry[0]
        headers = sum(len(name) + len(value or b"") for name, value in record.headers or ())
        length = len(record.value or b"") + len(record.key or b"") + headers
        if portion and size + length > _KEPT_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(entry)
        size += length
    if portion:
        yield portion


def entry_of(record: ConsumerRecord[Any, Any], reason: str, service: str, ids: Ids, most: int | None = None) -> Message:
    """The message that begins a record's entry; `most`: bytes that are kept of each of its parts."""
    value = record.value or b""
    urgent = topics.may_be_urgent(record.topic)
    facts = {
        "topic": record.topic,
        # Not the topic's: what may be urgent counts as urgent for whoever alerts, holds back or counts by lane.
        "lane": Lane.URGENT if urgent else Lane.NORMAL,
        "urgent": urgent,
        "partition": record.partition,
        "offset": record.offset,
        "size": value.size if isinstance(value, UnreadBatch) else len(value),
        "reason": reason,
    }
    if record.key is not None:
        facts["order"] = ids.order(record.topic, record.partition, record.key)
    if isinstance(value, UnreadBatch):
        facts["cut"] = True
    whole = copy_of(record)
    kept = whole.cut(most, MAX_HEADERS if most is None else HEADERS_OF_HUGE)
    if left_out := kept.lacks(whole):
        facts |= {"cut": True, "left_out": left_out}
    digest = hashlib.sha256(value).hexdigest()
    content = orjson.dumps(kept.as_content() | {"sha256": digest})
    return Message(
        ids.quarantined(service, record.topic, record.partition, record.offset, value),
        f"{record.topic}/{record.partition}/{record.offset}",
        service,
        Alert(QUARANTINE, facts, content, topics.agency_of(record.topic), digest),
    )
