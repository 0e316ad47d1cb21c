"""What a subscription makes of a batch: messages, what is set aside, and what only a newer build may read."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from shared import kafka
from shared.arrivals import Read, Reader
from shared.committing import Commits
from shared.decisions import Message
from shared.events import CASE_ASSIGNED, LETTER_RECEIVED, schema_of
from shared.failures import NeverWill, NewerBuild, NotForUs, TryAgain
from shared.kafka import KafkaSource, broker_at
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.own_events import read_event
from shared.precedence import Precedence
from shared.quarantine import Quarantine
from shared.records import Record
from shared.tries import Source

EVENTS, GATE = "cases.events.v1", "agency.a.letters.v1"
KNOWN = frozenset({CASE_ASSIGNED})


def record(topic: str = EVENTS, offset: int = 0, **attributes: str) -> "ConsumerRecord[Any, Any]":
    said = {"specversion": "1.0", "id": "1", "source": "/s", "type": CASE_ASSIGNED, **attributes}
    said.setdefault("dataschema", schema_of(said["type"]))
    headers = tuple((f"ce_{name}", value.encode()) for name, value in said.items())
    return ConsumerRecord(topic, 0, offset, 0, 0, None, b"{}", None, 0, 2, headers)


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740992", "1" + "0" * 5_000])
def test_a_number_that_we_never_write_is_not_read(number: str) -> None:
    whole = record()
    whole.value = b'{"content": {"a": [{"b": %b}]}}' % number.encode()

    with pytest.raises(NeverWill, match="a number that is too large"):
        read_event(whole, KNOWN)


@pytest.mark.parametrize(
    "value", [b'{"a": 9007199254740991}', b'{"phone": "00441234567890123456"}', b"1234567890123456 no"]
)
def test_digits_that_are_no_large_number_are_read(value: bytes) -> None:
    whole = record()
    whole.value = value

    assert read_event(whole, KNOWN).data == value


# Which event is whose

READ: dict[str, tuple[str, Mapping[str, str], type[Exception] | None]] = {
    "an event that the reader knows": (EVENTS, {}, None),
    "one that others read": (EVENTS, {"type": LETTER_RECEIVED}, NotForUs),
    "one that others read, where outsiders write": (GATE, {"type": LETTER_RECEIVED}, NeverWill),
    "a type of tomorrow": (EVENTS, {"type": "case.teleported"}, NewerBuild),
    "a type of tomorrow, where outsiders write": (GATE, {"type": "case.teleported"}, NeverWill),
    "a version of tomorrow": (EVENTS, {"dataschema": "urn:rogatory:schema:case.assigned:v2"}, NewerBuild),
    "a version of tomorrow of what others read": (
        EVENTS,
        {"type": LETTER_RECEIVED, "dataschema": "urn:rogatory:schema:letter.received:v2"},
        NewerBuild,
    ),
    "another's schema": (EVENTS, {"type": "case.teleported", "dataschema": "urn:x:case:v2"}, NeverWill),
    "no schema": (EVENTS, {"dataschema": ""}, NeverWill),
    "a name that is none of ours": (EVENTS, {"type": "weather.changed"}, NeverWill),
    "a name that only begins like ours": (EVENTS, {"type": "case.Maud Vernier"}, NeverWill),
}


@pytest.mark.parametrize("case", READ)
def test_an_event_is_read_passed_over_set_aside_or_left_to_a_newer_build(case: str) -> None:
    topic, attributes, raised = READ[case]
    if raised is None:
        assert read_event(record(topic, 0, **attributes), KNOWN).type == CASE_ASSIGNED
        return
    with pytest.raises(raised) as fault:
        read_event(record(topic, 0, **attributes), KNOWN)
    assert type(fault.value) is raised


# What a batch becomes


class Told(Loop):
    """A stand-in for the loop: remembers what it was told, and refuses what it is told to refuse."""

    def __init__(self, refuses: Sequence[str] = ()) -> None:
        self.told: list[Message] = []
        self._refuses = refuses

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        self.told += messages
        return [
            Outcome(Record(m.record, m.record, {}), refused=NeverWill("no") if m.record in self._refuses else None)
            for m in messages
        ]


class Kept(Quarantine):
    """A stand-in for quarantine."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, str]] = []

    async def keep(self, entries: Sequence[tuple["ConsumerRecord[Any, Any]", str]]) -> None:
        self.kept += [(one.offset, reason) for one, reason in entries]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kafka._PAUSE", 0.0)


def source(quarantine: Kept) -> KafkaSource:
    return KafkaSource(broker_at("127.0.0.1:9", "test"), "test", "1", quarantine, Metrics("test"), Precedence())


def said(one: "ConsumerRecord[Any, Any]") -> list[Message]:
    """One message per record, to a record of ours that is named for the offset."""
    read_event(one, KNOWN)
    return [Message(f"cas_{one.offset}", "cause", "somebody", None)]


async def handled(loop: Told, *records: "ConsumerRecord[Any, Any]", read: Read = said, **hooks: Any) -> Kept:
    kept = Kept()
    await source(kept)._handle(records, Reader(read, loop, hooks.get("enrich"), hooks.get("heard")))
    return kept


async def test_what_others_read_is_passed_over_and_rubbish_set_aside() -> None:
    loop = Told()

    kept = await handled(
        loop, record(offset=1), record(offset=2, type=LETTER_RECEIVED), record(offset=3, type="rubbish")
    )

    assert [message.record for message in loop.told] == ["cas_1"]
    assert kept.kept == [(3, "unknown event type")]


async def test_nothing_of_a_batch_is_handled_that_holds_what_only_a_newer_build_knows() -> None:
    loop, kept = Told(), Kept()
    reading = source(kept)

    with pytest.raises(NewerBuild):
        await reading._handle(
            [record(offset=1), record(offset=2, type="case.teleported"), record(offset=3, type="rubbish")],
            Reader(said, loop, None, None),
        )

    assert (loop.told, kept.kept) == ([], [])
    assert reading.newer == "urn:rogatory:schema:case.teleported:v1"


async def test_what_a_batch_is_enriched_with_is_handled_and_what_is_refused_of_it_is_no_record_to_set_aside() -> None:
    loop = Told(refuses=["cas_1", "cas_2", "cas_extra"])

    async def enrich(messages: Sequence[Message]) -> Sequence[Message]:
        extra = Message("cas_extra", "link", "somebody", None)
        return [messages[0], extra, *messages[1:]]

    kept = await handled(loop, record(offset=1), record(offset=2), record(offset=3), enrich=enrich)

    assert [message.record for message in loop.told] == ["cas_1", "cas_extra", "cas_2", "cas_3"]
    assert kept.kept == [(1, "no"), (2, "no")]


async def test_the_same_message_in_two_records_is_set_aside_twice() -> None:
    def same(_one: "ConsumerRecord[Any, Any]") -> list[Message]:
        return [Message("cas_1", "cause", "somebody", None)]

    async def enrich(messages: Sequence[Message]) -> Sequence[Message]:
        return list(messages)

    kept = await handled(Told(refuses=["cas_1"]), record(offset=1), record(offset=2), read=same, enrich=enrich)

    assert kept.kept == [(1, "no"), (2, "no")]


async def test_who_enriches_may_find_mongodb_away_and_then_the_batch_comes_again() -> None:
    loop = Told()

    async def enrich(_messages: Sequence[Message]) -> Sequence[Message]:
        raise TryAgain("away")

    with pytest.raises(TryAgain):
        await handled(loop, record(), enrich=enrich)
    assert loop.told == []


@pytest.mark.parametrize(
    ("raised", "why"), [(TryAgain("away"), "away"), (NewerBuild("it", "urn:x"), "newer build"), (ValueError(), "bug")]
)
async def test_a_batch_that_comes_again_is_counted(
    raised: Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = source(Kept())
    monkeypatch.setattr(Told, "bug", lambda *_: None)

    async def enrich(_messages: Sequence[Message]) -> Sequence[Message]:
        raise raised

    for _ in range(2):
        with pytest.raises(type(raised)):
            await reading._handle([record()], Reader(said, Told(), enrich, None))

    [family] = reading._metrics.batches_again.collect()
    assert {one.labels["why"]: one.value for one in family.samples if one.value and one.name.endswith("_total")} == {
        why: 2
    }


async def test_who_wants_hears_of_every_batch_that_is_kept() -> None:
    heard: list[tuple[str, bool]] = []

    def hear(messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        heard.extend((m.record, o.refused is None) for m, o in zip(messages, outcomes, strict=True))

    await handled(Told(refuses=["cas_2"]), record(offset=1), record(offset=2), heard=hear)

    assert heard == [("cas_1", True), ("cas_2", False)]


async def test_what_is_healthy_is_heard_of_before_its_neighbours_are_set_aside() -> None:
    heard: list[str] = []

    class Later(Kept):
        async def keep(self, entries: Sequence[tuple["ConsumerRecord[Any, Any]", str]]) -> None:
            assert heard == ["cas_1", "cas_2"]
            await super().keep(entries)

    kept = Later()
    reader = Reader(said, Told(refuses=["cas_2"]), None, lambda messages, _: heard.extend(m.record for m in messages))
    await source(kept)._handle([record(offset=1), record(offset=2)], reader)

    assert kept.kept == [(2, "no")]


# Starting


async def test_where_consumers_neither_start_nor_end_the_service_is_not_left_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = source(Kept())
    monkeypatch.setattr("shared.kafka._STOPPED_IN", 0.01)

    async def fail() -> None:
        raise OSError

    monkeypatch.setattr(reading._broker, "start", fail)
    monkeypatch.setattr(reading._broker, "stop", asyncio.Event().wait)

    with pytest.raises(TimeoutError):
        await reading.start()


# What is committed


class Consumer:
    """What of aiokafka's consumer FastStream and `Commits` use."""

    def __init__(self) -> None:
        self.committed: list[dict[TopicPartition, int]] = []
        self.sought: list[int] = []

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(EVENTS, 0)}

    async def commit(self, offsets: dict[TopicPartition, int] | None = None) -> None:
        assert offsets is not None  # FastStream's commits whatever was fetched
        self.committed.append(offsets)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append(offset)


class Failing(Told):
    """A loop that fails once."""

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        if not self.told:
            self.told += messages
            raise TryAgain("away")
        return await super().handle(messages, source, patience)


async def test_only_a_batch_that_is_kept_is_committed() -> None:
    consumer, commits, reading = Consumer(), Commits(), source(Kept())
    reader = Reader(said, Failing(), None, None)
    batch = [record(offset=4), record(offset=5)]

    with pytest.raises(TryAgain):
        await reading._take(batch, reader, commits)
    await commits.step(cast("Any", consumer))
    before = list(consumer.committed)
    await reading._take(batch, reader, commits)
    await commits.step(cast("Any", consumer))

    assert (before, consumer.committed) == ([], [{TopicPartition(EVENTS, 0): 6}])


async def test_what_faststream_acknowledges_commits_nothing_and_what_it_does_not_is_sought_again() -> None:
    consumer = Consumer()

    async def original(records: Any) -> Any:
        return SimpleNamespace(raw_message=records, consumer=consumer)

    message = await kafka._parse((record(offset=7),), original)
    await message.consumer.commit()
    message.consumer.seek(partition=TopicPartition(EVENTS, 0), offset=7)

    assert (consumer.committed, consumer.sought) == ([], [7])
