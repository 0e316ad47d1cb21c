"""Urgent first: while something urgent is about, what is normal goes in small batches, as long as small ones are quick.

A batch of five hundred keeps MongoDB, Kafka and the processor busy for longer than an urgent record may wait. But where
the machine is full a batch takes a second however small it is: small ones would fall behind without end.
"""

import math
import time

FOR = 2.0
"""Seconds after something urgent for which more of it is reckoned with."""
LEAST = 50
"""Normal records in one batch at least."""
QUICK, SLOW = 0.15, 0.3
"""Seconds: a batch that took less may be smaller the next time, one that took more must be larger."""
AGAIN = 30.0
"""Seconds after which the smallest are tried anew."""


class Precedence:
    """What is urgent in one process."""

    def __init__(self) -> None:
        self._last = -math.inf

    def came(self) -> None:
        """Something urgent was here just now."""
        self._last = time.monotonic()

    @property
    def is_about(self) -> bool:
        """Whether something urgent was here lately."""
        return time.monotonic() - self._last < FOR


class Portion:
    """How many normal records go at a time in one place: the size follows the time that one batch takes there."""

    def __init__(self, precedence: Precedence, most: int) -> None:
        """`most`: while nothing urgent is about."""
        self._precedence, self._most, self._least = precedence, most, min(LEAST, most)
        self._size, self._tried = most, -math.inf

    def size(self) -> int:
        """Of how many the next batch may consist."""
        now = time.monotonic()
        if not self._precedence.is_about:
            self._size, self._tried = self._most, -math.inf
        elif now - self._tried > AGAIN:
            self._size, self._tried = self._least, now
        return self._size

    def took(self, seconds: float) -> None:
        """The last one took so long."""
        if seconds > SLOW:
            self._size = min(self._most, self._size * 2)
        elif seconds < QUICK and self._precedence.is_about:
            self._size = max(self._least, self._size // 2)
