"""`urgent_extra_ms`: what a backlog of normal letters adds to the way of an urgent one."""

import os

from benchmarks import report
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.measure import Latency, Rounds
from benchmarks.measure_urgent import PHASES, UrgentRounds, alerts
from benchmarks.ours import Ours
from benchmarks.sizes import Size


def extra(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """p99 under the backlog minus p99 without, in one round; the order changes."""
    ours = Ours(ground, alerts(ground))
    ground.clear([ours])
    of = UrgentRounds(rounds, ground, size.warm, size.urgent_backlog, size.urgent_rate, size.urgent)
    figure, phases = Figure(), PHASES
    seen: dict[str, list[Latency]] = {phase: [] for phase in PHASES}
    for number in range(size.rounds):
        load = os.getloadavg()[0]
        now = of.run(ours, phases)
        phases = phases[::-1]
        more = now["backlog"].p99 - now["idle"].p99
        said = ", ".join(f"{phase} p50 {now[phase].p50:.1f} p99 {now[phase].p99:.1f} ms" for phase in PHASES)
        print(f"  round {number + 1}: {said}, extra {more:.1f} ms (load {load:.1f})", flush=True)
        figure.rounds.append(more)
        figure.load.append(load)
        for phase, one in now.items():
            seen[phase].append(one)
    figure.more = {
        phase: report.medians([{"p50_ms": one.p50, "p99_ms": one.p99} for one in ones])
        | {"p99_ms_rounds": [round(one.p99, 2) for one in ones]}
        for phase, ones in seen.items()
    }
    figure.more |= {"urgent": size.urgent, "urgent_per_second": size.urgent_rate, "backlog": size.urgent_backlog}
    return figure
