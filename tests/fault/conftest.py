"""What the tests of this folder share."""

import asyncio
import os
import random
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Iterator[Results]:
    """What this run counts; `ROGATORY_FAULT_SEED` repeats the random choices of another run."""
    seed = int(os.environ.get("ROGATORY_FAULT_SEED") or random.randrange(1_000_000))
    counted = Results(seed)
    yield counted
    if os.environ.get("ROGATORY_FAULT_RESULTS") == "1":
        counted.write(failed=bool(request.session.testsfailed))


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
    say(f"{name}: ROGATORY_FAULT_SEED={results.seed}")
    return Trial(random.Random(f"{results.seed}/{name}"), results, say)
