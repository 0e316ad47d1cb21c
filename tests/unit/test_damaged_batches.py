"""A batch that lies damaged on a broker's disk costs itself, and nothing of what came with it."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from shared import lenient_records
from shared.lenient_records import AGAIN_AFTER, DAMAGED, LenientRecords, UnreadBatch, _Damaged
from tests.unit.test_lenient_records import took

PLACE = TopicPartition("t", 0)
_LENGTH_AT, _ATTRIBUTES_AT, _LAST_OFFSET_AT, _LATEST_AT, _COUNT_AT = 8, 21, 23, 35, 57
_CONTROL = 0x20


@pytest.fixture(autouse=True)
def nothing_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenient_records, "_DAMAGED", _Damaged())
    monkeypatch.setattr(lenient_records, "STAYS_AFTER", 0.0)


def batch(offset: int, *values: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 2**20)
    for number, value in enumerate(values):
        builder.append(number, timestamp=1, key=None, value=value, headers=[])
    return offset.to_bytes(8, "big") + bytes(builder.build())[8:]


def damaged(raw: bytes, at: int = -1, bit: int = 1) -> bytes:
    """The same with one bit turned over."""
    other = bytearray(raw)
    other[at] ^= bit
    return bytes(other)


def fetched(raw: bytes, at: int = 0) -> tuple[list[Any], int]:
    """What the fetcher hands out of an answer, and from where it asks on."""
    records = PartitionRecords(PLACE, LenientRecords(raw), [], at, None, None, True, "read_uncommitted")
    return [*records], records.next_fetch_offset


def test_it_is_fetched_again_for_it_may_have_been_damaged_on_its_way() -> None:
    good, bad = batch(0, b"a"), damaged(batch(1, b"b", b"c"))

    found, then = fetched(good + bad + batch(3, b"d"))
    again = LenientRecords(batch(1, b"b", b"c"))

    assert ([one.value for one in found], then) == ([b"a"], 1)
    assert again.has_next()
    assert [one.value for one in again.next_batch()] == [b"b", b"c"]


def test_what_comes_so_again_stands_aside_whole_and_what_follows_is_read() -> None:
    bad = damaged(batch(0, b"b" * 5_000, b"c"))
    assert fetched(bad) == ([], 0)

    [standing, after], then = fetched(bad + batch(2, b"d"))

    assert isinstance(standing.value, UnreadBatch)
    assert (standing.offset, standing.value.why, standing.value.size) == (1, DAMAGED, len(bad))
    assert standing.value == bad[61:]
    assert (after.offset, after.value, then) == (2, b"d", 3)


def test_one_that_seems_to_be_kafkas_own_is_not_passed_over() -> None:
    bad = damaged(batch(0, b"a", b"b"), _ATTRIBUTES_AT + 1, _CONTROL)
    fetched(bad)

    found, then = fetched(bad + batch(2, b"c"))

    assert ([one.offset for one in found], then) == ([1, 2], 3)
    assert found[0].value.why == DAMAGED


def test_a_time_that_has_not_come_is_nobodys() -> None:
    bad = damaged(batch(0, b"a"), _LATEST_AT)
    fetched(bad)

    [standing], _ = fetched(bad)

    assert 0 < standing.timestamp <= time.time() * 1000


def test_it_is_not_believed_before_it_has_stayed_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenient_records, "STAYS_AFTER", 3600.0)
    bad = damaged(batch(0, b"a"))

    for _ in range(3):
        assert fetched(bad) == ([], 0)


@pytest.mark.parametrize("brought", [damaged(batch(0, b"a")), damaged(batch(0, b"a"), _LENGTH_AT), bytes(40)])
async def test_a_broker_is_not_asked_again_at_once(brought: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    lenient_records.install()
    monkeypatch.setattr(asyncio, "sleep", pause)
    assert await took(brought) == (0, {}), "neither handed out nor passed over"
    assert paused == [AGAIN_AFTER]

    _, held = await took(batch(0, b"a"))
    assert [one.value for one in held[PLACE].getall()] == [b"a"]
    assert paused == [AGAIN_AFTER]


def test_of_an_answer_that_begins_with_it_the_fetcher_does_not_believe_that_it_never_comes() -> None:
    records = LenientRecords(damaged(batch(0, b"a")))

    assert not records.has_next()
    assert records.size_in_bytes() == 0


@pytest.mark.parametrize("at", [_LAST_OFFSET_AT + 3, _COUNT_AT + 3])
def test_one_of_whose_end_nobody_can_be_sure_is_never_passed_over(at: int) -> None:
    bad = damaged(batch(0, b"a", b"b"), at)

    for _ in range(3):
        assert fetched(bad + batch(2, b"c")) == ([], 0)


@pytest.mark.parametrize(
    "raw", [bytes(40), bytes(11) + b"\x05" + bytes(5), bytes(11) + b"\x14" + bytes(4) + b"\2" * 16]
)
def test_what_is_no_batch_at_all_is_never_passed_over(raw: bytes) -> None:
    for _ in range(3):
        assert fetched(raw) == ([], 0)
