"""Bugs that are planted in the services are caught: if they were not, the checker's silence would say nothing.

Only with `ROGATORY_FAULT_PLANTED=1`, for it takes minutes; faults planted in recorded data are in test_checker.py.
Each bug meets the harm that is aimed at the moment which it opens; services without a bug meet all of them.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fault.harms_aimed import BEFORE_COMMITTING, BEFORE_SENDING, BEFORE_WRITING, of_moments
from tests.fault.harms_outside import SLOW_MONGOD, of_links
from tests.fault.linked import LinkedKafka, LinkedMongo
from tests.fault.links import Links
from tests.fault.planted import BUGS
from tests.fault.system import System
from tests.fault.test_clocks import three_hours_away
from tests.fault.test_ladders import climb
from tests.fault.trial import Trial
from tests.fault.verdict import Kind, Verdict

pytestmark = [
    pytest.mark.skipif(os.environ.get("ROGATORY_FAULT_PLANTED") != "1", reason="ROGATORY_FAULT_PLANTED is not 1"),
    pytest.mark.timeout(600),  # for a machine that has other things to do
]

SHOWS: dict[str, Kind] = {
    "commit_first": Kind.LOST,
    "mark_first": Kind.LOST,
    "no_sweep": Kind.UNSENT,
    "no_guard": Kind.CHANGED,
    "remember_in_memory": Kind.TWICE,
    "another_case_id": Kind.TWICE,
    "another_event_id": Kind.CHANGED,
    "no_horizon": Kind.WRONG,
    "told_first": Kind.WRONG,
    "nobody_owes": Kind.LOST,
}
AIMED = {
    "commit_first": BEFORE_WRITING,
    "mark_first": BEFORE_SENDING,
    "no_sweep": BEFORE_SENDING,
    "no_guard": SLOW_MONGOD,  # two write what both have read
    "remember_in_memory": BEFORE_COMMITTING,
    "another_case_id": BEFORE_COMMITTING,
    "another_event_id": BEFORE_SENDING,
}
"""The harm under which a bug shows; the others have tests of their own."""
OF_LADDERS = ("told_first", "nobody_owes")
RATE = 50.0
"""Letters a second."""
_PATIENCE = 30.0
"""Seconds after which it is judged, still or not: with some of these bugs it is never still."""

Servers = tuple[LinkedKafka, LinkedMongo]


def test_every_planted_bug_has_its_sign_and_its_test() -> None:
    assert SHOWS.keys() == BUGS.keys() == {*AIMED, *OF_LADDERS, "no_horizon"}


@pytest.fixture
def servers(needs_kafka: None, needs_mongod: None, tmp_path: Path) -> Iterator[Servers]:
    """One node of each, behind links."""
    with ExitStack() as held:
        links = held.enter_context(Links())
        kafka = held.enter_context(LinkedKafka(tmp_path / "kafka", links, nodes=1))
        yield kafka, held.enter_context(LinkedMongo(tmp_path / "mongo", links, nodes=1))


async def aimed(servers: Servers, folder: Path, trial: Trial, kinds: Sequence[str], bug: str | None = None) -> Verdict:
    """What is found after these harms, each done twice to two of every service under load."""
    kafka, mongo = servers
    system = System(folder, kafka, mongo, bug, instances=2, told={"ROGATORY_KAFKA": kafka.for_services})
    async with system, system.watch() as watch, system.answering(trial.rng) as answering:
        harms = {harm.kind: harm for harm in (*of_moments(system, kafka, mongo), *of_links(kafka, mongo))}
        load = await system.load(trial.rng, RATE)
        for kind in [*kinds, *kinds]:
            await asyncio.sleep(trial.rng.uniform(1, 2))
            await harms[kind].strike()
            await asyncio.sleep(trial.rng.uniform(*harms[kind].seconds))
            await harms[kind].mend()
        await asyncio.sleep(1)
        with suppress(TimeoutError, AssertionError):
            await load.finish(_PATIENCE)
            await answering.finish(load.cases_acknowledged, _PATIENCE)
            await watch.until_still(_PATIENCE)
        verdict = await system.judged()
        trial.say(f"{bug or 'no bug'}: {', '.join(kinds)}\n{verdict}"[:2000])
        if bug is None:
            await system.verified()
        return verdict


async def test_without_a_bug_nothing_is_found(servers: Servers, tmp_path: Path, trial: Trial) -> None:
    """With the same patience: what is found otherwise is the bug's."""
    verdict = await aimed(servers, tmp_path / "services", trial, sorted(set(AIMED.values())))

    assert verdict.faults == []


@pytest.mark.parametrize("bug", AIMED)
async def test_a_planted_bug_is_caught(bug: str, servers: Servers, tmp_path: Path, trial: Trial) -> None:
    """By its own sign."""
    verdict = await aimed(servers, tmp_path / "services", trial, [AIMED[bug]], bug)

    caught = verdict.count(SHOWS[bug]) > 0
    trial.results.planted[bug.replace("_", " ")] = "caught" if caught else "missed"
    assert caught


async def test_a_router_that_does_not_wait_for_what_was_said_is_caught(
    own_kafka: Kafka, fresh_mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """It pages for what was acknowledged in time."""
    verdict = await three_hours_away(own_kafka, fresh_mongo, tmp_path, trial, bug="no_horizon")
    trial.say(str(verdict)[:600])

    caught = verdict.count(SHOWS["no_horizon"]) > 0
    trial.results.planted["no horizon"] = "caught" if caught else "missed"
    assert caught


@pytest.mark.parametrize("bug", OF_LADDERS)
async def test_a_bug_in_climbing_ladders_is_caught(
    bug: str, fresh_kafka: Kafka, mongo: Mongo, database: str, tmp_path: Path, trial: Trial
) -> None:
    """Notifiers die until the bug shows; so many times at most."""
    caught = False
    for number in range(3):
        found = await climb(fresh_kafka, mongo, f"{database}_{number}", tmp_path / str(number), trial, bug)
        trial.say(str(found.verdict)[:600])
        if caught := found.verdict.count(SHOWS[bug]) > 0:
            break

    trial.results.planted[bug.replace("_", " ")] = "caught" if caught else "missed"
    assert caught
