"""Until when everything that was written to some topics has been read: what is due later is not yet judged as missing.

A clock that is due at noon may not fire before all that came by noon has been read: after an outage nobody is paged
whose answer stands in Kafka. What counts is what the consumer groups have committed, whichever replica did.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.closing import closed_within
from shared.log import logger
from shared.metrics import Metrics
from shared.time_source import Time

EVERY = 0.3
"""Seconds between two looks."""
MOST_MARKS = 1_000
"""Moments that are remembered while the readers are behind; of more, every second one is forgotten."""
_ANSWER_IN, _CLOSED_IN = 10.0, 3.0
_SUSPICIOUS = 2.0
"""Seconds for which a partition stands still before its rest is looked at."""
_SMALL_REST = 1_000
_STUCK = 30.0
"""Seconds of no progress after which it is said."""

Offsets = Mapping[TopicPartition, int]


class Progress:
    """What had come by some moments, and which of these has been read; pure."""

    def __init__(self) -> None:
        self.until: datetime | None = None
        """Everything that came before this has been read; None: nothing is known yet."""
        self._marks: deque[tuple[datetime, Offsets]] = deque()

    def passed(self, now: datetime) -> None:
        """The time; before what is known it was put back: then what was read until when is unknown again."""
        last_at = self._marks[-1][0] if self._marks else self.until
        if last_at and now < last_at:
            self.until = None
            self._marks.clear()

    def came(self, at: datetime, ends: Offsets) -> None:
        """The ends of the partitions, asked for after a moment."""
        self.passed(at)
        last_ends = self._marks[-1][1] if self._marks else {}
        if any(ends.get(place, 0) < end for place, end in last_ends.items()):
            self._marks.clear()  # a topic was made anew
        self._marks.append((at, ends))
        if len(self._marks) > MOST_MARKS:
            self._marks = deque(list(self._marks)[::2])

    def read(self, positions: Offsets) -> None:
        """How far the readers have committed; a partition that is not named has not been read."""
        while self._marks and all(positions.get(place, 0) >= end for place, end in self._marks[0][1].items()):
            self.until = self._marks.popleft()[0]


class Horizon:
    """Watches the topics of some consumer groups; while Kafka is away it stands still."""

    def __init__(
        self, bootstrap: str, client: str, groups: Mapping[str, Sequence[str]], time_source: Time, metrics: Metrics
    ) -> None:
        """`groups`: the topics that each consumer group reads."""
        self._bootstrap, self._client, self._groups = bootstrap.split(","), f"{client}-horizon", groups
        self._time, self._metrics = time_source, metrics
        self._log = logger(part="horizon")
        self._progress = Progress()
        self._moved, self._is_stuck = time.monotonic(), False

    @property
    def until(self) -> datetime | None:
        """Everything that was written before this has been read, and what followed from it is in MongoDB."""
        # Also while Kafka is away: a mark from before the clock was put back would be believed once its time has come.
        self._progress.passed(self._time.now())
        return self._progress.until

    async def run(self) -> None:
        """Watch until cancelled; a connection that fails is made anew."""
        while True:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                await self._watch()
            self._say()
            await asyncio.sleep(EVERY)

    async def _watch(self) -> None:
        kafka = _Kafka(self._bootstrap, self._client)
        try:
            async with asyncio.timeout(_ANSWER_IN):
                await kafka.start([topic for topics in self._groups.values() for topic in topics])
            while True:
                if self._time.is_known:
                    async with asyncio.timeout(_ANSWER_IN):
                        await self._look(kafka)
                self._say()
                await asyncio.sleep(EVERY)
        finally:
            await kafka.stop()

    async def _look(self, kafka: "_Kafka") -> None:
        before, at = self._progress.until, self._time.now()
        # At once: whoever asks for one after the other is late by all of them.
        ends, committed = await asyncio.gather(kafka.ends(), kafka.committed(self._groups))
        self._progress.came(at, ends)
        self._progress.read(await kafka.positions(committed, ends))
        if self.until != before:
            self._moved = time.monotonic()
        if self.until:
            self._metrics.updates_read_until.set(self.until.timestamp())

    def _say(self) -> None:
        """Once when it stands still, and once when it moves again."""
        is_stuck = time.monotonic() - self._moved > _STUCK
        if is_stuck and not self._is_stuck:
            self._log.warning("behind", what="updates are not read", doing="clocks that depend on them wait")
        if self._is_stuck and not is_stuck:
            self._log.info("caught up", what="updates are read")
        self._is_stuck = is_stuck


class _Kafka:
    """What Kafka knows of ends and of committed positions."""

    def __init__(self, bootstrap: Sequence[str], client: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=list(bootstrap), client_id=client)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(bootstrap),
            client_id=client,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=65_536,
        )
        self._places: list[TopicPartition] = []
        self._begins: dict[TopicPartition, int] = {}
        self._coordinators: dict[str, int] = {}
        self._still: dict[TopicPartition, tuple[int, float]] = {}
        self._empty: dict[TopicPartition, tuple[int, int]] = {}

    async def start(self, topics: Sequence[str]) -> None:
        """Connect, and learn the topics' partitions; raises `KafkaError` where one is not there."""
        await self._admin.start()
        await self._consumer.start()
        for topic in await self._admin.describe_topics(sorted(set(topics))):
            if topic["error_code"] or not topic["partitions"]:
                raise KafkaError(f"no topic {topic['topic']}")
            self._places += [TopicPartition(topic["topic"], one["partition"]) for one in topic["partitions"]]

    async def stop(self) -> None:
        """Close; one that hangs is left behind."""
        await closed_within(_CLOSED_IN, self._consumer.stop())
        await closed_within(_CLOSED_IN, self._admin.close())

    async def ends(self) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition will have."""
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(self._places)
        return found

    async def committed(self, groups: Mapping[str, Sequence[str]]) -> dict[TopicPartition, int]:
        """Up to where every group that reads a partition has committed; -1 where one has not."""
        positions: dict[TopicPartition, int] = {}
        all_committed = await asyncio.gather(*map(self._committed, groups))
        for topics, committed in zip(groups.values(), all_committed, strict=True):
            for place in (place for place in self._places if place.topic in topics):
                at = committed.get(place, -1)
                positions[place] = min(at, positions.get(place, at))
        return positions

    async def positions(self, committed: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
        """Up to where each partition needs no more reading: what every group has committed, is gone or is empty."""
        # Nothing can be read before the beginning; where that is above the end, the topic was made anew.
        self._begins = {place: begin for place, begin in self._begins.items() if begin <= ends[place]}
        positions = {place: max(at, self._begins.get(place, -1)) for place, at in committed.items()}
        behind = [place for place in self._places if positions[place] < ends[place]]
        now = time.monotonic()
        if unsure := [place for place in behind if positions[place] < 0 or self._stands_still(place, now)]:
            # Where nothing ever was, nobody has committed either.
            self._begins |= await self._consumer.beginning_offsets(unsure)
            positions |= {place: max(positions[place], self._begins[place]) for place in unsure}
        await self._pass_over_marks([place for place in behind if positions[place] < ends[place]], positions, ends)
        return positions

    def _stands_still(self, place: TopicPartition, now: float) -> bool:
        return place in self._still and now - self._still[place][1] > _SUSPICIOUS

    async def _committed(self, group: str) -> dict[TopicPartition, int]:
        if group not in self._coordinators:
            self._coordinators[group] = await self._admin.find_coordinator(group)
        found = await self._admin.list_consumer_group_offsets(group, self._coordinators[group])
        if not found:
            del self._coordinators[group]  # who is not its coordinator any more knows nothing either
        return {place: committed.offset for place, committed in found.items()}

    async def _pass_over_marks(
        self, behind: Sequence[TopicPartition], positions: dict[TopicPartition, int], ends: Offsets
    ) -> None:
        """Kafka's own marks after a transaction are no records: no consumer gets them, so none commits beyond them."""
        now = time.monotonic()
        self._still = {
            place: self._still[place]
            if place in self._still and self._still[place][0] == positions[place]
            else (positions[place], now)
            for place in behind
        }
        for place, (position, since) in self._still.items():
            at, empty_to = self._empty.get(place, (-1, -1))
            if at == position and empty_to >= ends[place]:
                positions[place] = empty_to
            elif now - since > _SUSPICIOUS and ends[place] - position <= _SMALL_REST:
                self._still[place] = (position, now)
                self._empty[place] = (position, await self._empty_to(place, position))

    async def _empty_to(self, place: TopicPartition, position: int) -> int:
        """Up to where a partition holds no record from a position on."""
        self._consumer.assign([place])
        try:
            self._consumer.seek(place, position)
            for records in (await self._consumer.getmany(place, timeout_ms=500)).values():
                if records:
                    return int(records[0].offset)
            return int(await self._consumer.position(place))
        finally:
            self._consumer.unsubscribe()
