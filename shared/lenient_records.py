"""Reads Kafka records whose header names are no UTF-8, which aiokafka's fetcher cannot.

There the error arises while records are handed out: those already taken from other partitions in the same call are
lost though their positions have moved, and the next commit passes over them. So every batch is read whole before any of
it is handed out; one that fails is read again with bytes that do not decode kept as surrogates (PEP 383), for the
envelope to refuse. This replaces a name of aiokafka's own; a test holds it to the pinned version.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


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
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            return iter(list(_leniently(self._raw)))


def _leniently(raw: memoryview) -> Any:
    batch = iter(_DefaultRecordBatchPy(raw))
    batch._buffer = _Lenient(batch._buffer)
    return batch


class LenientRecords:
    """What a fetch brought for one partition, batch by batch."""

    def __init__(self, data: bytes) -> None:
        self._slices = _MemoryRecordsPy(data)

    def has_next(self) -> bool:
        """Whether a whole batch follows."""
        return self._slices.has_next()

    def size_in_bytes(self) -> int:
        """How much was fetched."""
        return self._slices.size_in_bytes()

    def next_batch(self) -> Any:
        """The next batch; None after the last."""
        raw = self._slices._next_slice
        batch = self._slices.next_batch()
        return None if batch is None or raw is None else _Batch(batch, raw)


def install() -> None:
    """Make every consumer of this process read so."""
    fetcher.MemoryRecords = LenientRecords  # type: ignore[attr-defined]
