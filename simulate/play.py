"""The play: one consumer and one producer for all roles that are played here; what is said shows line by line."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.envelope import Envelope, read_envelope
from shared.failures import BadStart
from simulate.actor import Actor, Part

Say = Callable[[str], None]

_PATIENCE_MS = 200


class Play:
    """Several actors, who speak over one connection to Kafka."""

    def __init__(self, actors: Sequence[Actor], say: Say, pace: float = 1.0) -> None:
        """`pace`: by what the script's pauses are multiplied."""
        self._by_topic = {topic: actor for actor in actors for topic in actor.role.hears}
        self._actors, self._say, self._pace = actors, say, pace
        self._open: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self.stirred_at = time.monotonic()
        """When anything was heard or said, on the monotonic clock."""

    def is_speaking(self, subjects: Collection[str] | None = None) -> bool:
        """Whether anything is still to be said, of these cases and letters or of any."""
        return any(count for subject, count in self._open.items() if subjects is None or subject in subjects)

    def is_quiet(self, subjects: Collection[str] | None = None) -> bool:
        """Whether nothing is still to be said of these, and everything that was said has its answer."""
        return not self.is_speaking(subjects) and all(actor.is_answered(subjects) for actor in self._actors)

    @asynccontextmanager
    async def speaking(self, bootstrap: str) -> AsyncIterator[None]:
        """During the block what is heard is answered; whoever fails ends it, and what failed comes out as it was."""
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        try:
            await self._producer.start()
        except KafkaConnectionError:
            await self._producer.stop()
            raise BadStart(f"no Kafka answers at {bootstrap}") from None
        try:
            async with asyncio.TaskGroup() as self._parts:
                try:
                    yield
                finally:
                    for running in self._running:
                        running.cancel()
        except ExceptionGroup as failures:
            # One thing went wrong, and whoever began this has words for it; for a group nobody has.
            if len(failures.exceptions) > 1:
                raise
            raise failures.exceptions[0] from None
        finally:
            await self._producer.stop()

    def hear(self, record: "ConsumerRecord[Any, Any]", event: Envelope) -> None:
        """An event on any topic; what nobody here reads is not heard."""
        if (actor := self._by_topic.get(record.topic)) is None:
            return
        self.stirred_at = time.monotonic()
        part = actor.hear(record.topic, event, self.stirred_at)
        if part is not None:
            self._open[part.subject] += 1
            running = self._parts.create_task(self._act(actor, part))
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def listen(self, bootstrap: str, partitions: Mapping[str, int], until: Callable[[], bool]) -> None:
        """Hear with a consumer of our own, for those who have none; `until`: when it is enough.

        Topics are read from their beginning without a group: what is said again has the id that it had before, and an
        id that is known changes nothing. So there is nothing to remember between two runs.
        """
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(topic, n) for topic in self._by_topic for n in range(partitions[topic])]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            while not until() or any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=_PATIENCE_MS)).values():
                    for record in records:
                        self.hear(record, read_envelope(record.headers, record.value))
        finally:
            await consumer.stop()

    async def _act(self, actor: Actor, part: Part) -> None:
        for number, step in enumerate(part.rule.then):
            await asyncio.sleep(step.pause.total_seconds() * self._pace)
            saying = actor.say(part, number, time.monotonic())
            await self._producer.send_and_wait(saying.topic, saying.value, saying.key, headers=saying.headers)
            self.stirred_at = time.monotonic()
            self._say(saying.line)
        self._open[part.subject] -= 1
