"""What is left when all is still: every record of every topic from its beginning, and every document."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

from shared import times
from tests.servers import partitions_of

COLLECTIONS = ("letters", "cases", "notices")
QUARANTINES = ("intake_quarantine", "router_quarantine", "notifier_quarantine")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One Kafka record as a foreign reader sees it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
    """Milliseconds; by the clock of who wrote it."""

    @property
    def id(self) -> str:
        """The CloudEvents id."""
        return self.attribute("id")

    @property
    def source(self) -> str:
        """The CloudEvents source; sequences count per source."""
        return self.attribute("source")

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.attribute("subject")

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return self.attribute("type")

    @property
    def sequence(self) -> int:
        """Its place among the events of its source."""
        return int(self.attribute("sequence"))

    def attribute(self, name: str) -> str:
        """A CloudEvents attribute of binary mode."""
        return dict(self.headers)[f"ce_{name}"].decode()


@dataclass(frozen=True)
class Evidence:
    """Everything that can be seen from outside, and the documents."""

    topics: Mapping[str, Sequence[Seen]]
    """Our own topics; per partition in the order of the offsets."""
    documents: Mapping[str, Sequence[Document]]
    webhooks: Mapping[str, int]
    """How often each notice came by webhook."""
    began: datetime
    """When the look began: what was due by then must have happened."""


async def collect(bootstrap: str, topics: Iterable[str], mongo: str, database: str, webhooks: Counter[str]) -> Evidence:
    """Read it all."""
    began = times.now()
    seen = await read_topics(bootstrap, topics)
    async with AsyncMongoClient[dict[str, Any]](mongo, tz_aware=True) as client:
        held = client.get_database(database, read_concern=ReadConcern("majority"))
        documents = {name: await held[name].find().to_list() for name in (*COLLECTIONS, *QUARANTINES)}
    return Evidence(seen, documents, dict(webhooks), began)


async def read_topics(bootstrap: str, topics: Iterable[str]) -> dict[str, list[Seen]]:
    """Every record, and not one less: the offsets say how many there are."""
    partitions = await partitions_of(bootstrap, topics)
    found: dict[str, list[Seen]] = {partition.topic: [] for partition in partitions}
    # With the reset at "latest" a consumer that seeks to the beginning can stay at the end: a loss that is none.
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(partitions)
        due = {partition: 0 for partition in partitions if ends[partition]}
        consumer.assign(list(due))
        for partition in due:
            consumer.seek(partition, 0)
        async with asyncio.timeout(120):
            while any(due[partition] < ends[partition] for partition in due):
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        assert record.offset == due[partition], f"{partition}: {record.offset} after {due[partition]}"
                        due[partition] += 1
                        found[partition.topic].append(_seen(record))
    finally:
        await consumer.stop()
    return found


def _seen(record: ConsumerRecord[Any, Any]) -> Seen:
    headers = tuple((name, text) for name, text in record.headers)
    return Seen(
        record.topic, record.partition, record.offset, record.key or b"", record.value or b"", headers, record.timestamp
    )
