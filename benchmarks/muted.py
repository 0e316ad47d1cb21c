"""`python -m benchmarks.muted SERVICE`: a service that neither counts nor logs, to see what that costs.

The product has no such switch. What is taken away here, before the service is loaded:
- every counter, gauge and histogram counts nothing and has no labels;
- the tasks that do nothing but fill gauges never look (Kafka's lag, what is held in quarantine, how notices stand);
- nothing below `critical` is logged, by us or by a library.
What stays: the running totals and the look at them every 15 s (it also raises an alert), the sweep's count of what is
unsent.
"""

import asyncio
import logging
import runpy
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from deploy.local.services import Service

_COUNTS = ("inc", "dec", "set", "set_to_current_time", "observe", "clear", "remove")


class MutedService(Service):
    """A service that is started so."""

    @property
    def command(self) -> list[str]:
        """This file, and which service it loads."""
        return [sys.executable, "-m", "benchmarks.muted", self.name]


def mute() -> None:
    """Take it all away, in this process."""
    for kind in (Counter, Gauge, Histogram):
        for name in _COUNTS:
            if hasattr(kind, name):
                setattr(kind, name, _nothing)
        kind.labels = _itself  # type: ignore[method-assign]  # as long as this process lives
    from services.notifier.measures import Measures
    from shared.kafka import KafkaSource
    from shared.quarantine import counting

    KafkaSource.watch_lag = _never  # type: ignore[method-assign, assignment]
    Measures.run = _never  # type: ignore[method-assign, assignment]
    counting.run = _never  # type: ignore[assignment]
    filtering = structlog.make_filtering_bound_logger
    structlog.make_filtering_bound_logger = lambda min_level: filtering(max(logging.CRITICAL, int(min_level)))
    logging.disable(logging.ERROR)


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _itself(self: Any, *_: Any, **__: Any) -> Any:
    return self


async def _never(*_: Any) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    mute()
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__")
