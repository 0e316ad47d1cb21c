"""The keys against programs of others: what each measures, against what."""

import os
from pathlib import Path

from benchmarks.figures import Figure, Turn, against, waited
from benchmarks.ground import Ground, Side
from benchmarks.measure import END_TO_END, Latency, Letters, Rounds
from benchmarks.ours import Ours
from benchmarks.peers.environments import NoEnvironment, python_of, version_in
from benchmarks.peers.feeds import FeedRounds
from benchmarks.peers.intelmq import PROGRAM, IntelMQ
from benchmarks.peers.quix import AS_IN_THE_TUTORIAL, ONCE, TUNED, Quix
from benchmarks.sizes import Size

RATE = 200.0
"""Letters a second at which the router is compared."""


def vs_quix(ground: Ground, rounds: Rounds, size: Size) -> Figure | None:
    """From letter to authority at one rate: our p50 as a share of Quix Streams'; tuned ones stand beside it."""
    if not (python := _python("quix")):
        return None
    ours, theirs = Ours(ground), Quix(ground, python, "quix", AS_IN_THE_TUTORIAL)
    beside = [Quix(ground, python, "quix-tuned", TUNED), Quix(ground, python, "quix-once", ONCE)]
    sides: list[Side] = [ours, theirs, *beside]
    ground.clear(sides)
    figure, rates = Figure(), {RATE: size.latency[RATE]}
    seen: dict[str, list[Latency]] = {side.name: [] for side in sides}
    for number in range(size.rounds + 1):
        load = os.getloadavg()[0]
        now = {
            # Quix Streams keeps the letter's key; our cases have their own.
            side.name: rounds.run_latency(
                side, rates, Letters.cases_in_order if side is ours else Letters.keys_in_order
            )[RATE]
            for side in sides
        }
        sides.append(sides.pop(0))
        ratio = now[ours.name].p50 / now[theirs.name].p50
        said = ", ".join(f"{name} p50 {now[name].p50:.1f} p99 {now[name].p99:.1f} ms" for name in seen)
        print(f"  {_name(number)}: {said}, ratio {ratio:.2f} (load {load:.1f})", flush=True)
        if number:
            figure.rounds.append(ratio)
            figure.load.append(load)
            for name, one in now.items():
                seen[name].append(one)
    figure.more = {
        **{name: waited(all_rounds) for name, all_rounds in seen.items()},
        "letters": size.latency[RATE],
        "per_second": RATE,
        "peer": {package: version_in(python, package) for package in ("quixstreams", "confluent-kafka")},
    }
    return figure


def vs_intelmq(ground: Ground, rounds: Rounds, size: Size) -> Figure | None:
    """Letters a second all the way, against IntelMQ; None where its Redis is not installed."""
    if not IntelMQ.is_installed():
        print(f"  skipped: {PROGRAM} is not installed", flush=True)
        return None
    if not (python := _python("intelmq")):
        return None
    ours, other = Ours(ground), IntelMQ(ground, python)
    ground.clear([ours])
    of_feeds = FeedRounds(ground, size.warm, size.letters)
    here = Turn(ours.name, size.letters, lambda: rounds.run(ours, END_TO_END, size.letters))
    there = Turn(other.name, size.letters, lambda: of_feeds.run(other))
    figure = against(here, there, END_TO_END, size)
    figure.more["peer"] = {package: version_in(python, package) for package in ("intelmq", "redis")}
    figure.more["peer"] |= {PROGRAM: other.redis_version()}
    return figure


def _python(peer: str) -> Path | None:
    """Its environment; where it cannot be made, says why."""
    try:
        return python_of(peer)
    except NoEnvironment as error:
        print(f"  skipped: {peer} cannot be installed: {error}", flush=True)
        return None


def _name(number: int) -> str:
    return f"round {number}" if number else "warm-up"
