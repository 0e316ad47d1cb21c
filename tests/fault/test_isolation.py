"""One recipient never delays another: beside an endpoint that hangs and one that fails, the others hear as before.

The run without the two is one in which nobody tells them. Both kinds of runs take turns, each on a database of its own.
"""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import Any

import pymongo
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.keys import Keys
from deploy.local.mongo import Mongo
from deploy.local.ports import free_ports
from deploy.local.processes import stop_all, wait_until
from deploy.local.services import Service
from deploy.local.topics import create_topics
from services.notifier.recipients import IN_FLIGHT
from shared import times
from shared.events import CASE_ASSIGNED
from shared.partners import load_partners
from shared.vocabulary import Urgency
from tests.fault.case_events import happened
from tests.fault.endpoints import Answer, Endpoint
from tests.fault.notifiers import all_topics_of
from tests.fault.scale import SCALE
from tests.fault.system import settings_of
from tests.fault.trial import Trial
from tests.verified import verify

pytestmark = pytest.mark.timeout(900)  # for a machine that has other things to do

EVENTS_A_SECOND = 5
WARM_UP = 2.0 if SCALE.is_timed else 0.5
"""Seconds of load before it counts."""
MOST = 1.5
"""So many times as long the 99th percentile may be beside the two."""
GOOD = [f"office-{n:02d}" for n in range(1, 19)]
HANGING, FAILING = "office-19", "office-20"
OFFICES = [*GOOD, HANGING, FAILING]
_ALERTS = """\
rules:
  - {{name: assigned, when: {{event: [case.assigned]}}, tell: [{tell}], says: Assigned}}
  # What fails for good is told to nobody that is measured.
  - {{name: rest, tell: [watch], says: Rest}}
"""


@dataclass
class Round:
    """One run: what each office got, and how long it took."""

    offices: Mapping[str, Endpoint]
    said: dict[str, float] = field(default_factory=dict)
    """By case: when its event was put on its topic, by the monotonic clock."""
    counts: set[str] = field(default_factory=set)
    """The cases that were said after the warm-up."""
    delivered: Mapping[str, int] = field(default_factory=dict)
    """By recipient: the notices that count as delivered."""

    def seconds(self) -> list[float]:
        """From each event that counts to each good endpoint."""
        return [self.offices[name].came[case] - self.said[case] for name in GOOD for case in self.counts]

    def percentile(self, of_hundred: int) -> float:
        """So many of a hundred notices took no longer."""
        return quantiles(self.seconds(), n=100)[of_hundred - 1]


async def test_eighteen_hear_as_if_a_hanging_and_a_failing_endpoint_were_not_there(
    own_kafka: Kafka, mongo: Mongo, database: str, tmp_path: Path, trial: Trial
) -> None:
    alone: list[Round] = []
    beside: list[Round] = []
    for number in range(SCALE.rounds):
        if SCALE.is_timed:
            alone.append(await _round(own_kafka, mongo, database, tmp_path / f"alone-{number}", trial.rng, GOOD))
            trial.say(_shown("without the two", alone[-1]))
        beside.append(await _round(own_kafka, mongo, database, tmp_path / f"beside-{number}", trial.rng, OFFICES))
        trial.say(_shown("beside the two", beside[-1]))

    for one in beside:
        hanging, failing = one.offices[HANGING], one.offices[FAILING]
        assert hanging.tries
        assert failing.tries
        assert one.delivered.keys() == {*GOOD}
        assert hanging.most_at_once <= IN_FLIGHT
        assert failing.most_at_once <= IN_FLIGHT
    for one in (*alone, *beside):
        assert all(one.offices[name].came.keys() == one.said.keys() for name in GOOD)
        assert all(max(one.offices[name].tries.values()) == 1 for name in GOOD)
    if SCALE.is_timed:
        p99 = [median(one.percentile(99) for one in rounds) for rounds in (alone, beside)]
        p50 = [median(one.percentile(50) for one in rounds) for rounds in (alone, beside)]
        trial.results.isolation |= {
            "notices": sum(len(one.seconds()) for one in (*alone, *beside)),
            "p50_alone_ms": round(p50[0] * 1000, 1),
            "p50_beside_ms": round(p50[1] * 1000, 1),
            "p99_alone_ms": round(p99[0] * 1000, 1),
            "p99_beside_ms": round(p99[1] * 1000, 1),
            "p99_ratio": round(p99[1] / p99[0], 3),
            "most_at_once_hanging": max(one.offices[HANGING].most_at_once for one in beside),
        }
        trial.say(str(trial.results.isolation))
        assert p99[1] <= MOST * p99[0]


async def _round(
    kafka: Kafka, mongo: Mongo, database: str, folder: Path, rng: random.Random, told: Sequence[str]
) -> Round:
    """A notifier, a steady load, and what came of it."""
    folder.mkdir()
    answers = {HANGING: Answer.HANGS, FAILING: Answer.FAILS}
    ports = dict(zip(OFFICES, free_ports(len(OFFICES)), strict=True))
    offices = {name: Endpoint(port, answers.get(name, Answer.TAKES)) for name, port in ports.items()}
    run = Round(offices)
    own = f"{database}_{folder.name}"
    settings = _settings(folder, kafka, mongo, own, offices, told)
    await create_topics(kafka.bootstrap, all_topics_of(load_partners(folder / "partners.yaml")))
    for endpoint in offices.values():
        await endpoint.start()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    await producer.start()
    began = times.now()
    try:
        with _notifier(settings, folder) as service:
            await asyncio.to_thread(wait_until, service.is_ready, "the notifier's readiness", [service.running()])
            await _load(producer, run, rng)
            async with asyncio.timeout(30):
                while any(offices[name].came.keys() < run.said.keys() for name in GOOD):
                    service.running().check()
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)  # what was taken is kept
    finally:
        await producer.stop()
        for endpoint in offices.values():
            endpoint.stop()
    await asyncio.to_thread(verify, settings, began, "notices", "notifier_quarantine")
    run.delivered = await asyncio.to_thread(_delivered, mongo, own)
    return run


async def _load(producer: AIOKafkaProducer, run: Round, rng: random.Random) -> None:
    """Events at a steady rate, each about a case of its own."""
    began, count = monotonic(), round((WARM_UP + SCALE.round_seconds) * EVENTS_A_SECOND)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / EVENTS_A_SECOND - monotonic()))
        case = f"cas_{rng.getrandbits(128):032x}"
        said = happened(CASE_ASSIGNED, case, times.now(), Urgency.NORMAL)
        run.said[case] = monotonic()
        if run.said[case] - began >= WARM_UP:
            run.counts.add(case)
        await producer.send_and_wait(said.topic, said.value, key=said.key, headers=list(said.headers))


def _settings(
    folder: Path, kafka: Kafka, mongo: Mongo, database: str, offices: Mapping[str, Endpoint], told: Sequence[str]
) -> Mapping[str, str]:
    partners = [f"law: {ROOT / 'laws' / 'azerbaijan.yaml'}", "agencies: {bureau: {title: A bureau}}", "subscribers:"]
    partners += [f"  {name}: {{title: {name}, channels: [webhook]}}" for name in OFFICES]
    partners.append("  watch: {title: Who looks after the rest, channels: [kafka]}")
    (folder / "partners.yaml").write_text("\n".join(partners))
    (folder / "alerts.yaml").write_text(_ALERTS.format(tell=", ".join(told)))
    keys = Keys.make()
    targets = {name: {"url": endpoint.url, "secret": keys.webhook_secret} for name, endpoint in offices.items()}
    return {
        **settings_of(folder, keys, kafka, mongo, 0, database),
        "ROGATORY_PARTNERS": str(folder / "partners.yaml"),
        "ROGATORY_ALERTS": str(folder / "alerts.yaml"),
        "ROGATORY_WEBHOOKS": json.dumps(targets),
    }


@contextmanager
def _notifier(settings: Mapping[str, str], folder: Path) -> Iterator[Service]:
    [port] = free_ports(1)
    service = Service("notifier", port, settings, folder)
    child = service.launch()
    try:
        yield service
    finally:
        stop_all([child])


def _delivered(mongo: Mongo, database: str) -> Mapping[str, int]:
    """Per recipient, its delivered notices; the database goes."""
    with pymongo.MongoClient[dict[str, Any]](mongo.uri) as client:
        grouped = {"_id": "$state.subscriber", "count": {"$sum": 1}}
        found = client[database]["notices"].aggregate([{"$match": {"state.status": "delivered"}}, {"$group": grouped}])
        counts = {one["_id"]: one["count"] for one in found}
        client.drop_database(database)
    return counts


def _shown(kind: str, run: Round) -> str:
    at_once = {name: run.offices[name].most_at_once for name in (HANGING, FAILING)}
    tries = {name: sum(run.offices[name].tries.values()) for name in (HANGING, FAILING)}
    return (
        f"{kind}: {len(run.seconds())} notices, p50 {run.percentile(50) * 1000:.0f} ms, p99 "
        f"{run.percentile(99) * 1000:.0f} ms; most at once {at_once}, tries {tries}"
    )
