"""A service that reads what only a newer build knows stops and leaves it there; one in simulated time says so."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import topics
from shared.events import ALERT_RAISED
from shared.vocabulary import Lane
from tests.service.running import Said, System, cloud_event, eventually, make_topics, system

LETTERS = topics.letters_received(Lane.NORMAL)


@pytest.fixture
def alone(fresh_kafka: Kafka, mongo: Mongo, database: str, tmp_path: Path) -> Iterator[System]:
    """No service yet, on a Kafka of the test's own: the groups of other tests' services have the same names."""
    asyncio.run(make_topics(fresh_kafka.bootstrap))
    with system(fresh_kafka.bootstrap, mongo.uri, database, tmp_path / "system") as made:
        yield made


async def test_an_event_of_a_newer_build_stops_the_service_and_stays_where_it_is(alone: System) -> None:
    alone.launch("router")
    await asyncio.to_thread(alone.wait, "router")
    child = alone.services["router"].child
    assert child is not None

    async with alone.listening(topics.ALERTS_RAISED) as ear:
        rubbish = Said(b"{}", cloud_event("2", event_type="letter.burned", dataschema="urn:x:letter:v9"))
        newer = Said(b"{}", cloud_event("3", event_type="letter.folded"))
        await alone.produce(LETTERS, rubbish, newer)
        await ear.wait_for(lambda one: one.type == ALERT_RAISED and one.data["kind"] == "stopped")

    await eventually(lambda: not child.is_running, "the router's end")
    assert child.exit_code == 1
    [line] = alone.said("router", "stopping")
    assert "urn:rogatory:schema:letter.folded:v1" in line["reason"]
    assert await committed(alone.kafka, "rogatory-router-letters-normal", LETTERS) is None
    assert [entry["state"]["kind"] for entry in alone.documents("router_quarantine")] == ["stopped"]


async def committed(bootstrap: str, group: str, topic: str) -> int | None:
    """How far a group has committed the first partition of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        offset: int | None = await consumer.committed(place)
        return offset
    finally:
        await consumer.stop()


async def test_whoever_looks_at_a_service_in_simulated_time_is_told_so(alone: System) -> None:
    alone.settings["ROGATORY_SIMULATION"] = "1"
    alone.launch("intake", "notifier")
    await asyncio.to_thread(alone.wait, "intake", "notifier")

    async with httpx.AsyncClient(verify=False) as client:  # loopback: no certificates to read
        ready = await client.get(alone.url("intake", "/ready"))
        letters = await client.get(alone.url("intake", "/v1/letters"))
        of_notices = await client.get(alone.url("notifier", "/ready"))

    assert ready.json()["simulated_time"]
    assert letters.headers["rogatory-simulated-time"]
    assert alone.has_said("intake", "simulated time")
    assert (await alone.metrics("intake"))["rogatory_simulated_time"] == 1
    assert "simulated_time" not in of_notices.json()
    assert (await alone.metrics("notifier"))["rogatory_simulated_time"] == 0
