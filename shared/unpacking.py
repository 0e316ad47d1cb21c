"""Unpacks Kafka batches within bounds: one that is a bomb ends there, and many of them wait for their turn."""

import asyncio
import contextlib
import gzip
import io
import mmap
import struct
import zlib
from collections.abc import Callable, Mapping

import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBase
from aiokafka.record.util import decode_varint

MOST_UNPACKED = 16 * 1024 * 1024
"""Bytes to which a batch may unpack: 16 times what a client sends at once unless told otherwise."""
ALWAYS_UNPACKED, MOST_TIMES = 2 * 1024 * 1024, 64
"""Bytes to which any batch may unpack, and beyond them so many times its own size: small bombs come by the hundred."""
MOST_PARTS = 200_000
"""Records and headers together of what was packed: each costs up to a hundred times the memory of its bytes."""
UNPACKED_AT_ONCE, PARTS_AT_ONCE = 32 * 1024 * 1024, MOST_PARTS
"""Bytes and parts that are unpacked before anything else has its turn; what follows is fetched again."""
HEADER = DefaultRecordBase.HEADER_STRUCT
"""What stands before the records of a batch."""
_CODEC, _LENGTH_AT, _ATTRIBUTES_AT = DefaultRecordBase.CODEC_MASK, 8, DefaultRecordBase.ATTRIBUTES_OFFSET


class UnreadableError(Exception):
    """A batch that is not read, and why."""


def unpacked(codec: int, raw: memoryview) -> memoryview:
    """The same batch, not packed."""
    if codec not in _UNPACK:
        raise UnreadableError("a batch packed in an unknown way")
    packed = raw[HEADER.size :]
    most = min(MOST_UNPACKED, max(ALWAYS_UNPACKED, MOST_TIMES * len(packed)))
    try:
        records = _UNPACK[codec](packed, most)
    except (OSError, EOFError, zlib.error, cramjam.DecompressionError, struct.error):
        AT_ONCE.spend(most, 0)  # nobody knows how far it came
        raise UnreadableError("a batch that does not unpack") from None
    if records is None:
        AT_ONCE.spend(most, 0)
        raise UnreadableError("a batch that unpacks to too much")
    head = bytearray(raw[: HEADER.size])
    (attributes,) = struct.unpack_from(">h", head, _ATTRIBUTES_AT)
    struct.pack_into(">h", head, _ATTRIBUTES_AT, attributes & ~_CODEC)
    struct.pack_into(">i", head, _LENGTH_AT, HEADER.size - _LENGTH_AT - 4 + len(records))
    return memoryview(bytes(head) + records)


def _gunzipped(packed: memoryview, most: int) -> bytes | None:
    found = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(most + 1)
    return found if len(found) <= most else None


def _into(unpack: Callable[[memoryview, mmap.mmap], int]) -> Callable[[memoryview, int], bytes | None]:
    """Unpack into a room of so many bytes; of an anonymous map only what is written takes memory."""

    def into_room(packed: memoryview, most: int) -> bytes | None:
        with mmap.mmap(-1, most) as room:
            try:
                return room[: unpack(packed, room)]
            except cramjam.DecompressionError as error:
                if "whole buffer" in str(error):
                    return None
                raise

    return into_room


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


def parts_of(raw: memoryview) -> int:
    """How many records and headers a batch has that is not packed; raises `CorruptRecordException`."""
    data, at, parts = bytearray(raw), HEADER.size, 0
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


AT_ONCE = _AtOnce()
