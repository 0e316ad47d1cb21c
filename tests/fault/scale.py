"""How much of the proofs with times runs: all of it in `make fault`, held to its times; otherwise a tenth."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """What the proofs count in."""

    due: int
    """Clocks that are due after the kill."""
    within: float
    """Seconds over which they are spread."""
    kills: int
    """Of all routers at once."""
    acknowledged: int
    forgotten: int
    """Cases that nobody acknowledged."""
    jumped: int
    ladders: int
    bursts: int
    """In which their events come."""
    pace: int
    """Seconds from one step of a ladder to the next."""
    notifiers_killed: int
    rounds: int
    """With two endpoints that do not work, and as many without them."""
    round_seconds: float
    replayed: int
    """Cases of which two updates each are replayed from the quarantine."""
    replays_killed: int
    nemesis_rate: float
    """Letters a second while the nemesis does harm."""
    nemesis_deadline: float
    """Seconds to the latest of the senders' deadlines."""
    nemesis_letters: int
    """At least so many."""
    is_timed: bool


WHOLE = Scale(
    due=1_000,
    within=57,
    kills=3,
    acknowledged=5_000,
    forgotten=50,
    jumped=300,
    ladders=500,
    bursts=20,
    pace=6,
    notifiers_killed=20,
    rounds=3,
    round_seconds=40,
    replayed=2_000,
    replays_killed=8,
    nemesis_rate=50,
    nemesis_deadline=60,
    nemesis_letters=20_000,
    is_timed=True,
)
TENTH = Scale(
    due=100,
    within=3,
    kills=1,
    acknowledged=500,
    forgotten=5,
    jumped=30,
    ladders=50,
    bursts=4,
    pace=2,
    notifiers_killed=4,
    rounds=1,
    round_seconds=4,
    replayed=200,
    replays_killed=3,
    nemesis_rate=10,
    nemesis_deadline=8,
    nemesis_letters=1_000,
    is_timed=False,
)
SCALE = WHOLE if os.environ.get("ROGATORY_FAULT_RESULTS") == "1" else TENTH
