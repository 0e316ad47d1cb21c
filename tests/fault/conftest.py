"""What the tests of this folder share."""

import os
import random
from collections.abc import Iterator

import pytest

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
