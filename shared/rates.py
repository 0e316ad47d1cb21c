"""How fast one caller may come: a bucket of tokens for each, in this process alone."""

import math
import time
from collections.abc import Callable

BURST = 5.0
"""Seconds at the full rate that may come at once, after a pause."""


class Rates:
    """A token bucket per caller. A full one may be overdrawn; the next one then waits until it is paid back.

    So many letters in one body need no decision in the middle, and the rate holds all the same.
    """

    def __init__(self, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        """`per_second`: 0 is no limit."""
        self._rate, self._most, self._now = per_second, max(1.0, per_second * BURST), now
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str, count: int = 1, taken: int = 0) -> int:
        """Whole seconds until so many may come together, 0 if now. Callers are known names, so there are not many.

        More than the bucket holds may come when it is full. `taken`: how many of them were spent before.
        """
        lacks = min(count, self._most) - self._balance(caller)
        # What adding up small parts rounds away is not waited for.
        return math.ceil(lacks / self._rate) if self._rate and lacks - taken > 1e-6 else 0

    def spend(self, caller: str, count: int = 1) -> None:
        """Count what came."""
        if self._rate:
            self._left[caller] = (self._balance(caller) - count, self._now())

    def _balance(self, caller: str) -> float:
        left, at = self._left.get(caller, (self._most, self._now()))
        return min(self._most, left + (self._now() - at) * self._rate)
