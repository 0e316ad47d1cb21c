"""The play: one consumer and one producer for all roles that are played here; what is said shows line by line."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.envelope import read_envelope
from shared.failures import BadStart
from simulate.actor import Actor, Part

Say = Callable[[str], None]


class Play:
    """Several actors over one connection to Kafka."""

    def __init__(self, actors: Sequence[Actor], say: Say, pace: float = 1.0) -> None:
        """`pace`: by what the script's pauses are multiplied."""
        self._by_topic = {topic: actor for actor in actors for topic in actor.role.hears}
        self._actors, self._say, self._pace = actors, say, pace
        self._open = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is still to be said, and everything that was said has its answer."""
        return not self._open and all(actor.is_answered for actor in self._actors)

    @asynccontextmanager
    async def played(self, bootstrap: str, partitions: Mapping[str, int]) -> AsyncIterator["asyncio.Task[None]"]:
        """Play during the block; the task ends only if something fails.

        Topics are read from their beginning without a group: what is said again has the id that it had before, and an
        id that is known changes nothing. So there is nothing to remember between two runs.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
        )
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        try:
            await asyncio.gather(consumer.start(), producer.start())
        except KafkaConnectionError:
            await asyncio.gather(consumer.stop(), producer.stop())
            raise BadStart(f"no Kafka answers at {bootstrap}") from None
        consumer.assign([TopicPartition(topic, n) for topic in self._by_topic for n in range(partitions[topic])])
        self._consumer = consumer
        listening = asyncio.create_task(self._listen(consumer, producer))
        try:
            yield listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await asyncio.gather(consumer.stop(), producer.stop())

    async def has_read_all(self) -> bool:
        """Whether everything that stands on the topics now has been heard."""
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        return all([await self._consumer.position(place) >= end for place, end in ends.items()])

    async def _listen(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        async with asyncio.TaskGroup() as parts:
            async for record in consumer:
                actor = self._by_topic[record.topic]
                event = read_envelope(record.headers, record.value)
                part = actor.hear(record.topic, event, time.monotonic())
                if part is not None:
                    self._open += 1
                    parts.create_task(self._act(actor, part, producer))

    async def _act(self, actor: Actor, part: Part, producer: AIOKafkaProducer) -> None:
        for number, step in enumerate(part.rule.then):
            await asyncio.sleep(step.pause.total_seconds() * self._pace)
            saying = actor.say(part, number, time.monotonic())
            await producer.send_and_wait(saying.topic, saying.value, saying.key, headers=saying.headers)
            self._say(saying.line)
        self._open -= 1
