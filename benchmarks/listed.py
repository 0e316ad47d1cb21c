"""Ours, with somebody who lists what intake has set aside once a round is over."""

import statistics
import time
from collections.abc import Mapping, Sequence

import httpx

from benchmarks.ground import Ground
from benchmarks.held import BEGAN, GATES, Holding
from shared.metrics import REASONS
from shared.quarantine.deciding import Status
from shared.times import text_of
from shared.vocabulary import DESK

TIMES = 20
ASKED: Mapping[str, Mapping[str, str]] = {
    "first page": {},
    "by topic": {"topic": GATES["intake"]},
    "by reason": {"reason": REASONS[0]},
    "by status": {"status": Status.HELD},
    "older than all": {"older_than": text_of(BEGAN)},
}
"""What is asked, each with the filter that people would take."""


class Listed(Holding):
    """Somebody lists before the services stop."""

    def __init__(self, ground: Ground, entries: int) -> None:
        super().__init__(ground, entries)
        self._desk = ground.ours / "tokens" / "authorities" / f"{DESK}.jwt"
        self.took: list[dict[str, float]] = []
        """Of each round and question the median, in milliseconds."""

    def stop(self) -> None:
        """List, then stop the services."""
        try:
            if self.services:
                self.took.append(self._list())
        finally:
            super().stop()

    def _list(self) -> dict[str, float]:
        token = {"authorization": f"Bearer {self._desk.read_text().strip()}"}
        intake = next(service for service in self.services if service.name == "intake")
        with httpx.Client(base_url=intake.url, headers=token) as client:
            return {what: statistics.median(_waited(client, query)) for what, query in ASKED.items()}


def _waited(client: httpx.Client, query: Mapping[str, str]) -> Sequence[float]:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        client.get("/v1/quarantine", params=query).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return took
