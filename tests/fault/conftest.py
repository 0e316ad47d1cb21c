"""What the tests of this folder share."""

import asyncio
import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.topics import create_topics
from shared.law import load_law
from shared.partners import load_partners
from shared.topics import all_topics
from tests.fault.results import Results
from tests.fault.trial import Trial

FAILED, PASSED = pytest.StashKey[set[str]](), pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing has failed yet, and nothing has passed."""
    config.stash[FAILED], config.stash[PASSED] = set(), set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember what passed, and what failed, also after it had run."""
    report = yield
    if report.passed and report.when == "call":
        item.config.stash[PASSED].add(item.name)
    if report.failed:
        item.config.stash[FAILED].add(item.name)
    return report


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Iterator[Results]:
    """What this run counts; `ROGATORY_FAULT_SEED` repeats the random choices of another run."""
    seed = int(os.environ.get("ROGATORY_FAULT_SEED") or random.randrange(1_000_000))
    counted = Results(seed)
    yield counted
    if os.environ.get("ROGATORY_FAULT_RESULTS") == "1" and counted.tests:
        # What was interrupted has not failed, and has shown nothing either.
        passed: set[str] = request.config.stash[PASSED]
        failed: set[str] = request.config.stash[FAILED]
        counted.failed = sorted(failed | {*counted.tests} - passed)
        counted.write(add=os.environ.get("ROGATORY_FAULT_ADD") == "1")


@pytest.fixture(scope="module")
def own_kafka(needs_kafka: None, module_folder: Path) -> Iterator[Kafka]:
    """A Kafka with all topics for one file alone: other routers would read along."""
    partners = load_partners(ROOT / "partners.yaml")
    names = all_topics(load_law(partners.law_file).authorities, partners.agencies, partners.subscribers)
    with Kafka(module_folder / "kafka") as kafka:
        asyncio.run(create_topics(kafka.bootstrap, names))
        yield kafka


@pytest.fixture
def trial(results: Results, request: pytest.FixtureRequest) -> Trial:
    """The choices of one test follow from the seed, which is printed, and from its name."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True)

    name = request.node.name
    results.tests.append(name)
    say(f"{name}: ROGATORY_FAULT_SEED={results.seed}")
    return Trial(random.Random(f"{results.seed}/{name}"), results, say)
