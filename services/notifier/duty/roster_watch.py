"""A gap in the roster is an alert: a week ahead, while there is time to find somebody."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from services.notifier.duty.roster import Gap, Roster
from shared.events import ROSTER_GAP
from shared.failures import TryAgain
from shared.log import logger
from shared.times import text_of

AHEAD = timedelta(days=7)
EVERY = 3600.0
AGAIN = 30.0
"""Seconds until another look: when all was well, and when an alert could not be kept."""

Alarm = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
"""Raises an alert of a kind, once per key, however often it is asked to: `Quarantine.alarm`."""


class RosterWatch:
    """Looks ahead for gaps and raises each once."""

    def __init__(self, roster: Roster, alarm: Alarm, now: Callable[[], datetime]) -> None:
        self._roster, self._alarm, self._now = roster, alarm, now
        self._raised: set[Gap] = set()
        self._log = logger()

    async def run(self) -> None:
        """Look at once and every hour, until cancelled."""
        while True:
            try:
                await self.look()
                wait = EVERY
            except TryAgain:
                wait = AGAIN
            await asyncio.sleep(wait)

    async def look(self) -> None:
        """Raise what nobody has heard of yet; raises `TryAgain`, and what was not raised is found again."""
        now = self._now()
        for gap in self._roster.gaps(now, now + AHEAD):
            if gap not in self._raised:
                facts = _facts(gap)
                await self._alarm(ROSTER_GAP, "/".join(facts.values()), facts)
                self._raised.add(gap)
                self._log.warning("nobody is on duty by the roster", **facts)


def _facts(gap: Gap) -> dict[str, str]:
    """Of a gap that never ends there is no end to tell; one that ends later than it did is another."""
    end = {} if gap.until is None else {"until": text_of(gap.until)}
    return {"rota": gap.rota, "since": text_of(gap.since), **end}
