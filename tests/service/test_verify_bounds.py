"""How far back topics reach, on a real Kafka: until when what an empty partition had is gone, and what is unknown."""

import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy.local.kafka import Kafka as Server
from verify.topics import Kafka
from verify.world import GONE

DAY = 86_400_000
CONFIGS = {
    "by-age": {"retention.ms": str(DAY)},
    "for-ever": {"retention.ms": "-1"},
    "by-size": {"retention.bytes": "9"},
}


@pytest.mark.parametrize("config", CONFIGS)
async def test_of_an_empty_partition_it_is_known_until_when_it_is_gone(kafka: Server, prefix: str, config: str) -> None:
    place = f"{prefix}-{config}", 0
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(place[0], 2, 1, topic_configs=CONFIGS[config])])
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for _ in range(3):
            await producer.send_and_wait(place[0], b"x", partition=0)
    async with Kafka(kafka.bootstrap) as topics:
        whole = await topics.bounds([place[0]], [f"{prefix}-nobody"], None)
        await admin.delete_records({TopicPartition(*place): RecordsToDelete(3)})
        before = time.time() * 1000
        empty = await topics.bounds([place[0]], [], None)
    await admin.close()

    assert (whole.begins[place], whole.ends[place], whole.first_at) == (0, 3, {})
    assert (empty.begins[place], empty.starts[place], empty.ends[place]) == (3, 3, 3)
    assert empty.first_at.keys() == {place}
    assert whole.committed == {}
    assert empty.for_ever == ({place[0]} if config == "for-ever" else set())
    if config == "by-age":
        assert before - DAY <= empty.first_at[place] <= before - DAY + 60_000
    else:
        assert empty.first_at[place] == GONE


async def test_a_topic_that_is_not_there_is_left_out(
    kafka: Server, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.topics.TRIES", (0.0, 0.1))
    async with Kafka(kafka.bootstrap) as topics:
        found = await topics.bounds([f"{prefix}-nowhere"], [], None)

    assert (found.partitions, found.ends) == ({}, {})
