"""The gaps that the audit has found: counted, told of, and open until they close, or long enough."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from services.notifier.measures import NotifierMetrics
from shared.events import AUDIT_GAP
from shared.log import logger
from shared.times import text_of

ALERTS = 20
"""Alerts of one kind in an hour; after these one more says that there are more. All are counted."""
OPEN_FOR = 3_600.0
"""Seconds after which a gap that nobody closes no longer keeps the heartbeat back: that must be free for the next."""
REMEMBERED = 10_000

Alarm = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
"""Raises an alert of a kind, once per key, however often it is asked to: `Quarantine.alarm`."""


class Gaps:
    """What this process found."""

    def __init__(
        self,
        metrics: NotifierMetrics,
        alarm: Alarm,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._alarm, self._now, self._monotonic = metrics, alarm, now, monotonic
        self._log = logger(part="audit")
        self._known: dict[str, float] = {}
        self._open: dict[str, float] = {}
        self._told: Counter[tuple[str, str]] = Counter()

    @property
    def any_open(self) -> bool:
        """Whether something is missing now."""
        since = self._monotonic() - OPEN_FOR
        self._open = {key: found for key, found in self._open.items() if found > since}
        return bool(self._open)

    async def found(self, kind: str, key: str, facts: Mapping[str, str], tell: str | None) -> None:
        """Something is missing. `tell`: the key of its alert; None: it is counted and nobody is told by an alert.

        Raises `TryAgain` where the alert could not be kept; then it is to be found again.
        """
        if key in self._known:
            return
        if tell is not None:
            await self._tell(kind, tell, facts)
        self._known[key] = self._open[key] = self._monotonic()
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        self._metrics.audit_gaps.labels(kind).inc()
        self._log.error("gap", gap=kind, **facts)

    def closed(self, key: str) -> None:
        """It is no longer missing."""
        if self._open.pop(key, None) is not None:
            self._log.info("gap closed", key=key)

    async def _tell(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        """A notifier that misses thousands must not wake people thousands of times, nor bury itself in alerts."""
        hour = text_of(self._now())[:13]
        if self._told[kind, hour] < ALERTS:
            await self._alarm(AUDIT_GAP, f"{kind}/{key}", {"gap": kind, **facts})
        elif self._told[kind, hour] == ALERTS:
            await self._alarm(AUDIT_GAP, f"{kind}/more/{hour}", {"gap": kind, "more": "see rogatory_audit_gaps_total"})
        self._told = Counter({of: count for of, count in self._told.items() if of[1] == hour})
        self._told[kind, hour] += 1
