"""Which rules were in force when: after a change of the alerts file, what came before it is judged by the old ones.

Each set of rules is kept in MongoDB with the time from which it holds, the parts that decide only. Of what came before
the first of them nothing is known, so it is not judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from services.notifier.audit.audit_owed import Channels, Named, Seen, owing, telling
from services.notifier.rules.alert_rules import AlertRules, Rule
from shared.times import read, text_of

OVERLAP = timedelta(hours=1)
"""For so long a process with the old file may still run beside one with the new."""
MOST = 50
"""Sets of rules that are remembered."""
_COLLECTION, _ID = KEPT_AS = "audit", "rules"
"""Where MongoDB has them."""


class Keeper(Protocol):
    """What remembers a document: MongoDB."""

    async def kept(self, collection: str, document: str) -> Mapping[str, Any] | None:
        """One document by its id; raises `TryAgain`."""
        ...

    async def keep(self, collection: str, document: Mapping[str, Any]) -> None:
        """Put a document in the place of the one with its id; raises `TryAgain`."""
        ...


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules as they were."""

    rules: AlertRules
    tell: Mapping[str, Named]
    until: datetime | None

    def owed(self, seen: Seen) -> Sequence[str]:
        """The rules by which an event owed something; for what came later than they held, as if it had been in time."""
        return owing(seen, self.rules, self.tell)


class RulesInForce:
    """The rules of now, and those that may have decided on an older event."""

    def __init__(self, rules: AlertRules, channels: Channels, keeper: Keeper, now: Callable[[], datetime]) -> None:
        self._keeper, self._now = keeper, now
        self.now_in_force = RuleSet(rules, telling(rules, channels), None)
        self._own = _text(self.now_in_force)
        self.began = 0.0
        """Nothing is judged that came before this (seconds)."""

    async def begin(self) -> None:
        """Note since when these rules hold; raises `TryAgain`."""
        sets = await self._sets()
        if not sets or sets[0]["rules"] != self._own:
            sets = [{"rules": self._own, "since": text_of(self._now())}, *sets][:MOST]
            await self._keeper.keep(_COLLECTION, {"_id": _ID, "sets": sets})
        self.began = read(sets[-1]["since"]).timestamp()

    async def others(self) -> list[RuleSet]:
        """The other sets that may have decided, as far as they are remembered; raises `TryAgain`."""
        sets = await self._sets()
        ends = [None, *(read(one["since"]) + OVERLAP for one in sets)]
        return [_set(one, end) for one, end in zip(sets, ends, strict=False) if one["rules"] != self._own]

    async def _sets(self) -> list[Mapping[str, Any]]:
        found = await self._keeper.kept(_COLLECTION, _ID)
        return list(found["sets"]) if found else []


def may_have_decided(one: RuleSet, seen: Seen) -> bool:
    """Whether a set was still in force when an event came, or came into force after that."""
    return one.until is None or seen.at <= one.until.timestamp()


def remembered(kept: Mapping[str, Any] | None) -> tuple[list[RuleSet], datetime | None]:
    """The sets that a kept document remembers, the present one first, and since when the oldest holds."""
    sets: Sequence[Mapping[str, Any]] = kept["sets"] if kept else ()
    ends = [None, *(read(one["since"]) + OVERLAP for one in sets)]
    latest: dict[str, RuleSet] = {}
    for one, end in zip(sets, ends, strict=False):
        if one["rules"] not in latest:  # what came back later holds for what lies between as well
            latest[one["rules"]] = _set(one, end)
    return list(latest.values()), read(sets[-1]["since"]) if sets else None


def _text(one: RuleSet) -> str:
    """What of the rules decides, as JSON text: the same for the same rules."""
    rows = []
    for rule in one.rules.rules:
        named = one.tell.get(rule.name)
        rows.append(
            {
                "name": rule.name,
                "when": {fact: list(values) for fact, values in rule.when.items()},
                "left": rule.headroom_under.total_seconds() if rule.headroom_under else None,
                "then_continue": rule.then_continue,
                "tells": named is not None,
                "to": list(named.notices) if named else [],
                "people": named is not None and named.people,
                "climbs": named is not None and named.climbs,
            }
        )
    return orjson.dumps(rows).decode()


def _set(kept: Mapping[str, Any], until: datetime | None) -> RuleSet:
    rows = orjson.loads(kept["rules"])
    rules = tuple(
        Rule(
            name=row["name"],
            when={fact: tuple(values) for fact, values in row["when"].items()},
            headroom_under=timedelta(seconds=row["left"]) if row["left"] is not None else None,
            tell=(),
            says={"en": "-"},
            then_continue=row["then_continue"],
        )
        for row in rows
    )
    return RuleSet(AlertRules(rules), {row["name"]: _named(row) for row in rows if row["tells"]}, until)


def _named(row: Mapping[str, Any]) -> Named:
    """Whom a row tells; one of an earlier build does not say."""
    notices = tuple((recipient, channel) for recipient, channel in row.get("to", ()))
    return Named(notices, row.get("people", False), row.get("climbs", False))
