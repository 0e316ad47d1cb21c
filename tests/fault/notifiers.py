"""Two notifiers on servers that a test gives, with ladders that a test can wait for: killed, started, asked."""

import asyncio
import contextlib
import http.client
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.keys import Keys
from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import stop_all
from deploy.local.services import Service
from deploy.local.topics import create_topics
from shared import times, topics
from shared.law import load_law
from shared.partners import Partners, load_partners
from shared.sealing import Sealer
from shared.vocabulary import DESK
from tests.fault.climbing import Ladder, Lives
from tests.fault.evidence import Evidence, collect
from tests.fault.planted import BuggyService
from tests.fault.rings import Life
from tests.fault.system import settings_of
from tests.fault.webhooks import Webhooks
from tests.verified import verify

NOTIFIERS = ("notifier-1", "notifier-2")
_PATIENCE = 120.0
"""Seconds, for a machine that has other things to do."""
_SETTLE = 0.1
"""Seconds in which those that live raise the notices that they owe."""
_ROSTER = """\
zone: Asia/Baku
people:
  lala: {name: Lala, language: az, contacts: {apprise: "jsons://pager.example.org/lala"}}
  vera: {name: Vera, language: ru, contacts: {apprise: "jsons://pager.example.org/vera"}}
rotas:
  desk: {title: Desk, stand_in: vera, turns: [{start: 2026-01-05, hand_over: ["08:00"], order: [lala]}]}
  heads: {title: Heads, stand_in: lala, turns: [{start: 2026-01-05, hand_over: ["08:00"], order: [vera]}]}
"""
_ALERTS = """\
audiences:
  emergencies: {{title: Who is told again, ladder: reminded}}
  urgent: {{title: Who is not, ladder: plain}}
ladders:
  reminded:
    steps:
      - {{after: 0 seconds, tell: [{{subscriber: duty-officers}}, {{duty: desk, by: [apprise]}}]}}
      - {{after: {pace} seconds, tell: [{{duty: heads, by: [apprise]}}]}}
    again: {pace} seconds
    rounds: 3
    remind_after: {pace} seconds
  plain:
    steps:
      - {{after: 0 seconds, tell: [{{subscriber: duty-officers}}]}}
      - {{after: {pace} seconds, tell: [{{duty: desk, by: [apprise]}}, {{duty: heads, by: [apprise]}}]}}
      - {{after: {twice} seconds, tell: [{{subscriber: duty-officers}}, {{subscriber: operations}}]}}
    again: {pace} seconds
    rounds: 2
rules:
  - {{name: emergency, when: {{event: [case.assigned], urgency: [emergency]}}, tell: [emergencies], says: Emergency}}
  - {{name: urgent, when: {{event: [case.assigned], urgency: [urgent]}}, tell: [urgent], says: Urgent}}
  - {{name: begun, when: {{event: [case.begun]}}, tell: [], says: Nobody}}
  - {{name: rest, tell: [operations], says: Rest}}
"""
_OFFICERS = frozenset({("duty-officers", "kafka"), ("duty-officers", "webhook")})
_DESK, _HEADS = frozenset({("person.lala", "apprise")}), frozenset({("person.vera", "apprise")})


def ladders(pace: timedelta) -> Mapping[str, Ladder]:
    """The ladders of these files, by the name of their rule."""
    last = _OFFICERS | {("operations", "kafka")}
    return {
        "emergency": Ladder([_OFFICERS | _DESK, _HEADS], pace, rounds=3, reminds=True),
        "urgent": Ladder([_OFFICERS, _DESK | _HEADS, last], pace, rounds=2, reminds=False),
    }


class Notifiers:
    """The processes and how long each lived; `async with` starts them."""

    def __init__(
        self, folder: Path, kafka: Kafka, mongo: Mongo, database: str, pace: timedelta, bug: str | None = None
    ) -> None:
        """`pace`: between two steps; `bug`: of `planted.BUGS`, for them to have."""
        self.kafka, self.mongo, self.database = kafka, mongo, database
        self._folder, self._pace, self._bug = folder, pace, bug
        self._keys = Keys.make()
        self.sealer = Sealer(bytes.fromhex(self._keys.sealing_key))
        partners = load_partners(ROOT / "partners.yaml")
        self._subscribers = tuple(partners.subscribers)
        self._topics = all_topics_of(partners)
        self.services: dict[str, Service] = {}
        self._answering: dict[str, list[Life]] = {name: [] for name in NOTIFIERS}
        self._consuming: dict[str, list[Life]] = {name: [] for name in NOTIFIERS}
        self.webhooks = Webhooks()

    async def __aenter__(self) -> Self:
        """Start; what has started is stopped again if anything fails."""
        self._folder.mkdir(parents=True)
        webhook_port, *ports = free_ports(1 + len(NOTIFIERS))
        await create_topics(self.kafka.bootstrap, self._topics)
        await self.webhooks.start(webhook_port)
        told = settings_of(self._folder, self._keys, self.kafka, self.mongo, webhook_port, self.database)
        told |= {"ROGATORY_ALERTS": str(self._folder / "alerts.yaml")}
        told |= {"ROGATORY_ROSTER": str(self._folder / "roster.yaml")}
        told |= {"PLANTED": self._bug} if self._bug else {}
        self._told, self._began = told, times.now()
        pace = int(self._pace.total_seconds())
        (self._folder / "alerts.yaml").write_text(_ALERTS.format(pace=pace, twice=2 * pace))
        (self._folder / "roster.yaml").write_text(_ROSTER)
        kind = BuggyService if self._bug else Service
        for instance, port in zip(NOTIFIERS, ports, strict=True):
            self.services[instance] = kind("notifier", port, told, self._folder, instance)
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=10),
            headers={"authorization": f"Bearer {self._keys.token(authority=DESK)}"},
        )
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self.mongo.uri, tz_aware=True)
        self.held = self._client.get_database(self.database, read_concern=ReadConcern("majority"))["notices"]
        self._looking = asyncio.create_task(self._look())
        try:
            self.launch(NOTIFIERS)
            await self.until(self.are_ready, "the notifiers' start")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.to_thread(stop_all, [service.child for service in self.services.values() if service.child])
        self.webhooks.stop()
        await self._http.close()
        await self._client.close()

    @property
    def lives(self) -> Lives:
        """As they were until now."""
        return Lives(list(self._answering.values()), list(self._consuming.values()))

    def launch(self, names: Sequence[str]) -> None:
        """Start some, without waiting."""
        for name in names:
            for lives in (self._answering, self._consuming):
                lives[name].append(Life(times.now()))
            self.services[name].launch()

    def kill(self, names: Sequence[str]) -> None:
        """`kill -9`."""
        for name in names:
            # A moment that comes before the kill: what is due from then on is not held against the dead.
            for lives in (self._answering, self._consuming):
                lives[name][-1].killed = times.now()
            self.services[name].running().kill()

    async def are_ready(self) -> bool:
        """Whether all were seen to consume, each since its last start."""
        return all(lives[-1].caught_up for lives in self._consuming.values())

    async def until(self, look: Callable[[], Awaitable[bool]], what: str, patience: float = _PATIENCE) -> None:
        """Wait until something is so, while those that were not killed go on."""
        end = time.monotonic() + patience
        while not await look():
            for name, service in self.services.items():
                if self._answering[name][-1].killed is None:
                    service.running().check()
            assert time.monotonic() < end, f"{what} did not happen within {patience:.0f} s"
            await asyncio.sleep(0.05)

    async def kill_owing(self, names: Sequence[str], patience: float) -> bool:
        """Kill some that have taken a step and not raised its notices: they are stopped first, then looked at.

        Whether that came; where it does not, they are killed all the same.
        """
        end = time.monotonic() + patience
        children = [self.services[name].running() for name in names]
        while time.monotonic() < end:
            if not await self._is_owed():
                continue
            for child in children:
                child.signal(signal.SIGSTOP)
            await asyncio.sleep(_SETTLE)
            if await self._is_owed():
                self.kill(names)
                return True
            for child in children:
                child.signal(signal.SIGCONT)
        self.kill(names)
        return False

    async def _is_owed(self) -> bool:
        """Whether notices of a step are still to be raised."""
        return await self.held.find_one({"state.owed": {"$exists": True}}, {"_id": 1}) is not None

    async def until_at_rest(self, *, is_all_delivered: bool) -> None:
        """Wait until no ladder goes on, nothing is unsent, and, where that is asked for, nothing is undelivered."""
        clocks = ["state.follow_at", "unsent_since", *(["next_due"] if is_all_delivered else [])]

        async def is_at_rest() -> bool:
            return not any([await self.held.find_one({clock: {"$exists": True}}, {"_id": 1}) for clock in clocks])

        await self.until(is_at_rest, "the end of all ladders")

    async def acknowledge(self, case: str, rng: random.Random) -> bool:
        """Acknowledge some notice about a case, at whichever notifier answers; only with a bug that may fail."""

        async def is_acknowledged() -> bool:
            found = await self.held.find(
                {"state.about": case, "state.channel": {"$exists": True}}, {"_id": 1}
            ).to_list()
            if not found:
                return False
            notice = rng.choice(sorted(one["_id"] for one in found))
            url = self.services[rng.choice(NOTIFIERS)].url
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.post(f"{url}/v1/notices/{notice}/acknowledgement") as answer:
                    # 503: it has started and does not reach MongoDB yet.
                    assert answer.status in (200, 503), await answer.text()
                    return answer.status == 200
            return False

        try:
            await self.until(is_acknowledged, f"the acknowledgement of {case}", _PATIENCE if self._bug is None else 10)
        except AssertionError:
            if self._bug is None:
                raise
            return False
        return True

    async def evidence(self) -> Evidence:
        """The notices' topics and the documents; without a bug a verification has nothing to say of them."""
        if self._bug is None:
            await asyncio.to_thread(verify, self._told, self._began, "notices", "notifier_quarantine")
        names = [*map(topics.notices_to, self._subscribers), topics.ALERTS_RAISED]
        return await collect(self.kafka.bootstrap, names, self.mongo.uri, self.database, self.webhooks.came)

    async def _look(self) -> None:
        """Note when each process first answers and first consumes after each start."""
        while True:
            await asyncio.gather(*(self._look_at(name) for name in NOTIFIERS))
            await asyncio.sleep(0.03)

    async def _look_at(self, name: str) -> None:
        for lives, path in ((self._answering, "/live"), (self._consuming, "/ready")):
            life = lives[name][-1] if lives[name] else None
            if life and not life.caught_up and not life.killed:
                is_so = await asyncio.to_thread(_is_ok, self.services[name].port, path)
                if is_so and not life.killed:
                    life.caught_up = times.now()


def all_topics_of(partners: Partners) -> Mapping[str, int]:
    """Every topic that a deployment with these partners has."""
    return topics.all_topics(load_law(partners.law_file).authorities, partners.agencies, partners.subscribers)


def _is_ok(port: int, path: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
    return False
