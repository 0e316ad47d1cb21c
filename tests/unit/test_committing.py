"""When it is committed how far a consumer has come, and what of it; the time is passed in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, TopicAuthorizationFailedError

from shared import committing
from shared.committing import EVERY, Commits
from shared.kafka import _Drain

HERE, BESIDE, GONE = (TopicPartition("letters", number) for number in range(3))


@dataclass
class Consumer:
    """What of aiokafka's consumer is used: it has two of three partitions."""

    committed: list[Mapping[TopicPartition, int]] = field(default_factory=list)
    fails: Exception | None = None
    hangs: bool = False

    def assignment(self) -> set[TopicPartition]:
        return {HERE, BESIDE}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise self.fails
        self.committed.append(offsets)


class Clock:
    """Moves when it is told to."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Record:
    """What of a record counts here."""

    place: TopicPartition
    offset: int

    @property
    def topic(self) -> str:
        return self.place.topic

    @property
    def partition(self) -> int:
        return self.place.partition


def records(*found: tuple[TopicPartition, int]) -> Any:
    return [Record(*one) for one in found]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(committing, "time", clock)
    return clock


async def looks(commits: Commits, consumer: Consumer) -> None:
    await commits.step(cast("Any", consumer))


async def test_the_first_batch_is_committed_at_the_next_look_and_names_its_own_partitions_alone(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await looks(commits, consumer)

    await commits.done(records((HERE, 3), (HERE, 4)))
    assert consumer.committed == []
    await looks(commits, consumer)

    assert consumer.committed == [{HERE: 5}]


async def test_what_follows_waits_until_it_is_time_and_is_committed_together(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await commits.done(records((HERE, 0)))
    await looks(commits, consumer)

    await commits.done(records((HERE, 1), (BESIDE, 7)))
    clock.now += EVERY / 2
    await looks(commits, consumer)
    await commits.done(records((HERE, 2)))
    left = commits.due_in
    clock.now += EVERY / 2
    await looks(commits, consumer)

    assert left == EVERY / 2
    assert consumer.committed == [{HERE: 1}, {HERE: 3, BESIDE: 8}]


async def test_nothing_is_due_while_nothing_is_done(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await looks(commits, consumer)

    assert commits.due_in == float("inf")
    assert consumer.committed == []


async def test_a_partition_that_has_gone_is_left_to_whoever_has_it(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await commits.done(records((GONE, 9), (HERE, 0)))
    await looks(commits, consumer)

    assert consumer.committed == [{HERE: 1}]


async def test_of_partitions_that_have_all_gone_nothing_is_committed(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await commits.done(records((GONE, 9)))
    await looks(commits, consumer)

    assert consumer.committed == []


async def test_before_the_partitions_go_all_of_it_is_committed(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await commits.done(records((HERE, 0)))
    await looks(commits, consumer)
    await commits.done(records((HERE, 1)))

    await commits.commit()

    assert consumer.committed == [{HERE: 1}, {HERE: 2}]


async def test_who_leaves_commits_and_then_every_batch_at_once(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await looks(commits, consumer)
    await commits.done(records((HERE, 0)))

    await commits.leave()
    await commits.done(records((HERE, 1)))

    assert consumer.committed == [{HERE: 1}, {HERE: 2}]


async def test_what_another_has_by_now_is_left_to_it(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer(fails=CommitFailedError())
    await commits.done(records((HERE, 0)))
    await looks(commits, consumer)
    consumer.fails = None

    await commits.done(records((BESIDE, 1)))
    clock.now += EVERY
    await looks(commits, consumer)

    assert consumer.committed == [{BESIDE: 2}]


@pytest.mark.parametrize("hangs", [True, False])
async def test_what_could_not_be_committed_is_the_next_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(committing, "_PATIENCE", 0.01)
    commits, consumer = Commits(), Consumer(fails=None if hangs else TopicAuthorizationFailedError(), hangs=hangs)
    await commits.done(records((HERE, 0), (BESIDE, 0)))
    await looks(commits, consumer)
    consumer.fails, consumer.hangs = None, False

    await commits.done(records((HERE, 1)))
    soon = commits.due_in
    clock.now += EVERY
    await looks(commits, consumer)

    assert soon == EVERY  # not at once again
    assert consumer.committed == [{HERE: 2, BESIDE: 1}]


async def test_what_was_done_before_partitions_were_given_is_not_committed_any_more(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await commits.done(records((HERE, 0)))
    commits.begin_anew()
    await looks(commits, consumer)

    assert consumer.committed == []


async def test_a_batch_in_hand_is_finished_and_committed_before_its_partitions_go(clock: Clock) -> None:
    commits, consumer = Commits(), Consumer()
    await looks(commits, consumer)
    drain = _Drain(commits)
    await drain.busy.acquire()
    going = asyncio.ensure_future(drain.on_partitions_revoked([HERE]))
    await asyncio.sleep(0)
    before = list(consumer.committed)

    await commits.done(records((HERE, 4)))
    drain.busy.release()
    await going
    await commits.done(records((HERE, 5)))
    await drain.on_partitions_assigned([HERE])
    await looks(commits, consumer)

    assert (before, consumer.committed) == ([], [{HERE: 5}])
