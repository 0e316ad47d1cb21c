"""What the services hold, whether it grows, and what something costs them."""

from collections.abc import Mapping

import psutil

from tests.fuzz import scale
from tests.service.running import System

MOST_GROWTH = 1.1
"""In the long run, from a tenth of it to its end; of the records on topics, from their half."""
MOST_IN_SHORT = 1.5
"""So short a run still fills caches."""


def held(services: System) -> Mapping[str, int]:
    """Bytes that each service holds."""
    return {name: psutil.Process(one.running().pid).memory_info().rss for name, one in services.services.items()}


def used(services: System, *names: str) -> float:
    """Seconds of the processor that these services have used."""
    times = [psutil.Process(services.services[name].running().pid).cpu_times() for name in names]
    return sum(one.user + one.system for one in times)


def compared(what: str, since: str, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Fail where a service holds much more at the end than before; say how much in any case."""
    most = MOST_GROWTH if scale.IS_FULL else MOST_IN_SHORT
    grown = {name: after[name] / before[name] for name in before}
    told = (f"{name} {before[name] >> 20} -> {after[name] >> 20} MiB" for name in before)
    scale.NOTES.append(f"{what}: held after {since} and at the end: {', '.join(told)}")
    assert {name: growth for name, growth in grown.items() if growth > most} == {}
