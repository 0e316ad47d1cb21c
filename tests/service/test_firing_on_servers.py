"""What burns is posted to Alertmanager again, what is over a little longer, and what lies back is not looked at."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from deploy.local.mongo import Mongo as Server
from services.notifier import firing
from services.notifier.channels import Destination, Shown
from services.notifier.destinations import Destinations
from services.notifier.domain import decide, evolve
from services.notifier.domain.bodies import Attempt, Delivered
from services.notifier.firing import Firing
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo
from shared.partners import NoticeChannel
from shared.sender import Sender
from tests.service.kept_notices import BEGAN, SEALER, Kept
from tests.service.profiled import Profile

NOW = BEGAN + timedelta(days=30)
MACHINES = "system.alertmanager"


class Silent(Sender):
    """Nothing goes to Kafka here."""

    def __init__(self) -> None:
        pass


@dataclass
class Posted:
    """Alertmanager: what it was posted, and where it stands."""

    burning: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    async def repost(self, _to: Destination, shown: tuple[Shown, ...], _now: datetime) -> Delivered:
        self.burning += [one.notice for one in shown]
        return Delivered(1)

    async def resolve(self, _to: Destination, shown: tuple[Shown, ...], _now: datetime) -> Delivered:
        self.over += [one.notice for one in shown]
        return Delivered(1)

    def find(self, recipient: str, channel: str) -> Destination:
        return Destination(recipient, NoticeChannel(channel), "https://machines.example")


@dataclass
class Duty:
    """Notices, and who posts them again."""

    kept: Kept
    firing: Firing
    posted: Posted

    async def notice(self, raised: timedelta, over: timedelta | None = None, *, delivered: bool = True) -> str:
        """One to Alertmanager that was raised so long ago, and is over since then."""
        self.kept.at = NOW - raised
        notice = await self.kept.notice(MACHINES, channel="alertmanager")
        if delivered:
            due = (await self.kept.state(notice))["next_due"]
            await self.kept.hear(notice, Attempt(due))
            await self.kept.hear(notice, Delivered(1))
        if over is not None:
            self.kept.at = NOW - over
            await self.kept.end(notice, "case.acknowledged")
        return notice


@pytest.fixture
async def duty(mongo: Server, database: str) -> AsyncIterator[Duty]:
    connection = Mongo(mongo.uri, database)
    store, posted = connection.store("notices"), Posted()
    await store.prepare([firing.INDEX])
    loop = Loop(store, decide, evolve, SEALER, Silent(), Metrics("test"), lambda: NOW)
    says: Any = lambda _: {"en": "Look."}  # noqa: E731 - what it says does not matter
    made = Firing(loop, posted, cast("Destinations", posted), says, lambda _: None)
    yield Duty(Kept(store), made, posted)
    await connection.close()


async def test_what_burns_is_posted_again_and_what_is_over_for_five_minutes_more(duty: Duty) -> None:
    burns = await duty.notice(timedelta(days=6))
    ended = await duty.notice(timedelta(days=1), timedelta(minutes=3))
    await duty.notice(timedelta(days=1), timedelta(minutes=10))
    await duty.notice(timedelta(days=8))
    await duty.notice(timedelta(hours=1), delivered=False)

    await duty.firing.post()

    assert (duty.posted.burning, duty.posted.over) == ([burns], [ended])


async def test_what_is_long_over_costs_nothing(duty: Duty, mongo: Server, database: str) -> None:
    for _ in range(50):
        await duty.notice(timedelta(days=2), timedelta(days=1))
    burns = await duty.notice(timedelta(hours=1))
    profile = Profile(mongo.uri, database)
    profile.begin()

    await duty.firing.post()

    profile.end()
    asked = list(profile.asked())
    assert [one.indexes for one in asked] == [(firing.INDEX["name"],)] * 2
    assert sum(one.examined for one in asked) == len(duty.posted.burning) == 1
    assert duty.posted.burning == [burns]
