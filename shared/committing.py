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
from aiokafka.errors import KafkaError

from shared.log import logger

EVERY = 1.0
"""Seconds, unless somebody waits for commits."""
_PATIENCE = 5.0
"""Seconds for the last one, before the partitions go."""


class Commits:
    """What of one consumer's partitions is done, and how far of that Kafka knows."""

    def __init__(self, every: float = EVERY) -> None:
        """`every`: seconds from one commit to the next."""
        self._every = every
        self._done: dict[tuple[str, int], int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._last = -math.inf
        self._one_at_a_time = asyncio.Lock()
        self._is_leaving = False
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
        await self.commit_in_time()

    async def commit_in_time(self) -> None:
        """Commit before the partitions go; they do not wait for long, whatever Kafka does."""
        try:
            await asyncio.wait_for(self.commit(), _PATIENCE)
        except TimeoutError:
            self._log.warning("not committed", reason="Kafka did not answer")

    async def commit(self) -> None:
        """Commit all that is done."""
        async with self._one_at_a_time:
            done, self._done = self._done, {}
            if not done or self._consumer is None:
                return
            mine = self._consumer.assignment()
            offsets = {place: offset for name, offset in done.items() if (place := TopicPartition(*name)) in mine}
            try:
                if offsets:
                    await self._consumer.commit(offsets)
            except KafkaError as error:
                # Whoever has the partitions now begins where the last commit was.
                self._log.warning("not committed", reason=type(error).__name__)
            self._last = time.monotonic()
