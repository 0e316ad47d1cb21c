"""Quarantine keeps what it is given, also what no document can hold, and never says so falsely."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import quarantine
from shared.decisions import Message
from shared.failures import NeverWill, TryAgain
from shared.ids import Ids
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.quarantine.copies import Copy, original
from shared.records import Record
from shared.sealing import Sealer
from shared.tries import Source

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)


class Keeping(Loop):
    """A stand-in for the loop over MongoDB: the real decisions and limits, documents in memory."""

    def __init__(self, refuses: bool = False) -> None:
        self.kept: list[Record] = []
        self._refuses = refuses

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        return [self._keep(message) for message in messages]

    def _keep(self, message: Message) -> Outcome:
        record = Record(message.record, message.record, {})
        try:
            if self._refuses:
                raise NeverWill("whatever it is")
            for draft in quarantine.decide(record, message, NOW).events:
                record.append(draft, by="", cause="", now=NOW, evolve=quarantine.evolve, sealer=Sealer(b"s" * 32))
        except NeverWill as reason:
            return Outcome(record, refused=reason)
        self.kept.append(record)
        return Outcome(record, fresh=True)


def consumed(value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("agency.a.letters.v1", 1, 7, 0, 0, b"key", value, None, 0, 0, tuple(headers))


async def kept(loop: Keeping, record: ConsumerRecord[Any, Any]) -> dict[str, Any]:
    await quarantine.Quarantine("intake", loop, Ids(b"i" * 32), Metrics("test")).keep([(record, "not a letter")])
    [entry] = loop.kept
    content: dict[str, Any] = orjson.loads(entry.fresh[0].content or b"")
    return content


@pytest.mark.parametrize("size", [0, 100, 700_000, 1_048_576])
async def test_whatever_the_broker_lets_through_is_kept_whole(size: int) -> None:
    value = b"x" * size

    content = await kept(Keeping(), consumed(value))

    assert base64.b64decode(content["value"]) == value


async def test_what_no_document_can_hold_is_kept_by_its_beginning_and_its_digest() -> None:
    value = b"0123456789" * 1_000_000

    content = await kept(Keeping(), consumed(value))

    assert base64.b64decode(content["value"]) == value[: quarantine.KEPT_OF_HUGE]
    assert content["sha256"] == hashlib.sha256(value).hexdigest()


async def test_what_is_not_kept_is_not_taken_for_kept() -> None:
    keeper = quarantine.Quarantine("intake", Keeping(refuses=True), Ids(b"i" * 32), Metrics("test"))

    with pytest.raises(TryAgain):
        await keeper.keep([(consumed(b"x"), "not a letter")])


@pytest.mark.parametrize("large", ["value", "headers"])
async def test_many_large_records_are_not_made_entries_of_all_at_once(large: str) -> None:
    class Portions(Keeping):
        sizes: ClassVar[list[int]] = []

        async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
            self.sizes.append(len(messages))
            return await super().handle(messages, source, patience)

    bytes_of_it = b"x" * 64_000
    one = consumed(bytes_of_it) if large == "value" else consumed(b"", [("name", bytes_of_it)])
    loop = Portions()
    keeper = quarantine.Quarantine("intake", loop, Ids(b"i" * 32), Metrics("test"))

    await keeper.keep([(one, "not a letter")] * 500)

    assert (len(loop.kept), max(Portions.sizes)) == (500, 4_000_000 // 64_000)
    Portions.sizes.clear()


async def test_what_comes_a_second_time_is_counted_once() -> None:
    class Again(Keeping):
        async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
            outcomes = await super().handle(messages, source, patience)
            for outcome in outcomes:
                outcome.fresh = len(self.kept) == 1
            return outcomes

    metrics = Metrics("test")
    keeper = quarantine.Quarantine("intake", Again(), Ids(b"i" * 32), metrics)

    await keeper.keep([(consumed(b"x"), "not a letter")])
    await keeper.keep([(consumed(b"x"), "not a letter")])

    counted = [one.value for of in metrics.quarantined.collect() for one in of.samples if one.name.endswith("_total")]
    assert sum(counted) == 1


async def test_what_was_set_aside_comes_back_as_the_same_record_whatever_it_was() -> None:
    name = b"d\xe9p".decode("utf-8", "surrogateescape")
    headers: Any = [(name, b"\xff"), (r"d\xe9p", b"plain"), ("none", None)]
    record = consumed(b"\x00\xff", headers)
    loop = Keeping()
    await kept(loop, record)

    again = original(loop.kept[0].fresh).as_record(record.topic, record.partition, record.offset)

    assert (again.key, again.value, again.headers) == (record.key, record.value, record.headers)
    assert (again.topic, again.partition, again.offset, again.timestamp) == ("agency.a.letters.v1", 1, 7, 0)


async def test_a_header_name_that_does_not_decode_is_written_out() -> None:
    name = b"d\xe9p".decode("utf-8", "surrogateescape")

    content = await kept(Keeping(), consumed(b"x", [(name, b"\xff")]))

    assert content["headers"] == [["d\\xe9p", base64.b64encode(b"\xff").decode()]]


_WORST = ("\x01", "\udcff", '"', "\\", "\U0001f4a9", "a", "\u2028")
"""What takes the most room when it is written as JSON, for the bytes that it has on Kafka."""


@given(
    name=st.sampled_from(_WORST),
    long=st.integers(0, 1_000_000),
    count=st.sampled_from((0, 1, 2, 99, 1_000, 1_001, 30_000)),
    text=st.one_of(st.none(), st.integers(0, 1_000_000)),
    key=st.one_of(st.none(), st.integers(0, 1_000_000)),
    value=st.one_of(st.none(), st.integers(0, 1_000_000)),
)
@example(name="\x01", long=700_000, count=1, text=0, key=None, value=0)
@example(name="\udcff", long=850_000, count=1, text=0, key=None, value=0)
@example(name="\x01", long=0, count=500_000, text=None, key=None, value=None)
@settings(max_examples=60, deadline=None)
async def test_whatever_its_parts_are_it_is_kept_and_what_was_cut_is_said(
    name: str, long: int, count: int, text: int | None, key: int | None, value: int | None
) -> None:
    """A record that is refused whole and cut would come again for ever."""
    each = max(1, count)
    header = (name * (long // each), None if text is None else b"\xff" * (text // each))
    headers: Any = (header,) * count
    came = Copy(None if key is None else b"\xff" * key, None if value is None else b"\xff" * value, headers, 2**62)
    loop = Keeping()

    await kept(loop, came.as_record("a" * 249, 2**31 - 1, 2**62))

    [entry] = loop.kept
    data, again = entry.fresh[0].data, original(entry.fresh)
    assert data.get("cut", False) == (again != came)
    assert data.get("left_out", {}) == again.lacks(came)
