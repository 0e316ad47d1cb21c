"""Which topics Kafka has, with how many partitions, and which are surely not there."""

import asyncio
import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

_DOUBTED = 15.0
"""Seconds for which "no such topic" is said before it is believed: a broker that has just started knows none yet."""
_LOOK_AGAIN = {False: 1.0, True: 60.0}
"""Seconds to the next look for a topic that was not there, by whether that is believed: all else waits for it."""
_FORGOTTEN = 60.0
"""Seconds without a look after which what was said before may have been said by another start of Kafka's."""
_LOOK, _PAUSE = 2.0, 0.1
"""Seconds for which a look tries, and between two tries."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """A topic that Kafka says is not there: since when it says so, and when it is asked again."""

    since: float
    is_believed: bool
    next_look: float

    @classmethod
    def said(cls, now: float, before: "_Missing | None") -> "_Missing":
        """Said now, and maybe before."""
        since = before.since if before and now < before.next_look + _FORGOTTEN else now
        is_believed = now >= since + _DOUBTED
        return cls(since, is_believed, now + _LOOK_AGAIN[is_believed])


class KnownTopics:
    """What one producer knows of topics; it asks only for what it is to send to."""

    def __init__(self) -> None:
        self._partitions: dict[str, int] = {}
        self._missing: dict[str, _Missing] = {}

    def partitions(self, topic: str) -> int | None:
        """How many a topic has; None where that is not known."""
        return self._partitions.get(topic)

    def is_said_missing(self, topic: str) -> bool:
        """Whether Kafka answered, and knew no such topic."""
        return topic in self._missing

    def is_surely_missing(self, topic: str) -> bool:
        """Whether it has said so for long enough to be believed."""
        return topic in self._missing and self._missing[topic].is_believed

    def forget(self, topic: str) -> None:
        """It may have changed: ask for it again."""
        self._partitions.pop(topic, None)

    async def learn(self, client: AIOKafkaClient, topics: Collection[str]) -> None:
        """Ask for those of these topics that are not known and were not asked for just now."""
        now = time.monotonic()
        unknown = topics - self._partitions.keys()
        if due := [topic for topic in unknown if topic not in self._missing or now >= self._missing[topic].next_look]:
            await self._look_up(client, due)

    async def _look_up(self, client: AIOKafkaClient, topics: Collection[str]) -> None:
        """Where Kafka does not answer nothing is known, for then it knows no topic either."""
        said = {topic: self._missing.pop(topic, None) for topic in topics}
        is_answer = False
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_LOOK):
                for topic in topics:
                    client.add_topic(topic)
                while said:
                    is_answer = await client.force_metadata_update()
                    for topic in [*said]:
                        if found := client.cluster.partitions_for_topic(topic):
                            self._partitions[topic] = len(found)
                            del said[topic]
                    if all(said.values()):
                        break  # only the first look for a topic waits for it
                    await asyncio.sleep(_PAUSE)
        if is_answer:
            now = time.monotonic()
            self._missing |= {topic: _Missing.said(now, before) for topic, before in said.items()}
