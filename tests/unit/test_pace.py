"""Batches under load wait for company; what comes after a quiet time does not."""

import inspect
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.consumer.fetcher import Fetcher
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.fetching import AT_ONCE, Fetching
from shared.pace import Pace
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


class Consumer:
    """What an aiokafka consumer would bring."""

    _fetcher: Any = None

    def __init__(self, *found: dict[str, list[str]]) -> None:
        self.found, self.asked = list(found), list[dict[str, int]]()

    async def getmany(self, **options: int) -> dict[str, list[str]]:
        self.asked.append(options)
        return self.found.pop(0)


async def test_faststream_fetches_so() -> None:
    subscriber: Any = KafkaBroker("localhost:1").subscriber("letters", batch=True, group_id="router")
    Fetching(Lane.URGENT).install(subscriber)
    consumer = Consumer({}, {"letters-0": ["a", "b"], "letters-1": ["c"]})

    assert await subscriber.get_msg(consumer) == ()
    assert await subscriber.get_msg(consumer) == ("a", "b", "c")
    assert [asked["max_records"] for asked in consumer.asked] == [AT_ONCE[Lane.URGENT]] * 2
    assert isinstance(subscriber, BatchSubscriber)


async def test_a_broker_is_not_asked_again_while_a_batch_is_worked_on() -> None:
    assert "prefetch_backoff" in inspect.signature(Fetcher).parameters  # what no argument of a consumer sets
    consumer: Any = Consumer({})
    consumer._fetcher = SimpleNamespace(_prefetch_backoff=0.1)

    await Fetching(Lane.NORMAL)(consumer)

    assert consumer._fetcher._prefetch_backoff > 1


async def test_a_consumer_that_asks_no_more_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fetching = Fetching(Lane.URGENT)
    now = time.monotonic()
    monkeypatch.setattr("shared.fetching.time.monotonic", lambda: now)
    before = fetching.stands_still
    await fetching(cast("Any", Consumer({})))
    now += 100
    soon = fetching.stands_still
    now += 100

    assert (before, soon, fetching.stands_still) == (False, False, True)
