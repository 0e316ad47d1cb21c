"""The servers of the local stack are the real ones: they survive kills with their data, as production's do."""

import asyncio
import hashlib
from pathlib import Path

import pymongo
import pytest
from aiokafka import AIOKafkaProducer
from pymongo.errors import PyMongoError

from deploy.local.jars import CACHE, check_jars
from deploy.local.kafka import Kafka
from deploy.local.mongo import UNCOMPRESSED, Mongo
from deploy.local.topics import create_topics
from shared.failures import BadStart
from tests.servers import MakeTopics, listening

Document = dict[str, object]


async def send(bootstrap: str, topic: str, *values: bytes) -> None:
    """Send with everything that makes an acknowledged message durable."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_all(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    """The first messages of a topic with one partition."""
    async with listening(bootstrap, topic) as consumer, asyncio.timeout(30):
        await consumer.seek_to_beginning()
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_listener_sees_what_comes_after_it_and_nothing_before(
    kafka: Kafka, kafka_topics: MakeTopics, prefix: str
) -> None:
    await kafka_topics({prefix: 1})
    await send(kafka.bootstrap, prefix, b"before")

    async with listening(kafka.bootstrap, prefix) as consumer, asyncio.timeout(30):
        await send(kafka.bootstrap, prefix, b"after")
        assert (await consumer.getone()).value == b"after"


async def test_topics_that_are_there_are_left_alone(kafka: Kafka, kafka_topics: MakeTopics, prefix: str) -> None:
    await kafka_topics({prefix: 2})
    await kafka_topics({prefix: 2, f"{prefix}.more": 3})

    with pytest.raises(BadStart, match="has 2 partitions and must have 4"):
        await kafka_topics({prefix: 4})


async def test_a_killed_kafka_keeps_what_it_acknowledged(fresh_kafka: Kafka) -> None:
    await create_topics(fresh_kafka.bootstrap, {"t": 1})
    await send(fresh_kafka.bootstrap, "t", b"one", b"two")

    await asyncio.to_thread(fresh_kafka.kill)
    await asyncio.to_thread(fresh_kafka.restart)
    await send(fresh_kafka.bootstrap, "t", b"three")

    assert await read_all(fresh_kafka.bootstrap, "t", 3) == [b"one", b"two", b"three"]


async def test_three_nodes_acknowledge_while_one_is_dead(kafka3: Kafka, prefix: str) -> None:
    await create_topics(kafka3.bootstrap, {prefix: 1}, kafka3.replication)
    await send(kafka3.bootstrap, prefix, b"all there")

    await asyncio.to_thread(kafka3.kill, 2)
    await send(kafka3.bootstrap, prefix, b"one dead")
    await asyncio.to_thread(kafka3.restart, 2)

    assert await read_all(kafka3.bootstrap, prefix, 2) == [b"all there", b"one dead"]


def test_a_killed_mongod_keeps_what_it_acknowledged(fresh_mongo: Mongo) -> None:
    with pymongo.MongoClient[Document](fresh_mongo.uri, w="majority", journal=True) as client:
        client.test.letters.insert_one({"_id": 1})

        fresh_mongo.kill()
        fresh_mongo.restart()

        assert client.test.letters.count_documents({}) == 1


def test_a_new_primary_is_elected_when_the_first_is_killed(mongo3: Mongo) -> None:
    with pymongo.MongoClient[Document](mongo3.uri, w="majority") as client:
        client.test.letters.insert_one({"_id": 1})

        dead = mongo3.kill_primary()
        client.test.letters.insert_one({"_id": 2})  # the driver waits for the election

        assert mongo3.primary() not in (None, dead)
        mongo3.restart(dead)
        assert client.test.letters.count_documents({}) == 2


def test_the_database_of_a_test_is_its_own(mongo: Mongo, database: str) -> None:
    with pymongo.MongoClient[Document](mongo.uri) as client:
        assert client[database].list_collection_names() == []


def test_kept_data_move_to_new_ports(tmp_path: Path, needs_mongod: None) -> None:
    for expected in (0, 1):
        with Mongo(tmp_path) as server, pymongo.MongoClient[Document](server.uri, w="majority", journal=True) as client:
            assert client.test.letters.count_documents({}) == expected
            client.test.letters.insert_one({})


async def test_kafkas_kept_data_move_to_new_ports(tmp_path: Path, needs_kafka: None) -> None:
    for sent in (b"first", b"second"):
        with Kafka(tmp_path) as server:
            await create_topics(server.bootstrap, {"t": 1})
            await send(server.bootstrap, "t", sent)
            values = await read_all(server.bootstrap, "t", 1 if sent == b"first" else 2)
    assert values == [b"first", b"second"]


def test_uncompressed_data_can_be_searched(tmp_path: Path, needs_mongod: None) -> None:
    with Mongo(tmp_path, extra=UNCOMPRESSED) as server, pymongo.MongoClient[Document](server.uri) as client:
        client.test.letters.insert_one({"text": "a needle " * 100})
    assert any(b"a needle a needle" in file.read_bytes() for file in tmp_path.rglob("*.wt"))


def test_a_jar_that_is_not_the_listed_one_is_refused(tmp_path: Path, kafka: Kafka) -> None:
    check_jars(CACHE / "libs")
    for jar in (CACHE / "libs").iterdir():
        (tmp_path / jar.name).symlink_to(jar)
    odd = next(tmp_path.iterdir())
    odd.unlink()
    odd.write_bytes(hashlib.sha256(b"another").digest())

    with pytest.raises(BadStart, match=odd.name):
        check_jars(tmp_path)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path, needs_mongod: None) -> None:
    with pytest.raises(Exception, match="mongod ended with exit code 2"), Mongo(tmp_path, extra=["--no-such-option"]):
        pass


def test_mongo_names_no_primary_when_it_is_down(fresh_mongo: Mongo) -> None:
    fresh_mongo.kill()
    assert fresh_mongo.primary() is None
    with (
        pytest.raises(PyMongoError),
        pymongo.MongoClient[Document](fresh_mongo.uri, serverSelectionTimeoutMS=200) as client,
    ):
        client.admin.command("ping")
