"""What of the notifier can be seen: its metrics, and the task that measures what stands in MongoDB.

Attempts, the seconds until a channel took a notice and the steps of ladders are in `shared.metrics`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.notifier.domain.bodies import Raising
from services.notifier.domain.subscription_state import Status
from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import Outcome
from shared.mongo import Store
from shared.partners import NoticeChannel
from shared.times import read, text_of

EVERY = 10.0
"""Seconds between two measures."""
MOST = 10_000
"""So many are counted; where there are more, how many does not matter."""
LOOK_AT = 1_000
"""Notices among which the oldest is looked for: those that come due first."""
GAPS = ("notice", "step", "delivery", "behind")
"""What the auditor can miss: a notice; a step of a ladder; an attempt; that a topic is read."""
STATES = (Status.ACTIVE.value, Status.PAUSED.value, Status.GONE.value)
AGES = {"0-10m": timedelta(), "10m-1h": timedelta(minutes=10), "1h-1d": timedelta(hours=1), "older": timedelta(days=1)}
"""How long an alert has climbed, each from its youngest."""


class NotifierMetrics:
    """What only the notifier counts, made once on its registry; every label set starts at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.raised = Counter(
            "rogatory_notices_raised_total", "Notices that were raised, by channel.", ("channel",), registry=r
        )
        for channel in NoticeChannel:
            self.raised.labels(channel)
        self.unsent_oldest = Gauge(
            "rogatory_notices_unsent_oldest_timestamp_seconds",
            "When the oldest notice was raised that is due or was tried in vain; 0 if there is none.",
            registry=r,
        )
        self.unacknowledged = Gauge(
            "rogatory_ladders_unacknowledged", "Alerts that climb their ladders, by age.", ("age",), registry=r
        )
        for age in AGES:
            self.unacknowledged.labels(age)
        self.silences = Gauge("rogatory_silences", "Silences in force.", registry=r)
        self.subscriptions = Gauge("rogatory_subscriptions", "Subscriptions, by state.", ("state",), registry=r)
        for state in STATES:
            self.subscriptions.labels(state)
        self.audit_gaps = Counter(
            "rogatory_audit_gaps_total", "What the auditor found missing or late, by kind.", ("kind",), registry=r
        )
        for kind in GAPS:
            self.audit_gaps.labels(kind)
        self.audit_read_until = Gauge(
            "rogatory_audit_read_until_timestamp_seconds",
            "Every event that came before this was audited, as far as this process does; 0: not known.",
            registry=r,
        )

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Count the notices that a batch has raised."""
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome.fresh and isinstance(message.body, Raising):
                self.raised.labels(message.body.channel).inc()


class Measures:
    """Measures until cancelled; every count goes by an index and ends at `MOST`."""

    def __init__(
        self,
        metrics: NotifierMetrics,
        notices: Store,
        silences: Store,
        subscriptions: Store,
        now: Callable[[], datetime],
    ) -> None:
        self._metrics, self._notices, self._now = metrics, notices, now
        self._silences, self._subscriptions = silences, subscriptions

    async def run(self) -> None:
        """Measure at once and every ten seconds, until cancelled."""
        while True:
            with contextlib.suppress(TryAgain):  # MongoDB is away (the loops say so), or its indexes are not made yet
                await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Measure once; raises `TryAgain`."""
        now = self._now()
        oldest = await self._oldest_unsent(now)
        self._metrics.unsent_oldest.set(oldest.timestamp() if oldest else 0)
        for age, count in (await self._unacknowledged(now)).items():
            self._metrics.unacknowledged.labels(age).set(count)
        in_force = {"state.ends": {"$gt": text_of(now)}}
        self._metrics.silences.set(await self._silences.count(in_force, MOST, "ends"))
        for state in STATES:
            count = await self._subscriptions.count(_standing(state, text_of(now)), MOST, "status")
            self._metrics.subscriptions.labels(state).set(count)

    async def _oldest_unsent(self, now: datetime) -> datetime | None:
        """What waits for its window or for the end of quiet hours is not late."""
        waits = {"next_due": {"$exists": True}}
        late = {**waits, "$or": [{"next_due": {"$lte": text_of(now)}}, {"state.attempts": {"$gt": 0}}]}
        found = await self._notices.find(late, {"state.raised_at": 1}, limit=LOOK_AT, sort=["next_due"])
        return min((read(one["state"]["raised_at"]) for one in found), default=None)

    async def _unacknowledged(self, now: datetime) -> dict[str, int]:
        """Every alert that climbs has a step to come, and by that stands in the index."""
        since = [now - age for age in AGES.values()]
        until = [*since[1:], None]
        counts = {}
        for age, newest, oldest in zip(AGES, since, until, strict=True):
            began = {"$lte": text_of(newest)} | ({"$gt": text_of(oldest)} if oldest else {})
            climbing = {"state.follow_at": {"$exists": True}, "state.status": "climbing", "state.began_at": began}
            counts[age] = await self._notices.count(climbing, MOST, "follow")
        return counts


def _standing(state: str, at: str) -> Mapping[str, Any]:
    """The subscriptions that stand so at a time: a pause that has run out is none, though its record says so still."""
    over = {"$lte": at}
    if state == Status.ACTIVE:
        either = [{"state.status": state}, {"state.paused_until": over}]
        return {"state.status": {"$in": [state, Status.PAUSED.value]}, "$or": either}
    return {"state.status": state, "state.paused_until": {"$not": over}}
