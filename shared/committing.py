"""How far a consumer has come is committed once a second, and before its partitions go; not after every batch.

A commit is a record in Kafka's own log, replicated like every other, for each partition that it names, and FastStream's
names all that the consumer has: under a steady load a third of what brokers wrote were commits. What is committed late
is at worst heard once more, and known by its id.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.log import logger

EVERY = 1.0
"""Seconds, unless somebody waits for commits."""
_PATIENCE = 5.0
"""Seconds for one commit: partitions that go do not wait for long, whatever Kafka does."""


class Commits:
    """What of one consumer's partitions is done, and how far of that Kafka knows."""

    def __init__(self, every: float = EVERY) -> None:
        """`every`: seconds from one commit to the next."""
        self._every = every
        self._done: dict[tuple[str, int], int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._last = -math.inf
        self._one_at_a_time = asyncio.Lock()
        self._is_leaving = self._is_said = False
        self._log = logger(part="consumer")

    async def done(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """A batch is kept: it need not come again."""
        for record in records:
            self._done[record.topic, record.partition] = record.offset + 1
        if self._is_leaving:
            await self.commit()

    async def step(self, consumer: AIOKafkaConsumer) -> None:
        """Commit if it is time; called whenever the consumer is about to fetch."""
        self._consumer = consumer
        if self.due_in <= 0:
            await self.commit()

    @property
    def due_in(self) -> float:
        """Seconds until there is something to commit."""
        return self._last + self._every - time.monotonic() if self._done else math.inf

    async def leave(self) -> None:
        """Commit all that is done, and from now on every batch at once."""
        self._is_leaving = True
        await self.commit()

    def begin_anew(self) -> None:
        """Partitions were given: what is done of them counts from where the last commit was, whoever made it."""
        self._done.clear()

    async def commit(self) -> None:
        """Commit all that is done; what could not be committed is the next time."""
        async with self._one_at_a_time:
            done, self._done = self._done, {}
            if not done or self._consumer is None:
                return
            mine = self._consumer.assignment()
            offsets = {place: offset for name, offset in done.items() if (place := TopicPartition(*name)) in mine}
            try:
                if offsets:
                    async with asyncio.timeout(_PATIENCE):
                        await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:
                self._lost(error)  # whoever has the partitions now begins where the last commit was
            except (KafkaError, TimeoutError) as error:
                self._lost(error)
                self._done = {**done, **self._done}
            else:
                self._is_said = False
            self._last = time.monotonic()

    def _lost(self, error: Exception) -> None:
        """Say it, once until a commit succeeds."""
        if not self._is_said:
            self._log.warning("not committed", reason=type(error).__name__)
        self._is_said = True
