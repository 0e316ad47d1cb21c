"""Makes the Kafka topics before anything wants them: no topic is made at run time."""

import asyncio
import contextlib
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from shared.failures import BadStart
from shared.topics import CHECKPOINTS

_OK, _EXISTS = 0, 36
_FOR_EVER = {"retention.ms": "-1"}


async def create_topics(
    bootstrap: str, topics: Mapping[str, int], replication: int | None = 1, patience: float = 60
) -> None:
    """Make what is missing of these topics (name: partitions) and wait until every partition has a leader.

    Without a number for `replication` it is three, or as many as there are brokers.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        with contextlib.suppress(KafkaError):
            # Asking for a group makes Kafka begin its own topic for offsets now, not when the first consumer waits.
            await admin.find_coordinator("rogatory")
        missing = topics.keys() - set(await admin.list_topics())
        if missing:
            copies = replication or min(3, len((await admin.describe_cluster())["brokers"]))
            wanted = [
                NewTopic(name, topics[name], copies, topic_configs=_FOR_EVER if name == CHECKPOINTS else None)
                for name in sorted(missing)
            ]
            answer = await admin.create_topics(wanted, timeout_ms=int(patience * 1000))
            for name, code, *why in answer.topic_errors:  # type: ignore[attr-defined]  # aiokafka makes it from a schema
                if code not in (_OK, _EXISTS):
                    raise BadStart(f"Kafka does not make the topic {name}: {why[0] if why else code}")
        async with asyncio.timeout(patience):
            while not await _all_there(admin, topics):  # noqa: ASYNC110 - Kafka tells nobody when
                await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def _all_there(admin: AIOKafkaAdminClient, topics: Mapping[str, int]) -> bool:
    """Whether every topic is known with a leader everywhere; one with another number of partitions is refused."""
    for topic in await admin.describe_topics(list(topics)):
        leaders = [partition["leader"] for partition in topic["partitions"]]
        if topic["error_code"] != _OK or not leaders or min(leaders) < 0:
            return False
        if len(leaders) != topics[topic["topic"]]:
            raise BadStart(
                f"topic {topic['topic']} has {len(leaders)} partitions and must have {topics[topic['topic']]}: "
                "another number would break the order of messages"
            )
    return True
