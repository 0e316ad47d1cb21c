"""Counting what is held, by an index and in a task of its own: a scrape costs nothing."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.failures import TryAgain
from shared.metrics import REASONS, Metrics
from shared.mongo import Store
from shared.quarantine.deciding import Status
from shared.vocabulary import Lane

EVERY = 30.0
"""Seconds between two counts."""
MOST = 100_000
INDEX: Mapping[str, Any] = {"keys": [("state.status", 1), ("state.lane", 1), ("state.reason", 1)], "name": "counted"}
_HELD = {"state.status": Status.HELD.value}


async def count(store: Store, metrics: Metrics) -> None:
    """Count once; raises `TryAgain`."""
    for lane in Lane:
        of_lane = _HELD | {"state.lane": lane.value}
        rest = await store.count(of_lane, MOST, "counted")
        for reason in REASONS:
            number = 0
            if rest and reason != "other":
                number = await store.count(of_lane | {"state.reason": reason}, MOST, "counted")
                rest = max(0, rest - number)
            metrics.held.labels(reason, lane).set(number)
        metrics.held.labels("other", lane).set(rest)
    oldest = await store.find(_HELD, {"state.kept_at": 1}, limit=1, sort=("state.kept_at", "_id"))
    since = datetime.fromisoformat(oldest[0]["state"]["kept_at"]).timestamp() if oldest else 0
    metrics.held_oldest.set(since)


async def run(store: Store, metrics: Metrics) -> None:
    """Count until cancelled."""
    while True:
        with contextlib.suppress(TryAgain):
            await count(store, metrics)
        await asyncio.sleep(EVERY)
