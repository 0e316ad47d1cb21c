"""The keys of the notifier: what each measures, against what."""

import os
from collections.abc import Callable

from benchmarks.alertmanager import MEASURED as BY_ALERTMANAGER
from benchmarks.alertmanager import PROGRAM, Alertmanager, AlertRounds
from benchmarks.figures import Figure, Turn, against, waited
from benchmarks.ground import Ground, Side, bare_notices, direct
from benchmarks.measure import Latency, Rounds
from benchmarks.measure_notices import NOTICES, NoticeRounds
from benchmarks.measure_waits import WaitRounds
from benchmarks.offices import Offices
from benchmarks.ours import Ours
from benchmarks.sizes import NOTICES_PER_SECOND, Size
from deploy.local.ports import free_ports


def vs_bare(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Webhooks taken per second, against the bare loop."""
    offices = _offices(ground)
    ours, bare = Ours(ground, offices.settings()), bare_notices(ground)
    ground.clear([ours, bare])
    of = NoticeRounds(rounds, ground, offices, size.warm, size.notices)
    here = Turn(ours.name, size.notices, lambda: of.run(ours, NOTICES, size.notices))
    there = Turn(bare.name, size.notices, lambda: of.run(bare, NOTICES, size.notices))
    return against(here, there, NOTICES, size)


def vs_alertmanager(ground: Ground, rounds: Rounds, size: Size) -> Figure | None:
    """The same against Alertmanager, which keeps nothing on disk; None where it is not installed."""
    if not Alertmanager.is_installed():
        print(f"  skipped: {PROGRAM} is not installed", flush=True)
        return None
    offices = _offices(ground)
    ours, other = Ours(ground, offices.settings()), Alertmanager(ground, offices)
    ground.clear([ours])
    of = NoticeRounds(rounds, ground, offices, size.warm, size.notices)
    of_alerts = AlertRounds(ground, offices, size.warm)
    here = Turn(ours.name, size.notices, lambda: of.run(ours, NOTICES, size.notices))
    there = Turn(other.name, size.notices, lambda: of_alerts.run(other, BY_ALERTMANAGER, size.notices))
    figure = against(here, there, NOTICES, size)
    figure.more["alertmanager"] = other.version()
    return figure


def fan_out(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """One event to fifty recipients: how often the direct loop's time ours needs."""
    figure = _beside_direct(ground, rounds, size, size.events_for_all, 0, lambda ours, theirs: ours.p50 / theirs.p50)
    figure.more["events"] = size.events_for_all
    return figure


def in_time(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """From event to webhook at a fixed rate: our milliseconds, the direct loop's beside them."""
    figure = _beside_direct(ground, rounds, size, size.notices_in_time, NOTICES_PER_SECOND, lambda ours, _: ours.p50)
    figure.more |= {"notices": size.notices_in_time, "per_second": NOTICES_PER_SECOND}
    return figure


def _beside_direct(
    ground: Ground,
    rounds: Rounds,
    size: Size,
    count: int,
    rate: float,
    of_both: Callable[[Latency, Latency], float],
) -> Figure:
    """Ours and the direct loop in turn; `of_both` is the figure of a round."""
    offices = _offices(ground)
    ours, straight = Ours(ground, offices.settings()), direct(ground)
    ground.clear([ours, straight])
    of = WaitRounds(rounds, ground, offices, size.warm, count, rate)
    figure = Figure()
    seen: dict[str, list[Latency]] = {ours.name: [], straight.name: []}
    sides: list[Side] = [ours, straight]
    for number in range(size.rounds):
        load = os.getloadavg()[0]
        now = {side.name: of.run(side, keeps=side is ours) for side in sides}
        sides.reverse()
        said = ", ".join(f"{name} p50 {now[name].p50:.1f} p99 {now[name].p99:.1f} ms" for name in seen)
        print(f"  round {number + 1}: {said} (load {load:.1f})", flush=True)
        figure.rounds.append(of_both(now[ours.name], now[straight.name]))
        figure.load.append(load)
        for name, one in now.items():
            seen[name].append(one)
    for name, all_rounds in seen.items():
        figure.more[name] = waited(all_rounds)
    return figure


def _offices(ground: Ground) -> Offices:
    """Their files and topics."""
    [port] = free_ports(1)
    offices = Offices(ground.folder / "offices", port, ground.keys.webhook_secret)
    offices.write()
    ground.make_topics(offices.topics)
    return offices
