"""Loop, store and sender on real servers: what is written is sent, in order, without gaps, whoever sends it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo as Server
from shared import quarantine
from shared.decisions import Decision, Message
from shared.events import ALERT_RAISED, Draft, Event
from shared.failures import NeverWill
from shared.ids import Ids
from shared.loop import BUGS_A_MINUTE, Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.producer import Producer
from shared.quarantine import Quarantine
from shared.records import Record, State, chain_holds, event_of, fold, record_of
from shared.sealing import Sealer
from shared.sender import Sender
from shared.sweep import Sweep
from shared.topics import ALERTS_RAISED
from tests.servers import MakeTopics, listening
from tests.service.running import Ear, Heard, eventually, of, without_repeats

SEALER, IDS = Sealer(bytes(32)), Ids(bytes(32))


@dataclass(frozen=True)
class Say:
    """Say so many events to these topics, each of this size."""

    to: tuple[str, ...]
    events: int = 1
    size: int = 10


def decide(_record: Record, message: Message, _now: datetime) -> Decision:
    """As it was told; anything that is no `Say` is a bug or poison."""
    body = message.body
    if isinstance(body, Exception):
        raise body
    data = {"cause": message.cause, "filling": "x" * body.size}
    return Decision([Draft("test.said", body.to, data, {"name": "somebody"})] * body.events, reply=message.cause)


def evolve(state: State, event: Event) -> State:
    """Counts."""
    return {"count": state.get("count", 0) + 1, "last": event.data["cause"]}


@dataclass
class Process:
    """What one process of a service has: a loop, a sender, and whatever else runs."""

    loop: Loop
    sender: Sender
    sweeper: Sweep
    producer: Producer
    alarms: Loop
    mongo: Mongo
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def send(self) -> None:
        """Let the sender run."""
        self.tasks.append(asyncio.create_task(self.sender.run()))

    def sweep(self) -> None:
        """Let the sweep run."""
        self.tasks.append(asyncio.create_task(self.sweeper.run([self.loop.store, self.alarms.store])))

    async def stop(self) -> None:
        """End it."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.producer.stop()
        await self.mongo.close()


Start = Callable[[], Process]


@pytest.fixture
async def start(kafka: Kafka, mongo: Server, database: str, kafka_topics: MakeTopics) -> AsyncIterator[Start]:
    """Makes processes on one database."""
    await kafka_topics({ALERTS_RAISED: 1})
    prepared = Mongo(mongo.uri, database)
    for collection in ("records", "test_quarantine"):
        await prepared.store(collection).prepare()
    await prepared.close()
    made: list[Process] = []

    def process() -> Process:
        metrics, connection = Metrics("test"), Mongo(mongo.uri, database)
        producer = Producer(kafka.bootstrap, f"test-{len(made)}", metrics)
        sender = Sender(producer, IDS, SEALER, metrics)
        loop = Loop(connection.store("records"), decide, evolve, SEALER, sender, metrics)
        entries = connection.store("test_quarantine")
        alarms = Loop(entries, quarantine.decide, quarantine.evolve, SEALER, sender, metrics)
        sender.alarm = Quarantine("test", alarms, IDS, metrics).alarm
        made.append(Process(loop, sender, Sweep(sender, metrics), producer, alarms, connection))
        return made[-1]

    yield process
    await asyncio.gather(*(one.stop() for one in made))


@pytest.fixture
async def topic(kafka_topics: MakeTopics, prefix: str) -> str:
    """A topic of the test's own."""
    await kafka_topics({prefix: 3})
    return prefix


@contextlib.asynccontextmanager
async def hearing(kafka: Kafka, *topics: str) -> AsyncIterator[Ear]:
    """What comes into these topics."""
    async with listening(kafka.bootstrap, *topics) as consumer:
        yield Ear(consumer)


def message(record: str, cause: str, body: Any) -> Message:
    """A message to a record."""
    return Message(record, cause, "test", body)


async def marked(process: Process, *records: str) -> bool:
    """Whether all of these are known to be sent."""
    heads = await process.loop.store.read(records)
    return len(heads) == len(records) and all(head["published"] == head["version"] for head in heads)


def sequences(heard: Sequence[Heard], record: str) -> list[int]:
    """The numbers of a record's events, in the order in which they came."""
    return [one.sequence for one in heard if one.record == record]


async def test_what_is_handled_is_sent_and_marked(start: Start, kafka: Kafka, topic: str) -> None:
    process = start()
    process.send()

    async with hearing(kafka, topic) as ear:
        outcomes = await process.loop.handle([message("one", "a", Say((topic,), events=3))], "kafka")
        heard = await ear.wait_for(of("one"), 3)

    assert [(one.fresh, one.reply, one.refused) for one in outcomes] == [(True, "a", None)]
    assert sequences(heard, "one") == [1, 2, 3]
    assert [one.headers["ce_id"] for one in heard] == [IDS.event("one", seq) for seq in (1, 2, 3)]
    assert "content" not in heard[0].data
    await eventually(lambda: marked(process, "one"), "the mark")


async def test_the_sweep_sends_what_nobody_was_fed(start: Start, kafka: Kafka, topic: str) -> None:
    died = start()  # its sender never ran
    await died.loop.handle([message(f"r{n}", "a", Say((topic,), events=2)) for n in range(20)], "kafka")

    successor = start()
    async with hearing(kafka, topic) as ear:
        successor.send()
        successor.sweep()
        heard = await ear.wait_for(lambda one: one.topic == topic, 40)

    for n in range(20):
        assert sequences(heard, f"r{n}") == [1, 2]
    await eventually(lambda: marked(successor, *(f"r{n}" for n in range(20))), "the marks")


async def test_what_a_dead_sender_left_goes_before_what_is_new(start: Start, kafka: Kafka, topic: str) -> None:
    died = start()
    await died.loop.handle([message("one", "a", Say((topic,), events=2))], "kafka")

    successor = start()
    successor.send()  # and no sweep
    async with hearing(kafka, topic) as ear:
        await successor.loop.handle([message("one", "b", Say((topic,)))], "kafka")
        heard = await ear.wait_for(of("one"), 3)

    assert sequences(heard, "one") == [1, 2, 3]


async def test_two_senders_on_one_record_keep_its_order_without_gaps(start: Start, kafka: Kafka, topic: str) -> None:
    processes = [start(), start()]
    for process in processes:
        process.send()

    async def talk(process: Process, name: str) -> None:
        for n in range(25):
            await process.loop.handle([message("one", f"{name}-{n}", Say((topic,)))], "kafka")

    async with hearing(kafka, topic) as ear:
        await asyncio.gather(*(talk(process, str(n)) for n, process in enumerate(processes)))
        await eventually(lambda: marked(processes[0], "one"), "the marks")
        await ear.read_to_the_end()

    first = list(dict.fromkeys(sequences(ear.heard, "one")))
    assert first == list(range(1, 51))
    assert len({one.headers["ce_id"] for one in ear.heard}) == 50
    [document] = await processes[0].loop.store.histories(["one"])
    record = record_of({**document, "causes": (), "chain": b""}, SEALER)
    events = [event_of("one", form, record.key) for form in document["history"]]
    assert chain_holds("one", events)
    assert fold(events, evolve) == record.state
    kept = without_repeats(ear.heard)[("one", topic)]
    assert [one.headers["ce_chain"] for one in kept] == [event.chain.hex() for event in events]


async def test_a_message_heard_twice_changes_nothing(start: Start, kafka: Kafka, topic: str) -> None:
    one, two = start(), start()
    said = [message(f"r{n}", "a", Say((topic,))) for n in range(10)]

    outcomes = await asyncio.gather(one.loop.handle(said, "kafka"), two.loop.handle(said, "kafka"))
    again = await one.loop.handle(said, "kafka")

    fresh = [[outcome.fresh for outcome in batch] for batch in (*outcomes, again)]
    assert [sum(each) for each in zip(*fresh, strict=True)] == [1] * 10
    assert {head["version"] for head in await one.loop.store.read([f"r{n}" for n in range(10)])} == {1}


async def test_several_messages_for_one_record_in_one_batch_are_one_write(
    start: Start, kafka: Kafka, topic: str
) -> None:
    process = start()
    process.send()

    async with hearing(kafka, topic) as ear:
        outcomes = await process.loop.handle([message("one", f"c{n}", Say((topic,))) for n in range(5)], "kafka")
        heard = await ear.wait_for(of("one"), 5)

    assert all(outcome.fresh for outcome in outcomes)
    assert [one.data["cause"] for one in heard] == [f"c{n}" for n in range(5)]


async def test_what_fails_costs_its_neighbours_nothing(start: Start, topic: str) -> None:
    process = start()
    said = [
        message("good", "a", Say((topic,))),
        message("poison", "a", NeverWill("no")),
        message("bug", "a", KeyError("secret")),
        message("large", "a", Say((topic,), size=900_001)),
        message("fine", "a", Say((topic,))),
    ]

    outcomes = await process.loop.handle(said, "kafka")

    assert [str(one.refused) if one.refused else None for one in outcomes] == [
        None,
        "no",
        "unexpected KeyError",
        "the event is larger than 900000 bytes",
        None,
    ]
    assert {head["_id"] for head in await process.loop.store.read([one.record for one in said])} == {"good", "fine"}
    assert not process.loop.broken.is_set()


async def test_failures_that_pile_up_break_the_loop(start: Start) -> None:
    process = start()

    await process.loop.handle([message(f"r{n}", "a", KeyError()) for n in range(BUGS_A_MINUTE + 1)], "kafka")

    assert process.loop.broken.is_set()


async def test_an_event_for_a_topic_that_is_not_there_harms_nobody_and_is_told_once(
    start: Start, kafka: Kafka, topic: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.known_topics._DOUBTED", 1.0)
    process = start()
    process.send()
    process.sweep()  # finds it and tries again

    async with hearing(kafka, topic, ALERTS_RAISED) as ear:
        refused, good = message("refused", "a", Say((f"{prefix}.nowhere",))), message("good", "a", Say((topic,)))
        await process.loop.handle([refused, good], "kafka")
        await ear.wait_for(of("good"))
        [alert] = await ear.wait_for(lambda one: one.type == ALERT_RAISED and one.data.get("record") == "refused")
        await process.loop.handle([message("good", "b", Say((topic,)))], "kafka")
        heard = await ear.wait_for(of("good"), 2)

    assert (alert.data["kind"], alert.data["event"], alert.data["service"]) == ("event-refused", "test.said", "test")
    assert sequences(heard, "good") == [1, 2]
    assert not await marked(process, "refused")
    assert [one.data["alert"] for one in ear.heard if one.data.get("record") == "refused"] == [alert.data["alert"]]


async def test_a_topic_that_kafka_does_not_know_yet_is_not_taken_for_missing(
    start: Start, kafka: Kafka, kafka_topics: MakeTopics, topic: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that has just started answers before it knows its topics."""
    monkeypatch.setattr("shared.known_topics._DOUBTED", 1.0)
    process, late = start(), f"{prefix}.late"
    process.send()

    await process.loop.handle([message("early", "a", Say((late,))), message("good", "a", Say((topic,)))], "kafka")
    await eventually(lambda: marked(process, "good"), "the mark")
    kafka_was_away = process.sender.is_kafka_away
    await kafka_topics({late: 1})
    process.sweep()
    async with hearing(kafka, late, ALERTS_RAISED) as ear:
        await ear.wait_for(of("early"))
        await ear.read_to_the_end()

    assert not kafka_was_away
    assert [one for one in ear.heard if one.type == ALERT_RAISED and one.data.get("record") == "early"] == []


async def test_a_producer_that_hears_of_no_broker_any_more_is_replaced(start: Start, topic: str) -> None:
    process = start()
    process.send()
    await process.loop.handle([message("one", "a", Say((topic,)))], "kafka")
    await eventually(lambda: marked(process, "one"), "the mark")
    deaf: Any = process.producer._producer

    deaf.client._sync_task.cancel()
    await asyncio.wait({deaf.client._sync_task})
    await process.loop.handle([message("one", "b", Say((topic,)))], "kafka")
    await eventually(lambda: marked(process, "one"), "the mark")

    assert process.producer._producer is not deaf


async def test_an_event_over_the_brokers_limit_does_not_poison_the_producer(
    start: Start, kafka: Kafka, kafka_topics: MakeTopics, prefix: str
) -> None:
    await kafka_topics({prefix: 1})
    await limit(kafka, prefix, 20_000)
    process = start()
    process.send()

    async with hearing(kafka, prefix, ALERTS_RAISED) as ear:
        before, after = message("before", "a", Say((prefix,))), message("after", "a", Say((prefix,)))
        await process.loop.handle([before], "kafka")
        await ear.wait_for(of("before"))
        large = message("large", "a", Say((prefix,), size=100_000))
        await process.loop.handle([message("first", "a", Say((prefix,))), large, after], "kafka")
        await ear.wait_for(of("first"))
        await ear.wait_for(of("after"))
        [alert] = await ear.wait_for(lambda one: one.type == ALERT_RAISED and one.data.get("record") == "large")
        await process.loop.handle([message("later", "a", Say((prefix,)))], "kafka")
        await ear.wait_for(of("later"))

    assert alert.data["reason"] == "MessageSizeTooLargeError"
    assert [one for one in ear.heard if one.record == "large" and one.topic == prefix] == []
    await eventually(lambda: marked(process, "before", "first", "after", "later"), "the marks")
    assert not await marked(process, "large")


async def test_what_follows_a_refused_event_waits_for_it(start: Start, kafka: Kafka, topic: str) -> None:
    await limit(kafka, topic, 20_000)
    process = start()
    process.send()

    async with hearing(kafka, topic, ALERTS_RAISED) as ear:
        await process.loop.handle([message("one", "a", Say((topic,), size=100_000))], "kafka")
        await ear.wait_for(lambda one: one.data.get("record") == "one")
        await process.loop.handle([message("one", "b", Say((topic,))), message("other", "b", Say((topic,)))], "kafka")
        await ear.wait_for(of("other"))
        await eventually(lambda: marked(process, "other"), "the mark")
        await ear.read_to_the_end()

    assert [one for one in ear.heard if one.record == "one" and one.topic == topic] == []
    assert not await marked(process, "one")


async def limit(kafka: Kafka, topic: str, size: int) -> None:
    """Let a topic take no larger records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        config = {"max.message.bytes": str(size)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    finally:
        await admin.close()
