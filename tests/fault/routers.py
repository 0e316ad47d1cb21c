"""Two routers, and a notifier where one is wanted, on servers that a test gives: killed and started together."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.keys import Keys
from deploy.local.mongo import Mongo
from deploy.local.ports import free_ports
from deploy.local.processes import stop_all
from deploy.local.services import Service
from shared import times, topics
from shared.ids import Ids
from shared.law import load_law
from shared.partners import load_partners
from shared.sealing import Sealer
from shared.vocabulary import DESK, Lane
from tests.fault.backlog import metrics_of
from tests.fault.checker import (
    First,
    firsts,
    late_clocks,
    opened,
    quarantines,
    records_hold,
    sequences,
    topics_against_histories,
)
from tests.fault.evidence import Evidence, collect
from tests.fault.openings import HOLDER, Opened, Said, put
from tests.fault.planted import BuggyService
from tests.fault.recorded import ASSUMPTION
from tests.fault.rings import Due, Life, Ring, early, late, lateness, once_each, rung
from tests.fault.scale import SCALE
from tests.fault.system import settings_of
from tests.fault.verdict import Verdict
from tests.fault.webhooks import Webhooks
from tests.verified import verify

ROUTERS = ("router-1", "router-2")
Rung = Mapping[tuple[str, Ring], Sequence[datetime]]
_READ_UNTIL = re.compile(r"^rogatory_updates_read_until_timestamp_seconds (\S+)$", re.MULTILINE)
_PATIENCE = 120.0
"""Seconds, for a machine that has other things to do."""
_LOOK = 0.1
"""Seconds between two looks at how far the routers have read."""


class Routers:
    """The processes, what was opened for them, and how far they have read; `async with` starts them."""

    def __init__(
        self,
        folder: Path,
        kafka: Kafka,
        mongo: Mongo,
        *,
        also: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        bug: str | None = None,
    ) -> None:
        """`also`: other services; `environment`: more for all to be told; `bug`: of `planted.BUGS`, for the routers."""
        self.kafka, self.mongo, self._folder = kafka, mongo, folder
        self._keys, self._also = Keys.make(), also
        self._more = {**(environment or {}), **({"PLANTED": bug} if bug else {})}
        self.ids, self.sealer = Ids(bytes.fromhex(self._keys.id_key)), Sealer(bytes.fromhex(self._keys.sealing_key))
        self.database = f"clocks_{folder.name}"[:38]
        partners = load_partners(ROOT / "partners.yaml")
        self.law = load_law(partners.law_file, (ASSUMPTION,))
        self._subscribers = tuple(partners.subscribers)
        self.services: dict[str, Service] = {}
        self.cases: dict[str, Opened] = {}
        self.lives: list[Life] = []
        self.webhooks = Webhooks()

    async def __aenter__(self) -> Self:
        """Start; what has started is stopped again if anything fails."""
        self._folder.mkdir(parents=True)
        webhook_port, *ports = free_ports(1 + len(ROUTERS) + len(self._also))
        await self.webhooks.start(webhook_port)
        told = {
            **settings_of(self._folder, self._keys, self.kafka, self.mongo, webhook_port, self.database),
            **self._more,
        }
        self._told, self._began = told, times.now()
        for instance, port in zip((*ROUTERS, *self._also), ports, strict=True):
            kind = BuggyService if "PLANTED" in told and instance in ROUTERS else Service
            self.services[instance] = kind(instance.split("-")[0], port, told, self._folder, instance)
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self.mongo.uri, tz_aware=True)
        # What is waited for here must be there for a majority, too: so the evidence is read.
        self._held = self._client.get_database(self.database, read_concern=ReadConcern("majority"))
        self._looking = asyncio.create_task(self._look())
        self.launch()
        try:
            await self.until_ready()
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
        await self._client.close()

    def launch(self) -> None:
        """Start whatever does not run, without waiting."""
        self.lives.append(Life(times.now()))
        for service in self.services.values():
            if service.child is None or not service.child.is_running:
                service.launch()

    def kill(self) -> None:
        """Kill every router as a crash does; the others go on."""
        for name in ROUTERS:
            self.services[name].running().kill()
        self.lives[-1].killed = times.now()

    def signal(self, number: int) -> None:
        """Send every router a signal."""
        for name in ROUTERS:
            self.services[name].running().signal(number)

    async def ask(self, router: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask one router for something, as the desk; raises `httpx.HTTPError` where there is no answer."""
        headers = {"authorization": f"Bearer {self._keys.token(authority=DESK)}"}
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.post(f"{self.services[router].url}{path}", json=body, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def open(self, wanted: Sequence[Opened]) -> None:
        """Say the letters, and wait until every case is there."""
        self.cases |= {one.case(self.ids): one for one in wanted}
        said = await asyncio.to_thread(lambda: [one.said(self.ids, self.sealer, self.law) for one in wanted])
        await self.say(said)
        await self.until(lambda: self.count({}, len(self.cases)), "the opening of all cases")

    async def say(self, records: Sequence[Said]) -> None:
        """Put records on topics that the routers read."""
        await put(self.kafka.bootstrap, records)

    async def count(self, query: Mapping[str, Any], right: int) -> bool:
        """Whether so many cases are as described."""
        return right == await self.number("cases", query)

    async def number(self, collection: str, query: Mapping[str, Any]) -> int:
        """How many documents are as described."""
        return await self._held[collection].count_documents(dict(query))

    async def histories(self, collection: str) -> dict[str, list[str]]:
        """By document the types of its events."""
        found = await self._held[collection].find({}, {"history.type": 1}).to_list()
        return {one["_id"]: [event["type"] for event in one["history"]] for one in found}

    async def until_ready(self) -> None:
        """Wait until all say that they can work."""
        await self.until(self._are_ready, "the services' start")

    async def until(self, look: Callable[[], Awaitable[bool]], what: str, every: float = 0.1) -> None:
        """Wait until something is so."""
        end = time.monotonic() + _PATIENCE
        while not await look():
            for service in self.services.values():
                if not (self.lives[-1].killed and service.instance in ROUTERS):
                    service.running().check()
            assert time.monotonic() < end, f"{what} did not happen within {_PATIENCE:.0f} s"
            await asyncio.sleep(every)

    async def until_sent(self) -> None:
        """Wait until nothing is unsent or due to be delivered."""

        async def is_sent() -> bool:
            left = {"cases": "unsent_since", "notices": "unsent_since"}
            counts = [
                await self._held[name].count_documents({field: {"$exists": True}})
                for name, field in (*left.items(), ("notices", "next_due"))
            ]
            return not any(counts)

        await self.until(is_sent, "the sending of everything")

    async def until_read(self, moment: datetime) -> None:
        """Wait until a router has read everything that was said before a moment."""

        async def is_read() -> bool:
            return any(until >= moment for until in await self._read_until())

        await self.until(is_read, "the reading of all that was said")

    async def judged(self, wanted: Mapping[Ring, Due], now: datetime | None = None) -> tuple[Verdict, First, Rung]:
        """What was counted and what is wrong, what the topics hold, and what rang when.

        `now`: the time that counts, where it is not the machine's: then nothing can be said of lateness.
        """
        evidence = await self._evidence()
        histories, broken = opened(evidence, self.sealer)
        first, repeats = firsts(evidence.topics)
        found = rung(first, histories)
        verdict = Verdict(len(self.cases), len(histories["cases"]), sum(map(len, first.values())), repeats)
        verdict.faults += broken
        verdict.faults += sequences(evidence.topics)
        verdict.faults += topics_against_histories(first, histories)
        verdict.faults += once_each(wanted, found)
        verdict.faults += records_hold(histories)
        verdict.faults += late_clocks(histories, now or evidence.began)
        verdict.faults += quarantines(evidence)
        if now is None:
            verdict.faults += early(wanted, found)
        if "PLANTED" not in self._told:
            await asyncio.to_thread(verify, self._told, self._began, "cases", "router_quarantine")
        if now is None and SCALE.is_timed:
            verdict.faults += late(wanted, found, self.lives)
        return verdict, first, found

    def latest(self, wanted: Mapping[Ring, Due], found: Rung) -> float:
        """Seconds by which the latest ring came after the later of its due time and the catching up of a router."""
        return max(lateness(wanted, found, self.lives).values()).total_seconds()

    async def _evidence(self) -> Evidence:
        """What stands on the topics about these cases, and the documents."""
        names = [make(lane) for lane in Lane for make in (topics.case_events, topics.answers_due, _holders)]
        names += [topics.notices_to(subscriber) for subscriber in self._subscribers]
        found = await collect(self.kafka.bootstrap, names, self.mongo.uri, self.database, self.webhooks.came)
        own = {name: [seen for seen in records if seen.subject in self.cases] for name, records in found.topics.items()}
        # The notifier has read the events of earlier tests on this Kafka, too.
        notices = [one for one in found.documents["notices"] if one["subject"] in self.cases]
        return replace(found, topics=own, documents={**found.documents, "notices": notices})

    async def _are_ready(self) -> bool:
        return all([await asyncio.to_thread(service.is_ready) for service in self.services.values()])

    async def _look(self) -> None:
        """Note when the first router has caught up after each start."""
        while True:
            await asyncio.sleep(_LOOK)
            if self.lives and (life := self.lives[-1]).caught_up is None and life.killed is None:
                found = await self._read_until()
                if any(until >= life.launched for until in found):
                    life.caught_up = times.now()

    async def _read_until(self) -> list[datetime]:
        found = await asyncio.gather(*(asyncio.to_thread(read_until, self.services[name].port) for name in ROUTERS))
        return [until for until in found if until]


def _holders(lane: Lane) -> str:
    return topics.cases_of(HOLDER, lane)


def read_until(port: int) -> datetime | None:
    """What a router's metrics say; None before it knows, and while it is dead."""
    found = _READ_UNTIL.search(metrics_of(port))
    return datetime.fromtimestamp(float(found[1]), UTC) if found and float(found[1]) else None
