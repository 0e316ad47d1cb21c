"""The clock source: finds the cases whose clocks are due and says so to the loop, as a message like any other.

A step has one cause for ever (`clock/<name>/<when>`), so it fires once, however many routers look. It fires only when
the router has read what was said before it was due: after an outage nobody is paged for what was done in time. A clock
that is only our own policy waits for that ten minutes and no longer, and then says that its input was delayed.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from services.router.domain.clocking import Tick
from services.router.resting import Resting
from shared import clocks
from shared.decisions import Message
from shared.failures import TryAgain
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.times import read, text_of

EVERY = 0.25
"""Seconds between looks for what is due."""
AT_ONCE = 500
PATIENCE = timedelta(minutes=10)
"""Of real time: how long a policy clock waits for its input."""
LATE_EVERY = 5.0
"""Seconds between looks for policy clocks that have waited long enough, and for how old the oldest due clock is."""
FUTILE, REFUSED = 60.0, 600.0
"""Seconds for which a case is left alone whose tick changed nothing, or was refused."""
CLOCK_PATIENCE = 5.0
"""Seconds for which a batch is tried while MongoDB is away; then it is looked for anew."""
POLICY = "policy"
NEVER = datetime.min.replace(tzinfo=UTC)
INDEX = {
    "keys": [("next_due", 1)],
    "name": "due",
    "partialFilterExpression": {"next_due": {"$exists": True}},
}


class Clocked(Protocol):
    """Whose time counts."""

    @property
    def is_known(self) -> bool: ...
    def now(self) -> datetime: ...


class Reading(Protocol):
    """How far what could stop a clock has been read."""

    @property
    def until(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Due:
    """One step of one clock that may fire."""

    message: Message
    kind: str


def steps_of(case: Mapping[str, Any], until: datetime, late_until: datetime | None) -> list[Due]:
    """The steps of a case that may fire, the earliest first: what was due by `until`, and policy by `late_until`."""
    found: list[Due] = []
    for clock in case["state"].get("clocks", ()):
        kind = clock["kind"]
        last = max(until, late_until) if late_until and kind == POLICY else until
        for at, _ in clocks.due_steps(clock, last):
            tick = Tick(clock["clock"], at, input_delayed=read(at) > until)
            found.append(Due(Message(case["_id"], f"clock/{clock['clock']}/{at}", "clock", tick), kind))
    return sorted(found, key=lambda due: due.message.body.at)


class Waited:
    """What the time was ten real minutes ago, as this process saw it: what was due by then has waited long enough."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, datetime]] = deque()
        self._long_ago: datetime | None = None

    def by(self, moment: float, now: datetime) -> datetime | None:
        """`moment`: of the monotonic clock. None while this process is younger than that."""
        if not self._seen or moment - self._seen[-1][0] >= LATE_EVERY / 2:
            self._seen.append((moment, now))
        while self._seen and moment - self._seen[0][0] >= PATIENCE.total_seconds():
            self._long_ago = self._seen.popleft()[1]
        # A clock that was put back has made it the future: nothing has waited since then.
        if self._long_ago and self._long_ago > now:
            self._long_ago = None
        return self._long_ago


class Ticking:
    """Looks for due clocks until cancelled; every replica does."""

    def __init__(
        self,
        cases: Loop,
        reading: Reading,
        clock: Clocked,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reading`: the horizon of the updates."""
        self._cases, self._reading, self._clock, self._metrics = cases, reading, clock, metrics
        self._monotonic = monotonic
        self._log = logger(part="clocks")
        self._waited = Waited()
        self._resting = Resting(monotonic)
        self._late_at = 0.0

    async def run(self) -> None:
        """Fire what is due; a full page means that there is more, and no time to wait."""
        full = False
        while True:
            if not full:
                await asyncio.sleep(EVERY)
            try:
                full = await self.look(full)
            except TryAgain:
                full = False  # MongoDB is away: the loop says so

    async def look(self, many: bool = False) -> bool:
        """Fire one page; whether there may be more. `many`: there was more before."""
        until, now = self._reading.until, self._clock.now()
        if not self._clock.is_known:
            return False
        moment = self._monotonic()
        late_until = self._waited.by(moment, now)
        if moment - self._late_at >= LATE_EVERY:
            self._late_at = moment
            await self._measure(now)
            if late_until and late_until > (until or NEVER):
                late = await self._late(until or NEVER, late_until)
                await self._fire(late, until or NEVER, late_until)
                if len(late) == AT_ONCE:
                    self._late_at = 0.0
        if until is None:
            return False
        found = await self._due(min(until, now), many)
        await self._fire(found, min(until, now), None)
        return len(found) == AT_ONCE

    async def _due(self, until: datetime, many: bool) -> list[dict[str, Any]]:
        """Cases of which at least one step may fire, the earliest first."""
        query = {"next_due": {"$lte": text_of(until)}, "_id": {"$nin": self._resting.names()}}
        skip = 0
        if many and random.random() < 0.5:  # noqa: S311 - replicas should not all take the same
            beyond = await self._cases.store.count(query, limit=AT_ONCE * 20, hint="due") - AT_ONCE
            skip = random.randrange(beyond + 1) if beyond > 0 else 0  # noqa: S311
        return await self._find(query, skip)

    async def _late(self, until: datetime, late_until: datetime) -> list[dict[str, Any]]:
        """Cases with a policy clock that has waited long enough; the law's and the sender's clocks wait on."""
        running = {"kind": POLICY, "stopped_at": {"$exists": False}, "missed_at": {"$exists": False}}
        ready = {"$elemMatch": {**running, "steps.0.0": {"$lte": text_of(late_until)}}}
        due = {"$gt": text_of(until), "$lte": text_of(late_until)}
        return await self._find({"next_due": due, "state.clocks": ready, "_id": {"$nin": self._resting.names()}})

    async def _find(self, query: Mapping[str, Any], skip: int = 0) -> list[dict[str, Any]]:
        wanted = {"next_due": 1, "state.clocks": 1}
        return await self._cases.store.find(query, wanted, limit=AT_ONCE, sort=["next_due"], skip=skip)

    async def _fire(self, found: Sequence[Mapping[str, Any]], until: datetime, late_until: datetime | None) -> None:
        due = [step for case in found for step in steps_of(case, until, late_until)]
        outcomes = await self._cases.handle([step.message for step in due], "clock", CLOCK_PATIENCE)
        now = self._clock.now()
        for step, outcome in zip(due, outcomes, strict=True):
            if outcome.fresh:
                self._metrics.clocks_fired.labels(step.kind).inc()
                self._metrics.clock_lateness.observe((now - read(step.message.body.at)).total_seconds())
        self._let_rest(found, list(zip(due, outcomes, strict=True)))

    def _let_rest(self, found: Iterable[Mapping[str, Any]], fired: Sequence[tuple[Due, Outcome]]) -> None:
        """Leave alone for a while what did not move: it would come up again at once, and for ever."""
        stands = {case["_id"]: case["next_due"] for case in found}
        for step, outcome in fired:
            case = step.message.record
            if outcome.refused:
                self._log.error("clock not fired", case=case, reason=str(outcome.refused))
                self._resting.leave(case, REFUSED)
                stands.pop(case, None)
            elif outcome.fresh or outcome.record.state.get("next_due") != stands.get(case):
                stands.pop(case, None)
        for case in stands:
            self._resting.leave(case, FUTILE)

    async def _measure(self, now: datetime) -> None:
        oldest = await self._cases.store.find(
            {"next_due": {"$lte": text_of(now)}}, {"next_due": 1}, limit=1, sort=["next_due"]
        )
        self._metrics.clock_oldest_due.set(read(oldest[0]["next_due"]).timestamp() if oldest else 0)
