"""The auditor on real servers: a notice that is taken away is a gap with a metric and an alert; an outage is none."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo as Server
from deploy.local.topics import create_topics
from services.notifier import handlers
from services.notifier.app import INDEXES
from services.notifier.audit import audit_reading, auditor
from services.notifier.audit.audit_gaps import Gaps
from services.notifier.audit.audit_steps import DUE, FOLLOWED, Steps
from services.notifier.audit.auditor import TOPICS, Auditor
from services.notifier.domain import decide, evolve
from services.notifier.domain.bodies import Attempt, Raising
from services.notifier.domain.ladders import FIRST, Begin, Told
from services.notifier.fanout import Fanout
from services.notifier.lists.directory import Directory
from services.notifier.measures import Measures, NotifierMetrics
from services.notifier.moving import Moved
from shared import quarantine, times
from shared.decisions import Decide, Message
from shared.events import ALERT_RAISED, CASE_ASSIGNED
from shared.ids import Ids
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo, Store
from shared.quarantine import Quarantine
from shared.records import Evolve
from shared.sealing import Sealer
from shared.sender import Sender
from shared.times import text_of
from tests.service.running import cloud_event, eventually
from tests.unit.alerts import facts as usual_facts
from tests.unit.alerts import life, partners, roster, rules

GROUP = "rogatory-notifier-events-test"
IDS, SEALER = Ids(bytes(32)), Sealer(bytes(32))
NORMAL, URGENT, ALERTS = TOPICS


class Silent(Sender):
    """Nothing goes to Kafka here."""

    def __init__(self) -> None:
        pass

    def feed(self, parcels: object) -> None:
        """Let it be."""


@dataclass
class World:
    """Events on Kafka, a notifier that takes them when it is told to, and an auditor beside it."""

    kafka: str
    mongo: Mongo
    metrics: Metrics = field(default_factory=lambda: Metrics("test"))

    def __post_init__(self) -> None:
        self.notices = self._loop("notices", decide, evolve)
        self.entries = self._loop("notifier_quarantine", quarantine.decide, quarantine.evolve)
        self.alarm = Quarantine("notifier", self.entries, IDS, self.metrics).alarm
        lists = self.mongo.store("subscriptions"), self.mongo.store("silences")
        directory = Directory(*lists, SEALER, rules().is_never_held, times.now, IDS)
        fanout = Fanout(rules(), partners().subscribers, roster(), directory, IDS, times.now)
        self._read = handlers.on_event(fanout, handlers.doing(life()))
        self.auditor = Auditor(
            self.kafka,
            "test",
            [GROUP],
            rules(),
            {name: one.channels for name, one in partners().subscribers.items()},
            self.notices.store,
            self.mongo,
            IDS,
            NotifierMetrics(self.metrics.registry),
            self.alarm,
            times.now,
        )

    def _loop(self, collection: str, decide: Decide, evolve: Evolve) -> Loop:
        return Loop(self.mongo.store(collection), decide, evolve, SEALER, Silent(), self.metrics)

    async def happen(self, number: int, topic: str = NORMAL, **members: str) -> str:
        """An event of a case; the case."""
        case = IDS.case(f"letter {number}", 1)
        data = {**usual_facts(), "case": case, "status": "assigned", **members}
        headers = cloud_event(f"evt_{number}", f"/{topic}/{case}", CASE_ASSIGNED, time=text_of(times.now()))
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic, json.dumps(data).encode(), case.encode(), headers=headers)
        finally:
            await producer.stop()
        return case

    async def notify(self) -> None:
        """The notifier reads to the end, raises what it must and commits."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        places = [TopicPartition(topic, n) for topic in TOPICS for n in sorted(partitions_of(topic))]
        consumer.assign(places)
        try:
            ends = await consumer.end_offsets(places)
            records: list[ConsumerRecord[Any, Any]] = []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for some in (await consumer.getmany(timeout_ms=200)).values():
                    records += some
            messages = [message for record in records for message in self._read(record)]
            await self.notices.handle([m for m in messages if not isinstance(m.body, Moved)], "kafka")
            await consumer.commit()
        finally:
            await consumer.stop()

    def sample(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def audited(self, moment: datetime, patience: float = 40.0) -> None:
        """Returns when everything that came before a moment has been audited."""
        name = "rogatory_audit_read_until_timestamp_seconds"
        await eventually(lambda: self.sample(name) >= moment.timestamp(), "the audit", patience)

    async def alerts(self) -> list[Mapping[str, Any]]:
        """The alerts of gaps, as they stand in MongoDB."""
        found = await self.entries.store.find({}, {"history": 1}, limit=1_000)
        return [json.loads(one["history"][0]["data"]) for one in found if one["history"][0]["type"] == ALERT_RAISED]

    @asynccontextmanager
    async def auditing(self) -> AsyncIterator[None]:
        """The auditor runs, until the test ends; a bug of it fails the test."""
        await self.auditor.begin()
        task = asyncio.create_task(self.auditor.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def partitions_of(topic: str) -> Sequence[int]:
    """As the tests below make the topics."""
    return range(1 if topic == ALERTS else 2)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long here."""
    monkeypatch.setattr(audit_reading, "GRACE", timedelta(seconds=0.5))
    monkeypatch.setattr(audit_reading, "ASK_EVERY", 0.1)
    monkeypatch.setattr(auditor, "AGAIN", 0.3)
    monkeypatch.setattr(auditor, "CLOSE_EVERY", 0.3)


@asynccontextmanager
async def world_on(kafka: Kafka, mongo: Server, database: str) -> AsyncIterator[World]:
    """Topics, indexes, and the audit's beginning before anything happens."""
    await create_topics(kafka.bootstrap, {topic: len(partitions_of(topic)) for topic in TOPICS})
    connection = Mongo(mongo.uri, database)
    made = World(kafka.bootstrap, connection)
    try:
        await made.notices.store.prepare(INDEXES)
        await made.entries.store.prepare()
        await made.auditor.begin()
        yield made
    finally:
        await connection.close()


async def test_a_notice_that_is_taken_away_is_a_gap_and_what_stands_or_waits_is_none(
    fresh_kafka: Kafka, mongo: Server, database: str, quick: None
) -> None:
    async with world_on(fresh_kafka, mongo, database) as world:
        cases = [await world.happen(number) for number in range(5)]
        cases.append(await world.happen(5, URGENT, urgency="emergency", lane="urgent"))
        await world.notify()
        with pymongo.MongoClient[dict[str, Any]](mongo.uri) as client:
            kept = client[database]["notices"]
            assert {one["state"]["about"] for one in kept.find()} == {*cases}
            assert any(one["state"].get("record") == "ladder" for one in kept.find({"state.about": cases[5]}))
            taken = list(kept.find({"state.about": cases[3]}))
            kept.delete_many({"state.about": cases[3]})

            async with world.auditing():
                waits = await world.happen(6)  # the notifier has not read it
                await eventually(world.alerts, "the alert")
                await asyncio.sleep(2)
                [alert] = await world.alerts()
                assert world.auditor.has_open_gaps
                assert world.sample("rogatory_audit_gaps_total", kind="notice") == 1

                kept.insert_many(taken)
                await eventually(lambda: not world.auditor.has_open_gaps, "the gap's end")
                await world.notify()
                await world.audited(times.now())

        assert alert["kind"] == "audit-gap"
        assert (alert["gap"], alert["about"], alert["rule"]) == ("notice", cases[3], "everything-else")
        assert alert["of"] == f"/{NORMAL}/{cases[3]}#evt_3"
        assert len(await world.alerts()) == 1
        assert waits != cases[3]


async def test_what_was_judged_is_committed_and_a_second_auditor_finds_a_gap_that_the_first_has_told_of_once(
    fresh_kafka: Kafka, mongo: Server, database: str, quick: None
) -> None:
    async with world_on(fresh_kafka, mongo, database) as world:
        case = await world.happen(1)
        await world.notify()
        with pymongo.MongoClient[dict[str, Any]](mongo.uri) as client:
            client[database]["notices"].delete_many({})
        async with world.auditing():
            await eventually(world.alerts, "the alert")
            await world.audited(times.now())

        consumer = AIOKafkaConsumer(bootstrap_servers=world.kafka, group_id=audit_reading.GROUP)
        await consumer.start()
        committed = [await consumer.committed(TopicPartition(NORMAL, n)) for n in partitions_of(NORMAL)]
        await consumer.stop()
        assert sum(filter(None, committed)) == 1

        second = World(world.kafka, world.mongo)
        await second.auditor.begin()
        headers: Any = tuple(cloud_event("evt_1", f"/{NORMAL}/{case}", CASE_ASSIGNED))
        data = json.dumps({**usual_facts(), "case": case, "status": "assigned"}).encode()
        at = int(times.now().timestamp() * 1000)
        await second.auditor.judge([ConsumerRecord(NORMAL, 0, 0, at, 0, None, data, None, 0, len(data), headers)])

        assert second.sample("rogatory_audit_gaps_total", kind="notice") == 1
        assert len(await world.alerts()) == 1


async def test_kafka_and_mongodb_may_go_away_and_nothing_of_that_is_a_gap(
    fresh_kafka: Kafka, fresh_mongo: Server, quick: None
) -> None:
    async with world_on(fresh_kafka, fresh_mongo, "audit") as world, world.auditing():
        await world.happen(1)
        await world.notify()
        await world.audited(times.now())

        await world.happen(2)
        await world.notify()
        await asyncio.to_thread(fresh_mongo.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(fresh_mongo.restart)
        await world.audited(times.now())

        await asyncio.to_thread(fresh_kafka.kill)
        await asyncio.sleep(3)
        await asyncio.to_thread(fresh_kafka.restart)
        await world.happen(3)
        await world.notify()
        await world.audited(times.now(), patience=90)

        assert await world.alerts() == []


async def test_an_auditor_that_hears_of_no_broker_any_more_connects_anew(
    fresh_kafka: Kafka, mongo: Server, database: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    start = audit_reading.Reading.start

    async def noted(reading: audit_reading.Reading) -> None:
        await start(reading)
        made.append(reading)

    monkeypatch.setattr(audit_reading.Reading, "start", noted)
    async with world_on(fresh_kafka, mongo, database) as world, world.auditing():
        await world.audited(times.now())
        deaf = made[0]._consumer._client._sync_task
        deaf.cancel()
        await asyncio.wait({deaf})
        await world.happen(1)
        await world.notify()
        await world.audited(times.now())

    assert len(made) == 2


async def test_where_a_topic_is_not_there_the_auditor_makes_none_and_waits_for_it(
    fresh_kafka: Kafka, mongo: Server, database: str, quick: None
) -> None:
    connection = Mongo(mongo.uri, database)
    world = World(fresh_kafka.bootstrap, connection)
    async with world.auditing():
        await asyncio.sleep(3)
        consumer = AIOKafkaConsumer(bootstrap_servers=fresh_kafka.bootstrap)
        await consumer.start()
        assert not {*TOPICS} & await consumer.topics()
        await consumer.stop()

        await create_topics(fresh_kafka.bootstrap, {topic: len(partitions_of(topic)) for topic in TOPICS})
        await world.audited(times.now())
    await connection.close()


# What came due


NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass
class Late:
    """Notices and ladders from noon on, looked at when the test says so."""

    store: Store

    def __post_init__(self) -> None:
        self.now, self.moment = NOON, 0.0
        self.metrics = Metrics("test")
        self.own = NotifierMetrics(self.metrics.registry)
        self.loop = Loop(self.store, decide, evolve, SEALER, Silent(), self.metrics, lambda: self.now)
        self.alarms: list[tuple[str, Mapping[str, str]]] = []
        self.gaps = Gaps(self.own, self._alarm, lambda: self.now, lambda: self.moment)
        self.steps = Steps(self.store, self.gaps, lambda: self.now, lambda: self.moment)

    async def _alarm(self, _kind: str, key: str, facts: Mapping[str, str]) -> None:
        self.alarms.append((key, facts))

    async def ladder(self, number: int, **facts: str) -> str:
        """One that has told its first step; the next is due a minute later."""
        alert = IDS.alert("urgent", f"event {number}")
        begin = Begin(
            "urgent",
            "desk",
            "Look.",
            {"event": CASE_ASSIGNED, **facts},
            text_of(self.now),
            [],
            timedelta(minutes=1),
            timedelta(hours=2),
        )
        await self._hear(alert, begin)
        await self._hear(alert, Told(FIRST))
        return alert

    async def notice(self, number: int, **members: Any) -> str:
        """One that is due at once."""
        alert = IDS.alert("urgent", f"event {number}")
        notice = IDS.notice(alert, "person.a", "email")
        facts = members.pop("facts", {"event": CASE_ASSIGNED})
        await self._hear(notice, Raising(alert, "urgent", "Look.", "person.a", "email", facts, **members))
        return notice

    async def _hear(self, record: str, body: Any) -> None:
        message = Message(record, f"{type(body).__name__}/{text_of(self.now)}", "test", body, "cas_1")
        [outcome] = await self.loop.handle([message], "clock")
        assert outcome.fresh

    async def attempt(self, notice: str) -> None:
        """Somebody has begun to send it."""
        [found] = await self.store.find({"_id": notice}, {"next_due": 1}, limit=1)
        await self._hear(notice, Attempt(found["next_due"]))

    async def look(self, minutes: float) -> None:
        """So many minutes after noon, twice, with more than a minute between."""
        self.now = NOON + timedelta(minutes=minutes)
        await self.steps.look()
        self.moment += 61
        await self.steps.look()

    def counted(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value("rogatory_audit_gaps_total", {"kind": kind})


@pytest.fixture
async def late(mongo: Server, database: str) -> AsyncIterator[Late]:
    """An empty store."""
    connection = Mongo(mongo.uri, database)
    store = connection.store("notices")
    await store.prepare(INDEXES)
    yield Late(store)
    await connection.close()


async def test_a_step_that_came_due_and_was_not_taken_is_a_gap_told_of_once(late: Late) -> None:
    alert = await late.ladder(1)
    await late.look(1.4)
    assert late.alarms == []

    await late.look(1.6)
    await late.look(3)

    [(key, facts)] = late.alarms
    assert (key, facts["ladder"], facts["gap"]) == (f"step/{alert}", alert, "step")
    assert (late.counted("step"), late.gaps.any_open) == (1, True)

    late.now = NOON + timedelta(minutes=1)
    await late.steps.look()
    assert not late.gaps.any_open


async def test_a_notice_that_nobody_tried_is_a_gap_and_one_that_was_tried_or_waits_is_none(late: Late) -> None:
    missed = await late.notice(1)
    tried = await late.notice(2)
    await late.notice(3, not_before=text_of(NOON + timedelta(hours=1)))
    await late.notice(4, rate=3)
    await late.attempt(tried)
    late.now += timedelta(seconds=30)

    await late.look(4.9)
    assert late.alarms == []
    await late.look(5.1)

    [(key, facts)] = late.alarms
    assert (key, facts["notice"]) == ("delivery/person.a/email/2026-03-10T12", missed)
    assert late.counted("delivery") == 1


async def test_right_after_an_outage_what_is_late_is_no_gap_yet(late: Late) -> None:
    await late.ladder(1)
    await late.notice(1)
    late.now = NOON + timedelta(hours=1)

    await late.steps.look()
    late.moment += FOLLOWED.seen_for - 1
    await late.steps.look()
    assert late.alarms == []

    late.steps.forget()
    late.moment += DUE.seen_for - 1
    await late.steps.look()
    assert late.alarms == []

    late.moment += DUE.seen_for
    await late.steps.look()
    assert {key.partition("/")[0] for key, _ in late.alarms} == {"step", "delivery"}


async def test_what_is_late_of_a_gaps_own_alert_is_counted_and_raises_no_other(late: Late) -> None:
    await late.ladder(1, kind="audit-gap")
    await late.notice(2, facts={"event": ALERT_RAISED, "kind": "audit-gap"})

    await late.look(10)

    assert (late.alarms, late.counted("step"), late.counted("delivery")) == ([], 1, 1)


async def test_what_stands_in_mongodb_is_measured(late: Late, mongo: Server, database: str) -> None:
    connection = Mongo(mongo.uri, database)
    lists = connection.store("silences"), connection.store("subscriptions")
    await lists[0].prepare([Directory.SILENCE_INDEX])
    await lists[1].prepare([Directory.SUBSCRIPTION_INDEX])
    await late.notice(1, not_before=text_of(NOON + timedelta(days=9)))
    await late.ladder(1)
    late.now += timedelta(hours=2)
    await late.ladder(2)
    tried = await late.notice(2)
    await late.attempt(tried)
    measures = Measures(late.own, late.store, *lists, lambda: late.now)
    with pymongo.MongoClient[dict[str, Any]](mongo.uri) as client:
        client[database]["silences"].insert_many(
            [{"_id": f"sil_{n}", "state": {"ends": text_of(NOON + timedelta(hours=n))}} for n in range(5)]
        )
        client[database]["subscriptions"].insert_many(
            [{"_id": f"sub_{n}", "state": {"status": status}} for n, status in enumerate(("active", "active", "gone"))]
        )
        # One pause without an end, one that has run out, one that has not.
        ends = [{}, *({"paused_until": text_of(late.now + timedelta(hours=hours))} for hours in (0, 1))]
        client[database]["subscriptions"].insert_many(
            [{"_id": f"sub_p{n}", "state": {"status": "paused", **end}} for n, end in enumerate(ends)]
        )

    await measures.look()

    def value(name: str, **labels: str) -> float | None:
        return late.metrics.registry.get_sample_value(f"rogatory_{name}", labels)

    ages = {age: value("ladders_unacknowledged", age=age) for age in ("0-10m", "10m-1h", "1h-1d", "older")}
    assert ages == {"0-10m": 1, "10m-1h": 0, "1h-1d": 1, "older": 0}
    assert value("notices_unsent_oldest_timestamp_seconds") == (NOON + timedelta(hours=2)).timestamp()
    assert value("silences") == 2
    assert [value("subscriptions", state=state) for state in ("active", "paused", "gone")] == [3, 2, 1]
    await connection.close()
