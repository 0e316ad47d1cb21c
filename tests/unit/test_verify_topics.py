"""What a verification believes of what Kafka says of topics and groups, where a broker has only just started."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from shared.failures import TryAgain
from verify.topics import TRIES, Kafka

GROUP, TOPIC, OTHER = "rogatory-router-letters-normal", "letters.received.normal.v1", "letters.received.urgent.v1"
OK, UNKNOWN, NO_LEADER, NOT_ALLOWED = 0, 3, 5, 29
LOADING, NOT_AVAILABLE, NOT_COORDINATOR, GROUP_NOT_ALLOWED = 14, 15, 16, 30
COMMITTED = {TopicPartition(TOPIC, 0): OffsetAndMetadata(7, "")}


@dataclass
class Admin:
    """A broker that says one thing after the other, the last for ever."""

    offsets: list[dict[TopicPartition, OffsetAndMetadata]] = field(default_factory=lambda: [COMMITTED])
    groups: list[int] = field(default_factory=lambda: [OK])
    topics: list[int] = field(default_factory=lambda: [OK])
    """Of `TOPIC`; the other one is always there."""
    asked: list[Sequence[str]] = field(default_factory=list)

    async def list_consumer_group_offsets(self, _group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """As aiokafka: nothing also where the coordinator is loading."""
        told: dict[TopicPartition, OffsetAndMetadata] = _next(self.offsets)
        return told

    async def describe_consumer_groups(self, groups: Sequence[str]) -> list[Any]:
        """With the error of the group."""
        return [SimpleNamespace(groups=[(_next(self.groups), *groups, "Dead", "", "", [])])]

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """With the errors of the topics."""
        self.asked.append(names)
        errors = {name: _next(self.topics) if name == TOPIC else OK for name in names}
        return [
            {"topic": name, "error_code": error, "partitions": [] if error else [{}, {}]}
            for name, error in errors.items()
        ]


class Consumer:
    """Of topics on which nothing stands yet."""

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """From here."""
        return dict.fromkeys(places, 0)

    end_offsets = beginning_offsets


def _next(row: list[Any]) -> Any:
    return row.pop(0) if len(row) > 1 else row[0]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """Without a server, and without waiting between two tries."""
    monkeypatch.setattr("verify.topics.TRIES", (0.0,) * 4)
    monkeypatch.setattr("verify.topics.AIOKafkaAdminClient", lambda **_: Admin())
    monkeypatch.setattr("verify.topics.AIOKafkaConsumer", lambda **_: Consumer())
    return Kafka("127.0.0.1:1")


def _say(kafka: Kafka, **told: Any) -> Admin:
    admin = kafka._admin = Admin(**told)  # type: ignore[assignment]
    return admin


@pytest.mark.parametrize("error", [LOADING, NOT_AVAILABLE, NOT_COORDINATOR])
async def test_what_a_group_has_read_is_asked_again_while_its_coordinator_is_loading(kafka: Kafka, error: int) -> None:
    _say(kafka, offsets=[{}, {}, COMMITTED], groups=[error])
    late = await kafka.committed([GROUP])
    _say(kafka, offsets=[{}, COMMITTED], groups=[OK])
    ready_between = await kafka.committed([GROUP])

    assert late == ready_between == {(GROUP, TOPIC, 0): 7}


async def test_that_a_group_has_read_nothing_is_believed_of_a_coordinator_that_is_ready(kafka: Kafka) -> None:
    _say(kafka, offsets=[{}])

    assert await kafka.committed([GROUP]) == {}


async def test_a_group_that_we_may_not_ask_for_ends_the_verification_at_once(kafka: Kafka) -> None:
    admin = _say(kafka, offsets=[{}, COMMITTED], groups=[GROUP_NOT_ALLOWED])

    with pytest.raises(TryAgain, match="Kafka: GroupAuthorizationFailedError"):
        await kafka.committed([GROUP])
    assert admin.offsets == [COMMITTED]


async def test_a_coordinator_that_never_tells_ends_the_verification(kafka: Kafka) -> None:
    _say(kafka, offsets=[{}], groups=[LOADING])

    with pytest.raises(TryAgain, match=f"does not tell what {GROUP} has read: GroupLoadInProgressError"):
        await kafka.committed([GROUP])


@pytest.mark.parametrize("before", [[UNKNOWN], [UNKNOWN, NO_LEADER], [NO_LEADER, UNKNOWN, UNKNOWN]])
async def test_a_topic_is_not_missed_where_another_answer_knows_it(kafka: Kafka, before: list[int]) -> None:
    admin = _say(kafka, topics=[*before, OK])

    bounds = await kafka.bounds([OTHER, TOPIC], [GROUP], None)

    assert bounds.partitions == {OTHER: 2, TOPIC: 2}
    assert admin.asked == [[OTHER, TOPIC], *[[TOPIC]] * len(before)]


async def test_that_a_topic_is_not_there_is_believed_when_it_is_said_to_the_end(kafka: Kafka) -> None:
    admin = _say(kafka, topics=[UNKNOWN])

    bounds = await kafka.bounds([OTHER, TOPIC], [GROUP], None)

    assert bounds.partitions == {OTHER: 2}
    assert len(admin.asked) == 4


@pytest.mark.parametrize(
    ("error", "name"), [(NO_LEADER, "LeaderNotAvailableError"), (NOT_ALLOWED, "TopicAuthorizationFailedError")]
)
async def test_a_topic_of_which_kafka_does_not_tell_ends_the_verification(kafka: Kafka, error: int, name: str) -> None:
    """Nothing is said to be lost there."""
    _say(kafka, topics=[UNKNOWN, error])

    with pytest.raises(TryAgain, match=f"does not tell of the topic {TOPIC}: {name}"):
        await kafka.bounds([TOPIC], [GROUP], None)


def test_a_broker_has_a_quarter_of_a_minute_to_load() -> None:
    assert sum(TRIES) == 15
