"""What is kept of each Kafka record between the two passes: a hundred bytes, by the record of ours that it is about."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_ID = re.compile(rb"[a-z]{3}_[0-9a-f]{32}")
_SEEN = struct.Struct(">20s16s32s8sHHQQI")
_HEARD = struct.Struct(">20s16s32s20sHHQQIB")

HEARD_SIZE = _HEARD.size
"""Bytes."""
pack_seen = _SEEN.pack
pack_heard = _HEARD.pack


class Seen(NamedTuple):
    """An event on one of our own topics."""

    record: bytes
    event: bytes
    chain: bytes
    digest: bytes
    """The first bytes of the SHA-256 of the value."""
    topic: int
    partition: int
    offset: int
    timestamp: int
    sequence: int


class Heard(NamedTuple):
    """A message that one of our services found in a record."""

    record: bytes
    """To which record of ours it was said."""
    cause: bytes
    digest: bytes
    """SHA-256 of the value."""
    source: bytes
    """The record of ours that said it; zeros where an outsider did."""
    input: int
    partition: int
    offset: int
    timestamp: int
    sequence: int
    trace: int
    """What of it must be found: see `traces`."""


NOBODY = bytes(20)
DIGEST = 8


def is_id(name: bytes) -> bool:
    """Whether it is an id as this deployment makes them."""
    return _ID.fullmatch(name) is not None


def packed(name: str) -> bytes:
    """An id as it stands in a row; raises `ValueError` for what is none."""
    if len(name) != 36:
        raise ValueError("not an id of ours")
    return name[:4].encode() + bytes.fromhex(name[4:])


def unpacked(name: bytes) -> str:
    """The id again."""
    return name[:4].decode() + name[4:].hex()


def seen_in(rows: bytes) -> Iterator[Seen]:
    """The rows of one shard."""
    return map(Seen._make, _SEEN.iter_unpack(rows))


def heard_in(rows: bytes) -> Iterator[Heard]:
    """The rows of one shard."""
    return map(Heard._make, _HEARD.iter_unpack(rows))
