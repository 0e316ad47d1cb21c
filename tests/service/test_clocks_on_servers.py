"""Time, horizon, clocks and links on real servers: each clock fires once, and never before what was said is read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo as Server
from deploy.local.topics import create_topics
from services.router import linking, ticking
from services.router.domain.clocking import Tick
from services.router.domain.linking import Link, LinkedBy, SameElsewhere
from services.router.linking import Linking
from services.router.ticking import LATE_EVERY, PATIENCE, Ticking
from shared import clocks
from shared.decisions import Decision, Message
from shared.events import CASE_CLOCK_MISSED, Draft, Event
from shared.failures import NeverWill
from shared.horizon import Horizon
from shared.ids import Ids
from shared.law import load_law
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Driver, Mongo
from shared.partners import load_partners
from shared.records import Record, State
from shared.sealing import Sealer
from shared.sender import Sender
from shared.time_source import Time, set_simulated
from shared.times import now as own_time
from shared.times import text_of
from tests.servers import MakeTopics
from tests.service.running import eventually

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


# Time


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_time_is_mongodb_s_and_a_simulation_is_seen_by_whoever_looks(
    mongo: Server, database: str, driver: Driver
) -> None:
    connection = Mongo(mongo.uri, database, driver)
    plain, simulated = Time(), Time(is_simulated=True)
    try:
        await set_simulated(connection, NOON, rate=60)
        for process in (plain, simulated):
            await process.ask(connection)

        assert abs(plain.now() - own_time()) < timedelta(seconds=30)
        assert NOON <= simulated.now() < NOON + timedelta(hours=1)

        running = asyncio.create_task(simulated.run(connection))
        await set_simulated(connection, NOON + timedelta(days=30), rate=60)
        await eventually(lambda: simulated.now() >= NOON + timedelta(days=30), "the move of the simulation")
        running.cancel()
    finally:
        await connection.close()


# The horizon


@dataclass
class Watched:
    """A horizon over one topic, the time that it goes by, and who reads and writes that topic."""

    kafka: Kafka
    topic: str
    group: str
    time: Time
    horizon: Horizon

    async def write(self, count: int, transaction: str | None = None) -> None:
        """Put so many records on the first partition, in a transaction if it has a name."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap, acks="all", transactional_id=transaction)
        await producer.start()
        try:
            if transaction is None:
                await self._send(producer, count)
            else:
                async with producer.transaction():
                    await self._send(producer, count)
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, count: int) -> None:
        for _ in range(count):
            await producer.send_and_wait(self.topic, b"{}", partition=0)

    async def commit(self, offset: int) -> None:
        """The group has read the first partition so far."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap, group_id=self.group, enable_auto_commit=False
        )
        await consumer.start()
        place = TopicPartition(self.topic, 0)
        consumer.assign([place])
        await consumer.commit({place: offset})
        await consumer.stop()

    async def passes(self, moment: datetime) -> None:
        """Returns when all that was written before a moment is known to be read."""
        await eventually(lambda: self.horizon.until and self.horizon.until >= moment, "the horizon")

    async def stands_before(self, moment: datetime) -> bool:
        """Whether it still stands before a moment after some looks."""
        await asyncio.sleep(1.5)
        return self.horizon.until is None or self.horizon.until < moment


@asynccontextmanager
async def watching(kafka: Kafka, mongo: Server, database: str, topic: str) -> AsyncIterator[Watched]:
    """Watch a topic that one group reads."""
    connection, process, group = Mongo(mongo.uri, database), Time(), f"{topic}-group"
    await process.ask(connection)
    horizon = Horizon(kafka.bootstrap, topic, {group: [topic]}, process, Metrics("test"))
    running = asyncio.create_task(horizon.run())
    try:
        yield Watched(kafka, topic, group, process, horizon)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()


@pytest.fixture
async def watched(
    kafka: Kafka, mongo: Server, database: str, prefix: str, kafka_topics: MakeTopics
) -> AsyncIterator[Watched]:
    """A topic that nobody has used, watched."""
    await kafka_topics({prefix: 3})
    async with watching(kafka, mongo, database, prefix) as made:
        yield made


async def test_where_nothing_was_ever_written_all_is_read(watched: Watched) -> None:
    await watched.passes(watched.time.now())


async def test_it_stands_still_before_what_is_not_committed_and_moves_on_when_it_is(watched: Watched) -> None:
    await watched.passes(watched.time.now())
    await watched.write(3)
    written = watched.time.now()

    assert await watched.stands_before(written)
    await watched.commit(2)
    assert await watched.stands_before(written)

    await watched.commit(3)
    await watched.passes(watched.time.now())


async def test_kafka_s_own_mark_after_a_transaction_holds_nobody_up(watched: Watched) -> None:
    await watched.write(2, transaction=watched.topic)
    written = watched.time.now()
    await watched.commit(1)
    await asyncio.sleep(3)
    assert await watched.stands_before(written)

    await watched.commit(2)  # the mark is the third

    await watched.passes(watched.time.now())


async def test_what_was_deleted_unread_holds_nobody_up(watched: Watched) -> None:
    await watched.write(3)
    admin = AIOKafkaAdminClient(bootstrap_servers=watched.kafka.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(watched.topic, 0): RecordsToDelete(before_offset=3)})
    await admin.close()

    await watched.passes(watched.time.now())


async def test_while_kafka_is_away_it_stands_still_and_then_goes_on(
    fresh_kafka: Kafka, mongo: Server, database: str, prefix: str
) -> None:
    await create_topics(fresh_kafka.bootstrap, {prefix: 3})
    async with watching(fresh_kafka, mongo, database, prefix) as watched:
        await watched.passes(watched.time.now())

        await asyncio.to_thread(fresh_kafka.kill)
        killed = watched.time.now()
        assert await watched.stands_before(killed + timedelta(seconds=1))

        await asyncio.to_thread(fresh_kafka.restart)
        await watched.passes(watched.time.now())


# The clocks


def decide(record: Record, message: Message, _now: datetime) -> Decision:
    """A small life of a case: it is opened as told, its clocks ring, it is linked."""
    body, state = message.body, record.state
    if isinstance(body, Mapping):
        return Decision([Draft("case.assigned", (), body)])
    if isinstance(body, Tick):
        if state.get("poison"):
            raise NeverWill("the life cycle forbids it")
        [clock] = [one for one in state["clocks"] if one["clock"] == body.clock]
        step = next((one for one in clock["steps"] if one[0] == body.at), None)
        if step is None:
            return Decision()
        rung = clocks.fired(clock, step, NOON)
        said = {"clocks": [rung if one is clock else one for one in state["clocks"]], "delayed": body.input_delayed}
        return Decision([Draft(CASE_CLOCK_MISSED, (), said)])
    if isinstance(body, Link):
        return Decision([Draft("case.linked", (), {"awaits": None, "parent": body.parent.case})])
    if isinstance(body, LinkedBy):
        return Decision([Draft("case.linked", (), {"child": body.child.case})])
    assert isinstance(body, SameElsewhere)
    return Decision([Draft("case.duplicate_suspected", (), {"same": body.other})])


def evolve(state: State, event: Event) -> State:
    """What was said, and when the next clock is due."""
    new = {name: value for name, value in {**state, **event.data}.items() if value is not None}
    new.pop("next_due", None)
    due = clocks.next_due(new.get("clocks", ()))
    return new | ({"next_due": due} if due else {})


class Silent(Sender):
    """Nothing goes to Kafka here."""

    def __init__(self) -> None:
        pass

    def feed(self, parcels: object) -> None:
        """Let it be."""


@dataclass
class Read:
    """A horizon that stands where the test puts it, and a time beside it."""

    until: datetime | None = NOON
    is_known: bool = True
    present: datetime = NOON

    def now(self) -> datetime:
        """The time."""
        return self.present


class Cases:
    """One router's view of the cases in MongoDB."""

    def __init__(self, connection: Mongo, number: int) -> None:
        """`number`: no two routers write at the same microsecond, by which they tell their writes apart."""
        self.metrics = Metrics("test")
        now = NOON + timedelta(microseconds=number)
        store = connection.store("cases")
        self.loop = Loop(store, decide, evolve, Sealer(bytes(32)), Silent(), self.metrics, lambda: now)
        self.moment = 0.0
        self.read = Read()
        self.ticking = Ticking(self.loop, self.read, self.read, self.metrics, lambda: self.moment)

    async def open(self, *cases: tuple[str, Mapping[str, Any]], letter: str = "let_1") -> None:
        """Open cases with these states."""
        messages = [Message(name, "open", "intake", state, context={"letterid": letter}) for name, state in cases]
        outcomes = await self.loop.handle(messages, "kafka")
        assert not any(outcome.refused for outcome in outcomes)

    async def fire(self) -> None:
        """Look until there is no full page any more."""
        full = await self.ticking.look()
        while full:
            full = await self.ticking.look(full)

    async def states(self, *names: str) -> list[dict[str, Any]]:
        """The states of cases by name."""
        found = {case["_id"]: case["state"] for case in await self.loop.store.read(names)}
        return [found[name] for name in names]

    async def fired(self) -> dict[str, int]:
        """How many clock events each case has."""
        found = await self.loop.store.find({}, {"history.type": 1}, limit=100_000)
        return {case["_id"]: [e["type"] for e in case["history"]].count(CASE_CLOCK_MISSED) for case in found}


Router = Callable[[], Cases]


@pytest.fixture
async def router(mongo: Server, database: str) -> AsyncIterator[Router]:
    """Makes routers on one database."""
    made: list[Mongo] = []

    def make() -> Cases:
        made.append(Mongo(mongo.uri, database))
        return Cases(made[-1], len(made))

    first = Mongo(mongo.uri, database)
    made.append(first)
    await first.store("cases").prepare([ticking.INDEX, *linking.INDEXES])
    yield make
    for one in made:
        await one.close()


def running(kind: str, *minutes: float) -> dict[str, Any]:
    """A clock with steps so many minutes after noon."""
    steps = [[text_of(NOON + timedelta(minutes=minute)), f"{minute}"] for minute in minutes[:-1]]
    due = text_of(NOON + timedelta(minutes=minutes[-1]))
    return {"clock": kind, "kind": kind, "started_at": text_of(NOON), "due": due, "steps": [*steps, [due, "due"]]}


async def test_thousands_that_are_due_at_once_fire_once_each_whatever_routers_there_are(router: Router) -> None:
    routers = [router() for _ in range(3)]
    await routers[0].open(*((f"cas_{n}", {"clocks": [running("policy", -2, -1)]}) for n in range(2_500)))
    await routers[0].open(("cas_later", {"clocks": [running("policy", 1)]}))

    await asyncio.gather(*(one.fire() for one in routers))
    await routers[0].fire()

    assert await routers[0].fired() == {**{f"cas_{n}": 2 for n in range(2_500)}, "cas_later": 0}
    counted = [
        one.metrics.registry.get_sample_value("rogatory_clocks_fired_total", {"kind": "policy"}) for one in routers
    ]
    assert sum(filter(None, counted)) == 5_000


async def test_what_is_due_waits_until_all_that_was_said_before_has_been_read(router: Router) -> None:
    one = router()
    await one.open(("cas_1", {"clocks": [running("statutory", 1)]}), ("cas_2", {"clocks": [running("policy", 2)]}))
    one.read.present = NOON + timedelta(hours=3)

    one.read.until = None
    await one.fire()
    one.read.until = NOON
    await one.fire()
    assert await one.fired() == {"cas_1": 0, "cas_2": 0}

    one.read.until = NOON + timedelta(minutes=1)
    await one.fire()
    assert await one.fired() == {"cas_1": 1, "cas_2": 0}


async def test_before_mongodb_s_time_is_known_nothing_fires(router: Router) -> None:
    one = router()
    await one.open(("cas_1", {"clocks": [running("policy", -1)]}))
    one.read.is_known = False

    await one.fire()

    assert await one.fired() == {"cas_1": 0}


@pytest.mark.parametrize("until", [None, NOON])
async def test_a_policy_clock_waits_ten_minutes_then_fires_and_says_so_and_the_law_s_waits_on(
    router: Router, until: datetime | None
) -> None:
    one = router()
    await one.open(
        ("cas_law", {"clocks": [running("statutory", 1)]}),
        ("cas_both", {"clocks": [running("statutory", 1), running("policy", 2)]}),
        ("cas_asked", {"clocks": [running("requested", 1)]}),
    )
    one.read.until = until
    steps = int(2 * PATIENCE.total_seconds() / LATE_EVERY)
    for step in range(steps):
        if step == steps // 2 - 2:
            assert await one.fired() == {"cas_law": 0, "cas_both": 0, "cas_asked": 0}
        one.moment += LATE_EVERY
        one.read.present = NOON + timedelta(seconds=one.moment)
        await one.fire()

    assert await one.fired() == {"cas_law": 0, "cas_both": 1, "cas_asked": 0}
    [both] = await one.states("cas_both")
    assert both["delayed"] is True

    one.read.until = one.read.present
    await one.fire()
    assert await one.fired() == {"cas_law": 1, "cas_both": 2, "cas_asked": 1}


async def test_a_clock_that_cannot_fire_holds_no_other_up_and_is_not_tried_again_at_once(router: Router) -> None:
    one = router()
    poison = ((f"cas_p{n}", {"poison": True, "clocks": [running("policy", -9)]}) for n in range(ticking.AT_ONCE))
    await one.open(*poison, ("cas_good", {"clocks": [running("policy", -1)]}))

    await one.fire()
    await one.fire()

    assert (await one.fired())["cas_good"] == 1
    refused = one.metrics.registry.get_sample_value(
        "rogatory_messages_total", {"source": "clock", "outcome": "refused"}
    )
    assert refused == ticking.AT_ONCE


async def test_a_clock_that_was_set_to_a_time_at_which_it_has_rung_does_not_spin(router: Router) -> None:
    one = router()
    await one.open(("cas_1", {"clocks": [running("policy", -1)]}))
    await one.fire()
    again = Message("cas_1", "again", "router", {"clocks": [running("policy", -1)]})
    await one.loop.handle([again], "kafka")

    for _ in range(3):
        await one.fire()

    assert await one.fired() == {"cas_1": 1}
    heard = one.metrics.registry.get_sample_value("rogatory_messages_total", {"source": "clock", "outcome": "repeated"})
    assert heard == 1


async def test_how_old_the_oldest_due_clock_is_can_be_seen(router: Router) -> None:
    one = router()
    await one.open(("cas_1", {"clocks": [running("statutory", 1)]}))
    one.read.present, one.moment = NOON + timedelta(hours=3), LATE_EVERY

    await one.fire()

    oldest = one.metrics.registry.get_sample_value("rogatory_clocks_due_oldest_timestamp_seconds")
    assert oldest == (NOON + timedelta(minutes=1)).timestamp()


# The links


def opened(kind: str, ref: str, awaits: str | None = None, at: int = 0) -> dict[str, Any]:
    """The state of a case that was just opened."""
    state = {"type": kind, "authority": "desk", "status": "received", "direction": "incoming", "refs": [ref]}
    state["received_at"] = text_of(NOON + timedelta(seconds=at))
    return state | ({"awaits": awaits} if awaits else {})


@pytest.fixture(scope="module")
def law() -> Any:
    """The default law."""
    return load_law(load_partners(ROOT / "partners.yaml").law_file)


@pytest.fixture(scope="module")
def pair(law: Any) -> tuple[str, str]:
    """A type, and one that it follows."""
    return next((name, kind.follows[0]) for name, kind in law.request_types.items() if kind.follows)


@pytest.mark.parametrize("is_parent_first", [True, False])
async def test_a_case_and_the_one_that_it_follows_hear_of_each_other_in_either_order(
    router: Router, law: Any, pair: tuple[str, str], is_parent_first: bool
) -> None:
    one, (child, parent) = router(), pair
    cases = {"let_1": ("cas_1", opened(parent, "ref_1")), "let_2": ("cas_2", opened(child, "ref_2", "ref_1"))}
    for letter in sorted(cases, reverse=not is_parent_first):
        await one.open(cases[letter], letter=letter)
        await Linking(one.loop, law, Ids(bytes(32))).look()

    first, second = await one.states("cas_1", "cas_2")
    assert (first["child"], second["parent"], "awaits" in second) == ("cas_2", "cas_1", False)


async def test_who_waits_is_found_by_the_opening_of_its_parent_however_many_wait(
    router: Router, law: Any, pair: tuple[str, str]
) -> None:
    one, (child, parent) = router(), pair
    waiting = [(f"cas_w{n}", opened(child, f"ref_w{n}", f"ref_none{n}", at=n + 1)) for n in range(linking.AT_ONCE)]
    await one.open(("cas_2", opened(child, "ref_2", "ref_1", at=0)), *waiting, letter="let_2")
    await one.open(("cas_1", opened(parent, "ref_1")), letter="let_1")
    links = Linking(one.loop, law, Ids(bytes(32)))

    await links.look()
    assert "awaits" in (await one.states("cas_2"))[0]

    links.opened({"cas_1": ["ref_1"]})
    await links.look()
    assert (await one.states("cas_2"))[0]["parent"] == "cas_1"


async def test_whoever_waits_is_found_by_the_look_at_all(router: Router, law: Any, pair: tuple[str, str]) -> None:
    one, (child, parent) = router(), pair
    waiting = [(f"cas_w{n}", opened(child, f"ref_w{n}", f"ref_none{n}", at=n + 1)) for n in range(linking.AT_ONCE)]
    await one.open(("cas_2", opened(child, "ref_2", "ref_1", at=0)), *waiting, letter="let_2")
    await one.open(("cas_1", opened(parent, "ref_1")), letter="let_1")

    await Linking(one.loop, law, Ids(bytes(32)))._look_at_all()

    assert (await one.states("cas_2"))[0]["parent"] == "cas_1"


async def test_the_same_reference_by_another_letter_is_told_to_the_newer_case_and_a_crash_loses_no_hint(
    router: Router, law: Any, pair: tuple[str, str]
) -> None:
    one, (kind, _) = router(), pair
    await one.open(("cas_1", opened(kind, "ref_1", at=1)), letter="let_1")
    await one.open(("cas_2", opened(kind, "ref_1", at=2)), letter="let_2")
    links = Linking(one.loop, law, Ids(bytes(32)))  # a process that has seen neither

    await links._look_back()
    await links.look()

    first, second = await one.states("cas_1", "cas_2")
    assert ("same" in first, second["same"]) == (False, "cas_1")
