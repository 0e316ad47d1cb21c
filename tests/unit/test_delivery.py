"""Delivery: nothing is claimed that is not sent at once, and a recipient who is away holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from benchmarks.fanout import Nobody
from services.notifier import domain
from services.notifier.channels import Destination, Parcel
from services.notifier.channels.webhook import Target
from services.notifier.delivery import Delivery
from services.notifier.destinations import Destinations
from services.notifier.domain.bodies import Attempt, Delivered, Failed, Raising
from services.notifier.domain.failing import TOGETHER, WAITS
from services.notifier.domain.notices import CLAIM
from services.notifier.duty.roster import Person, Roster
from services.notifier.recipients import IN_FLIGHT, TRUST
from services.notifier.sending import NO_RECIPIENT, TEST_SAYS, Sending
from shared import topics
from shared.decisions import Message
from shared.events import ALERT_RAISED, Event
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.sealing import Sealer
from tests.unit.kept_lists import added
from tests.unit.notice_store import NoticeStore
from tests.unit.test_loop import Fed

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
DUTY, OPERATIONS, LALA = "duty-officers", "operations", "person.lala"
EMAIL, APPRISE = NoticeChannel.EMAIL, NoticeChannel.APPRISE
CHANNELS = (NoticeChannel.WEBHOOK, EMAIL, APPRISE)


class Recipients:
    """The recipients' systems: who is silent never answers, who is broken answers 500."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.gone: set[str] = set()
        self.parcels: list[Parcel] = []
        self.begun: list[tuple[str, str]] = []
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.heard = asyncio.Event()

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        subscriber, attempt = parcel.to.recipient, parcel.attempt
        self.parcels.append(parcel)
        self.begun.append((subscriber, parcel.id))
        self.now[subscriber] = self.now.get(subscriber, 0) + 1
        self.most[subscriber] = max(self.most.get(subscriber, 0), self.now[subscriber])
        try:
            is_silent = {subscriber, parcel.to.address} & self.silent
            await (self.heard.wait() if is_silent else asyncio.sleep(0))
        finally:
            self.now[subscriber] -= 1
        if subscriber in self.gone:
            return Failed(attempt, "HTTP 410", for_good=True, gone=True)
        return Failed(attempt, "HTTP 500") if subscriber in self.broken else Delivered(attempt)

    async def close(self) -> None:
        """Nothing is open."""

    def count(self, subscriber: str) -> int:
        return sum(name == subscriber for name, _ in self.begun)


class World:
    """A notifier's notices, its recipients and its clock."""

    def __init__(self) -> None:
        self.now = START
        self.store, self.fed, self.recipients = NoticeStore(), Fed(), Recipients()
        self.left: list[Destination] = []
        self.directory = Nobody()
        self.loop = Loop(
            self.store, domain.decide, domain.evolve, Sealer(b"s" * 32), self.fed, Metrics("test"), lambda: self.now
        )
        self.delivery = self.process()

    def process(self, instance: str = "") -> Delivery:
        """One notifier's delivery."""
        channels, metrics = dict.fromkeys(CHANNELS, self.recipients), Metrics("test")
        self.sending = Sending(self.loop, channels, self.places(), metrics, says, link, self.leave, self.look_anew)
        return Delivery(self.loop, self.sending, instance)

    def places(self) -> Destinations:
        target = Target(url="https://hooks.example", secret=SecretStr("whsec_c2VjcmV0"))
        lala = Person("lala", "Lala", "az", {EMAIL: "by-mail", APPRISE: "by-pager"})
        roster = Roster(ZoneInfo("Asia/Baku"), {"lala": lala}, {})
        return Destinations({DUTY: target, OPERATIONS: target}, roster, self.directory, {})

    async def look_anew(self) -> None:
        """Nobody is kept anywhere else."""

    async def leave(self, destination: Destination) -> None:
        self.left.append(destination)

    async def told(
        self, subscriber: str, *notices: str, about: str | None = None, channel: str = "webhook", **more: Any
    ) -> None:
        """Notices are raised, each about a case of its own unless one is named."""
        for notice in notices:
            await self.loop.handle([raising(subscriber, notice, about, channel, **more)], "kafka")
            self.now += timedelta(microseconds=1)

    async def hears(self, *messages: Message) -> None:
        """A batch, as it comes from Kafka."""
        claiming = self.delivery.claiming(messages)
        self.delivery.heard(claiming, await self.loop.handle(claiming, "kafka"))
        self.now += timedelta(microseconds=1)

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.delivery.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.sleep(0)
            self.recipients.heard.set()
            await asyncio.gather(running, return_exceptions=True)

    def states(self, status: str) -> list[str]:
        return [name for name, one in self.store.documents.items() if one["state"]["status"] == status]

    def attempts(self) -> list[int]:
        return [one["state"]["attempts"] for one in self.store.documents.values()]


def raising(subscriber: str, notice: str, about: str | None = None, channel: str = "webhook", **more: Any) -> Message:
    """A notice is raised, about a case of its own unless one is named."""
    body = Raising("alt_1", "urgent", "Urgent.", subscriber, channel, {"type": "extradition"}, **more)
    return Message(notice, f"raise/{notice}", "notifier", body, subject=about or f"cas_{notice}")


def link(notice: str) -> str:
    return f"https://us/{notice}"


def says(raised: Event) -> Mapping[str, str]:
    return {"en": raised.data["says"], "az": "Təcili."}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.001)


async def some_looks() -> None:
    """As many looks for what is due as would show what must not happen."""
    await asyncio.sleep(0.05)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr("shared.times.now", lambda: made.now)
    monkeypatch.setattr("services.notifier.delivery.EVERY", 0.001)
    return made


MANY = [f"not_{n}0000" for n in range(10)]


async def test_no_more_is_claimed_than_can_be_sent_at_once(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY)

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == IN_FLIGHT)
        await some_looks()

        assert sorted(world.attempts()) == [0] * (len(MANY) - IN_FLIGHT) + [1] * IN_FLIGHT
        assert world.recipients.begun == [(DUTY, notice) for notice in MANY[:IN_FLIGHT]]


async def test_what_has_piled_up_for_somebody_who_answers_takes_few_looks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, due = [], world.delivery._choosing.due

    async def looked() -> list[dict[str, Any]]:
        looks.append(world.recipients.count(DUTY))
        return await due()

    monkeypatch.setattr(world.delivery._choosing, "due", looked)
    monkeypatch.setattr("services.notifier.delivery.EVERY", 60)
    await world.told(DUTY, *(f"not_{n:05x}" for n in range(400)))

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == 400)

    assert world.recipients.most[DUTY] == IN_FLIGHT
    assert world.attempts() == [1] * 400
    assert len(looks) < 40, looks


async def test_an_outcome_that_waits_for_mongodb_takes_no_place_and_nothing_goes_about_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, put = asyncio.Event(), world.sending.put

    async def slow(messages: Sequence[Message]) -> list[Outcome]:
        await go.wait()
        return await put(messages)

    monkeypatch.setattr(world.sending, "put", slow)
    await world.told(DUTY, *MANY)
    await world.told(DUTY, "not_fffff", about="cas_not_00000")

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == len(MANY))
        await some_looks()
        assert world.states("delivered") == []
        assert (DUTY, "not_fffff") not in world.recipients.begun

        go.set()
        await until(lambda: len(world.states("delivered")) == len(MANY) + 1)
    assert world.recipients.most[DUTY] <= IN_FLIGHT


async def test_what_is_in_flight_here_is_not_claimed_again_here(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, "not_10000")

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == 1)
        world.now += CLAIM * 2
        await some_looks()
        assert world.attempts() == [1]

        world.recipients.heard.set()
        await until(lambda: world.states("delivered") == ["not_10000"])
    assert world.recipients.count(DUTY) == 1


async def test_a_recipient_who_is_away_holds_up_nobody_else(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY)
    await world.told(OPERATIONS, *(f"{notice}10000" for notice in MANY))

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == len(MANY))

    assert world.recipients.count(OPERATIONS) == len(MANY)


async def test_after_failures_in_a_row_a_recipient_gets_one_request_at_a_time_until_one_succeeds(world: World) -> None:
    recipients = world.recipients
    recipients.broken = {DUTY}
    await world.told(DUTY, *MANY)

    async with world.delivering():
        await until(lambda: recipients.count(DUTY) == len(MANY) and not world.states("attempting"))
        recipients.silent, recipients.most = {DUTY}, {}
        world.now += WAITS[0]
        await until(lambda: recipients.now.get(DUTY) == 1)
        await some_looks()
        assert recipients.most == {DUTY: 1}

        recipients.broken, recipients.silent = set(), set()
        recipients.heard.set()
        await until(lambda: len(world.states("delivered")) == len(MANY))
        recipients.silent, recipients.heard = {DUTY}, asyncio.Event()
        await world.told(DUTY, *(f"{notice}20000" for notice in MANY))
        await until(lambda: recipients.now[DUTY] == IN_FLIGHT)
    assert IN_FLIGHT < TRUST < len(MANY)


@pytest.mark.parametrize(("instance", "is_free"), [("notifier-0", True), ("notifier-1", False), ("", False)])
async def test_what_a_process_was_sending_when_it_died_is_free_when_that_one_starts_anew(
    world: World, instance: str, is_free: bool
) -> None:
    await world.told(DUTY, "not_10000")
    due = world.store.documents["not_10000"]["next_due"]
    claim = Message("not_10000", "claimed", "notifier", Attempt(due, "notifier-0"))
    await world.loop.handle([claim], "clock")

    world.delivery = world.process(instance)
    async with world.delivering():
        await until(lambda: not is_free or world.states("delivered") == ["not_10000"])
        await some_looks()
        assert world.states("delivered") == ["not_10000"] * is_free

        world.now += CLAIM
        await until(lambda: world.states("delivered") == ["not_10000"])


async def test_two_notices_about_one_case_are_never_on_their_way_at_once(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, "not_10000", "not_20000", about="cas_1")
    await world.told(DUTY, "not_30000")

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == 2)
        await some_looks()
        assert world.recipients.begun == [(DUTY, "not_10000"), (DUTY, "not_30000")]

        world.recipients.heard.set()
        await until(lambda: len(world.states("delivered")) == 3)


async def test_a_notice_whose_last_attempt_had_no_outcome_is_not_sent_and_its_alert_is(world: World) -> None:
    await world.told(DUTY, "not_10000")
    for _ in range(len(WAITS) + 1):
        due = world.store.documents["not_10000"]["next_due"]
        await world.loop.handle([Message("not_10000", f"died/{due}", "notifier", Attempt(due))], "clock")
        world.now += CLAIM

    async with world.delivering():
        await until(lambda: world.states("failed") == ["not_10000"])
        await some_looks()

    assert world.recipients.begun == []
    sent = [event for parcel in world.fed.parcels for event in parcel.events if event.to]
    assert [(event.type, dict(event.to)) for event in sent] == [(ALERT_RAISED, {topics.ALERTS_RAISED: 1})]


# What is sent


async def test_a_channel_is_given_the_notice_in_every_language_with_its_link_and_where_to(world: World) -> None:
    await world.told(LALA, "not_10000", channel="email", due="2026-03-10T10:00:00.000000Z")

    async with world.delivering():
        await until(lambda: world.states("delivered") == ["not_10000"])

    (parcel,) = world.recipients.parcels
    (shown,) = parcel.shown
    assert (parcel.id, parcel.attempt) == ("not_10000", 1)
    assert parcel.to == Destination(LALA, EMAIL, "by-mail", language="az", title="Lala")
    assert shown.says == {"en": "Urgent.", "az": "Təcili."}
    assert (shown.notice, shown.link) == ("not_10000", "https://us/not_10000")
    assert shown.data["due"] == "2026-03-10T10:00:00.000000Z"
    assert (shown.data["notice"], shown.data["about"], shown.data["says"]) == ("not_10000", "cas_not_10000", "Urgent.")
    assert shown.raised_at == shown.data["raised_at"] == "2026-03-10T08:00:00.000000Z"


async def test_what_may_go_together_goes_as_one_message_and_each_notice_is_kept_for_itself(world: World) -> None:
    await world.told(LALA, *MANY, channel="email", in_digest=True)
    await world.told(LALA, "not_a0000", channel="email", never_held=True)
    await world.told(DUTY, "not_b0000")

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == len(MANY) + 2)

    sent = {parcel.id: [shown.notice for shown in parcel.shown] for parcel in world.recipients.parcels}
    assert sent == {MANY[0]: MANY, "not_a0000": ["not_a0000"], "not_b0000": ["not_b0000"]}


async def test_a_digest_is_whole_however_few_are_looked_at_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 3)
    await world.told(LALA, *MANY, channel="email", in_digest=True)

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == len(MANY))

    assert [len(parcel.shown) for parcel in world.recipients.parcels] == [len(MANY)]


async def test_a_digest_that_is_not_taken_waits_with_all_that_is_in_it(world: World) -> None:
    world.recipients.broken = {LALA}
    await world.told(LALA, *MANY, channel="email", in_digest=True)

    async with world.delivering():
        await until(lambda: world.attempts() == [1] * len(MANY) and len(world.states("waiting")) == len(MANY))
        world.recipients.broken = set()
        world.now += timedelta(seconds=TOGETHER + 1)
        await until(lambda: len(world.states("delivered")) == len(MANY))

    assert [len(parcel.shown) for parcel in world.recipients.parcels] == [len(MANY)] * 2


# How much


async def test_no_more_a_minute_than_a_recipient_wants_save_what_nothing_holds_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.told(LALA, *MANY, channel="email", rate=2)
    await world.told(LALA, "not_a0000", channel="email", never_held=True)

    async with world.delivering():
        await until(lambda: "not_a0000" in world.states("delivered"))
        await some_looks()
        assert world.states("delivered") == [*MANY[:2], "not_a0000"]

        monkeypatch.setattr("services.notifier.recipients.MINUTE", 0.001)
        await until(lambda: len(world.states("delivered")) == len(MANY) + 1)


async def test_what_waits_for_its_minute_hides_nobody_else_s(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 3)
    await world.told(LALA, *MANY, channel="email", rate=1)
    await world.told(LALA, "not_a0000", channel="email", never_held=True)
    await world.told(DUTY, "not_b0000")

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == 3)
        await some_looks()

    assert world.states("delivered") == [MANY[0], "not_a0000", "not_b0000"]


async def test_a_channel_that_does_not_answer_holds_up_no_other_of_the_same_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 3)
    world.recipients.silent = {"by-pager"}
    await world.told(LALA, "not_a0000", channel="email")
    await world.told(LALA, *MANY, channel="apprise")

    async with world.delivering():
        await until(lambda: world.recipients.now.get(LALA) == IN_FLIGHT)
        await world.told(LALA, "not_b0000", channel="email")
        await until(lambda: world.states("delivered") == ["not_a0000", "not_b0000"])


async def test_what_has_been_raised_is_sent_without_waiting_for_a_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.delivery.EVERY", 3600)

    async with world.delivering():
        await some_looks()
        await world.hears(raising(DUTY, "not_10000"))
        await until(lambda: world.states("delivered") == ["not_10000"])


# Who is no longer there

NOT_THERE = {
    "somebody who left": ("person.nobody", "email"),
    "a channel on which nobody can be told": ("person.lala", "webhook"),
    "a subscriber without a target": ("archive", "webhook"),
    "a subscription that was removed": ("subscription.ministry", "webhook"),
    "a system that is not set": ("system.alertmanager", "alertmanager"),
}


@pytest.mark.parametrize("case", NOT_THERE)
async def test_who_cannot_be_told_any_more_is_not_asked_and_somebody_hears_of_it(world: World, case: str) -> None:
    recipient, channel = NOT_THERE[case]
    await world.told(recipient, "not_10000", channel=channel)

    async with world.delivering():
        await until(lambda: world.states("failed") == ["not_10000"])

    assert world.recipients.begun == []
    (alert,) = [e for parcel in world.fed.parcels for e in parcel.events if e.type == ALERT_RAISED]
    assert (alert.data["reason"], alert.data["subscriber"]) == (NO_RECIPIENT, recipient)


async def test_a_recipient_whose_system_is_gone_is_left_alone(world: World) -> None:
    world.directory.subscriptions = {"ministry": added("ministry").subscription}
    world.recipients.gone = {"subscription.ministry"}
    await world.told("subscription.ministry", "not_10000")

    async with world.delivering():
        await until(lambda: len(world.left) == 1)

    assert [one.recipient for one in world.left] == ["subscription.ministry"]
    assert world.states("failed") == ["not_10000"]


async def test_that_a_recipient_cannot_be_reached_is_said_once_save_for_what_nothing_holds_back(world: World) -> None:
    for notice in MANY:
        await world.told("archive", notice)
    await world.told("archive", "not_a0000", never_held=True)

    async with world.delivering():
        await until(lambda: len(world.states("failed")) == len(MANY) + 1)

    alarmed = {e.data["notice"] for parcel in world.fed.parcels for e in parcel.events if e.type == ALERT_RAISED}
    assert "not_a0000" in alarmed
    # Those that were on their way together did not know of each other.
    assert 1 <= len(alarmed & {*MANY}) <= IN_FLIGHT


async def test_a_test_notice_goes_at_once_and_leaves_no_record(world: World) -> None:
    one = added("ministry").subscription
    assert await world.sending.send_test(one) == Failed(1, NO_RECIPIENT, for_good=True)
    world.directory.subscriptions = {"ministry": one}

    assert await world.sending.send_test(one) == Delivered(1)

    (parcel,) = world.recipients.parcels
    assert (parcel.to.address, parcel.to.keys) == (one.address, one.keys)
    assert parcel.shown[0].says == TEST_SAYS
    assert world.store.documents == {}


async def test_what_nothing_holds_back_goes_first_and_has_a_place_of_its_own(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY)

    async with world.delivering():
        await until(lambda: world.recipients.now.get(DUTY) == IN_FLIGHT)
        await world.told(DUTY, "not_a0000", "not_b0000", never_held=True)
        await until(lambda: world.recipients.now.get(DUTY) == IN_FLIGHT + 1)
        await some_looks()

        assert world.recipients.begun[-1] == (DUTY, "not_a0000")
        assert world.recipients.most == {DUTY: IN_FLIGHT + 1}


async def test_one_about_the_same_case_hides_nothing_of_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 3)
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY, about="cas_1")
    await world.told(OPERATIONS, "not_a0000")

    async with world.delivering():
        await until(lambda: world.states("delivered") == ["not_a0000"])


# No time left


@pytest.mark.parametrize("has_next", [True, False])
async def test_what_never_got_a_place_in_its_time_goes_on_without_an_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch, has_next: bool
) -> None:
    monkeypatch.setattr("services.notifier.delivery.OVERDUE_EVERY", 0.001)
    world.recipients.silent = {LALA}
    many = [f"not_{number:05x}" for number in range(IN_FLIGHT)]
    await world.told(LALA, *many, channel="email")
    over, then = "2026-03-10T08:02:00.000Z", ["log"] if has_next else []
    await world.told(LALA, "not_fffff", channel="email", give_up_at=over, then=then)
    async with world.delivering():
        await until(lambda: world.recipients.count(LALA) == IN_FLIGHT)
        await some_looks()
        assert world.states("waiting") == ["not_fffff"]
        world.now += timedelta(minutes=3)
        await until(lambda: world.states("handing_on" if has_next else "failed") == ["not_fffff"])
    assert world.store.documents["not_fffff"]["state"]["attempts"] == 0
    alerts = [e for parcel in world.fed.parcels for e in parcel.events if e.type == ALERT_RAISED]
    assert bool(alerts) is not has_next


async def test_a_large_digest_holds_up_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, handle = asyncio.Event(), world.loop.handle

    async def handled(messages: Sequence[Message], *more: Any) -> Any:
        if len(messages) > 1 and messages[0].record.startswith("not_d"):
            await slow.wait()
        return await handle(messages, *more)

    await world.told(LALA, *[f"not_d{number:04x}" for number in range(30)], channel="email", in_digest=True)
    monkeypatch.setattr(world.loop, "handle", handled)
    async with world.delivering():
        await some_looks()
        await world.told(DUTY, "not_10000")
        await until(lambda: world.states("delivered") == ["not_10000"])
        slow.set()
        await until(lambda: len(world.states("delivered")) == 31)
    assert len([parcel for parcel in world.recipients.parcels if parcel.to.recipient == LALA]) == 1


async def test_a_bug_in_keeping_what_became_of_many_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = world.loop.handle

    async def failing(messages: Sequence[Message], *more: Any) -> Any:
        if any(isinstance(message.body, Delivered) for message in messages):
            raise RuntimeError
        return await handle(messages, *more)

    monkeypatch.setattr(world.loop, "handle", failing)
    world.recipients.silent = {DUTY, OPERATIONS}
    await world.told(DUTY, *MANY[:IN_FLIGHT])
    await world.told(OPERATIONS, *[f"{notice}b" for notice in MANY[:IN_FLIGHT]])
    async with world.delivering():
        await until(lambda: len(world.recipients.begun) == 2 * IN_FLIGHT)
        world.recipients.heard.set()
        await until(lambda: not world.delivery._running)
    assert not world.loop.broken.is_set()
