"""The producer: many records at once to Kafka, each with its own result, and never poisoned for long.

aiokafka's idempotent producer is spent for a partition once the broker has refused a record there (every later send
fails with OutOfOrderSequenceNumber), so a refusal or a lost sequence makes a new producer.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from shared import times
from shared.closed_connections import is_deaf
from shared.closing import closed_within
from shared.envelope import Headers
from shared.known_topics import KnownTopics
from shared.log import Away, logger
from shared.metrics import Metrics
from shared.partitions import partition_of

DEADLINE = 30.0
"""Seconds for one wave; an idempotent send never ends by itself while Kafka is away."""
_HESITATION = 3.0
"""Seconds after which a wave without an answer is said."""
_CLOSED_IN = 5.0
_MAX_BATCH = 1_000_000
_SPENT = (OutOfOrderSequenceNumber, ProducerFenced)
_TOPIC = (TopicAuthorizationFailedError, UnknownTopicOrPartitionError, InvalidTopicError)
_WAIT = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError)


@dataclass(slots=True)
class Outgoing:
    """One record for one topic; not frozen, as `Event`."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Refused:
    """Kafka will not take this record as things stand; the reason names no content."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Kafka did not answer in time: it may have the record or not."""


Result = Refused | Unknown | None
"""None: acknowledged by all in-sync replicas."""


class Producer:
    """Sends waves; one task calls it at a time, for concurrent senders were seen to reorder in stalls."""

    def __init__(self, bootstrap: str, client: str, metrics: Metrics, now: Callable[[], datetime] = times.now) -> None:
        """`now`: the time that records carry; Kafka refuses what lies an hour in its future."""
        self._now = now
        self._bootstrap, self._client, self._metrics = bootstrap, client, metrics
        self._away = Away("Kafka", logger(part="producer"))
        self._producer: AIOKafkaProducer | None = None
        self._topics = KnownTopics()

    @property
    def is_away(self) -> bool:
        """Whether Kafka did not answer the last time."""
        return self._away.is_away

    async def send(self, outgoing: Sequence[Outgoing]) -> list[Result]:
        """Send records and wait; per key they keep their order. The results stand in the order given."""
        results: list[Result] = [Unknown()] * len(outgoing)
        producer = await self._ready()
        groups = await self._grouped(producer, outgoing, results)
        again = await self._send_groups(producer, outgoing, groups, results)
        if again:
            await self._renew()
            for index in again:
                await self._send_alone(outgoing[index], index, results)
                if isinstance(results[index], Unknown):
                    break  # Kafka has gone meanwhile: each further one would wait as long
        silent = (out.topic for out, result in zip(outgoing, results, strict=True) if isinstance(result, Unknown))
        if not all(map(self._topics.is_said_missing, silent)):
            self._lost("no answer in time")
        elif self.is_away and None in results:
            self._back()
        return results

    async def stop(self) -> None:
        """Close; an unfinished send does not hold the process."""
        if self._producer:
            await closed_within(_CLOSED_IN, self._producer.stop())
            self._producer = None

    async def _ready(self) -> AIOKafkaProducer:
        """The producer, started; waits while Kafka is away."""
        if self._producer and is_deaf(self._producer.client):
            self._spend(self._producer)
        while self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client,
                acks="all",
                enable_idempotence=True,
                max_batch_size=_MAX_BATCH,
                request_timeout_ms=int(DEADLINE * 1000),
                retry_backoff_ms=50,
            )
            try:
                await producer.start()
            except KafkaError as error:
                with contextlib.suppress(KafkaError):
                    await producer.stop()
                self._lost(type(error).__name__)
                await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - jitter
            else:
                self._producer = producer
        return self._producer

    async def _renew(self) -> None:
        old, self._producer = self._producer, None
        if old:
            await closed_within(_CLOSED_IN, old.stop())
        await self._ready()

    async def _grouped(
        self, producer: AIOKafkaProducer, outgoing: Sequence[Outgoing], results: list[Result]
    ) -> dict[tuple[str, int], list[int]]:
        """The indexes by topic and partition; what goes to a topic that is surely not there is refused."""
        await self._topics.learn(producer.client, {out.topic for out in outgoing})
        groups: dict[tuple[str, int], list[int]] = {}
        for index, out in enumerate(outgoing):
            partitions = self._topics.partitions(out.topic)
            if partitions is not None:
                groups.setdefault((out.topic, partition_of(out.key, partitions)), []).append(index)
            elif self._topics.is_surely_missing(out.topic):
                results[index] = Refused("the topic does not exist or may not be seen")
        return groups

    async def _send_groups(
        self,
        producer: AIOKafkaProducer,
        outgoing: Sequence[Outgoing],
        groups: dict[tuple[str, int], list[int]],
        results: list[Result],
    ) -> list[int]:
        """Send every group; the indexes that must be tried alone with a new producer come back."""
        sends = [
            asyncio.ensure_future(self._send_group(producer, place, outgoing, indexes))
            for place, indexes in groups.items()
        ]
        if not sends:
            return []
        done, late = await asyncio.wait(sends, timeout=_HESITATION)
        if late:
            self._lost("no answer")
            done, late = await asyncio.wait(sends, timeout=DEADLINE - _HESITATION)
        for task in late:
            task.cancel()
        again: list[int] = []
        for task in done:
            for indexes, error in task.result():
                if error is None:
                    for index in indexes:
                        results[index] = None
                elif isinstance(error, _TOPIC):
                    self._topics.forget(outgoing[indexes[0]].topic)
                    self._spend(producer)
                    for index in indexes:
                        results[index] = Refused(type(error).__name__)
                elif not isinstance(error, _WAIT):
                    again += indexes
        return sorted(again)

    def _spend(self, producer: AIOKafkaProducer) -> None:
        """Let a refused producer go; the next send makes a new one."""
        if self._producer is producer:
            self._producer = None
            self._closing = asyncio.ensure_future(closed_within(_CLOSED_IN, producer.stop()))

    async def _send_group(
        self, producer: AIOKafkaProducer, place: tuple[str, int], outgoing: Sequence[Outgoing], indexes: list[int]
    ) -> list[tuple[list[int], KafkaError | None]]:
        """Send one partition's records in as few batches as hold them; each batch with its error."""
        topic, partition = place
        at_ms = round(self._now().timestamp() * 1000)
        sent: list[tuple[list[int], asyncio.Future[object]]] = []
        results: list[tuple[list[int], KafkaError | None]] = []
        at = 0
        while at < len(indexes):
            batch, first = producer.create_batch(), at
            while at < len(indexes):
                out = outgoing[indexes[at]]
                if batch.append(key=out.key, value=out.value, timestamp=at_ms, headers=out.headers) is None:
                    break
                at += 1
            if at == first:
                results.append(([indexes[at]], MessageSizeTooLargeError()))
                at += 1
                continue
            batch.close()
            try:
                sent.append((indexes[first:at], await producer.send_batch(batch, topic, partition=partition)))
            except KafkaError as error:
                results.append((indexes[first:at], error))
        for held, future in sent:
            try:
                await future
            except KafkaError as error:
                results.append((held, error))
            else:
                results.append((held, None))
        return results

    async def _send_alone(self, out: Outgoing, index: int, results: list[Result]) -> None:
        """Send one record of a failed batch, to find the one that poisons it."""
        for attempt in (1, 2):
            producer = await self._ready()
            groups = await self._grouped(producer, [out], results=[None])
            if not groups:
                return
            ((place, _),) = groups.items()
            try:
                async with asyncio.timeout(DEADLINE):
                    ((_, error),) = await self._send_group(producer, place, [out], [0])
            except TimeoutError:
                return
            if error is None:
                results[index] = None
                return
            if isinstance(error, _WAIT):
                return
            await self._renew()
            if not isinstance(error, _SPENT) or attempt == 2:
                results[index] = Refused(type(error).__name__)
                return

    def _lost(self, reason: str) -> None:
        self._away.lost(reason)
        self._metrics.away.labels("kafka").set(1)

    def _back(self) -> None:
        self._away.back()
        self._metrics.away.labels("kafka").set(0)
