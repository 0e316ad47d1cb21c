"""How many inputs are tried: all of them with `ROGATORY_FUZZ=full`, a tenth in `make test`; and how many were."""

import os
import random
from collections import Counter
from collections.abc import Callable

import hypothesis
from hypothesis import HealthCheck, Phase, settings

IS_FULL = os.environ.get("ROGATORY_FUZZ") == "full"
WHOLE = {"readers": 60_000, "topics": 20_000, "HTTP": 20_000, "guided": 100_000}
"""Records given to the services' readers, records on real topics, requests, and what atheris tries (where it is)."""
SEED = int(os.environ.get("ROGATORY_FUZZ_SEED", random.randrange(10**6)))
COUNTED: Counter[str] = Counter()
NOTES: list[str] = []
"""What else is to be said at the end of a run."""


def of(what: str) -> int:
    """So many inputs of a kind in this run."""
    return WHOLE[what] if IS_FULL else WHOLE[what] // 10


def seed() -> int | None:
    """Where the long run begins; None: the short one is the same every time."""
    return SEED if IS_FULL else None


def drawing(count: int, *phases: Phase) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have Hypothesis try so many examples."""
    chosen = settings(
        max_examples=count,
        derandomize=not IS_FULL,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )

    def drawn(test: Callable[..., None]) -> Callable[..., None]:
        return hypothesis.seed(SEED)(chosen(test)) if IS_FULL else chosen(test)

    return drawn


def tried(what: str, number: int) -> None:
    """So many more were tried."""
    COUNTED[what] += number


def says() -> list[str]:
    """What was tried in this run, and what came of it."""
    counted = ", ".join(f"{what} {COUNTED[what]:,}" for what in WHOLE if COUNTED[what])
    begun = f", ROGATORY_FUZZ_SEED={SEED}" if IS_FULL else ""
    return [f"bad inputs: {counted}; together {COUNTED.total():,}{begun}", *NOTES] if COUNTED else []
