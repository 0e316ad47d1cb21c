"""Batches under load wait for company; what comes after a quiet time does not."""

import asyncio
import inspect
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared import fetching as fetching_module
from shared import precedence as precedence_module
from shared.committing import Commits
from shared.fetching import AT_ONCE, Fetching
from shared.pace import Pace
from shared.precedence import FOR, LEAST, QUICK, SLOW, Precedence
from shared.vocabulary import Lane

LONG = 0.2


async def test_the_first_batch_begins_at_once_and_the_next_waits() -> None:
    began, pace = time.monotonic(), Pace(LONG)
    await pace.step()
    first = time.monotonic() - began
    await pace.step()

    assert first < LONG
    assert time.monotonic() - began >= LONG


async def test_a_batch_that_was_waited_for_counts_from_when_it_came() -> None:
    pace = Pace(LONG)
    await pace.step()
    time.sleep(LONG)  # noqa: ASYNC251 - nothing else runs
    pace.begin()
    came = time.monotonic()
    await pace.step()

    assert time.monotonic() - came >= LONG


def fetching(lane: Lane, precedence: Precedence | None = None) -> Fetching:
    return Fetching(lane, Commits(), precedence or Precedence())


class Consumer:
    """What an aiokafka consumer would bring."""

    _fetcher: Any = None
    _client: Any = SimpleNamespace(_sync_task=None)

    def __init__(self, *found: dict[Any, list[str]]) -> None:
        self.found, self.asked = list(found), list[dict[str, int]]()

    async def getmany(self, **options: int) -> dict[Any, list[str]]:
        self.asked.append(options)
        return self.found.pop(0)


async def test_faststream_fetches_so() -> None:
    subscriber: Any = KafkaBroker("localhost:1").subscriber("letters", batch=True, group_id="router")
    fetching(Lane.URGENT).install(subscriber)
    consumer = Consumer({}, {TopicPartition("letters", 0): ["a", "b"], TopicPartition("letters", 1): ["c"]})

    assert await subscriber.get_msg(consumer) == ()
    assert await subscriber.get_msg(consumer) == ("a", "b", "c")
    assert [asked["max_records"] for asked in consumer.asked] == [AT_ONCE[Lane.URGENT]] * 2
    assert isinstance(subscriber, BatchSubscriber)


async def test_while_something_urgent_is_about_normal_batches_are_small() -> None:
    precedence = Precedence()
    normal, urgent = fetching(Lane.NORMAL, precedence), fetching(Lane.URGENT, precedence)
    consumer: Any = Consumer(*[{}] * 7)

    await normal(consumer)
    await urgent(consumer)  # nothing came
    await normal(consumer)
    await urgent(cast("Any", Consumer({TopicPartition("acknowledgements.operations.v1", 0): ["of what is normal"]})))
    await normal(consumer)
    await urgent(cast("Any", Consumer({TopicPartition("letters.received.urgent.v1", 0): ["a"]})))
    await normal(consumer)
    precedence._last -= FOR
    await normal(consumer)

    whole = AT_ONCE[Lane.NORMAL]
    asked = [one["max_records"] for one in consumer.asked]
    assert asked == [whole, AT_ONCE[Lane.URGENT], whole, whole, LEAST, whole]


async def test_a_batch_that_takes_long_is_followed_by_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    precedence = Precedence()
    normal, consumer = fetching(Lane.NORMAL, precedence), Consumer(*[{TopicPartition("letters", 0): ["a"]}] * 3, {}, {})
    clock: Any = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now)
    for module in (precedence_module, fetching_module):
        monkeypatch.setattr(module, "time", clock)

    for seconds in (2 * SLOW, 2 * SLOW, QUICK / 2, 10.0, 0.0):
        precedence.came()
        await normal(cast("Any", consumer))
        clock.now += seconds

    # The last look before the end found nothing: how long one waits for the next says nothing about a batch.
    assert [one["max_records"] for one in consumer.asked] == [LEAST, 2 * LEAST, 4 * LEAST, 2 * LEAST, 2 * LEAST]


async def test_a_broker_is_not_asked_again_while_a_batch_is_worked_on() -> None:
    assert "prefetch_backoff" in inspect.signature(Fetcher).parameters  # what no argument of a consumer sets
    consumer: Any = Consumer({})
    consumer._fetcher = SimpleNamespace(_prefetch_backoff=0.1)

    await fetching(Lane.NORMAL)(consumer)

    assert consumer._fetcher._prefetch_backoff > 1


async def test_a_consumer_that_asks_no_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = fetching(Lane.URGENT)
    now = time.monotonic()
    monkeypatch.setattr("shared.fetching.time.monotonic", lambda: now)
    before = subject.stands_still
    await subject(cast("Any", Consumer({})))
    now += 100
    soon = subject.stands_still
    now += 100

    assert (before, soon, subject.stands_still) == (False, False, True)


async def test_a_consumer_that_hears_of_no_broker_any_more_is_seen() -> None:
    subject, looks = fetching(Lane.NORMAL), asyncio.ensure_future(asyncio.sleep(60))
    consumer: Any = Consumer({})
    consumer._client = SimpleNamespace(_sync_task=looks)
    await subject(consumer)
    before = subject.stands_still

    looks.cancel()
    await asyncio.wait({looks})

    assert (before, subject.stands_still) == (False, True)
