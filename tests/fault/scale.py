"""How much of the proofs of the clocks runs: all of it in `make fault`, held to its times; otherwise a tenth."""

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
    is_timed: bool


WHOLE = Scale(due=1_000, within=57, kills=3, acknowledged=5_000, forgotten=50, jumped=300, is_timed=True)
TENTH = Scale(due=100, within=3, kills=1, acknowledged=500, forgotten=5, jumped=30, is_timed=False)
SCALE = WHOLE if os.environ.get("ROGATORY_FAULT_RESULTS") == "1" else TENTH
