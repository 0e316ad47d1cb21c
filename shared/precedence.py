"""Urgent first: while something urgent is about, what is normal is read, decided and sent in small batches.

A batch of five hundred keeps MongoDB, Kafka and the processor busy for longer than an urgent record may wait.
"""

import math
import time

FOR = 2.0
"""Seconds after something urgent for which more of it is reckoned with."""
AT_ONCE = 50
"""Normal records in one batch meanwhile."""


class Precedence:
    """What is urgent in one process."""

    def __init__(self) -> None:
        self._last = -math.inf

    def came(self) -> None:
        """Something urgent was here just now."""
        self._last = time.monotonic()

    def most(self, otherwise: int) -> int:
        """Of how many normal records a batch may consist now."""
        return min(AT_ONCE, otherwise) if time.monotonic() - self._last < FOR else otherwise
