"""The kill test catches bugs that are planted in the services themselves: if it did not, its silence would say nothing.

Only with `ROGATORY_FAULT_PLANTED=1`, for it takes minutes; faults planted in recorded data are in test_checker.py.
"""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fault.checker import Kind
from tests.fault.planted import BUGS
from tests.fault.system import System
from tests.fault.trial import Trial

pytestmark = pytest.mark.skipif(
    os.environ.get("ROGATORY_FAULT_PLANTED") != "1", reason="ROGATORY_FAULT_PLANTED is not 1"
)

SHOWS: dict[str, Kind] = {
    "commit_first": Kind.LOST,
    "mark_first": Kind.LOST,
    "no_sweep": Kind.UNSENT,
    "another_case_id": Kind.TWICE,
    "another_event_id": Kind.CHANGED,
}


def test_every_planted_bug_has_its_sign() -> None:
    assert SHOWS.keys() == BUGS.keys()


@pytest.mark.parametrize("bug", SHOWS)
async def test_a_planted_bug_is_caught(
    bug: str, fresh_kafka: Kafka, fresh_mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """The router dies until the bug shows; so many times at most."""
    async with System(tmp_path / "services", fresh_kafka, fresh_mongo, bug) as system, system.watch() as watch:
        caught = False
        for _ in range(4):
            load = await system.load(trial.rng, 50)
            for name in ("router", "intake", "router"):
                trial.say(f"{bug}: {await system.kill(name, watch, load, trial.rng)}")
                await system.bring_back(name)
            await load.finish()
            with suppress(AssertionError):  # with some of these bugs it is never still
                await watch.until_still(25)
            verdict = await system.judged()
            trial.say(str(verdict)[:600])
            if caught := verdict.count(SHOWS[bug]) > 0:
                break

    trial.results.planted[bug.replace("_", " ")] = "caught" if caught else "missed"
    assert caught
