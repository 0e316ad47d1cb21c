"""A broker of three and the primary of three die under load: nothing is lost, nothing comes twice, topics are gapless.

A kill counts only while letters are unsent (broker), or posts wait for MongoDB (primary).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fault.system import Kill, System
from tests.fault.trial import Trial

pytestmark = pytest.mark.timeout(600)  # for a machine that has other things to do

KILLS = 2
"""Of brokers, and of primaries."""
RATE = 40.0
"""Letters a second."""


@pytest_asyncio.fixture(scope="module")
async def system(kafka3: Kafka, mongo3: Mongo, module_folder: Path) -> AsyncIterator[System]:
    """The services on a Kafka and a MongoDB of three nodes each."""
    async with System(module_folder / "services", kafka3, mongo3) as system:
        yield system


async def test_a_broker_is_killed(system: System, trial: Trial) -> None:
    """Twice, and started again in between."""
    kills: list[Kill] = []
    async with system.watch() as watch:
        load = await system.load(trial.rng, RATE)
        for _ in range(KILLS):
            await asyncio.sleep(trial.rng.uniform(1, 4))
            node = trial.rng.randint(1, 3)
            kills.append(await system.kill_broker(node, watch, load))
            await asyncio.sleep(trial.rng.uniform(0.5, 4))
            await asyncio.to_thread(system.kafka.restart, node)
        await asyncio.sleep(2)
        await load.finish()
        verdict = await system.verdict(watch)

    trial.judge(load, kills, verdict)


async def test_the_primary_is_killed(system: System, trial: Trial) -> None:
    """Twice, and started again in between; what is undone was not acknowledged to anybody."""
    kills: list[Kill] = []
    async with system.watch() as watch:
        load = await system.load(trial.rng, RATE)
        for _ in range(KILLS):
            await asyncio.sleep(trial.rng.uniform(1, 4))
            kill, node = await system.kill_primary(load)
            kills.append(kill)
            await asyncio.sleep(trial.rng.uniform(0.5, 4))
            await asyncio.to_thread(system.mongo.restart, node)
        await asyncio.sleep(2)
        await load.finish()
        verdict = await system.verdict(watch)

    trial.judge(load, kills, verdict)
