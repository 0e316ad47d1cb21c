"""`urgent_extra_ms`: what a backlog of normal letters adds to the way of an urgent one."""

import os
from collections.abc import Sequence

from benchmarks import report
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.measure import Latency, Rounds
from benchmarks.measure_urgent import PHASES, UrgentRounds, Way, alerts
from benchmarks.ours import Ours
from benchmarks.sizes import Size


def extra(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """p99 under the backlog less p99 without, in one round; the order changes."""
    ours = Ours(ground, alerts(ground))
    ground.clear([ours])
    of = UrgentRounds(rounds, ground, size.warm, size.urgent_backlog, size.urgent_rate, size.urgent)
    figure, phases = Figure(), PHASES
    seen: dict[str, list[Way]] = {phase: [] for phase in PHASES}
    for number in range(size.rounds):
        load = os.getloadavg()[0]
        now = of.run(ours, phases)
        phases = phases[::-1]
        more = now["backlog"].arrived.p99 - now["idle"].arrived.p99
        said = ", ".join(
            f"{phase} p50 {now[phase].arrived.p50:.1f} p99 {now[phase].arrived.p99:.1f} ms" for phase in PHASES
        )
        print(f"  round {number + 1}: {said}, extra {more:.1f} ms (load {load:.1f})", flush=True)
        figure.rounds.append(more)
        figure.load.append(load)
        for phase, way in now.items():
            seen[phase].append(way)
    for phase, ways in seen.items():
        figure.more[phase] = {
            "answered": _of([way.answered for way in ways]),
            "received": _of([way.received for way in ways]),
            "arrived": _of([way.arrived for way in ways]),
        }
        said = ", ".join(f"{how} p50 {one['p50_ms']} p99 {one['p99_ms']} ms" for how, one in figure.more[phase].items())
        print(f"  {phase}: {said}", flush=True)
    figure.more |= {"urgent": size.urgent, "urgent_per_second": size.urgent_rate, "backlog": size.urgent_backlog}
    return figure


def _of(waits: Sequence[Latency]) -> dict[str, float]:
    return report.medians([{"p50_ms": one.p50, "p99_ms": one.p99} for one in waits])
