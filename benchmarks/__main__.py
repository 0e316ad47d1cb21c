"""`python -m benchmarks [keys...]`: measures, says each round, and writes benchmarks/results/latest.json."""

import argparse
import logging
import os
import shutil
import statistics
import sys
import time
from dataclasses import replace

from benchmarks import report
from benchmarks.ground import Ground
from benchmarks.keys import KEYS
from benchmarks.measure import Letters, Rounds
from benchmarks.sizes import FULL, QUICK, Size
from deploy.local.jars import ROOT
from deploy.local.locks import locked
from deploy.local.processes import signals_interrupt

FOLDER = ROOT / ".rogatory" / "bench"


def main() -> int:
    """Measure the keys that are asked for, all without any."""
    asked = _arguments()
    size = _size(asked)
    keys = asked.keys or list(KEYS)
    for name in [name for name in os.environ if name.startswith("ROGATORY_")]:
        del os.environ[name]
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is not quiet (load {os.getloadavg()[0]:.1f}): the figures will be worth less.")
    medians, missed, results = {}, {}, report.Results()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry
    with signals_interrupt(), locked(FOLDER.with_name("bench.lock"), _refuse_second), Ground(FOLDER) as ground:
        print(f"warming up Kafka for {size.warm_seconds:g} s", flush=True)
        ground.warm(size.warm_seconds)
        letters = Letters(ground, size.warm, max(KEYS[key].letters(size) for key in keys))
        rounds = Rounds(ground, letters, size.connections)
        for key in keys:
            print(key, flush=True)
            figure = KEYS[key].measure(ground, rounds, size)
            if figure is None:
                continue
            medians[key], missed[key] = statistics.median(figure.rounds), figure.missed
            figure.more["servers"] = ground.servers()
            if not asked.quick:
                results.write(key, figure.rounds, figure.load, figure.more)
    shutil.rmtree(FOLDER)  # after a failure it stays: the logs are in it
    for key, median in medians.items():
        aim = KEYS[key].aim
        is_met = aim.is_met(median) and not missed[key]
        says = "; ".join([aim.says, *missed[key]])
        print(f"{key:24} {median:8.2f}   aim {aim!s:8} {'met' if is_met else 'MISSED':6}  {says}")
        if not asked.quick:
            print(f"{'':33}   {results.change(key, median) or 'measured for the first time'}")
    if not asked.quick and results.commit.endswith("+"):
        print("Measured with changes that are not committed: kept in latest.json alone.")
    if asked.quick:
        print("Quick: too small to mean anything, nothing was written.")
    return 0


def _refuse_second() -> None:
    sys.exit("Another benchmark runs from this folder.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("keys", nargs="*", choices=[[], *KEYS], metavar="key", help=", ".join(KEYS))
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


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
