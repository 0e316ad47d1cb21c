"""The services and the only broker die under load: no letter is lost, no case comes twice, every topic is gapless.

A kill of a service counts only while something of that service is unsent or uncommitted.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fault.history import Outcome
from tests.fault.load import Load
from tests.fault.system import SERVICES, Kill, System
from tests.fault.trial import Trial
from tests.fault.watch import Watch

pytestmark = pytest.mark.timeout(600)  # for a machine that has other things to do

KILLS = 5
"""Of each service."""
RATE = 50.0
"""Letters a second."""


@pytest_asyncio.fixture(scope="module")
async def system(needs_kafka: None, needs_mongod: None, module_folder: Path) -> AsyncIterator[System]:
    """The services on a Kafka and a MongoDB of one node each, for this file alone."""
    with Kafka(module_folder / "kafka") as kafka, Mongo(module_folder / "mongo") as mongo:
        async with System(module_folder / "services", kafka, mongo) as system:
            yield system


async def test_services_are_killed(system: System, trial: Trial) -> None:
    """Each service five times, all three at the same time."""
    kills: list[Kill] = []

    async def keep_killing(name: str, watch: Watch, load: Load, rng: random.Random) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.1, 1.5))
            kills.append(await system.kill(name, watch, load, rng))
            await asyncio.sleep(rng.uniform(0.0, 0.5))
            await system.bring_back(name)

    async with system.watch() as watch:
        load = await system.load(trial.rng, RATE)
        dice = [random.Random(trial.rng.random()) for _ in system.services]
        await asyncio.gather(*(keep_killing(n, watch, load, d) for n, d in zip(system.services, dice, strict=True)))
        await load.finish()
        verdict = await system.verdict(watch)

    trial.judge(load, kills, verdict)
    assert Counter(kill.process for kill in kills) == dict.fromkeys(SERVICES, KILLS)


async def test_the_only_broker_is_killed(system: System, trial: Trial) -> None:
    """While no Kafka is there letters are taken all the same."""
    async with system.watch() as watch:
        load = await system.load(trial.rng, RATE)
        await asyncio.sleep(trial.rng.uniform(1, 3))
        kills = [await system.kill_broker(1, watch, load)]
        taken = load.history.counts[Outcome.OK]
        await asyncio.sleep(trial.rng.uniform(1, 3))
        taken_meanwhile = load.history.counts[Outcome.OK] - taken
        await asyncio.to_thread(system.kafka.restart)
        await asyncio.sleep(2)
        await load.finish()
        verdict = await system.verdict(watch)

    trial.judge(load, kills, verdict)
    assert taken_meanwhile > 0
