"""How far the routers say that they have read, looked at again and again: a clock waits for that alone."""

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Self

from shared import times
from tests.fault.routers import read_until

_EVERY = 0.25
NEVER = timedelta(days=1)


class Reading:
    """What was seen of the routers' horizons; what counts is the one that has read more. `async with` looks."""

    def __init__(self, ports: Callable[[], Collection[int]]) -> None:
        """`ports`: of the routers."""
        self._ports = ports
        self.usual = NEVER
        """How far behind they are while nothing is wrong, at most."""
        self._looks: list[datetime] = []
        self._until: list[datetime | None] = []

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Look no more."""
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking

    async def _look(self) -> None:
        while True:
            at = times.now()
            found = await asyncio.gather(*(asyncio.to_thread(read_until, port) for port in self._ports()))
            self.see(at, max((until for until in found if until), default=None))
            await asyncio.sleep(_EVERY)

    def see(self, at: datetime, until: datetime | None) -> None:
        """At a moment everything that had been said until then was read; None: nobody knew."""
        self._looks.append(at)
        self._until.append(until)

    @property
    def until(self) -> datetime | None:
        """What the last look saw."""
        return self._until[-1] if self._until else None

    @property
    def behind(self) -> timedelta:
        """How long ago that was."""
        return times.now() - self.until if self.until else NEVER

    def passed(self, due: datetime, begin: datetime) -> datetime:
        """From a beginning on, the last moment at which nobody was seen to have read up to a due time."""
        moment = begin
        for n in range(bisect_left(self._looks, begin), len(self._looks)):
            until = self._until[n]
            if until and until >= due:
                break
            moment = self._looks[n]
        return moment
