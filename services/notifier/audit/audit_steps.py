"""What came due and was not taken: steps of ladders, notices to hand on, attempts to deliver; found by their clocks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.notifier.audit.audit_gaps import Gaps
from shared.events import AUDIT_GAP
from shared.mongo import Store
from shared.times import text_of

AT_ONCE = 500
"""Of more that is late, the latest are seen."""
_LADDER = "ladder"
_WANTED = {
    "next_due": 1,
    "state.record": 1,
    "state.follow_at": 1,
    "state.kind": 1,
    "state.facts.kind": 1,
    "state.subscriber": 1,
    "state.channel": 1,
    "state.about": 1,
    "state.rule": 1,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One clock that the notifier follows, by the index over it."""

    clock: str
    late: timedelta
    """How old a clock must be that has rung."""
    seen_for: float
    """Seconds for which it must have been seen so: after an outage all is late at first."""
    also: Mapping[str, Any]


FOLLOWED = Kind("state.follow_at", timedelta(seconds=30), 30.0, {})
# Who asked for a few notices a minute waits because of that.
DUE = Kind(
    "next_due",
    timedelta(minutes=5),
    60.0,
    {"$or": [{"state.rate": {"$exists": False}}, {"state.never_held": True}]},
)


class Steps:
    """Looks for what is late; every process looks at all of it."""

    def __init__(
        self,
        notices: Store,
        gaps: Gaps,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notices, self._gaps, self._now, self._monotonic = notices, gaps, now, monotonic
        self._seen: dict[str, float] = {}
        """Since when each late clock has been seen as it is."""
        self._gone: set[str] = set()

    def forget(self) -> None:
        """Nothing could be looked at for a while: what is late then was not seen late by us."""
        self._seen.clear()

    async def look(self) -> None:
        """Find what is late; raises `TryAgain`."""
        now, moment = self._now(), self._monotonic()
        late: dict[str, tuple[Kind, Mapping[str, Any]]] = {}
        for kind in (FOLLOWED, DUE):
            query = {kind.clock: {"$lt": text_of(now - kind.late)}, **kind.also}
            found = await self._notices.find(query, _WANTED, limit=AT_ONCE, sort=[kind.clock])
            late |= {_key(kind, one): (kind, one) for one in found}
        for key in self._seen.keys() - late.keys():
            self._gaps.closed(key)
        self._seen = {key: self._seen.get(key, moment) for key in late}
        for key, (kind, one) in late.items():
            if moment - self._seen[key] >= kind.seen_for:
                await self._found(key, one)

    async def _found(self, key: str, one: Mapping[str, Any]) -> None:
        state = one["state"]
        is_of_gap = AUDIT_GAP in (state.get("kind"), state.get("facts", {}).get("kind"))
        facts = {name: str(state[name]) for name in ("rule", "about") if name in state}
        if state.get("record") == _LADDER:
            # Of a gap's own alert only the count tells: an alert about it would fare no better, and so on for ever.
            await self._gaps.found("step", key, {**facts, "ladder": one["_id"]}, None if is_of_gap else one["_id"])
            return
        told = {**facts, "notice": one["_id"], "subscriber": state["subscriber"], "channel": state["channel"]}
        # One endpoint that is slow makes many late: its people hear of it once an hour.
        by_hour = f"{state['subscriber']}/{state['channel']}/{text_of(self._now())[:13]}"
        await self._gaps.found("delivery", key, told, None if is_of_gap else by_hour)


def _key(kind: Kind, one: Mapping[str, Any]) -> str:
    rang = one["next_due"] if kind is DUE else one["state"]["follow_at"]
    return f"{one['_id']}/{rang}"
