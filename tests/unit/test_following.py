"""What follows by itself: each step of a ladder once and in time, the next channel, and what ends a climb."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.fanout import Nobody
from services.notifier.domain import Happened, decide, evolve
from services.notifier.domain.bodies import Ack, Attempt, Failed, Raising
from services.notifier.domain.ladders import OWED, place_of
from services.notifier.domain.notices import SHORTLY
from services.notifier.fanout import Fanout
from services.notifier.following import NO_LADDER, NOBODY, Following
from services.notifier.measures import NotifierMetrics
from services.notifier.moving import Moved, Moving
from services.notifier.rules.alert_rules import AlertRules, Audience, Ladder, Member, Rule, Step
from shared.decisions import Message
from shared.events import ALERT_RAISED, NOTICE_HANDED_ON
from shared.ids import Ids
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.sealing import Sealer
from shared.times import text_of
from tests.unit.alerts import partners, roster
from tests.unit.notice_store import NoticeStore
from tests.unit.test_loop import Fed

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
"""Noon in Baku: lala has the desk until 20:00, nadir is its head."""
MINUTES, HOURS, TICK = timedelta(minutes=1), timedelta(hours=1), timedelta(microseconds=1)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
EMAIL, APPRISE, ALERTMANAGER = NoticeChannel.EMAIL, NoticeChannel.APPRISE, NoticeChannel.ALERTMANAGER
UP = Ladder(
    steps=(
        Step(after=timedelta(), tell=(Member(duty="desk", by=(APPRISE, EMAIL)),)),
        Step(after=10 * MINUTES, tell=(Member(duty="heads", by=(EMAIL,)), Member(subscriber="operations"))),
    ),
    again=30 * MINUTES,
    rounds=1,
    remind_after=2 * HOURS,
)
RULES = AlertRules(
    (Rule(name="all", tell=("desk",), says={"en": "Answer now."}),),
    {"desk": Audience(title="The desk", members=(Member(subscriber="duty-officers"),), ladder="up")},
    {"up": UP},
)
FIRST = [("person.lala", "apprise", "0.0")]
SECOND = [("operations", "kafka", "0.1"), ("person.nadir", "email", "0.1")]


@dataclass
class Notifier:
    """One process: it hears, and it follows."""

    world: "World"
    rules: AlertRules = RULES
    woken: int = 0

    def __post_init__(self) -> None:
        world = self.world
        self.metrics = Metrics("test")
        self.loop = Loop(world.store, decide, evolve, SEALER, world.fed, self.metrics, lambda: world.now)
        self.fanout = Fanout(self.rules, partners().subscribers, roster(), Nobody(), IDS, lambda: world.now)
        measured = NotifierMetrics(self.metrics.registry)
        self.following = Following(self.loop, self.fanout, self.metrics, measured, self)
        self.moving = Moving(world.store, lambda _rule, _recipient: True)

    def claiming(self, messages: Sequence[Message]) -> Sequence[Message]:
        return messages

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        told = zip(messages, outcomes, strict=True)
        self.woken += any(isinstance(message.body, Raising) and outcome.fresh for message, outcome in told)

    async def hears(self, *messages: Message) -> list[Outcome]:
        """A batch, as it comes from Kafka."""
        enriched = await self.moving.enrich(messages)
        outcomes = await self.loop.handle(enriched, "kafka")
        self.following.heard(enriched, outcomes)
        return outcomes

    async def looks(self, *, just_begun: bool = False) -> None:
        """Until nothing is due."""
        while await self.following.look(just_begun=just_begun):
            pass

    async def climbs(self, case: str = "cas_1") -> str:
        """An alert begins to climb, its first step is told; its id."""
        await self.hears(*self.happens(case))
        await self.looks(just_begun=True)
        return IDS.alert("all", f"event of {case}")

    def happens(self, case: str = "cas_1") -> list[Message]:
        """What an event about a case leads to."""
        at = text_of(self.world.now)
        return self.fanout.messages(Happened({"event": "case.assigned"}, case, f"event of {case}", at))

    @asynccontextmanager
    async def following_along(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.following.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@dataclass
class World:
    """What all notifiers share."""

    now: datetime = START
    store: NoticeStore = field(default_factory=NoticeStore)
    fed: Fed = field(default_factory=Fed)

    def told(self, alert: str) -> list[tuple[str, str, str]]:
        """Whom the steps of an alert told."""
        states = [one["state"] for one in self.store.documents.values()]
        told = [s for s in states if s.get("alert") == alert and "subscriber" in s and "step" in s]
        return sorted((s["subscriber"], s["channel"], s["step"]) for s in told)

    def state(self, record: str) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self.store.documents[record]["state"]
        return state

    def types(self, record: str) -> list[str]:
        return [form["type"] for form in self.store.documents[record]["history"]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def notifier(world: World) -> Notifier:
    return Notifier(world)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.001)


# Steps


async def test_the_first_step_is_told_at_once_and_who_sends_is_woken(world: World, notifier: Notifier) -> None:
    alert = await notifier.climbs()

    assert world.told(alert) == FIRST
    assert world.state(alert)["follow_at"] == text_of(START + 10 * MINUTES)
    assert "owed" not in world.state(alert)
    assert notifier.woken == 2  # by the duty officers' webhook, and by the step


async def test_each_step_comes_when_its_time_is_over_and_the_last_again_and_then_somebody_is_alarmed(
    world: World, notifier: Notifier
) -> None:
    alert = await notifier.climbs()
    passing = [
        (10 * MINUTES, [*FIRST, *SECOND]),
        (30 * MINUTES, [*FIRST, *SECOND, *((who, by, "1.1") for who, by, _ in SECOND)]),
    ]
    for wait, told in passing:
        before = world.told(alert)
        world.now += wait - TICK
        await notifier.looks()
        assert world.told(alert) == before
        world.now += TICK
        await notifier.looks()
        assert world.told(alert) == sorted(told)

    world.now += 30 * MINUTES
    await notifier.looks()

    assert (world.state(alert)["status"], world.state(alert)["reason"]) == ("ended", NOBODY)
    assert world.types(alert)[-1] == ALERT_RAISED
    assert notifier.metrics.registry.get_sample_value("rogatory_ladder_steps_total") == 3


async def test_whoever_is_on_duty_when_a_step_comes_due_is_told(world: World, notifier: Notifier) -> None:
    world.now = START + 8 * HOURS - MINUTES
    alert = await notifier.climbs()
    await notifier.hears(Message(notices_of(world, alert)[0], "ack", "desk", Ack("person.lala", "link")))
    world.now += 2 * HOURS
    await notifier.looks()

    assert world.told(alert) == [("person.colin", "apprise", "1.0"), ("person.lala", "apprise", "0.0")]


async def test_what_a_process_owes_that_died_is_done_by_another_and_by_nobody_before(world: World) -> None:
    dying, other = Notifier(world), Notifier(world)
    await dying.hears(*dying.happens())
    alert = IDS.alert("all", "event of cas_1")

    world.now += OWED - TICK
    await other.looks()
    assert world.told(alert) == []
    world.now += TICK
    await other.looks()
    assert world.told(alert) == FIRST


async def test_what_was_raised_before_the_process_died_is_not_raised_again(world: World) -> None:
    dying, other = Notifier(world), Notifier(world)
    await dying.hears(*dying.happens())
    alert = IDS.alert("all", "event of cas_1")
    state = world.state(alert)
    await dying.loop.handle(dying.fanout.raisings(alert, state, place_of(state), state["owed"]), "clock")
    (before,) = notices_of(world, alert)

    world.now += OWED
    await other.looks()

    assert notices_of(world, alert) == [before]
    assert world.types(before) == ["notice.raised"]
    assert "owed" not in world.state(alert)


async def test_of_several_notifiers_that_look_at_once_one_takes_the_step(world: World) -> None:
    several = [Notifier(world) for _ in range(4)]
    alert = await several[0].climbs()
    world.now += 10 * MINUTES

    await asyncio.gather(*(one.looks() for one in several))

    assert world.told(alert) == sorted([*FIRST, *SECOND])
    assert world.types(alert) == ["ladder.begun", "ladder.told", "ladder.stepped", "ladder.told"]
    taken = [one.metrics.registry.get_sample_value("rogatory_ladder_steps_total") for one in several]
    assert sum(count or 0 for count in taken) == 2  # the first is its beginning


async def test_many_alerts_at_once_are_all_told_at_once(
    world: World, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.following.AT_ONCE", 3)
    cases = [f"cas_{n}" for n in range(10)]
    await notifier.hears(*(message for case in cases for message in notifier.happens(case)))

    await notifier.looks(just_begun=True)
    assert [world.told(IDS.alert("all", f"event of {case}")) for case in cases] == [FIRST] * 10

    world.now += 10 * MINUTES
    await notifier.looks()
    assert {len(world.told(IDS.alert("all", f"event of {case}"))) for case in cases} == {3}


async def test_a_ladder_that_is_no_longer_in_the_file_ends_and_somebody_is_alarmed(world: World) -> None:
    alert = await Notifier(world).climbs()
    audience = Audience(title="The desk", members=(Member(subscriber="duty-officers"),))
    other = Notifier(world, AlertRules(RULES.rules, {"desk": audience}))

    world.now += 10 * MINUTES
    await other.looks()

    assert (world.state(alert)["status"], world.state(alert)["reason"]) == ("ended", NO_LADDER)
    assert world.types(alert)[-1] == ALERT_RAISED


async def test_an_alert_that_begins_is_told_without_waiting_for_a_look(
    world: World, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.following.EVERY", 3600)
    async with notifier.following_along():
        await asyncio.sleep(0.01)
        await notifier.hears(*notifier.happens())
        await until(lambda: world.told(IDS.alert("all", "event of cas_1")) == FIRST)


async def test_while_mongodb_is_away_nothing_is_lost(
    world: World, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.following.EVERY", 0.001)
    alert = await notifier.climbs()
    async with notifier.following_along():
        world.store.is_away = True
        world.now += 10 * MINUTES
        await asyncio.sleep(0.02)
        world.store.is_away = False
        await until(lambda: world.told(alert) == sorted([*FIRST, *SECOND]))


async def test_what_comes_again_wakes_nobody(world: World, notifier: Notifier) -> None:
    batch = notifier.happens()
    await notifier.hears(*batch)
    woken = notifier.woken
    world.now += timedelta(milliseconds=1)

    await notifier.hears(*batch)

    assert notifier.woken == woken == 1


# The next channel


async def failing(notifier: Notifier, **more: Any) -> str:
    """A notice whose channel cannot be reached at all; its id."""
    world, told = notifier.world, {"then": ["log"], "give_up_at": text_of(notifier.world.now + 2 * MINUTES)} | more
    notice = IDS.notice("alt_1", "person.lala", "apprise")
    body = Raising("alt_1", "all", "Answer now.", "person.lala", "apprise", {"event": "case.assigned"}, **told)
    for n, said in enumerate(
        (body, Attempt(told.get("not_before") or text_of(world.now)), Failed(1, "x", for_good=True))
    ):
        await notifier.loop.handle([Message(notice, f"{n}", "notifier", said, "cas_1")], "clock")
    assert world.state(notice)["status"] == "handing_on"
    return notice


async def test_a_notice_goes_on_to_the_next_channel_once_and_is_due_there_at_once(world: World) -> None:
    several = [Notifier(world) for _ in range(3)]
    notice = await failing(several[0], step="0.0", due="2026-03-11T08:00:00.000000Z", never_held=True)

    await asyncio.gather(*(one.looks() for one in several))

    assert world.types(notice)[-1] == NOTICE_HANDED_ON
    assert world.state(notice)["status"] == "handed_on"
    (on_next,) = set(world.store.documents) - {notice}
    state = world.state(on_next)
    assert (state["subscriber"], state["channel"], state["alert"]) == ("person.lala", "log", "alt_1")
    assert (state["status"], state["next_due"]) == ("waiting", text_of(world.now))
    assert (state["step"], state["never_held"]) == ("0.0", True)
    assert "then" not in state
    assert state["give_up_at"] == text_of(world.now + SHORTLY)
    assert sum(one.woken > 0 for one in several) >= 1


async def test_each_further_channel_has_as_much_time_as_the_one_before(world: World, notifier: Notifier) -> None:
    notice = await failing(notifier, then=["email", "log"])
    world.now += HOURS

    await notifier.looks()

    (on_next,) = set(world.store.documents) - {notice}
    assert world.state(on_next)["then"] == ["log"]
    assert world.state(on_next)["give_up_at"] == text_of(world.now + 2 * MINUTES)


async def test_what_waited_for_the_morning_has_its_time_from_then_on(world: World, notifier: Notifier) -> None:
    morning = text_of(START + 9 * HOURS)
    notice = await failing(
        notifier, not_before=morning, then=["email", "log"], give_up_at=text_of(START + 9 * HOURS + 2 * MINUTES)
    )

    await notifier.looks()

    (on_next,) = set(world.store.documents) - {notice}
    assert world.state(on_next)["give_up_at"] == text_of(world.now + 2 * MINUTES)


async def test_what_went_together_goes_on_together_and_no_faster(world: World, notifier: Notifier) -> None:
    notice = await failing(notifier, in_digest=True, rate=7)

    await notifier.looks()

    (on_next,) = set(world.store.documents) - {notice}
    assert (world.state(on_next)["in_digest"], world.state(on_next)["rate"]) == (True, 7)


# What ends a climb from outside


def notices_of(world: World, alert: str) -> list[str]:
    """The notices of an alert's steps."""
    return [
        name
        for name, one in world.store.documents.items()
        if one["state"].get("alert") == alert and "subscriber" in one["state"] and "step" in one["state"]
    ]


async def test_an_acknowledgement_of_a_notice_ends_the_climbing_of_its_ladder(world: World, notifier: Notifier) -> None:
    alert, other = await notifier.climbs(), await notifier.climbs("cas_2")
    (notice,) = notices_of(world, alert)

    await notifier.hears(Message(notice, "ack", "person.lala", Ack("person.lala", "link")))

    assert (world.state(alert)["status"], world.state(alert)["acknowledged_by"]) == ("acknowledged", "person.lala")
    assert world.state(notice)["status"] == "acknowledged"
    assert world.state(other)["status"] == "climbing"
    world.now += 2 * HOURS - TICK
    await notifier.looks()
    assert len(world.told(alert)) == 1


async def test_acknowledged_and_nothing_done_begins_anew_and_can_be_acknowledged_anew_by_the_same_notice(
    world: World, notifier: Notifier
) -> None:
    alert = await notifier.climbs()
    (notice,) = notices_of(world, alert)
    await notifier.hears(Message(notice, "ack", "person.lala", Ack("person.lala", "link")))
    world.now += 2 * HOURS

    await notifier.looks()
    assert world.told(alert) == [*FIRST, ("person.lala", "apprise", "1.0")]
    assert world.state(alert)["status"] == "climbing"

    await notifier.hears(Message(notice, "ack again", "person.lala", Ack("person.lala", "link")))
    assert world.state(alert)["status"] == "acknowledged"


async def test_a_subscriber_ends_the_climbing_by_its_own_notice_alone(world: World, notifier: Notifier) -> None:
    alert = await notifier.climbs()
    theirs = IDS.notice(alert, "duty-officers", "webhook")

    refused = await notifier.hears(Message(theirs, "1", "operations", Ack("operations", "kafka", only="operations")))
    assert [str(outcome.refused) for outcome in refused] == ["not this subscriber's notice"]
    assert world.state(alert)["status"] == "climbing"

    await notifier.hears(Message(theirs, "2", "duty-officers", Ack("duty-officers", "kafka", only="duty-officers")))
    assert world.state(alert)["status"] == "acknowledged"


async def test_an_acknowledgement_of_nothing_or_of_an_alert_without_a_ladder_concerns_no_ladder(
    world: World, notifier: Notifier
) -> None:
    assert await notifier.moving.of_acks([Message("not_none", "ack", "x", Ack("x", "link"))]) == []
    notice = await failing(notifier)
    assert await notifier.moving.of_acks([Message(notice, "ack", "x", Ack("x", "link"))]) == []


async def test_what_is_done_on_a_case_ends_its_ladders_and_no_others(world: World, notifier: Notifier) -> None:
    alert, other = await notifier.climbs(), await notifier.climbs("cas_2")
    world.now += MINUTES

    await notifier.hears(moved("cas_1", world.now))

    assert (world.state(alert)["status"], world.state(alert)["reason"]) == ("ended", "case.begun")
    assert world.state(other)["status"] == "climbing"
    world.now += HOURS
    await notifier.looks()
    assert len(world.told(alert)) == 1
    assert "cas_1" not in world.store.documents  # the message stood for those to the ladders


async def test_who_was_just_elected_and_knows_of_no_ladder_hides_none(world: World, notifier: Notifier) -> None:
    alert, other = await notifier.climbs(), await notifier.climbs("cas_2")
    world.store.elected = [{}]

    await notifier.hears(moved("cas_1", world.now + MINUTES))
    assert len(world.store.elected) == 0  # the loop's own read
    notice = notices_of(world, other)[0]
    world.store.elected = [{}]
    await notifier.hears(Message(notice, "ack", "person.lala", Ack("person.lala", "link")))

    assert (world.state(alert)["status"], world.state(other)["status"]) == ("ended", "acknowledged")
    assert "acknowledged_at" in world.state(notice)


def moved(case: str, at: datetime, why: str = "case.begun") -> Message:
    return Message(case, f"{why} of {case}", "notifier", Moved(why, text_of(at)))


@pytest.mark.parametrize(("later", "status"), [(TICK, "ended"), (timedelta(), "climbing"), (-HOURS, "climbing")])
async def test_what_begins_in_the_same_batch_is_ended_by_what_was_done_after_it(
    world: World, notifier: Notifier, later: timedelta, status: str
) -> None:
    await notifier.hears(*notifier.happens(), moved("cas_1", world.now + later))

    assert world.state(IDS.alert("all", "event of cas_1"))["status"] == status


async def test_an_acknowledged_alert_ends_when_something_is_done(world: World, notifier: Notifier) -> None:
    alert = await notifier.climbs()
    await notifier.hears(Message(notices_of(world, alert)[0], "ack", "x", Ack("person.lala", "link")))

    await notifier.hears(moved("cas_1", world.now + MINUTES))

    assert (world.state(alert)["status"], world.state(alert)["acknowledged_by"]) == ("ended", "person.lala")
    world.now += 3 * HOURS
    await notifier.looks()
    assert len(world.told(alert)) == 1


async def test_what_burns_at_an_alertmanager_is_over_when_something_is_done(world: World, notifier: Notifier) -> None:
    raising = Raising("alt_1", "all", "!", "system.alertmanager", ALERTMANAGER.value, {"event": "case.assigned"})
    await notifier.hears(Message("not_1", "raised", "notifier", raising, "cas_1"))

    await notifier.hears(moved("cas_2", world.now + MINUTES))
    assert "resolved_at" not in world.state("not_1")
    await notifier.hears(moved("cas_1", world.now + MINUTES))

    assert (world.state("not_1")["resolved_why"], world.state("not_1")["status"]) == ("case.begun", "waiting")


async def test_a_batch_that_ends_nothing_asks_mongodb_nothing(world: World, notifier: Notifier) -> None:
    world.store.is_away = True
    batch = notifier.happens()

    assert await notifier.moving.enrich(batch) is batch
