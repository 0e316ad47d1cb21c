"""The nemesis: two of every service, three brokers and three of MongoDB under a steady load, and all sorts of harm.

Letters come by HTTP and Kafka, authorities acknowledge their cases and officers their notices by Kafka, some senders'
deadlines pass. Whatever happens, nothing is lost, nothing has an effect twice, all is in order and every clock rings.
"""

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.jars import ROOT
from shared import times
from tests.fault.harms import Harms
from tests.fault.harms_aimed import of_moments
from tests.fault.harms_outside import of_clocks, of_disks, of_links
from tests.fault.judging import Judge
from tests.fault.nemesis import Nemesis, chosen, drawn
from tests.fault.priority import going_first
from tests.fault.scale import SCALE
from tests.fault.stand import INSTANCES, Stand, stand
from tests.fault.system import System
from tests.fault.trial import Trial

pytestmark = pytest.mark.timeout(5_400 if SCALE.is_timed else 1_200)  # for a machine that has other things to do

KILLED, KILLS = ("intake", "router", "notifier", "broker", "primary"), 20
"""In the long run each of these is killed at least so often."""


def alert_rules(folder: Path) -> Path:
    """The rules of this repository, but nobody waits for an e-mail about a sender's deadline."""
    text = (ROOT / "alerts.yaml").read_text()
    assert "tell: [desk-news]" in text
    file = folder / "alerts.yaml"
    file.write_text(text.replace("tell: [desk-news]", "tell: [operations]"))
    return file


@pytest.fixture
def ground(needs_kafka: None, needs_mongod: None, tmp_path: Path) -> Iterator[Stand]:
    """The servers of this test."""
    with going_first(), stand(tmp_path) as ground:
        yield ground


async def test_nothing_is_lost_whatever_happens(ground: Stand, tmp_path: Path, trial: Trial) -> None:
    """One long scenario; what is drawn follows from the seed."""
    # Each draws by itself: what one draws must not depend on how often another has drawn by then.
    rng, of_plan, of_load, of_harms, of_nemesis = (random.Random(trial.rng.random()) for _ in range(5))
    kafka, mongo = ground.kafka, ground.mongo
    told = {"ROGATORY_ALERTS": str(alert_rules(tmp_path)), "ROGATORY_KAFKA": kafka.for_services}
    for left_out in ground.left_out:
        trial.say(f"left out: {left_out}")

    def deadline() -> datetime | None:
        return times.now() + timedelta(seconds=rng.uniform(3, SCALE.nemesis_deadline)) if rng.random() < 0.3 else None

    system = System(tmp_path / "services", kafka, mongo, instances=INSTANCES, told=told, own=ground.own)
    async with system, system.watch() as watch, system.answering(trial.rng) as answering:
        harms = Harms(system)
        kinds = [*harms.of_services(), *harms.of_brokers(), *harms.of_primary(), *harms.rolling_restart(SCALE.is_timed)]
        kinds += [*of_links(kafka, mongo), *of_disks(mongo), *of_clocks(mongo, ground.clocks, of_harms)]
        kinds += of_moments(system, kafka, mongo) if SCALE.is_timed else ()
        plan = drawn(of_plan, chosen(of_plan, kinds, SCALE.is_timed))
        load = await system.load(of_load, SCALE.nemesis_rate, deadline)
        nemesis = Nemesis(system, load, answering, of_nemesis, trial.say)
        async with nemesis.reading:
            await nemesis.run(plan)
            judged = load.rate
            await nemesis.rush(SCALE.nemesis_letters, SCALE.nemesis_rate)
            last = max((letter.deadline for letter in load.filed if letter.deadline), default=times.now())
            await asyncio.sleep(max(0.0, (last - times.now()).total_seconds()) + 2)
            await nemesis.until_well(times.now())

        judge = Judge(system, load, answering, harms, nemesis, SCALE.is_timed)
        await watch.until_still()
        verdict = await system.judged(judge)
        trial.say(f"{judge.told()}\n{verdict}")
        await system.verified()

    trial.results.kills.update(nemesis.kills)
    trial.results.letters += len(load.filed)
    trial.results.nemesis |= {**judge.figures(verdict), "left_out": ground.left_out}
    trial.pronounce(verdict)
    assert load.strange == []
    assert all(nemesis.kills[name] >= KILLS for name in KILLED) or not SCALE.is_timed, nemesis.kills
    assert nemesis.measured > 0.95 * judged or not SCALE.is_timed, "the load did not come at its rate"
