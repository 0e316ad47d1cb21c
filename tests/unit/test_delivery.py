"""Delivery: nothing is claimed that is not sent at once, and a recipient who is away holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.notifier import domain
from services.notifier.delivery import IN_FLIGHT, TRUST, Delivery
from services.notifier.domain import CLAIM, WAITS, Attempt, Delivered, Failed, Raising
from services.notifier.webhook import Webhooks
from shared import topics
from shared.decisions import Message
from shared.events import ALERT_RAISED
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Change
from shared.sealing import Sealer
from tests.unit.test_loop import Fed, MemoryStore

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
DUTY, OPERATIONS = "duty-officers", "operations"


class Notices(MemoryStore):
    """The notices in memory, found as delivery asks for them."""

    async def find(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None,
        *,
        limit: int,
        sort: Sequence[str] = (),
        skip: int = 0,
    ) -> list[dict[str, Any]]:
        found = [
            document
            for document in self.documents.values()
            if document["state"]["subscriber"] == query["state.subscriber"]
            and document["state"]["about"] not in query["state.about"]["$nin"]
            and document.get("next_due", "~") <= query["next_due"]["$lte"]
        ]
        return sorted(found, key=lambda document: str(document["next_due"]))[:limit]

    def keep(self, changes: Sequence[Change]) -> bool:
        landed = super().keep(changes)
        for document in self.documents.values():
            if "next_due" not in document["state"]:
                document.pop("next_due", None)
        return landed


class Recipients(Webhooks):
    """The recipients' systems: who is silent never answers, who is broken answers 500."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.begun: list[tuple[str, str]] = []
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.heard = asyncio.Event()

    async def send(
        self, subscriber: str, notice: str, body: Mapping[str, object], attempt: int, now: datetime
    ) -> Delivered | Failed:
        self.begun.append((subscriber, notice))
        self.now[subscriber] = self.now.get(subscriber, 0) + 1
        self.most[subscriber] = max(self.most.get(subscriber, 0), self.now[subscriber])
        try:
            await (self.heard.wait() if subscriber in self.silent else asyncio.sleep(0))
        finally:
            self.now[subscriber] -= 1
        return Failed(attempt, "HTTP 500") if subscriber in self.broken else Delivered(attempt)

    async def close(self) -> None:
        """Nothing is open."""

    def count(self, subscriber: str) -> int:
        return sum(name == subscriber for name, _ in self.begun)


class World:
    """A notifier's notices, its recipients and its clock."""

    def __init__(self) -> None:
        self.now = START
        self.store, self.fed, self.recipients = Notices(), Fed(), Recipients()
        metrics = Metrics("test")
        self.loop = Loop(
            self.store, domain.decide, domain.evolve, Sealer(b"s" * 32), self.fed, metrics, lambda: self.now
        )
        self.delivery = Delivery(self.loop, self.recipients, (DUTY, OPERATIONS), metrics)

    async def told(self, subscriber: str, *notices: str, about: str | None = None) -> None:
        """Notices are raised, each about a case of its own unless one is named."""
        for notice in notices:
            body = Raising("alt_1", "urgent", "Urgent.", subscriber, "webhook", {"type": "extradition"})
            said = Message(notice, f"raise/{notice}", "notifier", body, subject=about or f"cas_{notice}")
            await self.loop.handle([said], "kafka")
            self.now += timedelta(microseconds=1)

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.delivery.run())
        try:
            yield
        finally:
            self.recipients.heard.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def states(self, status: str) -> list[str]:
        return [name for name, one in self.store.documents.items() if one["state"]["status"] == status]

    def attempts(self) -> list[int]:
        return [one["state"]["attempts"] for one in self.store.documents.values()]


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


MANY = [f"not_{n}" for n in range(10)]


async def test_no_more_is_claimed_than_can_be_sent_at_once(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY)

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == IN_FLIGHT)
        await some_looks()

        assert sorted(world.attempts()) == [0] * (len(MANY) - IN_FLIGHT) + [1] * IN_FLIGHT
        assert world.recipients.begun == [(DUTY, notice) for notice in MANY[:IN_FLIGHT]]


async def test_what_is_in_flight_here_is_not_claimed_again_here(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, "not_1")

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == 1)
        world.now += CLAIM * 2
        await some_looks()
        assert world.attempts() == [1]

        world.recipients.heard.set()
        await until(lambda: world.states("delivered") == ["not_1"])
    assert world.recipients.count(DUTY) == 1


async def test_a_recipient_who_is_away_holds_up_nobody_else(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, *MANY)
    await world.told(OPERATIONS, *(f"{notice}_too" for notice in MANY))

    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == len(MANY))

    assert world.recipients.count(OPERATIONS) == len(MANY)


async def test_after_failures_in_a_row_a_recipient_gets_one_request_at_a_time_until_one_succeeds(world: World) -> None:
    recipients = world.recipients
    recipients.broken = {DUTY}
    await world.told(DUTY, *MANY)

    async with world.delivering():
        await until(lambda: recipients.count(DUTY) == len(MANY))
        recipients.silent, recipients.most = {DUTY}, {}
        world.now += WAITS[0]
        await until(lambda: recipients.now.get(DUTY) == 1)
        await some_looks()
        assert recipients.most == {DUTY: 1}

        recipients.broken, recipients.silent = set(), set()
        recipients.heard.set()
        await until(lambda: len(world.states("delivered")) == len(MANY))
        recipients.silent, recipients.heard = {DUTY}, asyncio.Event()
        await world.told(DUTY, *(f"{notice}_later" for notice in MANY))
        await until(lambda: recipients.now[DUTY] == IN_FLIGHT)
    assert IN_FLIGHT < TRUST < len(MANY)


async def test_two_notices_about_one_case_are_never_on_their_way_at_once(world: World) -> None:
    world.recipients.silent = {DUTY}
    await world.told(DUTY, "not_1", "not_2", about="cas_1")
    await world.told(DUTY, "not_3")

    async with world.delivering():
        await until(lambda: world.recipients.count(DUTY) == 2)
        await some_looks()
        assert world.recipients.begun == [(DUTY, "not_1"), (DUTY, "not_3")]

        world.recipients.heard.set()
        await until(lambda: len(world.states("delivered")) == 3)


async def test_a_notice_whose_last_attempt_had_no_outcome_is_not_sent_and_its_alert_is(world: World) -> None:
    await world.told(DUTY, "not_1")
    for _ in range(len(WAITS) + 1):
        due = world.store.documents["not_1"]["next_due"]
        await world.loop.handle([Message("not_1", f"died/{due}", "notifier", Attempt(due))], "clock")
        world.now += CLAIM

    async with world.delivering():
        await until(lambda: world.states("failed") == ["not_1"])
        await some_looks()

    assert world.recipients.begun == []
    sent = [event for parcel in world.fed.parcels for event in parcel.events if event.to]
    assert [(event.type, dict(event.to)) for event in sent] == [(ALERT_RAISED, {topics.ALERTS_RAISED: 1})]
