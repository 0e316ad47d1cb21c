"""The kill test catches bugs that are planted in the services themselves: if it did not, its silence would say nothing.

Only with `ROGATORY_FAULT_PLANTED=1`, for it takes minutes; faults planted in recorded data are in test_checker.py.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fault.planted import BUGS
from tests.fault.system import System
from tests.fault.test_clocks import three_hours_away
from tests.fault.test_ladders import climb
from tests.fault.trial import Trial
from tests.fault.verdict import Kind, Verdict

pytestmark = pytest.mark.skipif(
    os.environ.get("ROGATORY_FAULT_PLANTED") != "1", reason="ROGATORY_FAULT_PLANTED is not 1"
)

SHOWS: dict[str, Kind] = {
    "commit_first": Kind.LOST,
    "mark_first": Kind.LOST,
    "no_sweep": Kind.UNSENT,
    "remember_in_memory": Kind.TWICE,
    "another_case_id": Kind.TWICE,
    "another_event_id": Kind.CHANGED,
    "no_horizon": Kind.WRONG,
    "told_first": Kind.WRONG,
    "nobody_owes": Kind.LOST,
    "no_guard": Kind.CHANGED,
}
OF_CLOCKS = ("no_horizon",)
OF_LADDERS = ("told_first", "nobody_owes", "no_guard")


def test_every_planted_bug_has_its_sign() -> None:
    assert SHOWS.keys() == BUGS.keys()


async def killed(system: System, trial: Trial, rounds: int) -> AsyncGenerator[Verdict, None]:
    """What is found after each round in which the router, intake and the router again die under load."""
    async with system.watch() as watch, system.answering(trial.rng) as answering:
        cases = 0
        for _ in range(rounds):
            load = await system.load(trial.rng, 50)
            for name in ("router-1", "intake-1", "router-1"):
                trial.say(f"{await system.kill(name, watch, load, trial.rng)}")
                await system.bring_back(name)
            await load.finish()
            cases += load.cases_acknowledged
            with suppress(TimeoutError, AssertionError):  # with some of these bugs it is never still
                await answering.finish(cases, 30)
                await watch.until_still(30)
            verdict = await system.judged()
            trial.say(str(verdict)[:1500])
            yield verdict


async def test_without_a_bug_nothing_is_found(
    fresh_kafka: Kafka, fresh_mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """In the same time: what is found otherwise is the bug's."""
    system = System(tmp_path / "services", fresh_kafka, fresh_mongo)
    async with system, aclosing(killed(system, trial, rounds=1)) as verdicts:
        async for verdict in verdicts:
            assert verdict.faults == []


@pytest.mark.parametrize("bug", [bug for bug in SHOWS if bug not in (*OF_CLOCKS, *OF_LADDERS)])
async def test_a_planted_bug_is_caught(
    bug: str, fresh_kafka: Kafka, fresh_mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """The router dies until the bug shows; so many times at most."""
    caught, system = False, System(tmp_path / "services", fresh_kafka, fresh_mongo, bug)
    async with system, aclosing(killed(system, trial, rounds=4)) as verdicts:
        async for verdict in verdicts:
            if caught := verdict.count(SHOWS[bug]) > 0:
                break

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
