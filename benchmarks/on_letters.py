"""The keys of letters and cases: what each measures, against what."""

import os
import statistics
from collections.abc import Callable

from benchmarks.books import Measured
from benchmarks.figures import Figure, Turn, against
from benchmarks.ground import Ground, Side
from benchmarks.measure import Rounds
from benchmarks.measure_cases import CaseRounds, OnCases
from benchmarks.ours import Ours
from benchmarks.sizes import Size


def vs(
    make: Callable[[Ground], Side],
    measured: Measured,
    measured_there: Measured,
    counts: Callable[[Size], tuple[int, int]],
    ground: Ground,
    rounds: Rounds | CaseRounds,
    size: Size,
) -> Figure:
    """Ours and a baseline in turn; `counts` says how many letters each gets."""
    ours, other = Ours(ground), make(ground)
    ground.clear([ours, other])
    here, there = counts(size)
    return against(
        Turn(ours.name, here, lambda: rounds.run(ours, measured, here)),
        Turn(other.name, there, lambda: rounds.run(other, measured_there, there)),
        measured,
        size,
    )


def on_cases(
    make: Callable[[Ground], Side],
    of: OnCases,
    count: Callable[[Size], int],
    ground: Ground,
    rounds: Rounds,
    size: Size,
) -> Figure:
    """The router alone on cases that lie in MongoDB, against the bare loop on the same ones."""
    number = count(size)
    of_cases = CaseRounds(rounds, ground, of, size.warm, number)
    return vs(make, of_cases.measured, of_cases.measured, lambda _: (number, number), ground, of_cases, size)


def in_time(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """The router alone, at each rate."""
    ours = Ours(ground)
    ground.clear([ours])
    figure = Figure()
    tenth, *_ = size.latency
    by_rate: dict[float, dict[str, list[float]]] = {rate: {"p50_ms": [], "p99_ms": []} for rate in size.latency}
    for number in range(size.rounds):
        load = os.getloadavg()[0]
        seen = rounds.run_latency(ours, size.latency)
        said = ", ".join(f"{rate:g}/s p50 {one.p50:.1f} p99 {one.p99:.1f} ms" for rate, one in seen.items())
        print(f"  round {number + 1}: {said} (load {load:.1f})", flush=True)
        figure.rounds.append(seen[tenth].p50)
        figure.load.append(load)
        for rate, one in seen.items():
            by_rate[rate]["p50_ms"].append(round(one.p50, 2))
            by_rate[rate]["p99_ms"].append(round(one.p99, 2))
    figure.more = {
        "by_rate": {
            f"{rate:g}": {name: statistics.median(all_rounds) for name, all_rounds in measured.items()}
            | {f"{name}_rounds": all_rounds for name, all_rounds in measured.items()}
            for rate, measured in by_rate.items()
        },
        "letters": {f"{rate:g}": count for rate, count in size.latency.items()},
    }
    return figure
