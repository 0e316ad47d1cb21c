"""The keys that hold ours against ours: with one thing changed, in turn."""

from dataclasses import replace

from benchmarks import report
from benchmarks.books import Measured
from benchmarks.figures import Figure, Turn, against
from benchmarks.ground import SERVICES, Ground
from benchmarks.listed import ASKED, Listed
from benchmarks.measure import END_TO_END, Rounds, Seen
from benchmarks.muted import MutedService
from benchmarks.ours import Ours
from benchmarks.scraped import Scraped
from benchmarks.sizes import Size
from benchmarks.stored import Patterns, Storing

CACHE_GB = 4
"""What mongod keeps in memory: the indexes of many cases have room in it.

With 1 GB, which they alone are larger than, the rate was 0.85 of that with few (bbf5aeda0, 0.77 to 0.92).
"""
MOST_GROWTH = 10
"""Percent, of each service's memory."""


def with_quarantine(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Ours with a full quarantine and with an empty one, in turn."""
    empty, full = Listed(ground, 0), Listed(ground, size.held)
    ground.clear([empty])
    beside = replace(END_TO_END, beside=full.held)
    figure = against(
        Turn("full", size.letters, lambda: rounds.run(full, beside, size.letters)),
        Turn("empty", size.letters, lambda: rounds.run(empty, END_TO_END, size.letters)),
        END_TO_END,
        size,
    )
    waited = {"full": report.medians(full.took[1:]), "empty": report.medians(empty.took[1:])}
    for what in ASKED:
        print(f"  list, {what}: {waited['full'][what]} ms, {waited['empty'][what]} ms with none", flush=True)
    figure.more |= {"held": full.held, "list_ms": waited}
    return figure


def two_instances(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Two of each service, and one."""
    two, one = Ours(ground, instances=2), Ours(ground)
    ground.clear([one])
    of_two, of_one = replace(END_TO_END, members=2), replace(END_TO_END, members=1)
    return against(
        Turn("two", size.letters, lambda: rounds.run(two, of_two, size.letters)),
        Turn("one", size.letters, lambda: rounds.run(one, of_one, size.letters)),
        END_TO_END,
        size,
    )


def metrics_cost(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """The services' CPU time per letter without metrics and logs, and with them."""
    off, on = Ours(ground, kind=MutedService), Scraped(ground)
    ground.clear([on])
    return against(
        Turn("off", size.letters, lambda: rounds.run(off, END_TO_END, size.letters)),
        Turn("on", size.letters, lambda: rounds.run(on, END_TO_END, size.letters)),
        END_TO_END,
        size,
        lambda without, with_them: _of_services(without) / _of_services(with_them),
    )


def many_vs_few(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Ours over a million cases and over ten thousand, in turn, with how much memory the services need."""
    patterns = Patterns(ground.keys)
    many, few = Storing(ground, "many", patterns, size.many), Storing(ground, "few", patterns, size.few)
    ground.clear([many, few])
    with ground.cache(CACHE_GB):
        for side in (few, many):
            side.store()
        figure = against(
            Turn("many", size.letters, lambda: rounds.run(many, _beside(many), size.letters)),
            Turn("few", size.letters, lambda: rounds.run(few, _beside(few), size.letters)),
            END_TO_END,
            size,
        )
    for side in (few, many):
        side.drop()
    memory = figure.more["memory_mb"]
    growth = {name: round((memory["many"][name] / memory["few"][name] - 1) * 100, 1) for name in SERVICES}
    said = ", ".join(f"{name} {percent:+.1f} %" for name, percent in growth.items())
    print(f"  memory of the services beside that with few: {said}; aim <= {MOST_GROWTH} %", flush=True)
    figure.missed = [f"{name} needs {by} % more memory" for name, by in growth.items() if by > MOST_GROWTH]
    figure.more |= {"memory_growth_percent": growth, "stored": {"many": size.many, "few": size.few}}
    figure.more["mongod_cache_gb"] = CACHE_GB
    return figure


def _beside(side: Storing) -> Measured:
    return replace(END_TO_END, beside=side.stored)


def _of_services(seen: Seen) -> float:
    return sum(seen.cpu[name] for name in SERVICES)
