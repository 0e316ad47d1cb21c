"""The figure of one key: ours and another in turn, round by round."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import report
from benchmarks.books import Measured
from benchmarks.measure import Latency, Seen
from benchmarks.sizes import Size


@dataclass(slots=True)
class Figure:
    """What the rounds of one key gave."""

    rounds: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    """What else the aim asks, and is not so."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side does in each round."""

    name: str
    count: int
    """So many are measured."""
    run: Callable[[], Seen]


def _rates(ours: Seen, other: Seen) -> float:
    return ours.rate / other.rate


def against(
    ours: Turn,
    other: Turn,
    measured: Measured,
    size: Size,
    of_both: Callable[[Seen, Seen], float] = _rates,
) -> Figure:
    """Ours and a baseline in turn, the order changing; `of_both` is the figure of a round."""
    figure = Figure()
    seen: dict[str, list[Seen]] = {ours.name: [], other.name: []}
    turns = [ours, other]
    for number in range(size.rounds + 1):
        load = os.getloadavg()[0]
        now = {turn.name: turn.run() for turn in turns}
        turns.reverse()
        ratio = of_both(now[ours.name], now[other.name])
        rates = ", ".join(f"{name} {now[name].rate:,.0f}/s" for name in seen)
        print(
            f"  {'warm-up' if number == 0 else f'round {number}'}: {rates}, ratio {ratio:.2f} (load {load:.1f})",
            flush=True,
        )
        if number:
            figure.rounds.append(ratio)
            figure.load.append(load)
            for name, one in now.items():
                seen[name].append(one)
    figure.more = {
        "per_second": {name: [round(one.rate, 1) for one in ones] for name, ones in seen.items()},
        f"cpu_us_per_{measured.what}": {name: report.medians([one.cpu for one in ones]) for name, ones in seen.items()},
        "memory_mb": {name: report.medians([one.memory for one in ones]) for name, ones in seen.items()},
        f"{measured.what}s": {turn.name: turn.count for turn in turns},
        "connections": size.connections if measured.posted else 0,
    }
    if any(one.again for ones in seen.values() for one in ones):
        figure.more["came_again"] = {name: [one.again for one in ones] for name, ones in seen.items()}
    if measured.updates_per_second:
        figure.more["updates_per_second"] = measured.updates_per_second
    for name, used in figure.more[f"cpu_us_per_{measured.what}"].items():
        said = ", ".join(f"{process} {microseconds:,.0f}" for process, microseconds in used.items())
        print(f"  CPU microseconds per {measured.what}, {name}: {said}", flush=True)
    return figure


def waited(rounds: Sequence[Latency]) -> dict[str, Any]:
    """How long something took on one side: the medians, and all rounds."""
    p50, p99 = [one.p50 for one in rounds], [one.p99 for one in rounds]
    return {
        "p50_ms": round(statistics.median(p50), 2),
        "p99_ms": round(statistics.median(p99), 2),
        "p50_ms_rounds": [round(one, 2) for one in p50],
        "p99_ms_rounds": [round(one, 2) for one in p99],
    }
