"""How the time that something takes grows with its size: times are compared with each other, never with a clock's."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

SMALL, LARGE = 4_000, 16_000
TIMES = LARGE / SMALL
STEEPEST = TIMES**1.7
"""Between what is linear (4 times the size, 4 times the time) and what is square (16 times)."""
T = TypeVar("T", str, bytes)
TOO_SHORT = 2e-3
"""Seconds: what takes less is not worth comparing, and nobody's attack."""


def seconds(act: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of some tries."""
    taken = []
    for _ in range(rounds):
        began = time.thread_time()
        act()
        taken.append(time.thread_time() - began)
    return min(taken)


def compare(how: Callable[[T], object], small: T, large: T) -> None:
    """Fail where what is four times as long takes far more than four times as long."""
    if seconds(partial(how, large), 1) < TOO_SHORT:
        return
    steepness = seconds(partial(how, large)) / seconds(partial(how, small))
    # Once more, for the machine may have been busy.
    if steepness >= STEEPEST:
        steepness = seconds(partial(how, large), 9) / seconds(partial(how, small), 9)
    assert steepness < STEEPEST, repr(large[:40])
