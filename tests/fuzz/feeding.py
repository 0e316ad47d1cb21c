"""Bad records put on real topics with healthy letters among them, and what must become of either."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient

from shared import topics
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.vocabulary import Lane
from tests.fuzz.order import Place
from tests.fuzz.records import every_reader
from tests.servers import listening
from tests.service.running import AGENCY, Said, System, eventually, filed, letter

GATES = tuple(topics.letters_from(AGENCY, lane) for lane in Lane)
RECEIVED = tuple(topics.letters_received(lane) for lane in Lane)
TOPICS = sorted({one.topic for one in every_reader()})
"""Every topic that a service reads."""
LONGEST = 900_000
Position = tuple[Place, int]
"""A topic with its partition, and the offset."""


def refused_by(record: ConsumerRecord[Any, Any]) -> set[str] | None:
    """The services that set it aside unread; None for what no client can send, or stops a service on purpose."""
    refusing = set()
    for one in every_reader():
        if one.topic == record.topic:
            try:
                one.read(record)
            except NewerBuild:
                return None
            except NotForUs:
                pass
            except NeverWill:
                refusing.add(one.service)
    return refusing if _can_be_sent(record) else None


def _can_be_sent(record: ConsumerRecord[Any, Any]) -> bool:
    try:
        for name, _ in record.headers:
            name.encode()
    except UnicodeEncodeError:
        return False
    return len(record.value or b"") < LONGEST


@dataclass
class Sent:
    """What was put on the topics."""

    aside: set[tuple[str, Place, int]] = field(default_factory=set)
    """What must be set aside: by which service, and where it stands."""
    letters: dict[str, Position] = field(default_factory=dict)
    """Where each healthy letter stands."""
    count: int = 0


@dataclass
class Feeder:
    """Puts records on topics."""

    services: System
    producer: AIOKafkaProducer
    sent: Sent = field(default_factory=Sent)

    async def send(self, topic: str, bad: Sequence[ConsumerRecord[Any, Any]], references: Sequence[str]) -> None:
        """Put bad records on a topic, and letters with these references among them."""
        step = len(bad) // (len(references) + 1) + 1
        said: list[tuple[Said, str | set[str]]] = []
        for number, record in enumerate(bad):
            if number % step == step - 1 and number // step < len(references):
                reference = references[number // step]
                said.append((filed(letter(reference), reference), self.services.ids.letter(AGENCY, reference)))
            if (refusing := refused_by(record)) is not None:
                said.append((Said(record.value, [*record.headers]), refusing))
        # Letters of a topic stand on one partition, so that one batch holds them with their neighbours.
        places = 6 if topic in RECEIVED else 1
        sending = [await self._send(topic, one, number % places) for number, (one, _) in enumerate(said)]
        for (_, mark), sent in zip(said, sending, strict=True):
            placed = await sent
            self._note(mark, ((topic, placed.partition), placed.offset))

    async def _send(self, topic: str, said: Said, partition: int) -> Any:
        return await self.producer.send(topic, said.value, key=b"key", headers=said.headers, partition=partition)

    def _note(self, mark: str | set[str], position: Position) -> None:
        if isinstance(mark, str):
            self.sent.letters[mark] = position
        else:
            self.sent.count += 1
            self.sent.aside |= {(service, *position) for service in mark}


@asynccontextmanager
async def feeding(services: System) -> AsyncIterator[Feeder]:
    """Who puts records on topics, until the block ends."""
    producer = AIOKafkaProducer(bootstrap_servers=services.kafka, acks="all", linger_ms=20, max_request_size=2_000_000)
    await producer.start()
    try:
        yield Feeder(services, producer)
    finally:
        await producer.stop()


async def all_read(services: System) -> None:
    """Wait until every group has read its topics to the end."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for one in every_reader():
        groups[one.group].add(one.topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=services.kafka)
    await admin.start()
    try:
        async with listening(services.kafka, *TOPICS) as consumer:

            async def is_read() -> bool:
                ends = await consumer.end_offsets([*consumer.assignment()])
                for group, names in groups.items():
                    committed = await admin.list_consumer_group_offsets(group)
                    for place in (place for place in ends if place.topic in names and ends[place]):
                        if place not in committed or committed[place].offset < ends[place]:
                            return False
                return True

            await eventually(is_read, "that everything is read", patience=120)
    finally:
        await admin.close()
