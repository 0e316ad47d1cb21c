"""The first pass: what each Kafka record shows, put into the shard of the record of ours that it is about."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from services.notifier.audit.audit_owed import seen_in
from services.notifier.audit.audit_rules import Remembered, may_have_decided
from shared.events import LETTER_RECEIVED
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.ids import Ids
from shared.topics import CHECKPOINTS
from verify.checkpoints import Checkpoints
from verify.findings import Finding, Kind, Tally
from verify.inputs import Input, number_in
from verify.owed import OWED, fewest, way
from verify.rows import DIGEST, NOBODY, is_id, pack_heard, pack_seen, packed
from verify.shards import Shards
from verify.unread import Unread
from verify.world import COLLECTIONS, Reader

_Record = ConsumerRecord[Any, Any]
TOWARD = "toward"
"""Rows by letter of what opens its cases, or tells it of them: who is still to hear of it, or set it aside."""


def cause_digest(cause: str) -> bytes:
    """A cause as it stands in a row."""
    return hashlib.blake2b(cause.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _letter_of(record: _Record, source: bytes) -> bytes | None:
    """The letter of which an event opens cases, or which it tells of one."""
    headers: dict[str, bytes] = dict(record.headers) if source != NOBODY else {}
    if headers.get("ce_type") == LETTER_RECEIVED.encode() and record.topic.startswith("letters.received."):
        return source
    name = headers.get("ce_letterid") or b""
    return packed(name.decode()) if record.topic.startswith("cases.events.") and is_id(name) else None


@dataclass
class Scan:
    """Takes records; what it finds at once and counts stands in `tally`."""

    outputs: Mapping[str, int]
    """The topics that we write, each with its number."""
    inputs: Sequence[Input]
    collections: Collection[str]
    """Those that are verified."""
    rules: Remembered
    ids: Ids
    shards: Shards
    tally: Tally
    prefixes: Collection[bytes]
    """Of the records of these collections."""
    checkpoints: Checkpoints
    committed: Mapping[Reader, int]
    """How far the services had read."""
    behind: Unread
    """What they had not."""
    began: int
    """When the run began, in milliseconds."""

    def __post_init__(self) -> None:
        """Sort the inputs by topic."""
        self._inputs: dict[str, list[tuple[int, Input]]] = {}
        for number, one in enumerate(self.inputs):
            if one.collection in self.collections:
                self._inputs.setdefault(one.topic, []).append((number, one))

    def take(self, record: _Record) -> None:
        """Note what one record shows."""
        digest = hashlib.sha256(record.value or b"").digest()
        source = NOBODY
        if (number := self.outputs.get(record.topic)) is not None:
            source = self._seen(record, number, digest)
        if record.topic == CHECKPOINTS:
            self.checkpoints.take(record, self.tally)
        letter = _letter_of(record, source)
        for at, one in self._inputs.get(record.topic, ()):
            if letter is not None and one.read is not None:
                place = at, record.partition, record.offset, max(record.timestamp, 0), 0, 0
                self.shards.add(TOWARD, self.shards.of(letter), pack_heard(letter, b"", digest, source, *place))
            reader = one.group, record.topic, record.partition
            if record.offset >= self.committed.get(reader, 0):
                self.behind.add(reader, record.offset, record.timestamp, self.began)
            if one.read is None:
                self._owed(record, at, digest)
            else:
                self._heard(record, at, one, digest, source)

    def _seen(self, record: _Record, topic: int, digest: bytes) -> bytes:
        """An event of ours; the record that said it."""
        try:
            headers = dict(record.headers)
            path: bytes = headers["ce_source"]
            name = path.rpartition(b"/")[2]
            if not is_id(name) or path[1 : -len(name) - 1] != record.topic.encode():
                raise ValueError("not a source of ours")
            source = packed(name.decode())
            row = pack_seen(
                source,
                bytes.fromhex(headers["ce_id"][4:].decode()),
                bytes.fromhex(headers["ce_chain"].decode()),
                digest[:DIGEST],
                topic,
                record.partition,
                record.offset,
                max(record.timestamp, 0),
                int(headers["ce_sequence"]),
            )
            if headers["ce_subject"] != record.key:
                raise ValueError("not its subject's key")
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
            self._strange(record)
            return NOBODY
        self.tally.counts["events on topics"] += 1
        if source[:4] in self.prefixes:
            self.shards.add("seen", self.shards.of(source), row)
        return source

    def _strange(self, record: _Record) -> None:
        if not COLLECTIONS.keys() <= {*self.collections}:
            self.tally.counts["cannot_tell"] += 1  # it may be of those that are not asked for
            return
        where = f"{record.partition}/{record.offset}"
        self.tally.found([Finding(Kind.UNKNOWN, "", f"at {where}: not an event as we write them", record.topic)])

    def _heard(self, record: _Record, number: int, one: Input, digest: bytes, source: bytes) -> None:
        place = (digest, source, number, record.partition, record.offset, max(record.timestamp, 0))
        assert one.read is not None
        try:
            messages = one.read(record)
        except NotForUs:
            return
        except NewerBuild:
            self.tally.counts["cannot_tell"] += 1
            return
        except NeverWill:
            messages = ()
        except Exception:  # noqa: BLE001 - a bug of the service's own: there it is set aside
            messages = ()
        else:
            for message in messages:
                self._message(message.record, message.cause, place, number_in(message), one.trace(message))
            return
        self._aside(record, number, digest)

    def _message(self, name: str, cause: str, place: tuple[Any, ...], number: int, trace: int) -> None:
        try:
            of = packed(name)
        except ValueError:
            self.tally.counts["cannot_tell"] += 1
            return
        digest, source, at, partition, offset, timestamp = place
        row = pack_heard(of, cause_digest(cause), digest, source, at, partition, offset, timestamp, number, trace)
        self.shards.add("heard", self.shards.of(of), row)
        self.tally.counts["messages heard"] += 1

    def _aside(self, record: _Record, number: int, digest: bytes) -> None:
        """What cannot be read must stand in its reader's quarantine."""
        service = self.inputs[number].service
        entry = self.ids.quarantined_as(service, record.topic, record.partition, record.offset, digest.hex())
        told = [entry, number, record.partition, record.offset]
        self.shards.add("aside", self.shards.of(packed(entry)), orjson.dumps(told) + b"\n")
        self.tally.counts["not readable"] += 1

    def _owed(self, record: _Record, number: int, digest: bytes) -> None:
        """What somebody must be told of; by every set of rules that may have decided."""
        seen = seen_in(record)
        if seen is None:
            self._aside(record, number, digest)
            return
        if self.rules.began is None or record.timestamp < self.rules.began.timestamp() * 1000:
            self.tally.counts["cannot_tell"] += 1
            return
        ways = [way(one, seen, self.ids) for one in self.rules.sets if may_have_decided(one, seen)]
        if all(ways):
            try:
                about = packed(seen.about)
            except ValueError:
                self.tally.counts["cannot_tell"] += 1
                return
            told = [
                seen.about,
                fewest(ways),
                number,
                record.partition,
                record.offset,
                digest.hex(),
                seen.facts["event"],
            ]
            self.shards.add(OWED, self.shards.of(about), orjson.dumps(told) + b"\n")
            self.tally.counts["events that must be told"] += 1
        elif any(ways):
            self.tally.counts["cannot_tell"] += 1  # some rules that may have decided tell nobody, others do
