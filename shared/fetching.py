"""How a consumer's next batch is fetched: without turning while nothing comes, and under load with company.

This stands in for the fetching of FastStream's batch subscriber, which after every empty look sleeps once more and then
takes whatever single record has come.
"""

import math
import time
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.closed_connections import is_deaf
from shared.committing import Commits
from shared.pace import PACE, Pace
from shared.precedence import Portion, Precedence
from shared.topics import lane_of
from shared.vocabulary import Lane

AT_ONCE = {Lane.NORMAL: 500, Lane.URGENT: 50}
"""Records in one batch; an urgent one never waits long for its neighbours."""
_PACE = {Lane.NORMAL: PACE, Lane.URGENT: 0.0}
_LOOK = 1.0
"""Seconds for which one look waits; a record that comes ends it at once."""
_TAKEN_WITHIN = 30.0
"""Seconds for which a broker is not asked again while what it gave has not been taken.

With aiokafka's own 0.1 s it is then asked for its other partitions alone, and answers when something comes there, or
after half a second: until then the first partition's next records are not fetched, in every batch that takes longer.
"""
_STILL_AFTER = 180.0
"""Seconds without a look after which a consumer stands still: a batch that MongoDB holds up ends long before."""


class Fetching:
    """Fetches the batches of one subscriber."""

    def __init__(self, lane: Lane, commits: Commits, precedence: Precedence) -> None:
        self._lane, self._commits, self._precedence = lane, commits, precedence
        self._pace, self._portion = Pace(_PACE[lane]), Portion(precedence, AT_ONCE[lane])
        self._consumer: AIOKafkaConsumer | None = None
        self._looked = math.inf
        self._given: float | None = None
        """When the batch in hand was given."""

    async def __call__(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord[Any, Any], ...]:
        """The records that have come, as soon as there is one and the last batch is long enough ago."""
        self._consumer, self._looked = consumer, time.monotonic()
        given, self._given = self._given, None
        if given is not None:
            self._portion.took(self._looked - given)
        if consumer._fetcher is not None:
            consumer._fetcher._prefetch_backoff = _TAKEN_WITHIN  # no argument sets it
        await self._commits.step(consumer)
        await self._pace.step()
        look = max(0.0, min(_LOOK, self._commits.due_in))
        found = await consumer.getmany(timeout_ms=round(look * 1_000), max_records=self._portion.size())
        # Whatever comes in this lane has its consumers, but an acknowledgement of what is normal is not urgent itself.
        if self._lane is Lane.URGENT and any(lane_of(place.topic) is Lane.URGENT for place in found):
            self._precedence.came()
        self._pace.begin()
        if found:
            self._given = time.monotonic()
        return tuple(chain.from_iterable(found.values()))

    @property
    def stands_still(self) -> bool:
        """Whether nothing is fetched any more: the consumer has ended, waits for partitions or hears of no broker."""
        is_alone = self._consumer is not None and is_deaf(self._consumer._client)
        return is_alone or time.monotonic() - self._looked > _STILL_AFTER

    def install(self, subscriber: BatchSubscriber) -> None:
        """Let a subscriber fetch so."""
        subscriber.get_msg = self  # type: ignore[method-assign]
