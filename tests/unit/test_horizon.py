"""Until when all has been read, told from the ends of the partitions at some moments and from what is committed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared import horizon
from shared.horizon import MOST_MARKS, Progress

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ONE, OTHER = TopicPartition("security-service.updates.v1", 0), TopicPartition("desk.updates.v1", 0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_nothing_is_known_before_anything_was_looked_at() -> None:
    progress = Progress()
    progress.read({ONE: 5})

    assert progress.until is None


def test_the_newest_moment_counts_of_which_every_partition_has_been_read() -> None:
    progress = Progress()
    progress.came(at(0), {ONE: 5, OTHER: 0})
    progress.came(at(1), {ONE: 8, OTHER: 2})
    progress.came(at(2), {ONE: 9, OTHER: 2})

    progress.read({ONE: 8, OTHER: 1})
    assert progress.until == at(0)

    progress.read({ONE: 8, OTHER: 2})
    assert progress.until == at(1)

    progress.read({ONE: 9, OTHER: 3})
    assert progress.until == at(2)


def test_a_partition_in_which_nothing_ever_was_holds_nobody_up_and_one_without_a_commit_does() -> None:
    progress = Progress()
    progress.came(at(0), {ONE: 0, OTHER: 0})
    progress.read({})
    assert progress.until == at(0)

    progress.came(at(1), {ONE: 1, OTHER: 0})
    progress.read({})
    assert progress.until == at(0)


def test_it_stands_still_while_nothing_is_read_and_catches_up_after_hours() -> None:
    progress = Progress()
    for second in range(3 * 3_600):
        progress.came(at(second), {ONE: second})
    progress.read({ONE: -1})
    assert progress.until is None

    progress.read({ONE: 3 * 3_600})
    assert progress.until is not None
    assert at(3 * 3_600) - progress.until < timedelta(seconds=3 * 3_600 / MOST_MARKS * 4)


def test_when_the_clock_is_put_back_nothing_is_known_until_all_was_read_anew() -> None:
    progress = Progress()
    progress.came(at(0), {ONE: 5})
    progress.read({ONE: 5})

    progress.came(at(-3_600), {ONE: 6})
    assert progress.until is None

    progress.read({ONE: 6})
    assert progress.until == at(-3_600)


def test_a_clock_that_is_put_back_while_kafka_is_away_leaves_nothing_that_is_believed_later() -> None:
    progress = Progress()
    progress.came(at(0), {ONE: 5})
    progress.came(at(1), {ONE: 9})
    progress.read({ONE: 5})

    progress.passed(at(2))
    assert progress.until == at(0)
    progress.passed(at(-3_600))
    progress.passed(at(5))
    progress.read({ONE: 9})
    assert progress.until is None


def test_a_topic_that_was_made_anew_does_not_wait_for_the_old_one_s_records() -> None:
    progress = Progress()
    progress.came(at(0), {ONE: 500})
    progress.came(at(1), {ONE: 3})

    progress.read({ONE: 3})

    assert progress.until == at(1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_it_never_tells_of_a_moment_before_which_something_is_unread(steps: list[tuple[int, int]]) -> None:
    progress, end, committed, ends = Progress(), 0, 0, {}
    for second, (written, read) in enumerate(steps):
        end += written
        ends[at(second)] = end
        progress.came(at(second), {ONE: end})
        committed = min(end, committed + read)
        progress.read({ONE: committed})

        if progress.until:
            assert ends[progress.until] <= committed
        best = max((moment for moment, came in ends.items() if came <= committed), default=None)
        assert progress.until == best


A, B = TopicPartition("a", 0), TopicPartition("b", 0)


class Begins:
    """A consumer that knows where partitions begin."""

    def __init__(self, begins: Mapping[TopicPartition, int]) -> None:
        self._begins = begins

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._begins[place] for place in places}


@pytest.mark.parametrize(
    ("begins", "ends", "late", "only_marks"),
    [
        ({A: 6}, {A: 6}, 0, False),  # committed before the beginning, and nothing is there
        ({A: 6, B: 6}, {A: 6, B: 6}, 3, False),  # two, of which one came to it later
        ({A: 50}, {A: 60}, 0, True),  # only marks of transactions from the beginning on
    ],
)
async def test_what_is_gone_holds_nobody_up(
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    late: int,
    only_marks: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = 0.0
    monkeypatch.setattr(horizon, "time", SimpleNamespace(monotonic=lambda: moment))
    kafka: Any = horizon._Kafka.__new__(horizon._Kafka)
    kafka._places, kafka._consumer = [*ends], Begins(begins)
    kafka._still, kafka._empty, kafka._begins = {}, {}, {}

    async def empty_to(place: TopicPartition, position: int) -> int:
        return ends[place] if only_marks else position

    kafka._empty_to = empty_to
    read = []
    for look in range(60):
        moment = look * horizon.EVERY
        committed = {place: ends[place] if place == B and look < late else 5 for place in ends}
        read.append(await kafka.positions(committed, ends) == ends)

    assert all(read[30:])
