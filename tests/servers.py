"""Real servers for tests, and what keeps tests on one server apart.

The names of the product's topics are fixed, so tests on one Kafka share them. What is apart: letters (make agencies and
references from `prefix`), databases (`database`), consumer groups (`prefix` again), and what a test reads
(`listening` begins at the end of each topic). A test that must be alone asks for `fresh_kafka`.
"""

import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pymongo
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import jars
from deploy.local.java import java, maven
from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo, mongod
from deploy.local.topics import create_topics
from shared.failures import BadStart

MakeTopics = Callable[[Mapping[str, int]], Awaitable[None]]


@pytest.fixture(scope="session")
def kafka(needs_kafka: None, session_folder: Path) -> Iterator[Kafka]:
    """Apache Kafka, one node, for the whole run; leave it running."""
    with Kafka(session_folder / "kafka") as server:
        yield server


@pytest.fixture
def fresh_kafka(needs_kafka: None, tmp_path: Path) -> Iterator[Kafka]:
    """A Kafka for one test alone, which may kill it."""
    with Kafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture(scope="module")
def kafka3(needs_kafka: None, module_folder: Path) -> Iterator[Kafka]:
    """Three nodes for one file of tests; a test that kills one starts it again."""
    with Kafka(module_folder / "kafka3", node_count=3) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mongo(needs_mongod: None, session_folder: Path) -> Iterator[Mongo]:
    """mongod, a replica set of one node, for the whole run; leave it running."""
    with Mongo(session_folder / "mongo") as server:
        yield server


@pytest.fixture
def fresh_mongo(needs_mongod: None, tmp_path: Path) -> Iterator[Mongo]:
    """A mongod for one test alone, which may kill it."""
    with Mongo(tmp_path / "mongo") as server:
        yield server


@pytest.fixture(scope="module")
def mongo3(needs_mongod: None, module_folder: Path) -> Iterator[Mongo]:
    """Three nodes for one file of tests; a test that kills one starts it again."""
    with Mongo(module_folder / "mongo3", node_count=3) as cluster:
        yield cluster


@pytest.fixture
def prefix() -> str:
    """A word that no other test has, to make agencies, references and consumer groups from."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def database(mongo: Mongo, prefix: str) -> Iterator[str]:
    """The name of an empty database, dropped after the test."""
    yield prefix
    with pymongo.MongoClient[dict[str, object]](mongo.uri) as client:
        client.drop_database(prefix)


@pytest.fixture
def kafka_topics(kafka: Kafka) -> MakeTopics:
    """Makes topics (name: partitions) where they are not there yet: `await kafka_topics(all_topics(...))`."""

    async def make(topics: Mapping[str, int]) -> None:
        await create_topics(kafka.bootstrap, topics)

    return make


@asynccontextmanager
async def listening(bootstrap: str, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that sees what comes into these topics from now on."""
    partitions = await partitions_of(bootstrap, topics)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for partition, end in ends.items():
            consumer.seek(partition, end)
        yield consumer
    finally:
        await consumer.stop()


async def partitions_of(bootstrap: str, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of these topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    assert not any(topic["error_code"] for topic in described), "a topic is not there"
    return [TopicPartition(topic["topic"], one["partition"]) for topic in described for one in topic["partitions"]]


@pytest.fixture(scope="session")
def needs_kafka() -> None:
    """Skip, naming the program that is missing."""
    try:
        java()
        if not jars.is_complete():
            maven()
    except BadStart as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def needs_mongod() -> None:
    """Skip, naming the program that is missing."""
    try:
        mongod()
    except BadStart as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def session_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the servers of the whole run live; it stays for a look at the logs when a test failed."""
    yield from _folder(request, tmp_path_factory)


@pytest.fixture(scope="module")
def module_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the servers of one file of tests live."""
    yield from _folder(request, tmp_path_factory)


def _folder(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = factory.mktemp("servers")
    yield folder
    if not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)
