"""`python -m benchmarks [keys...]`: measures, says each round, and writes benchmarks/results/latest.json."""

import argparse
import logging
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks import on_notices, on_verify, report
from benchmarks.books import Measured
from benchmarks.figures import Figure, Turn, against
from benchmarks.ground import Ground, Ours, Side, bare, bare_clocks, bare_updates, insert_one, naive
from benchmarks.held import Holding
from benchmarks.measure import ACCEPTED, BACKLOG, END_TO_END, INSERTED, WITH_UPDATES, Letters, Rounds
from benchmarks.measure_cases import RUNG, UPDATED, CaseRounds, OnCases
from benchmarks.sizes import FULL, QUICK, Size
from deploy.local.jars import ROOT
from deploy.local.locks import locked
from deploy.local.processes import signals_interrupt

FOLDER = ROOT / ".rogatory" / "bench"


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
            if figure is None:
                continue
            medians[key] = statistics.median(figure.rounds)
            figure.more["servers"] = ground.servers()
            if not asked.quick:
                report.write(key, figure.rounds, figure.load, figure.more, report.LATEST)
    shutil.rmtree(FOLDER)  # after a failure it stays: the logs are in it
    for key, median in medians.items():
        aim = report.AIMS[key]
        print(f"{key:24} {median:8.2f}   aim {aim!s:8} {'met' if aim.is_met(median) else 'MISSED':6}  {aim.says}")
    if asked.quick:
        print("Quick: too small to mean anything, nothing was written.")
    return 0


def _refuse_second() -> None:
    sys.exit("Another benchmark runs from this folder.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("keys", nargs="*", choices=[[], *report.AIMS], metavar="key", help=", ".join(report.AIMS))
    parser.add_argument("--rounds", type=int, help=f"at least {report.LEAST_ROUNDS}, or nothing is written")
    parser.add_argument(
        "--letters", type=int, help="letters, updates, clocks, notices of each round; naive gets a quarter"
    )
    parser.add_argument("--connections", type=int, help="over which letters are posted")
    parser.add_argument("--quick", action="store_true", help="one tiny round: does it work at all?")
    asked = parser.parse_args()
    if not asked.quick and asked.rounds is not None and asked.rounds < report.LEAST_ROUNDS:
        parser.error(f"fewer than {report.LEAST_ROUNDS} rounds are for --quick")
    return asked


def _size(asked: argparse.Namespace) -> Size:
    size = QUICK if asked.quick else FULL
    chosen = {name: getattr(asked, name) or getattr(size, name) for name in ("rounds", "letters", "connections")}
    cases = {name: asked.letters or getattr(size, name) for name in ("backlog", "updates", "clocks", "notices")}
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


def _with_quarantine(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Ours with a full quarantine and with an empty one, in turn."""
    empty, full = Ours(ground), Holding(ground, size.held)
    ground.clear([empty])
    beside = replace(END_TO_END, beside=full.held)
    figure = against(
        Turn("full", size.letters, lambda: rounds.run(full, beside, size.letters)),
        Turn("empty", size.letters, lambda: rounds.run(empty, END_TO_END, size.letters)),
        END_TO_END,
        size,
    )
    figure.more["held"] = full.held
    return figure


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


MEASURES: dict[str, Callable[[Ground, Rounds, Size], Figure | None]] = {
    "e2e_vs_bare": partial(_against, bare, WITH_UPDATES, WITH_UPDATES, lambda size: (size.letters, size.letters)),
    "backlog_vs_bare": partial(_against, bare, BACKLOG, BACKLOG, lambda size: (size.backlog, size.backlog)),
    "updates_vs_bare": partial(_cases, bare_updates, UPDATED, lambda size: size.updates),
    "clocks_vs_bulk_update": partial(_cases, bare_clocks, RUNG, lambda size: size.clocks),
    "e2e_vs_naive": partial(_against, naive, END_TO_END, END_TO_END, lambda size: (size.letters, size.letters // 4)),
    "http_vs_insert_one": partial(_against, insert_one, ACCEPTED, INSERTED, lambda size: (size.letters, size.letters)),
    "healthy_with_quarantine": _with_quarantine,
    "router_p50_ms": _latency,
    "notices_vs_bare": on_notices.vs_bare,
    "fanout_50": on_notices.fan_out,
    "notices_p50_ms": on_notices.in_time,
    "notices_vs_alertmanager": on_notices.vs_alertmanager,
    "verify_vs_scan": on_verify.vs_scan,
}
"""What could not be measured here gives no figure, and has said why."""
LETTERS: dict[str, Callable[[Size], int]] = {
    "e2e_vs_bare": lambda size: size.letters,
    "backlog_vs_bare": lambda size: size.backlog,
    "updates_vs_bare": lambda _: 0,
    "clocks_vs_bulk_update": lambda _: 0,
    "e2e_vs_naive": lambda size: size.letters,
    "http_vs_insert_one": lambda size: size.letters,
    "healthy_with_quarantine": lambda size: size.letters,
    "router_p50_ms": lambda size: sum(size.latency.values()),
    "notices_vs_bare": lambda _: 0,
    "fanout_50": lambda _: 0,
    "notices_p50_ms": lambda _: 0,
    "notices_vs_alertmanager": lambda _: 0,
    "verify_vs_scan": lambda size: size.letters,
}
"""How many letters each needs beside the warm ones: making them takes a while."""

if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
