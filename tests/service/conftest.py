"""The services that the tests of this folder share: their start costs seconds, their records are kept apart by id."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.service.running import SERVICES, System, make_topics, system


@pytest.fixture(scope="package")
def services(kafka: Kafka, mongo: Mongo, session_folder: Path) -> Iterator[System]:
    """All three services on the run's Kafka and mongod; leave them running."""
    asyncio.run(make_topics(kafka.bootstrap))
    with system(kafka.bootstrap, mongo.uri, "service_tests", session_folder / "service-tests", *SERVICES) as made:
        yield made
