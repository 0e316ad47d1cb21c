"""The time that counts: MongoDB's, carried on by the monotonic clock, so that no jump of a process's own clock matters.

A simulation, where it is switched on, makes the time start at a day of its own and run at a rate of its own, for every
process of a deployment alike; letters and cases live in it, tokens and notices never.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared import times
from shared.failures import TryAgain

EVERY = 1.0
"""Seconds between two measures of MongoDB's time."""
SIMULATION_EVERY = 0.05
"""Seconds between two looks at where the simulation has been moved to."""
_RESOLUTION = timedelta(milliseconds=1)
_COLLECTION, _ID = KEPT_AS = "simulation", "time"
"""Where MongoDB has it."""


class Clocked(Protocol):
    """What has a time of its own and remembers the simulation: MongoDB."""

    async def time(self) -> datetime:
        """Its own time; raises `TryAgain`."""
        ...

    async def kept(self, collection: str, document: str) -> Mapping[str, Any] | None:
        """One document by its id; raises `TryAgain`."""
        ...

    async def keep(self, collection: str, document: Mapping[str, Any]) -> None:
        """Put a document in the place of the one with its id; raises `TryAgain`."""
        ...


@dataclass(frozen=True, slots=True)
class Simulation:
    """From a moment of the real time on, another time that runs at another rate."""

    at: datetime
    simulated: datetime
    rate: float

    def now(self, real: datetime) -> datetime:
        """The simulated time at a real one."""
        return self.simulated + max(real - self.at, timedelta()) * self.rate


class Time:
    """The time of one process; until MongoDB has answered once it is the process's own."""

    def __init__(
        self,
        is_simulated: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        own: Callable[[], datetime] = times.now,
    ) -> None:
        """`own`: the process's clock, asked once."""
        self.is_simulated, self._monotonic = is_simulated, monotonic
        self._zero = own() - timedelta(seconds=monotonic())
        self._simulation: Simulation | None = None
        self._latest: datetime | None = None
        self.is_known = False
        """Whether MongoDB has been asked: before that nothing may fire."""

    def now(self) -> datetime:
        """The time, or the simulated one, which never goes back."""
        real = self.real()
        if self._simulation is None:
            return real
        simulated = self._simulation.now(real)
        self._latest = max(simulated, self._latest or simulated)
        return self._latest

    def real(self) -> datetime:
        """MongoDB's time, whatever is simulated."""
        return self._zero + timedelta(seconds=self._monotonic())

    async def ask(self, mongo: Clocked) -> None:
        """Measure MongoDB's time and see where the simulation stands; raises `TryAgain`."""
        before = self._monotonic()
        answered = await mongo.time()
        self._correct(answered, before, self._monotonic())
        if self.is_simulated:
            await self._look(mongo)
        self.is_known = True

    async def run(self, mongo: Clocked) -> None:
        """Go on asking until cancelled; while MongoDB is away the monotonic clock carries the time on."""
        asked = self._monotonic()
        while True:
            await asyncio.sleep(SIMULATION_EVERY if self.is_simulated else EVERY)
            with contextlib.suppress(TryAgain):
                if self._monotonic() - asked >= EVERY * 0.9:
                    asked = self._monotonic()
                    await self.ask(mongo)
                else:
                    await self._look(mongo)

    def _correct(self, answered: datetime, before: float, after: float) -> None:
        """Move as little as the answer demands: it was given at some moment between the question and its arrival."""
        earliest = answered - timedelta(seconds=after)
        latest = answered + _RESOLUTION - timedelta(seconds=before)
        is_first = not self.is_known
        self._zero = earliest + (latest - earliest) / 2 if is_first else min(max(self._zero, earliest), latest)

    async def _look(self, mongo: Clocked) -> None:
        self._simulation = await _simulation_in(mongo)


async def _simulation_in(mongo: Clocked) -> Simulation | None:
    found = await mongo.kept(_COLLECTION, _ID)
    return Simulation(times.read(found["at"]), times.read(found["simulated"]), found["rate"]) if found else None


async def set_simulated(mongo: Clocked, simulated: datetime, rate: float) -> None:
    """Move the simulated time of a whole deployment; raises `ValueError` for a move back."""
    real, running = await mongo.time(), await _simulation_in(mongo)
    if rate <= 0 or (running and simulated < running.now(real)):
        raise ValueError("simulated time only goes forward")
    document = {"_id": _ID, "at": times.text_of(real), "simulated": times.text_of(simulated), "rate": float(rate)}
    await mongo.keep(_COLLECTION, document)
