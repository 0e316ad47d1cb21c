"""Reads Kafka batches that aiokafka's fetcher cannot: header names that are no UTF-8, and batches that are bombs.

There the error arises while records are handed out: those already taken from other partitions in the same call are
lost though their positions have moved, and the next commit passes over them; a batch that never can be read comes
again for ever, and one that unpacks to gigabytes ends the process each time. So every batch is read whole, within
bounds, before any of it is handed out. One that fails is read again with bytes that do not decode kept as surrogates
(PEP 383), for the envelope to refuse; where that fails too, one record stands for the batch, to be set aside. This
replaces a name of aiokafka's own; a test holds it to the pinned version.
"""

import asyncio
import contextlib
import gzip
import io
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint

MOST_UNPACKED = 16 * 1024 * 1024
"""Bytes to which a batch may unpack: 16 times what a client sends at once unless told otherwise."""
ALWAYS_UNPACKED, MOST_TIMES = 2 * 1024 * 1024, 64
"""Bytes to which any batch may unpack, and beyond them so many times its own size: small bombs come by the hundred."""
MOST_PARTS = 200_000
"""Records and headers together of what was packed: each costs up to a hundred times the memory of its bytes."""
UNPACKED_AT_ONCE, PARTS_AT_ONCE = 32 * 1024 * 1024, MOST_PARTS
"""Bytes and parts that are unpacked before anything else has its turn; what follows is fetched again."""
KEPT_OF_UNREAD = 1_000
"""Bytes that are kept of a batch that cannot be read."""
_HEADER, _CODEC = DefaultRecordBase.HEADER_STRUCT, DefaultRecordBase.CODEC_MASK
_MAGIC_AT, _LENGTH_AT, _ATTRIBUTES_AT = 16, 8, DefaultRecordBase.ATTRIBUTES_OFFSET


class _UnreadableError(Exception):
    """A batch that is not read, and why."""


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

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(_read(self._batch, self._raw))
        except _UnreadableError as reason:
            return iter([_standing(self._batch, self._raw, str(reason))])
        except CorruptRecordException:
            return iter([_standing(self._batch, self._raw, "a batch that is broken")])


def _standing(batch: Any, raw: memoryview, why: str) -> _Standing:
    facts = {"batch_last_offset": batch.next_offset - 1, "batch_bytes": len(raw)}
    begins, timestamp = 0, 0
    if raw[_MAGIC_AT] >= 2:
        facts |= {"batch_first_offset": batch.base_offset, "batch_records": _HEADER.unpack_from(raw)[-1]}
        facts |= {"batch_codec": batch.compression_type}
        begins, timestamp = _HEADER.size, batch.max_timestamp
    value = UnreadBatch(raw[begins : begins + KEPT_OF_UNREAD])
    value.why, value.size = why, len(raw)
    return _Standing(batch.next_offset - 1, timestamp, value, [(name, b"%d" % fact) for name, fact in facts.items()])


def _read(batch: Any, raw: memoryview) -> list[Any]:
    """The records of a batch; raises `_UnreadableError` and `CorruptRecordException`."""
    if raw[_MAGIC_AT] < 2:
        return _read_old(batch, raw)
    if batch.compression_type:
        raw = _unpacked(batch.compression_type, raw)
        _AT_ONCE.spend(len(raw), 0)
        parts = _parts(raw)
        _AT_ONCE.spend(0, parts)
        if parts > MOST_PARTS:
            raise _UnreadableError("a batch of too many parts")
        batch = DefaultRecordBatch(raw)
    try:
        return list(batch)
    except (UnicodeDecodeError, CorruptRecordException):
        return list(_leniently(raw))


def _read_old(batch: Any, raw: memoryview) -> list[Any]:
    """The records of a batch in the form before Kafka 0.11; nobody writes it packed any more."""
    if raw[_MAGIC_AT + 1] & _CODEC:
        raise _UnreadableError("a packed batch in an old form")
    return list(batch)


def _unpacked(codec: int, raw: memoryview) -> memoryview:
    """The same batch, not packed."""
    if codec not in _UNPACK:
        raise _UnreadableError("a batch packed in an unknown way")
    packed = raw[_HEADER.size :]
    most = min(MOST_UNPACKED, max(ALWAYS_UNPACKED, MOST_TIMES * len(packed)))
    try:
        records = _UNPACK[codec](packed, most)
    except (OSError, EOFError, zlib.error, cramjam.DecompressionError, struct.error):
        _AT_ONCE.spend(most, 0)  # nobody knows how far it came
        raise _UnreadableError("a batch that does not unpack") from None
    if records is None:
        _AT_ONCE.spend(most, 0)
        raise _UnreadableError("a batch that unpacks to too much")
    head = bytearray(raw[: _HEADER.size])
    (attributes,) = struct.unpack_from(">h", head, _ATTRIBUTES_AT)
    struct.pack_into(">h", head, _ATTRIBUTES_AT, attributes & ~_CODEC)
    struct.pack_into(">i", head, _LENGTH_AT, _HEADER.size - _LENGTH_AT - 4 + len(records))
    return memoryview(bytes(head) + records)


def _gunzipped(packed: memoryview, most: int) -> bytes | None:
    found = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(most + 1)
    return found if len(found) <= most else None


def _into(unpack: Callable[[memoryview, mmap.mmap], int]) -> Callable[[memoryview, int], bytes | None]:
    """Unpack into a room of so many bytes; of an anonymous map only what is written takes memory."""

    def unpacked(packed: memoryview, most: int) -> bytes | None:
        with mmap.mmap(-1, most) as room:
            try:
                return room[: unpack(packed, room)]
            except cramjam.DecompressionError as error:
                if "whole buffer" in str(error):
                    return None
                raise

    return unpacked


def _unsnapped(packed: memoryview, most: int) -> bytes | None:
    """Blocks as the Java client writes them, each after its length, or one block; each says what it unpacks to."""
    blocks, at = [packed], len(packed)
    if bytes(packed[:8]) == _XERIAL:
        blocks, at = [], _XERIAL_HEAD
    while at < len(packed):
        (length,) = struct.unpack_from(">I", packed, at)
        blocks.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    if at > len(packed):
        raise EOFError
    if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > most:
        return None
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


_XERIAL, _XERIAL_HEAD = b"\x82SNAPPY\0", 16
_UNPACK: Mapping[int, Callable[[memoryview, int], bytes | None]] = {
    DefaultRecordBase.CODEC_GZIP: _gunzipped,
    DefaultRecordBase.CODEC_SNAPPY: _unsnapped,
    DefaultRecordBase.CODEC_LZ4: _into(cramjam.lz4.decompress_into),
    DefaultRecordBase.CODEC_ZSTD: _into(cramjam.zstd.decompress_into),
}
"""What a batch's records are unpacked with; None where that is more than so many bytes."""


def _parts(raw: memoryview) -> int:
    """How many records and headers a batch has that is not packed; raises `CorruptRecordException`."""
    data, at, parts = bytearray(raw), _HEADER.size, 0
    try:
        while at < len(data) and parts <= MOST_PARTS:
            length, begins = decode_varint(data, at)
            at = begins
            for _ in range(3):  # attributes, and how time and offset differ from the batch's
                _, at = decode_varint(data, at)
            for _ in range(2):  # key and value
                size, at = decode_varint(data, at)
                at += max(0, size)
            headers, _ = decode_varint(data, at)
            if length <= 0 or headers < 0:
                raise CorruptRecordException
            parts, at = parts + 1 + headers, begins + length
    except (ValueError, IndexError):
        raise CorruptRecordException from None
    return parts


def _leniently(raw: memoryview) -> Any:
    batch = iter(_DefaultRecordBatchPy(raw))
    batch._buffer = _Lenient(batch._buffer)
    return batch


class _AtOnce:
    """What was unpacked since the event loop had its turn; a consumer hands out hundreds of batches in one."""

    def __init__(self) -> None:
        self._bytes = self._parts = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_enough(self) -> bool:
        """Whether no more is to be unpacked now."""
        is_spent = self._bytes >= UNPACKED_AT_ONCE or self._parts >= PARTS_AT_ONCE
        return is_spent and self._loop is not None and not self._loop.is_closed()

    def spend(self, size: int, parts: int) -> None:
        """Count a batch; where no loop runs nobody hands out many."""
        with contextlib.suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if self._loop is not loop:
                self._bytes, self._parts, self._loop = 0, 0, loop
                loop.call_soon(self._begin_anew)
            self._bytes, self._parts = self._bytes + size, self._parts + parts

    def _begin_anew(self) -> None:
        self._bytes, self._parts, self._loop = 0, 0, None


_AT_ONCE = _AtOnce()


class LenientRecords:
    """What a fetch brought for one partition, batch by batch."""

    def __init__(self, data: bytes) -> None:
        self._slices = _MemoryRecordsPy(data)

    def has_next(self) -> bool:
        """Whether a whole batch follows; none does once enough was unpacked, and the fetcher asks for the rest anew."""
        return not _AT_ONCE.is_enough and self._slices.has_next()

    def size_in_bytes(self) -> int:
        """How much was fetched; nothing, once enough was unpacked: of what is there and does not follow the fetcher
        believes that it is too large ever to come, and passes over it."""
        return 0 if _AT_ONCE.is_enough else self._slices.size_in_bytes()

    def next_batch(self) -> Any:
        """The next batch; None after the last."""
        raw = self._slices._next_slice
        batch = self._slices.next_batch()
        return None if batch is None or raw is None else _Batch(batch, raw)


def install() -> None:
    """Make every consumer of this process read so."""
    fetcher.MemoryRecords = LenientRecords  # type: ignore[attr-defined]
