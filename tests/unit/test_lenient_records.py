"""A header name that is no UTF-8 costs its record, a batch that cannot be unpacked itself; neither its neighbours."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from shared import kafka, lenient_records
from shared.envelope import read_envelope
from shared.failures import NeverWill
from shared.lenient_records import KEPT_OF_UNREAD, LenientRecords, UnreadBatch
from shared.unpacking import ALWAYS_UNPACKED, MOST_PARTS, MOST_UNPACKED, UNPACKED_AT_ONCE

_CRC, _CHECKED_FROM = 17, 21
PLACE = TopicPartition("t", 0)


def batch(*names: bytes, codec: int = 0) -> bytes:
    """One batch as a client would send it: a record per header name (two bytes each)."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 100_000)
    for offset, _ in enumerate(names):
        builder.append(offset, timestamp=1, key=b"k", value=b"v%d" % offset, headers=[(f"@{offset}", b"x")])
    raw = bytearray(builder.build())
    for offset, name in enumerate(names):
        raw = raw.replace(b"@%d" % offset, name)
    raw[_CRC : _CRC + 4] = calc_crc32c(bytes(raw[_CHECKED_FROM:])).to_bytes(4, "big")
    return bytes(raw)


def read(raw: bytes) -> list[tuple[bytes, str]]:
    records = LenientRecords(raw)
    found = []
    while records.has_next():
        taken = records.next_batch()
        assert taken.validate_crc()
        found += [(record.value, record.headers[0][0]) for record in taken]
    return found


def test_good_names_are_read_as_ever() -> None:
    assert read(batch(b"ab", b"cd") + batch(b"ef")) == [(b"v0", "ab"), (b"v1", "cd"), (b"v0", "ef")]


def test_a_bad_name_keeps_its_bytes_and_its_neighbours() -> None:
    found = read(batch(b"ab", b"\xe9\xff", b"ef"))

    assert [value for value, _ in found] == [b"v0", b"v1", b"v2"]
    assert found[1][1].encode("utf-8", "surrogateescape") == b"\xe9\xff"


def test_the_envelope_refuses_such_a_name() -> None:
    [(value, name)] = read(batch(b"\xe9\xff"))

    with pytest.raises(NeverWill, match="undecodable header"):
        read_envelope([(name, b"x")], value)


def test_every_consumer_of_a_service_reads_so() -> None:
    kafka.broker_at("127.0.0.1:1", "test")

    assert fetcher.MemoryRecords is LenientRecords  # type: ignore[attr-defined]


GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
_ATTRIBUTES = 21


def packed(codec: int, *values: bytes, headers: int = 0) -> bytes:
    """One batch of these values, packed as a client packs it."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 2**30)
    for offset, value in enumerate(values):
        builder.append(offset, timestamp=1, key=None, value=value, headers=[("", b"")] * headers)
    return bytes(builder.build())


def changed(raw: bytes, at: int, new: bytes) -> bytes:
    """The same batch with other bytes at a place, and the sum that goes with them."""
    other = bytearray(raw)
    other[at : at + len(new)] = new
    other[_CRC : _CRC + 4] = calc_crc32c(bytes(other[_CHECKED_FROM:])).to_bytes(4, "big")
    return bytes(other)


def resized(raw: bytes) -> bytes:
    """A batch whose end was replaced, with its length and its sum."""
    return changed(raw, 8, (len(raw) - 12).to_bytes(4, "big"))


def fetched(*batches: bytes) -> list[Any]:
    """What the fetcher hands out of a partition on which these batches stand one after another."""
    raw, offset = b"", 0
    for one in batches:
        raw += offset.to_bytes(8, "big") + one[8:]
        offset += int.from_bytes(one[23:27], "big") + 1 if one[16] >= 2 else 1
    records = PartitionRecords(PLACE, LenientRecords(raw), [], 0, None, None, True, "read_uncommitted")
    found = [*records]
    assert records.next_fetch_offset == offset
    return found


def xerial(raw: bytes) -> bytes:
    """A batch of Snappy's in which a block says that it has more bytes than there are."""
    return changed(raw, 61 + 16, b"\xff\xff\xff\xfc")


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: packed(GZIP, bytes(2**26)), "a batch that unpacks to too much"),
    "snappy": (lambda: packed(SNAPPY, bytes(2**26)), "a batch that unpacks to too much"),
    "lz4": (lambda: packed(LZ4, bytes(2**26)), "a batch that unpacks to too much"),
    "zstd": (lambda: packed(ZSTD, bytes(2**26)), "a batch that unpacks to too much"),
    "many records": (lambda: packed(ZSTD, *[b""] * (MOST_PARTS + 1)), "a batch of too many parts"),
    "many headers": (lambda: packed(ZSTD, b"", headers=600_000), "a batch of too many parts"),
    "an unknown codec": (lambda: changed(packed(0, b"x"), _ATTRIBUTES, b"\0\5"), "a batch packed in an unknown way"),
    "another codec": (
        lambda: changed(packed(ZSTD, b"x" * 999), _ATTRIBUTES, b"\0\1"),
        "a batch that does not unpack",
    ),
    "not gzip": (lambda: changed(packed(GZIP, b"x" * 999), 71, b"\xff" * 8), "a batch that does not unpack"),
    "not lz4": (lambda: changed(packed(LZ4, b"x" * 999), 61, b"\xff" * 8), "a batch that does not unpack"),
    "not snappy": (lambda: changed(packed(SNAPPY, b"x" * 999), 61, b"\xff" * 8), "a batch that does not unpack"),
    "endless blocks": (lambda: xerial(packed(SNAPPY, b"x" * 999)), "a batch that does not unpack"),
    "no records": (lambda: changed(packed(0, b"x"), 61, b"\xff" * 5), "a batch that is broken"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_batch_that_cannot_be_unpacked_is_one_record_that_says_so(name: str) -> None:
    make, why = BAD[name]
    bad = make()

    before, standing, after = fetched(packed(0, b"before"), bad, packed(ZSTD, b"after"))

    assert (before.value, after.value) == (b"before", b"after")
    assert isinstance(standing.value, UnreadBatch)
    assert (standing.value.why, standing.value.size) == (why, len(bad))
    assert standing.value == bad[61:][:KEPT_OF_UNREAD]
    told = dict(standing.headers)
    assert told["batch_first_offset"] == b"1"
    assert int(told["batch_last_offset"]) == standing.offset == after.offset - 1
    assert told["batch_bytes"] == b"%d" % len(bad)
    with pytest.raises(NeverWill):
        read_envelope(standing.headers, standing.value)


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("size", [0, 100, 1_000_000, ALWAYS_UNPACKED - 100])
def test_what_a_client_sends_unless_told_otherwise_is_read_however_well_it_packs(codec: int, size: int) -> None:
    assert [one.value for one in fetched(packed(codec, b"\0" * size, b"next"))] == [b"\0" * size, b"next"]


def test_a_large_batch_may_unpack_to_more() -> None:
    value = bytes(range(256)) * 400 + bytes(6_000_000)
    half = bytes.fromhex("".join(f"{n:08x}" for n in range(200_000)))  # packs badly

    assert [one.value for one in fetched(packed(ZSTD, value, half))] == [value, half]
    [standing] = fetched(packed(ZSTD, half * 25))
    assert standing.value.why == "a batch that unpacks to too much"
    assert len(half * 25) > MOST_UNPACKED


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_bomb_costs_no_more_memory_than_is_allowed(codec: int) -> None:
    bomb = packed(codec, bytes(2**27))
    Path("/proc/self/clear_refs").write_text("5")  # what was held at most is measured from now on
    before = held_at_most()

    fetched(bomb, bomb)

    assert held_at_most() - before < 4 * MOST_UNPACKED


async def test_what_is_unpacked_at_once_is_bounded_however_many_bombs_are_fetched_and_all_of_it_comes() -> None:
    bomb = packed(ZSTD, bytes(2_000_000))
    stand = b"".join(n.to_bytes(8, "big") + bomb[8:] for n in range(60))

    def taken_from(offset: int) -> list[Any]:
        """What one call hands out that begins there, as the fetcher goes on after it."""
        data = stand[offset * len(bomb) :]
        return [*PartitionRecords(PLACE, LenientRecords(data), [], offset, None, None, True, "read_uncommitted")]

    offsets: list[int] = []
    calls = 0
    while len(offsets) < 60:
        found = taken_from(len(offsets))
        assert len(found) * 2_000_000 <= UNPACKED_AT_ONCE + 2_000_000
        assert taken_from(len(offsets) + len(found)) == []  # nothing more in this turn, of any partition
        offsets += [one.offset for one in found]
        calls += 1
        await asyncio.sleep(0)

    assert offsets == [*range(60)]
    assert calls == 4


async def test_small_batches_of_many_headers_are_bounded_too() -> None:
    bomb = packed(ZSTD, b"", headers=100_000)
    assert len(bomb) < 200
    fetched_at_once = LenientRecords(b"".join(n.to_bytes(8, "big") + bomb[8:] for n in range(9)))

    found = [*PartitionRecords(PLACE, fetched_at_once, [], 0, None, None, True, "read_uncommitted")]

    assert [one.offset for one in found] == [0, 1]
    await asyncio.sleep(0)


class Answering:
    """A client to whom a broker has answered one fetch."""

    def __init__(self, data: bytes) -> None:
        partition: tuple[Any, ...] = (0, 0, 100, 100, 0, [], -1, data)
        self._answer = SimpleNamespace(API_VERSION=11, topics=[("t", [partition])])

    async def send(self, _node: int, _request: Any) -> Any:
        return self._answer


async def took(data: bytes) -> tuple[int, dict[TopicPartition, Any]]:
    """What aiokafka's fetcher makes of an answer: the position afterwards, and what it will hand out."""
    place = SimpleNamespace(has_valid_position=True, position=0, paused=False)
    place.consumed_to = lambda position: vars(place).update(position=position)
    assignment = SimpleNamespace(active=True, state_value=lambda _: place)
    fetching = object.__new__(fetcher.Fetcher)
    vars(fetching).update(_client=Answering(data), _client_rack=None, _records={}, _prefetch_backoff=0.1)
    vars(fetching).update(_key_deserializer=None, _value_deserializer=None, _check_crcs=True)
    vars(fetching).update(_isolation_level="read_uncommitted", _max_partition_fetch_bytes=1)
    await fetching._proc_fetch_request(assignment, 1, SimpleNamespace(topics=[("t", [(0, 0, 0)])]))
    return place.position, fetching._records


async def test_what_comes_once_enough_was_unpacked_is_fetched_again_and_never_passed_over() -> None:
    lenient_records.install()
    bomb = packed(ZSTD, bytes(2_000_000))
    stand = LenientRecords(b"".join(n.to_bytes(8, "big") + bomb[8:] for n in range(60)))
    assert len([*PartitionRecords(PLACE, stand, [], 0, None, None, True, "read_uncommitted")]) < 60

    in_this_turn = await took(batch(b"ab"))
    await asyncio.sleep(0)
    position, held = await took(batch(b"ab"))

    assert in_this_turn == (0, {}), "neither handed out nor passed over"
    assert position == 0
    assert [one.value for one in held[PLACE].getall()] == [b"v0"]


@pytest.mark.parametrize("content", [bytes(cramjam.zstd.compress(b"\xff" * 2_000_000)), b"not packed"])
async def test_batches_that_do_not_unpack_or_are_broken_inside_count_too(content: bytes) -> None:
    broken = packed(ZSTD, b"x")[:61] + content
    stand = LenientRecords(b"".join(n.to_bytes(8, "big") + resized(broken)[8:] for n in range(60)))

    found = [*PartitionRecords(PLACE, stand, [], 0, None, None, True, "read_uncommitted")]

    assert 15 < len(found) < 20
    assert all(isinstance(one.value, UnreadBatch) for one in found)
    await asyncio.sleep(0)


def held_at_most() -> int:
    """Bytes that this process has held at most."""
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def test_a_bad_name_in_a_packed_batch_keeps_its_bytes() -> None:
    plain = batch(b"ab", b"\xe9\xff")
    raw = changed(plain[:61] + bytes(cramjam.zstd.compress(plain[61:])), _ATTRIBUTES, b"\0\4")
    raw = raw[:8] + (len(raw) - 12).to_bytes(4, "big") + raw[12:]

    assert [name for _, name in read(raw)] == ["ab", b"\xe9\xff".decode("utf-8", "surrogateescape")]


def test_the_old_form_is_read_where_it_is_not_packed() -> None:
    def old(codec: int) -> bytes:
        builder = LegacyRecordBatchBuilder(1, codec, 100_000)
        builder.append(0, timestamp=1, key=b"k", value=b"v" * 100)
        return bytes(builder.build())

    plain, standing = fetched(old(0), old(GZIP))

    assert plain.value == b"v" * 100
    assert (standing.offset, standing.value.why) == (1, "a packed batch in an old form")
