"""The services that are fed with bad input: as in production, but for limits that a test can reach."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.fuzz import scale
from tests.service.running import SERVICES, System, make_topics, system


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs were tried."""
    for line in scale.says():
        terminalreporter.write_line(line)


MOST_CONNECTIONS = 500
HEAD_WITHIN = 3.0


@pytest.fixture(scope="package")
def services(kafka: Kafka, mongo: Mongo, session_folder: Path) -> Iterator[System]:
    """All three services on the run's Kafka and mongod, in a database of their own; leave them running."""
    asyncio.run(make_topics(kafka.bootstrap))
    with system(kafka.bootstrap, mongo.uri, "fuzz_tests", session_folder / "fuzz-tests") as made:
        made.settings.update(
            ROGATORY_MAX_CONNECTIONS=str(MOST_CONNECTIONS),
            ROGATORY_HEAD_WITHIN=str(HEAD_WITHIN),
            ROGATORY_BODY_WITHIN="4",
            ROGATORY_RATE_PER_AGENCY="0",
            # What waits to be anchored is held: so it is little from the beginning.
            ROGATORY_CHECKPOINT_EVERY="5",
        )
        made.launch(*SERVICES)
        made.wait(*SERVICES)
        yield made
