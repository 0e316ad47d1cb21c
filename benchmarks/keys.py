"""All keys of the results file: what each should be, how it is measured, how many letters that takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks import on_letters, on_notices, on_ourselves, on_peers, on_urgent, on_verify
from benchmarks.figures import Figure
from benchmarks.ground import Ground, bare, bare_clocks, bare_updates, insert_one, naive
from benchmarks.measure import ACCEPTED, BACKLOG, END_TO_END, INSERTED, WITH_UPDATES, Rounds
from benchmarks.measure_cases import RUNG, UPDATED
from benchmarks.report import Aim
from benchmarks.sizes import Size


def _none(_: Size) -> int:
    return 0


def _letters(size: Size) -> int:
    return size.letters


@dataclass(frozen=True, slots=True)
class Key:
    """One figure."""

    aim: Aim
    measure: Callable[[Ground, Rounds, Size], Figure | None]
    """What cannot be measured here gives no figure, and says why."""
    letters: Callable[[Size], int] = _none
    """How many it needs beside the warm ones: making them takes a while."""


KEYS: Mapping[str, Key] = {
    "e2e_vs_bare": Key(
        Aim("end to end, share of the bare loop's rate", 0.8),
        partial(on_letters.vs, bare, WITH_UPDATES, WITH_UPDATES, lambda size: (size.letters, size.letters)),
        _letters,
    ),
    "backlog_vs_bare": Key(
        Aim("router and notifier on a backlog, share of the bare loop's rate", 0.65),
        partial(on_letters.vs, bare, BACKLOG, BACKLOG, lambda size: (size.backlog, size.backlog)),
        lambda size: size.backlog,
    ),
    "updates_vs_bare": Key(
        Aim("updates of authorities on a backlog, share of the bare loop's rate", 0.5),
        partial(on_letters.on_cases, bare_updates, UPDATED, lambda size: size.updates),
    ),
    "clocks_vs_bulk_update": Key(
        Aim("clocks that are due, share of a bare bulk update's rate", 0.5),
        partial(on_letters.on_cases, bare_clocks, RUNG, lambda size: size.clocks),
    ),
    "e2e_vs_naive": Key(
        Aim("end to end, times the naive pipeline's rate", 8),
        partial(on_letters.vs, naive, END_TO_END, END_TO_END, lambda size: (size.letters, size.letters // 4)),
        _letters,
    ),
    "http_vs_insert_one": Key(
        Aim("letters accepted by HTTP, times the rate of one insert_one per request", 2.5),
        partial(on_letters.vs, insert_one, ACCEPTED, INSERTED, lambda size: (size.letters, size.letters)),
        _letters,
    ),
    "healthy_with_quarantine": Key(
        Aim("end to end with 100,000 entries in quarantine, share of the rate with none", 0.9),
        on_ourselves.with_quarantine,
        _letters,
    ),
    "rate_1m_vs_10k": Key(
        Aim("end to end with 1,000,000 stored cases, share of the rate with 10,000", 0.9),
        on_ourselves.many_vs_few,
        _letters,
    ),
    "two_instances": Key(
        Aim("end to end with two of each service, share of the rate with one", 0.95),
        on_ourselves.two_instances,
        _letters,
    ),
    "metrics_cost": Key(
        Aim("the services' CPU per letter without metrics and logs, share of that with them", 0.95),
        on_ourselves.metrics_cost,
        _letters,
    ),
    "router_p50_ms": Key(
        Aim("letter to authority at 10 letters/s, milliseconds", 12, at_most=True),
        on_letters.in_time,
        lambda size: sum(size.latency.values()),
    ),
    "urgent_extra_ms": Key(
        Aim("urgent letter to authority, p99 under 100,000 normal ones less p99 idle, milliseconds", 100, at_most=True),
        on_urgent.extra,
    ),
    "router_vs_quix_p50": Key(
        Aim("letter to authority at 200 letters/s, share of Quix Streams' p50", 0.2, at_most=True),
        on_peers.vs_quix,
        lambda size: size.latency[on_peers.RATE],
    ),
    "e2e_vs_intelmq": Key(Aim("end to end, times IntelMQ's rate", 2), on_peers.vs_intelmq, _letters),
    "notices_vs_bare": Key(
        Aim("webhooks taken, every notice kept first, share of the bare loop's rate", 0.6), on_notices.vs_bare
    ),
    "fanout_50": Key(
        Aim("one event to 50 webhooks, times the direct loop's milliseconds", 5, at_most=True), on_notices.fan_out
    ),
    "notices_p50_ms": Key(Aim("event to webhook at 100 events/s, milliseconds", 50, at_most=True), on_notices.in_time),
    "notices_vs_alertmanager": Key(
        Aim("webhooks taken, share of Alertmanager's rate", 0.5), on_notices.vs_alertmanager
    ),
    "verify_vs_scan": Key(
        Aim("verifying all records and topics, share of the rate of a bare read", 0.3), on_verify.vs_scan, _letters
    ),
}
"""In the order in which they are measured."""
