"""The sweep: finds what nobody was seen to send, after a crash, a dropped feed or a lost mark, and feeds the sender."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from shared import times
from shared.failures import TryAgain
from shared.metrics import Metrics
from shared.mongo import Store
from shared.sender import Sender

EVERY = 10.0
"""Seconds between sweeps, and the age from which a record counts as forgotten."""
AT_START = 0.5
"""The same for what an earlier process left, at the start: what is younger others are just sending."""
AGAIN = 0.5
"""Seconds to the next look while MongoDB has not answered since the start."""
AT_ONCE = 500
AT_ONCE_BYTES = 16_000_000
PROBE = 20


class Sweep:
    """Looks through the stores of one process; every replica does."""

    def __init__(self, sender: Sender, metrics: Metrics, now: Callable[[], datetime] = times.now) -> None:
        """`now`: the time in which the records of the stores live."""
        self._sender, self._metrics, self._now = sender, metrics, now

    async def run(self, stores: Sequence[Store]) -> None:
        """Find and send what was forgotten, until cancelled; at once what an earlier process left."""
        left = set(stores)
        while True:
            full, before = False, self._sender.acknowledged
            for store in stores:
                with contextlib.suppress(TryAgain):
                    has_more = await self.look(store, AT_START if store in left else EVERY)
                    full |= has_more
                    if not has_more and not self._sender.is_busy:
                        left.discard(store)
            if full:
                await self._sender.idle()
            # Where nothing went out, more of the same at once would only spin.
            if not full or self._sender.acknowledged == before:
                every = AGAIN if left and not full else EVERY
                await asyncio.sleep(every * random.uniform(0.8, 1.2))  # noqa: S311 - replicas should not step together

    async def look(self, store: Store, age: float) -> bool:
        """Feed what has waited for so many seconds; True if there may be more that this process can send now."""
        count, oldest = await store.count_unsent()
        self._metrics.unsent.labels(store.name).set(count)
        self._metrics.unsent_oldest.labels(store.name).set(oldest.timestamp() if oldest else 0)
        if self._sender.is_busy:
            return False
        # While Kafka is away a few go as a probe: their success is what tells that it is back.
        limit = PROBE if self._sender.is_kafka_away else AT_ONCE
        before = self._now() - timedelta(seconds=age)
        if oldest and oldest > self._now() + timedelta(minutes=1):
            before = oldest + timedelta(days=1)  # MongoDB's clock was put back: what lies ahead is not new
        # Half of the sweeps begin somewhere in a long tail: replicas should not all take the same, and what is refused
        # for good must not stand before the rest.
        beyond = min(count, 10_000) - limit
        skip = random.randrange(beyond + 1) if beyond > 0 and random.random() < 0.5 else 0  # noqa: S311
        heads = await store.unsent(before, limit, skip)
        forgotten: list[str] = []
        size = 0
        for head in heads:
            size += head["size"]
            if size > AT_ONCE_BYTES and forgotten:
                break
            if not self._sender.has(head["_id"]):
                forgotten.append(head["_id"])
        self._sender.feed(self._sender.parcels_of(store, await store.histories(forgotten)))
        # What was skipped is still to be looked at, also where the look that began after it met the end.
        return bool(forgotten) and (skip > 0 or len(heads) == limit or size > AT_ONCE_BYTES)
