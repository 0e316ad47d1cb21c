"""How much is measured."""

from dataclasses import dataclass

NOTICES_PER_SECOND = 100


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
    held: int
    """Entries in quarantine."""
    many: int
    few: int
    """Cases that are stored from the start."""
    urgent: int
    urgent_rate: float
    """Urgent letters with a backlog and without, and how many a second."""
    urgent_backlog: int
    notices: int
    """Webhooks, each of an event of its own."""
    events_for_all: int
    notices_in_time: int
    """At `NOTICES_PER_SECOND`."""


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
    held=100_000,
    many=1_000_000,
    few=10_000,
    urgent=150,
    urgent_rate=5,
    urgent_backlog=100_000,
    notices=8_000,
    events_for_all=40,
    notices_in_time=1_000,
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
    held=1_000,
    many=3_000,
    few=500,
    urgent=20,
    urgent_rate=20,
    urgent_backlog=12_000,
    notices=600,
    events_for_all=5,
    notices_in_time=100,
)
