"""What is unsent or uncommitted right now, asked of Kafka and MongoDB themselves."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from shared import topics
from shared.partners import Partners
from shared.vocabulary import Lane
from tests.fault.evidence import COLLECTIONS, QUARANTINES
from tests.servers import partitions_of

COLLECTIONS_OF: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "intake": ("letters", "intake_quarantine"),
        "router": ("cases", "router_quarantine"),
        "notifier": ("notices", "notifier_quarantine"),
    }
)

_AWAY = (KafkaError, PyMongoError, OSError, TimeoutError)
_QUIET_LOOKS = 3

Offsets = Mapping[TopicPartition, int]


def groups_of(service: str, partners: Partners, authorities: Sequence[str]) -> dict[str, list[str]]:
    """The consumer groups of a service, each with its topics; `authorities`: those of the law, and the desk."""
    groups: dict[str, list[str]] = {}
    for lane in Lane:
        if service == "intake":
            groups[f"letters-{lane}"] = [topics.letters_from(agency, lane) for agency in partners.agencies]
            groups[f"cases-{lane}"] = [topics.case_events(lane)]
            groups[f"answers-{lane}"] = [topics.answers_due(lane)]
        elif service == "router":
            groups[f"letters-{lane}"] = [topics.letters_received(lane)]
            groups[f"updates-{lane}"] = [topics.updates_from(one, lane) for one in authorities]
        else:
            alerts = [topics.ALERTS_RAISED] if lane is Lane.URGENT else []
            groups[f"events-{lane}"] = [topics.case_events(lane), *alerts]
    return {f"rogatory-{service}-{name}": read for name, read in groups.items()}


class Watch:
    """Looks at one system; `async with` connects it."""

    def __init__(
        self, bootstrap: str, mongo: str, database: str, partners: Partners, authorities: Sequence[str]
    ) -> None:
        """`authorities`: those of the law, and the desk."""
        self._bootstrap, self._mongo, self._database = bootstrap, mongo, database
        self._groups = {name: groups_of(name, partners, authorities) for name in COLLECTIONS_OF}

    async def __aenter__(self) -> Self:
        """Connect."""
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self._mongo, serverSelectionTimeoutMS=3_000)
        self._held = self._client[self._database]
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._disconnect()
        await self._client.close()

    async def ends(self, service: str) -> Offsets:
        """How much there is to read for a service."""
        partitions = [p for names in self._groups[service].values() for name in names for p in self._partitions[name]]
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return ends

    async def behind(self, service: str, ends: Offsets) -> int:
        """How many of the records that were there at the time of `ends` the service has not committed."""
        committed = await asyncio.gather(*(self._committed(group) for group in self._groups[service]))
        behind = 0
        for (_, names), offsets in zip(self._groups[service].items(), committed, strict=True):
            for place in (place for name in names for place in self._partitions[name]):
                behind += max(0, ends[place] - offsets.get(place, 0))
        return behind

    async def unsent(self, names: Iterable[str], since: datetime | None = None) -> int:
        """How many records of these collections have events, kept since a time, that nobody was seen to send."""
        query = {"unsent_since": {"$gte": since} if since else {"$exists": True}}
        counts = [self._held[name].count_documents(query) for name in names]
        return sum(await asyncio.gather(*counts))

    async def until_still(self, patience: float = 240) -> None:
        """Wait until all is sent, read, committed and delivered, and stays so."""
        looks: list[object] = []
        left: object = "not looked at yet"
        try:
            async with asyncio.timeout(patience):
                while len(looks) < _QUIET_LOOKS:
                    await asyncio.sleep(0.5)
                    try:
                        left, all_ends = await self._left()
                    except _AWAY:
                        await self._reconnect()
                        looks.clear()
                        continue
                    if any(left.values()) or (looks and looks[-1] != all_ends):
                        looks.clear()
                    if not any(left.values()):
                        looks.append(all_ends)
        except TimeoutError:
            raise AssertionError(f"not still after {patience:.0f} s: {left}") from None

    async def _left(self) -> tuple[dict[str, int], dict[str, Offsets]]:
        left, all_ends = {}, {}
        for service in COLLECTIONS_OF:
            all_ends[service] = await self.ends(service)
            left[f"uncommitted by {service}"] = await self.behind(service, all_ends[service])
        left["unsent"] = await self.unsent((*COLLECTIONS, *QUARANTINES))
        left["due"] = await self._held["notices"].count_documents({"next_due": {"$exists": True}})
        return left, all_ends

    async def _committed(self, group: str) -> Offsets:
        offsets = await self._admin.list_consumer_group_offsets(group)
        return {place: committed.offset for place, committed in offsets.items()}

    async def _connect(self) -> None:
        names = {name for groups in self._groups.values() for read in groups.values() for name in read}
        self._partitions: dict[str, list[TopicPartition]] = {name: [] for name in names}
        for partition in await partitions_of(self._bootstrap, names):
            self._partitions[partition.topic].append(partition)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await self._admin.start()
        await self._consumer.start()

    async def _disconnect(self) -> None:
        with contextlib.suppress(*_AWAY):
            await self._admin.close()
        with contextlib.suppress(*_AWAY):
            await self._consumer.stop()

    async def _reconnect(self) -> None:
        await self._disconnect()
        with contextlib.suppress(*_AWAY, AssertionError):  # a partition without a leader
            await self._connect()
