"""The pace of what is done in batches: under load each waits a little for company, after a quiet time nothing waits.

A batch costs MongoDB and Kafka nearly the same for one record as for fifty.
"""

import asyncio
import time

PACE = 0.01
"""Seconds at least from the beginning of one batch to that of the next."""
_BREATH = 50
_TURN = 0.02
"""Seconds of reading after which the others have their turn, among them what is urgent."""


async def breathe(number: int) -> None:
    """After every fiftieth of many let the others have their turn, among them what is urgent."""
    if not number % _BREATH:
        await asyncio.sleep(0)


class Turn:
    """A long reading that waits for nothing; `step` between its parts lets the others have their turn in time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def step(self) -> None:
        """Give way where it has gone on for long enough."""
        if time.monotonic() - self._began > _TURN:
            await asyncio.sleep(0)
            self._began = time.monotonic()


class Pace:
    """The pace of one task."""

    def __init__(self, seconds: float = PACE) -> None:
        self._seconds = seconds
        self._began = -seconds

    async def step(self) -> None:
        """Returns when the next batch may begin: at once where the last one is long enough ago."""
        await asyncio.sleep(max(0.0, self._began + self._seconds - time.monotonic()))
        self.begin()

    def begin(self) -> None:
        """The batch begins only now, where it had to be waited for."""
        self._began = time.monotonic()
