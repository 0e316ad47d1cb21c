"""Ours, with somebody who reads its metrics as Prometheus does."""

import threading
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.ours import Ours

EVERY = 5.0
"""Seconds between two looks at each service: more often than anybody would set it, for a round lasts few seconds."""


class Scraped(Ours):
    """Somebody looks from the start to the stop."""

    def start(self, services: Sequence[str]) -> None:
        """Start the services, then look."""
        super().start(services)
        self._ended, self._pool = threading.Event(), ThreadPoolExecutor(1)
        self._looking = self._pool.submit(self._look)

    def stop(self) -> None:
        """Look no more, then stop them; raises where a look failed."""
        self._ended.set()
        self._pool.shutdown()
        super().stop()
        self._looking.result()

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            for service in self.services:
                with urllib.request.urlopen(f"{service.url}/metrics", timeout=10) as answer:
                    answer.read()
