"""What the audit reads: the notifier's own topics a second time, each event once the notifier has had its chance.

That is: it is some time old by Kafka's timestamp, and the notifier has committed it. After an outage the audit waits
for the notifier and does not run ahead of it; a partition on which the notifier stands still is itself a gap.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.closed_connections import is_deaf
from shared.closing import closed_within

GROUP = "rogatory-notifier-audit"
GRACE = timedelta(seconds=30)
"""How old an event must be."""
AT_ONCE = 500
BEHIND = 600.0
"""Seconds for which the notifier may stand still before an event that is old enough."""
ASK_EVERY = 1.0
"""Seconds between two questions to Kafka how far the notifier is."""
_ANSWER_IN, _CLOSED_IN = 10.0, 3.0

_Record = ConsumerRecord[Any, Any]


class Held:
    """What was fetched and is not yet ripe, in the order of each partition; pure."""

    def __init__(self) -> None:
        self._held: defaultdict[TopicPartition, deque[_Record]] = defaultdict(deque)
        self._still: dict[TopicPartition, tuple[int, float]] = {}

    def add(self, fetched: Mapping[TopicPartition, Sequence[_Record]]) -> None:
        """What came."""
        for place, records in fetched.items():
            self._held[place].extend(records)

    def clear(self) -> None:
        """The partitions may go to somebody else, and come from the last commit anew."""
        self._held.clear()
        self._still.clear()

    def places(self) -> set[TopicPartition]:
        """Partitions with records that wait here: no more of them need be fetched."""
        return {place for place, records in self._held.items() if records}

    def waits_for_notifier(self, old_enough: int) -> bool:
        """Whether anything came before `old_enough` (milliseconds)."""
        return any(records and records[0].timestamp <= old_enough for records in self._held.values())

    def ripe(self, old_enough: int, committed: Mapping[TopicPartition, int]) -> list[_Record]:
        """Take what is old enough and was read by the notifier too."""
        found: list[_Record] = []
        for place, records in self._held.items():
            end = committed.get(place, 0)
            while records and records[0].offset < end and records[0].timestamp <= old_enough:
                found.append(records.popleft())
        return found

    def behind(self, old_enough: int, moment: float) -> dict[TopicPartition, int]:
        """Where the notifier has not moved for too long, and before which offset."""
        heads = {
            place: records[0].offset
            for place, records in self._held.items()
            if records and records[0].timestamp <= old_enough
        }
        self._still = {
            place: self._still[place] if self._still.get(place, (-1,))[0] == offset else (offset, moment)
            for place, offset in heads.items()
        }
        return {place: offset for place, (offset, since) in self._still.items() if moment - since >= BEHIND}

    def oldest(self) -> int | None:
        """When the oldest record came that waits here, in milliseconds."""
        return min((records[0].timestamp for records in self._held.values() if records), default=None)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, held: Held) -> None:
        self._held = held

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._held.clear()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._held.clear()


class Reading:
    """One connection; where it fails a new one is made."""

    def __init__(
        self, bootstrap: str, client: str, topics: Sequence[str], groups: Sequence[str], now: Callable[[], datetime]
    ) -> None:
        """`groups`: the consumer groups by which the notifier reads these topics."""
        servers = bootstrap.split(",")
        self._topics, self._groups, self._now = topics, groups, now
        self._admin = AIOKafkaAdminClient(bootstrap_servers=servers, client_id=client)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            client_id=client,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=15_000,
            # It may wait long for the notifier, and only its own work with it.
            max_poll_interval_ms=3_600_000,
        )
        self._held = Held()
        self._committed: dict[TopicPartition, int] = {}
        self._asked = 0.0

    async def start(self) -> None:
        """Connect and join; raises `KafkaError` where a topic is not there, for a consumer that asks would make it."""
        async with asyncio.timeout(_ANSWER_IN):
            await self._admin.start()
            for topic in await self._admin.describe_topics(sorted(self._topics)):
                if topic["error_code"] or not topic["partitions"]:
                    raise KafkaError(f"no topic {topic['topic']}")
            self._consumer.subscribe(list(self._topics), listener=_Listener(self._held))
            await self._consumer.start()

    async def stop(self) -> None:
        """Close; one that hangs is left behind."""
        await closed_within(_CLOSED_IN, self._consumer.stop())
        await closed_within(_CLOSED_IN, self._admin.close())

    async def take(self) -> list[_Record]:
        """What has become ripe within half a second; raises `KafkaError`."""
        if is_deaf(self._consumer._client):
            raise KafkaConnectionError("nobody looks for brokers any more")
        self._held.add(await self._consumer.getmany(timeout_ms=500, max_records=AT_ONCE))
        old_enough = self._old_enough()
        if self._held.waits_for_notifier(old_enough):
            await self._ask()
        ripe = self._held.ripe(old_enough, self._committed)
        self._pause()
        return ripe

    async def commit(self, records: Sequence[_Record]) -> None:
        """These are judged; raises `KafkaError` where somebody else has their partitions now."""
        ends = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        await self._consumer.commit(ends)

    def behind(self) -> dict[TopicPartition, int]:
        """Where the notifier has stood still for too long."""
        return self._held.behind(self._old_enough(), time.monotonic())

    async def until(self) -> datetime | None:
        """Everything that came before this was taken, of the partitions that are this process's own."""
        until = (self._now() - GRACE).timestamp()
        for place in (places := self._consumer.assignment()) - self._held.places():
            end = self._consumer.highwater(place)
            if end is None or await self._consumer.position(place) < end:
                return None
        oldest = self._held.oldest()
        seconds = until if oldest is None else min(until, oldest / 1000)
        return datetime.fromtimestamp(seconds, self._now().tzinfo) if places else None

    def _old_enough(self) -> int:
        return int((self._now() - GRACE).timestamp() * 1000)

    async def _ask(self) -> None:
        if time.monotonic() - self._asked < ASK_EVERY:
            return
        self._asked = time.monotonic()
        async with asyncio.timeout(_ANSWER_IN):
            for group in self._groups:
                found = await self._admin.list_consumer_group_offsets(group)
                self._committed |= {place: committed.offset for place, committed in found.items()}

    def _pause(self) -> None:
        """Fetch no more of what already waits here."""
        waiting, paused = self._held.places() & self._consumer.assignment(), self._consumer.paused()
        self._consumer.pause(*waiting - paused)
        self._consumer.resume(*paused - waiting)
