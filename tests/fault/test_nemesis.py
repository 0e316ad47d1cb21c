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
from tests.fault import answered, windows
from tests.fault.checker import First, Histories, Wanted
from tests.fault.harms import Harms
from tests.fault.harms_outside import of_clocks, of_disks, of_links
from tests.fault.nemesis import Nemesis, chosen, drawn
from tests.fault.rings import Due, Ring, once_each, rung
from tests.fault.scale import SCALE
from tests.fault.stand import INSTANCES, Stand, stand
from tests.fault.system import System
from tests.fault.trial import Trial
from tests.fault.verdict import Fault
from tests.verified import report_on
from verify.telling import sentences

pytestmark = pytest.mark.timeout(3_600 if SCALE.is_timed else 600)  # for a machine that has other things to do

RATE = 50.0
"""Letters a second."""
REQUESTED = "requested-deadline"


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
    with stand(tmp_path) as ground:
        yield ground


async def test_nothing_is_lost_whatever_happens(ground: Stand, tmp_path: Path, trial: Trial) -> None:
    """One long scenario; what is drawn follows from the seed."""
    rng, kafka, mongo = random.Random(trial.rng.random()), ground.kafka, ground.mongo
    told = {"ROGATORY_ALERTS": str(alert_rules(tmp_path)), "ROGATORY_KAFKA": kafka.for_services}
    for left_out in ground.left_out:
        trial.say(f"left out: {left_out}")

    def deadline() -> datetime | None:
        return times.now() + timedelta(seconds=rng.uniform(5, 40)) if rng.random() < 0.2 else None

    system = System(tmp_path / "services", kafka, mongo, instances=INSTANCES, told=told, own=ground.own)
    async with system, system.watch() as watch, system.answering(trial.rng) as answering:
        load = await system.load(trial.rng, RATE, deadline)
        harms = Harms(system, trial.rng)
        nemesis = Nemesis(system, load, answering, trial.rng, trial.say)
        kinds = [*harms.of_services(), *harms.of_brokers(), *harms.of_primary(), *harms.rolling_restart()]
        kinds += [*of_links(kafka, mongo), *of_disks(mongo), *of_clocks(mongo, ground.clocks, trial.rng)]
        await asyncio.sleep(2)
        await nemesis.run(drawn(trial.rng, chosen(trial.rng, kinds, SCALE.is_timed)))
        await asyncio.sleep(max(0.0, (SCALE.nemesis_letters - len(load.filed)) / RATE))
        await load.finish()
        await answering.finish(load.cases_acknowledged)
        last = max((letter.deadline for letter in load.filed if letter.deadline), default=times.now())
        await asyncio.sleep(max(0.0, (last - times.now()).total_seconds()) + 2)
        await nemesis.until_well(times.now())

        lateness: dict[Ring, timedelta] = {}

        def more(wanted: Wanted, first: First, histories: Histories) -> list[Fault]:
            due = {
                Ring(system.ids.case(letter, n), REQUESTED): Due(filed.deadline, case.authority, case.lane)
                for filed in load.filed
                if filed.deadline
                for letter in [system.ids.letter(filed.agency, filed.reference)]
                for n, case in enumerate(filed.kind.cases, 1)
            }
            found = rung(first, histories)
            lateness.update(windows.lateness(due, found, nemesis.windows))
            timed = [*windows.late(lateness), *windows.slow(nemesis.windows)] if SCALE.is_timed else []
            return [
                *once_each(due, found),
                *answered.updates(answering.cases, wanted, first, histories),
                *answered.notices(answering.notices, histories),
                *harms.faults,
                *timed,
            ]

        verdict = await system.verdict(watch, more)
        report = await asyncio.to_thread(report_on, system.settings)

    for kind, counts in {**load.history.by_kind(), **answering.history.by_kind()}.items():
        trial.say(f"{kind}: {', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items()))}")
    latest = max(lateness.values(), default=timedelta()).total_seconds()
    slowest = max(nemesis.windows, key=lambda window: window.took)
    trial.say(f"{len(lateness)} clocks rang, the latest {latest:.2f} s late; slowest: {slowest}")
    trial.say(f"graceful stops: {len(harms.stops)}, the longest {max(harms.stops):.1f} s")
    trial.say("\n".join(sentences(report)))
    trial.results.kills.update(nemesis.kills)
    trial.results.letters += len(load.filed)
    trial.results.nemesis |= {
        "harms": sum(len(window.what.split(" + ")) for window in nemesis.windows),
        "deliveries": verdict.events,
        "clocks": len(lateness),
        "latest_seconds": latest,
        "well_after_seconds": slowest.took.total_seconds(),
        "longest_stop_seconds": max(harms.stops),
    }
    trial.pronounce(verdict)
    assert load.strange == []
    assert report.is_right
