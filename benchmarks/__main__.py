"""`python -m benchmarks [keys...]`: measures, says each round, and writes benchmarks/results/latest.json."""

import argparse
import logging
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from benchmarks import report
from benchmarks.books import Measured
from benchmarks.ground import Ground, Ours, Side, bare, bare_clocks, bare_updates, insert_one, naive
from benchmarks.measure import ACCEPTED, BACKLOG, END_TO_END, INSERTED, WITH_UPDATES, Letters, Rounds, Seen
from benchmarks.measure_cases import RUNG, UPDATED, CaseRounds, OnCases
from deploy.local.jars import ROOT
from deploy.local.locks import locked
from deploy.local.processes import signals_interrupt

FOLDER = ROOT / ".rogatory" / "bench"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    letters: int
    backlog: int
    """More, for they are done sooner and travel in batches of 500."""
    updates: int
    clocks: int
    """Of both, one for each case that lies in MongoDB."""
    warm: int
    connections: int
    warm_seconds: float
    latency: dict[float, int]
    """The router's letters: rate per second -> how many."""


FULL = Size(
    rounds=5,
    letters=8_000,
    backlog=20_000,
    updates=8_000,
    clocks=5_000,
    warm=500,
    connections=64,
    warm_seconds=20,
    latency={10: 200, 200: 2_000},
)
QUICK = Size(
    rounds=1,
    letters=300,
    backlog=1_000,
    updates=600,
    clocks=600,
    warm=50,
    connections=32,
    warm_seconds=2,
    latency={10: 20, 200: 200},
)


@dataclass(slots=True)
class Figure:
    """What the rounds of one key gave."""

    rounds: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    """Measure the keys that are asked for, all without any."""
    asked = _arguments()
    size = _size(asked)
    keys = asked.keys or list(report.AIMS)
    for name in [name for name in os.environ if name.startswith("ROGATORY_")]:
        del os.environ[name]
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is not quiet (load {os.getloadavg()[0]:.1f}): the figures will be worth less.")
    medians = {}
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry
    with signals_interrupt(), locked(FOLDER.with_name("bench.lock"), _refuse_second), Ground(FOLDER) as ground:
        print(f"warming up Kafka for {size.warm_seconds:g} s", flush=True)
        ground.warm(size.warm_seconds)
        letters = Letters(ground, size.warm, max(LETTERS[key](size) for key in keys))
        rounds = Rounds(ground, letters, size.connections)
        for key in keys:
            print(key, flush=True)
            figure = MEASURES[key](ground, rounds, size)
            medians[key] = statistics.median(figure.rounds)
            figure.more["servers"] = ground.servers()
            if not asked.quick:
                report.write(key, figure.rounds, figure.load, figure.more, report.LATEST)
    shutil.rmtree(FOLDER)  # after a failure it stays: the logs are in it
    for key, median in medians.items():
        aim = report.AIMS[key]
        print(f"{key:20} {median:8.2f}   aim {aim!s:8} {'met' if aim.is_met(median) else 'MISSED':6}  {aim.says}")
    if asked.quick:
        print("Quick: too small to mean anything, nothing was written.")
    return 0


def _refuse_second() -> None:
    sys.exit("Another benchmark runs from this folder.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("keys", nargs="*", choices=[[], *report.AIMS], metavar="key", help=", ".join(report.AIMS))
    parser.add_argument("--rounds", type=int, help=f"at least {report.LEAST_ROUNDS}, or nothing is written")
    parser.add_argument("--letters", type=int, help="letters, updates or clocks of each round; naive gets a quarter")
    parser.add_argument("--connections", type=int, help="over which letters are posted")
    parser.add_argument("--quick", action="store_true", help="one tiny round: does it work at all?")
    asked = parser.parse_args()
    if not asked.quick and asked.rounds is not None and asked.rounds < report.LEAST_ROUNDS:
        parser.error(f"fewer than {report.LEAST_ROUNDS} rounds are for --quick")
    return asked


def _size(asked: argparse.Namespace) -> Size:
    size = QUICK if asked.quick else FULL
    chosen = {name: getattr(asked, name) or getattr(size, name) for name in ("rounds", "letters", "connections")}
    cases = {name: asked.letters or getattr(size, name) for name in ("backlog", "updates", "clocks")}
    return replace(size, **chosen, **cases)


def _against(
    make: Callable[[Ground], Side],
    measured: Measured,
    measured_there: Measured,
    counts: Callable[[Size], tuple[int, int]],
    ground: Ground,
    rounds: Rounds | CaseRounds,
    size: Size,
) -> Figure:
    """Ours and a baseline in turn, the order changing; `counts` says how many letters each gets."""
    ours, other = Ours(ground), make(ground)
    ground.clear([ours, other])
    figure = Figure()
    seen: dict[str, list[Seen]] = {ours.name: [], other.name: []}
    here, there = counts(size)
    turns: list[tuple[Side, Measured, int]] = [(ours, measured, here), (other, measured_there, there)]
    for number in range(size.rounds + 1):
        load = os.getloadavg()[0]
        now = {side.name: rounds.run(side, what, count) for side, what, count in turns}
        turns.reverse()
        ratio = now[ours.name].rate / now[other.name].rate
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
        f"{measured.what}s": {side.name: count for side, _, count in turns},
        "connections": size.connections if measured.posted else 0,
    }
    if measured.updates_per_second:
        figure.more["updates_per_second"] = measured.updates_per_second
    for name, used in figure.more[f"cpu_us_per_{measured.what}"].items():
        said = ", ".join(f"{process} {microseconds:,.0f}" for process, microseconds in used.items())
        print(f"  CPU microseconds per {measured.what}, {name}: {said}", flush=True)
    return figure


def _cases(
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
    return _against(make, of_cases.measured, of_cases.measured, lambda _: (number, number), ground, of_cases, size)


def _latency(ground: Ground, rounds: Rounds, size: Size) -> Figure:
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


MEASURES: dict[str, Callable[[Ground, Rounds, Size], Figure]] = {
    "e2e_vs_bare": partial(_against, bare, WITH_UPDATES, WITH_UPDATES, lambda size: (size.letters, size.letters)),
    "backlog_vs_bare": partial(_against, bare, BACKLOG, BACKLOG, lambda size: (size.backlog, size.backlog)),
    "updates_vs_bare": partial(_cases, bare_updates, UPDATED, lambda size: size.updates),
    "clocks_vs_bulk_update": partial(_cases, bare_clocks, RUNG, lambda size: size.clocks),
    "e2e_vs_naive": partial(_against, naive, END_TO_END, END_TO_END, lambda size: (size.letters, size.letters // 4)),
    "http_vs_insert_one": partial(_against, insert_one, ACCEPTED, INSERTED, lambda size: (size.letters, size.letters)),
    "router_p50_ms": _latency,
}
LETTERS: dict[str, Callable[[Size], int]] = {
    "e2e_vs_bare": lambda size: size.letters,
    "backlog_vs_bare": lambda size: size.backlog,
    "updates_vs_bare": lambda _: 0,
    "clocks_vs_bulk_update": lambda _: 0,
    "e2e_vs_naive": lambda size: size.letters,
    "http_vs_insert_one": lambda size: size.letters,
    "router_p50_ms": lambda size: sum(size.latency.values()),
}
"""How many letters each needs beside the warm ones: making them takes a while."""

if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
