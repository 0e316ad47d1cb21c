"""Reads Kafka batches that aiokafka's fetcher cannot: header names that are no UTF-8, bombs, and damaged ones.

There the error arises while records are handed out: those already taken from other partitions in the same call are
lost though their positions have moved, and the next commit passes over them; a batch that never can be read comes
again for ever, and one that unpacks to gigabytes ends the process each time. So every batch is read whole, within
bounds, before any of it is handed out. One that fails is read again with bytes that do not decode kept as surrogates
(PEP 383), for the envelope to refuse; where that fails too, one record stands for the batch, to be set aside. One
whose checksum is wrong may have been damaged on its way: it is fetched again, and stands aside when the same bytes come
for half a minute. This replaces two names of aiokafka's own; a test holds them to the pinned version.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from shared.log import logger
from shared.unpacking import AT_ONCE, HEADER, MOST_PARTS, UnreadableError, parts_of, unpacked

KEPT_OF_UNREAD = 1_000
"""Bytes that are kept of a batch that cannot be read."""
DAMAGED = "a batch whose checksum is wrong"
STAYS_AFTER, AGAIN_AFTER = 30.0, 0.2
"""Seconds for which a damaged batch is fetched again before it is set aside, and between two tries."""
_CODEC, _MAGIC_AT = DefaultRecordBase.CODEC_MASK, 16


class UnreadBatch(bytes):
    """The value of a record that stands for a batch which was not read: the batch's beginning."""

    why: str
    size: int
    """Of the whole batch, in bytes."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """A record that stands for a whole batch; its offset is the batch's last, so that all of it is passed over."""

    offset: int
    timestamp: int
    value: UnreadBatch
    headers: list[tuple[str, bytes]]
    timestamp_type: int = 0
    key: None = None
    checksum: None = None


class _Lenient(bytearray):
    """Bytes whose slices decode without fail."""

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        return _Lenient(value) if isinstance(key, slice) else value

    def decode(self, *_: Any, **__: Any) -> str:
        return bytes(self).decode("utf-8", "surrogateescape")


class _Batch:
    """One batch; everything but the reading is aiokafka's."""

    def __init__(self, batch: Any, raw: memoryview, *, is_whole: bool) -> None:
        self._batch, self._raw, self._is_whole = batch, raw, is_whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """Already done; the fetcher would raise, and lose what it has of other partitions."""
        return True

    @property
    def is_control_batch(self) -> bool:
        """Whether it holds no records of anybody's: a damaged one does not say so, and would be passed over."""
        return self._is_whole and bool(self._batch.is_control_batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            if not self._is_whole:
                return iter([_damaged(self._batch, self._raw)])
            return iter(_read(self._batch, self._raw))
        except UnreadableError as reason:
            return iter([_standing(self._batch, self._raw, str(reason))])
        except CorruptRecordException:
            return iter([_standing(self._batch, self._raw, "a batch that is broken")])


def _standing(batch: Any, raw: memoryview, why: str, kept: int = KEPT_OF_UNREAD) -> _Standing:
    facts = {"batch_last_offset": batch.next_offset - 1, "batch_bytes": len(raw)}
    begins, timestamp = 0, 0
    if raw[_MAGIC_AT] >= 2:
        facts |= {"batch_first_offset": batch.base_offset, "batch_records": HEADER.unpack_from(raw)[-1]}
        facts |= {"batch_codec": batch.compression_type}
        begins, timestamp = HEADER.size, batch.max_timestamp
    value = UnreadBatch(raw[begins : begins + kept])
    value.why, value.size = why, len(raw)
    return _Standing(batch.next_offset - 1, timestamp, value, [(name, b"%d" % fact) for name, fact in facts.items()])


def _damaged(batch: Any, raw: memoryview) -> _Standing:
    """All of it: no other copy may be left where a disk is failing. Its time may be damaged as well."""
    standing = _standing(batch, raw, DAMAGED, kept=len(raw))
    return replace(standing, timestamp=min(standing.timestamp, int(time.time() * 1000)))


def _read(batch: Any, raw: memoryview) -> list[Any]:
    """The records of a batch; raises `UnreadableError` and `CorruptRecordException`."""
    if raw[_MAGIC_AT] < 2:
        return _read_old(batch, raw)
    if batch.compression_type:
        raw = unpacked(batch.compression_type, raw)
        AT_ONCE.spend(len(raw), 0)
        parts = parts_of(raw)
        AT_ONCE.spend(0, parts)
        if parts > MOST_PARTS:
            raise UnreadableError("a batch of too many parts")
        batch = DefaultRecordBatch(raw)
    try:
        return list(batch)
    except (UnicodeDecodeError, CorruptRecordException):
        return list(_leniently(raw))


def _read_old(batch: Any, raw: memoryview) -> list[Any]:
    """The records of a batch in the form before Kafka 0.11; nobody writes it packed any more."""
    if raw[_MAGIC_AT + 1] & _CODEC:
        raise UnreadableError("a packed batch in an old form")
    return list(batch)


def _leniently(raw: memoryview) -> Any:
    batch = iter(_DefaultRecordBatchPy(raw))
    batch._buffer = _Lenient(batch._buffer)
    return batch


class _Damaged:
    """The last batches whose checksum was wrong, by what they held, and when each came first."""

    def __init__(self) -> None:
        self._known: dict[bytes, float] = {}
        self.is_awaited = False
        """Something damaged was met that is fetched again."""

    def stays(self, raw: memoryview) -> bool:
        """Whether the same bytes came for so long that they lie so on the broker's disk, and no other will come."""
        digest, now = hashlib.blake2b(raw, digest_size=16).digest(), time.monotonic()
        if digest not in self._known:
            logger(part="consumer").error("a damaged batch", bytes=len(raw), offset=int.from_bytes(raw[:8], "big"))
            self._known = dict(list(self._known.items())[-999:]) | {digest: now}
            return False
        return now - self._known[digest] >= STAYS_AFTER


_DAMAGED = _Damaged()


def _says_its_end(batch: Any, raw: memoryview) -> bool:
    """Whether two places of a damaged batch agree on where it ends: nobody but a compaction takes records out."""
    if raw[_MAGIC_AT] < 2 or len(raw) < HEADER.size:
        return False
    count = HEADER.unpack_from(raw)[-1]
    return bool(count > 0 and batch.next_offset - batch.base_offset == count)


class LenientRecords:
    """What a fetch brought for one partition, batch by batch."""

    def __init__(self, data: bytes) -> None:
        self._slices = _MemoryRecordsPy(data)
        self._ahead: _Batch | None = None
        self._has_begun = False
        """A whole batch was found."""
        self._is_cut = False
        """What follows is damaged, and is to be fetched again."""

    def has_next(self) -> bool:
        """Whether a whole batch follows; none does once enough was unpacked, and the fetcher asks for the rest anew."""
        if self._is_cut or AT_ONCE.is_enough:
            return False
        if self._ahead is None:
            self._ahead = self._look()
        return self._ahead is not None

    def size_in_bytes(self) -> int:
        """Nothing: the fetcher asks where no batch follows, believes that one is too large ever to come, and would pass
        over it; but brokers send the first batch whole, however large."""
        return 0

    def next_batch(self) -> Any:
        """The next batch; None after the last."""
        batch, self._ahead = self._ahead or self._look(), None
        return batch

    def _look(self) -> _Batch | None:
        raw = self._slices._next_slice
        try:
            batch = self._slices.next_batch()
        except (CorruptRecordException, SystemError):  # too short to be one: not even its place can be told
            batch = None
        if batch is None or raw is None:
            # What is cut off at the end of an answer comes with the next one.
            if raw is not None or (not self._has_begun and self._slices.size_in_bytes()):
                _DAMAGED.stays(memoryview(self._slices._buffer) if raw is None else raw)
                self._is_cut = _DAMAGED.is_awaited = True
            return None
        self._has_begun, is_whole = True, batch.validate_crc()
        # Of whose end nobody can be sure is never passed over: its partition waits for a person.
        if not is_whole and not (_DAMAGED.stays(raw) and _says_its_end(batch, raw)):
            self._is_cut = _DAMAGED.is_awaited = True
            return None
        return _Batch(batch, raw, is_whole=is_whole)


_fetch: Any = fetcher.Fetcher._proc_fetch_request


async def _patiently(self: Any, assignment: Any, node: Any, request: Any) -> Any:
    """Ask a broker, and not at once again where all that came is damaged: it would answer a thousand times a second."""
    _DAMAGED.is_awaited = False
    has_come = await _fetch(self, assignment, node, request)
    if not has_come and _DAMAGED.is_awaited:
        await asyncio.sleep(AGAIN_AFTER)
    return has_come


def install() -> None:
    """Make every consumer of this process read so."""
    fetcher.MemoryRecords = LenientRecords  # type: ignore[attr-defined]
    fetcher.Fetcher._proc_fetch_request = _patiently  # type: ignore[method-assign]
