"""The topics as Kafka has them: their bounds, what of them was read by whom, and their records; without a group."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.structs import OffsetAndMetadata

from shared import lenient_records
from shared.failures import TryAgain
from verify.world import GONE, Bounds, Place, Reader

AT_ONCE = 2_000
TRIES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each try, where a broker may not have loaded yet what it is asked for."""
ANSWER_IN = 60.0
"""Seconds without a record after which Kafka counts as away."""
_LOADING = (GroupLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
"""What is said of a group while brokers begin; nobody has it before Kafka has made its own topic for offsets."""

Batch = Sequence[ConsumerRecord[Any, Any]]


_Offsets = Mapping[TopicPartition, int]


class Topics(Protocol):
    """Where records come from."""

    async def bounds(self, names: Sequence[str], groups: Sequence[str], since: int | None) -> Bounds:
        """How far the topics reach now; `since`: in milliseconds, from when they are read."""
        ...

    def records(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> AsyncIterator[Batch]:
        """Every record between."""
        ...

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """How far they reach now."""
        ...

    async def committed(self, groups: Sequence[str]) -> Mapping[Reader, int]:
        """What these groups have read now."""
        ...


@contextmanager
def _away() -> Iterator[None]:
    """What goes wrong with Kafka during the block comes out as `TryAgain`."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise TryAgain(f"Kafka: {type(error).__name__}") from error


def _kept_for(config: Mapping[str, str]) -> int | None:
    """Milliseconds for which a topic holds everything; None where age is not what it goes by."""
    kept, size = int(config.get("retention.ms") or -1), int(config.get("retention.bytes") or -1)
    return kept if kept >= 0 > size else None


def _is_kept_for_ever(config: Mapping[str, str]) -> bool:
    return config.get("retention.ms") == "-1" == config.get("retention.bytes")


def _emptied(begins: _Offsets, ends: _Offsets, configs: Mapping[str, Mapping[str, str]]) -> dict[TopicPartition, int]:
    """Of partitions of which nothing is left, before when it was said, in milliseconds: their retention says so."""
    now = int(time.time() * 1000)
    kept = {topic: _kept_for(config) for topic, config in configs.items()}
    emptied = [place for place, end in ends.items() if end and begins[place] == end]
    return {place: GONE if (age := kept.get(place.topic)) is None else now - age for place in emptied}


class Kafka:
    """A connection that reads and commits nothing."""

    def __init__(self, bootstrap: str) -> None:
        """Opens when its block begins; raises `TryAgain` where Kafka is away."""
        lenient_records.install()
        servers = bootstrap.split(",")
        self._admin = AIOKafkaAdminClient(bootstrap_servers=servers, client_id="rogatory-verify")
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            client_id="rogatory-verify",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=32 * 1024 * 1024,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            # All that is asked for is there already: whatever a request waits for lies beyond our end.
            fetch_max_wait_ms=5,
        )

    async def __aenter__(self) -> Self:
        try:
            with _away():
                await self._admin.start()
                await self._consumer.start()
        except TryAgain:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def bounds(self, names: Sequence[str], groups: Sequence[str], since: int | None) -> Bounds:
        """How far the topics reach now, and what the groups had read a moment before; raises `TryAgain`."""
        with _away():
            return await self._bounds(names, groups, since)

    async def _bounds(self, names: Sequence[str], groups: Sequence[str], since: int | None) -> Bounds:
        committed = await self._committed(groups)
        partitions = await self._partitions(names)
        places = [TopicPartition(topic, n) for topic, count in partitions.items() for n in range(count)]
        begins = await self._consumer.beginning_offsets(places) if places else {}
        ends = await self._consumer.end_offsets(places) if places else {}
        cut = sorted({place.topic for place, begin in begins.items() if begin})
        configs = await self._configs(cut)
        for_ever = frozenset(topic for topic, config in configs.items() if _is_kept_for_ever(config))
        starts, first_at = dict(begins), _emptied(begins, ends, configs)
        if since is not None:
            asked = await self._consumer.offsets_for_times(dict.fromkeys(places, since))
            for place in places:
                at = asked.get(place)
                starts[place] = max(begins[place], at.offset if at else ends[place])
                if starts[place] > begins[place] or place in first_at:
                    first_at[place] = max(since, first_at.get(place, since))
        return Bounds(
            {(p.topic, p.partition): offset for p, offset in starts.items()},
            {(p.topic, p.partition): offset for p, offset in ends.items()},
            committed,
            partitions,
            {(p.topic, p.partition): at for p, at in first_at.items()},
            {(p.topic, p.partition): offset for p, offset in begins.items()},
            for_ever,
            frozenset(topic for topic in cut if configs.get(topic, {}).get("retention.ms", "-1") == "-1") - for_ever,
        )

    async def committed(self, groups: Sequence[str]) -> Mapping[Reader, int]:
        """What these groups have read now; raises `TryAgain`."""
        with _away():
            return await self._committed(groups)

    async def _committed(self, groups: Sequence[str]) -> dict[Reader, int]:
        committed: dict[Reader, int] = {}
        for group in groups:
            for place, offset in (await self._offsets_of(group)).items():
                committed[group, place.topic, place.partition] = offset.offset
        return committed

    async def _offsets_of(self, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """What a group has committed, if anything, as its coordinator says once it has loaded it."""
        for wait in TRIES:
            await asyncio.sleep(wait)
            try:
                return await self._offsets_now(group)
            except _LOADING as error:
                why = type(error).__name__
        raise TryAgain(f"Kafka does not tell what {group} has read: {why}")

    async def _offsets_now(self, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """aiokafka gives nothing also where the coordinator gives an error for the whole group.

        Then everything would be on its way and nothing lost: so the group itself must be without an error.
        """
        if found := await self._admin.list_consumer_group_offsets(group):
            return found
        [answer] = await self._admin.describe_consumer_groups([group])
        [[error, *_]] = answer.groups  # type: ignore[attr-defined]  # aiokafka makes it from a schema
        if error:
            raise for_code(error)
        return await self._admin.list_consumer_group_offsets(group)  # it may have loaded between the two

    async def _partitions(self, names: Sequence[str]) -> dict[str, int]:
        """Of each topic that is there. That one is not is believed once it is said again and again.

        Any broker answers, and one that has just started knows no topics yet.
        """
        partitions: dict[str, int] = {}
        errors: dict[str, int] = {}
        for wait in TRIES:
            await asyncio.sleep(wait)
            left = [name for name in names if name not in partitions]
            described = await self._admin.describe_topics(left) if left else []
            errors = {one["topic"]: one["error_code"] for one in described if one["error_code"]}
            partitions |= {one["topic"]: len(one["partitions"]) for one in described if not one["error_code"]}
            if not errors:
                break
        for topic, error in errors.items():
            if error != UnknownTopicOrPartitionError.errno:
                raise TryAgain(f"Kafka does not tell of the topic {topic}: {for_code(error).__name__}")
        return partitions

    async def _configs(self, topics: Sequence[str]) -> dict[str, dict[str, str]]:
        """Of those topics that we may ask for."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        answers: Sequence[Any] = await self._admin.describe_configs(asked) if asked else ()
        found = [resource for answer in answers for resource in answer.resources]
        return {name: {one[0]: one[1] for one in values} for error, _, _, name, values in found if not error}

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """How far they reach now."""
        with _away():
            found = await self._consumer.end_offsets([TopicPartition(*place) for place in places])
        return {(place.topic, place.partition): offset for place, offset in found.items()}

    async def records(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> AsyncIterator[Batch]:
        """Every record between; raises `TryAgain` where Kafka falls silent."""
        left = {TopicPartition(*place): end for place, end in ends.items() if starts[place] < end}
        self._consumer.assign(list(left))
        for place in left:
            self._consumer.seek(place, starts[place.topic, place.partition])
        silent = 0.0
        while left:
            with _away():
                fetched = await self._consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
                done = [place for place, batch in fetched.items() if batch[-1].offset + 1 >= left.get(place, 2**63)]
                if not fetched:  # what lies before the end may be no record, so that none is the last
                    done = [place for place in left if await self._consumer.position(place) >= left[place]]
            silent = 0.0 if fetched else silent + 0.5
            if silent > ANSWER_IN:
                raise TryAgain("Kafka gives no more records")
            for place, batch in fetched.items():
                end = ends[place.topic, place.partition]
                yield batch if batch[-1].offset < end else [one for one in batch if one.offset < end]
            for place in done:
                del left[place]
            if done:
                self._consumer.pause(*done)
            await asyncio.sleep(0)
