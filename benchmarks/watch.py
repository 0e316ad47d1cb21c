"""The watch: reads one topic and keeps when each key was first received; the clock is the machine's monotonic one."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


class Watch:
    """Sees everything that comes on a topic from the moment the block begins."""

    def __init__(self, bootstrap: str, topic: str, partitions: Mapping[str, int]) -> None:
        """`partitions`: of every topic that is read or counted."""
        self._topic, self._partitions = topic, partitions
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            fetch_max_wait_ms=500,
            isolation_level="read_committed",  # what a transaction holds has not come; only one peer has them
        )
        self.at: dict[bytes, float] = {}
        """When each key was received for the first time."""
        self.times: Counter[bytes] = Counter()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin at the present end."""
        await self._consumer.start()
        places = self._places(self._topic)
        self._consumer.assign(places)
        for place, end in (await self._consumer.end_offsets(places)).items():
            self._consumer.seek(place, end)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        if self._reading:
            self._reading.cancel()
        await self._consumer.stop()

    async def records(self, topic: str) -> int:
        """How many records were ever written to a topic."""
        return sum((await self.ends(topic)).values())

    async def ends(self, topic: str) -> Mapping[TopicPartition, int]:
        """The offset of the next record of each partition; takes as long as Kafka has nothing new to tell."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._places(topic))
        return ends

    def forget(self) -> None:
        """Begin to count anew."""
        self.at, self.times = {}, Counter()

    async def until(self, keys: set[bytes], patience: float, *, may_repeat: bool = False) -> float:
        """When the last of these keys was received; raises if they do not all come, or others or any twice."""
        end = time.monotonic() + patience
        while len(self.at) < len(keys):
            if self._reading and self._reading.done():
                self._reading.result()
            if time.monotonic() > end:
                raise AssertionError(f"{len(self.at)} of {len(keys)} came on {self._topic} within {patience:.0f} s")
            await asyncio.sleep(0.02)
        self.check(keys, may_repeat=may_repeat)
        return max(self.at.values())

    def check(self, keys: set[bytes], *, may_repeat: bool = False) -> None:
        """Raise unless exactly these keys came, each once unless some `may_repeat`."""
        assert self.at.keys() == keys, f"{len(self.at.keys() ^ keys)} keys on {self._topic} are missing or foreign"
        twice = sum(number > 1 for number in self.times.values())
        assert may_repeat or not twice, f"{twice} keys came more than once on {self._topic}"

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for partition in range(self._partitions[topic])]

    async def _read(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for records in found.values():
                for record in records:
                    key = bytes(record.key or b"")
                    self.times[key] += 1
                    self.at.setdefault(key, now)


class Commits:
    """What consumer groups have committed, asked for over a connection that is open already."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._admin.close()

    async def reach(self, group: str, ends: Mapping[TopicPartition, int], pause: float, patience: float) -> None:
        """Returns when a group has committed all that lies before these ends."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            stands = await self._admin.list_consumer_group_offsets(group)
            if all(place in stands and stands[place].offset >= end for place, end in ends.items() if end):
                return
            await asyncio.sleep(pause)
        raise AssertionError(f"{group} has not committed all that it heard")


class Groups:
    """Who reads what: the consumer groups of our services."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._admin.close()

    async def shared_by(self, members: int, beginnings: Sequence[str], patience: float) -> None:
        """Returns when every group that begins so has shared out its partitions among so many."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            named = [group for group, *_ in await self._admin.list_consumer_groups()]
            ours = [group for group in named if group.startswith(tuple(beginnings))]
            if ours and all([await self._is_shared(group, members) for group in ours]):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the groups are not shared by {members} each")

    async def _is_shared(self, group: str, members: int) -> bool:
        [described] = await self._admin.describe_consumer_groups([group])
        [[_, _, state, _, _, who, *_]] = described.groups  # type: ignore[attr-defined]  # as this response has
        return state == "Stable" and len(who) == members
