"""Which rules were in force when: after a change of the alerts file, what came before it is judged by the old ones.

Each set of rules is kept in MongoDB, the parts that decide only, with when a process first and last had it: every one
notes its own again and again. Of what came before the first of them nothing is known, so it is not judged.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from services.notifier.audit.audit_owed import Channels, Named, Seen, owing, telling
from services.notifier.rules.alert_rules import AlertRules, Rule
from shared.failures import DAMAGED
from shared.times import read, text_of

OVERLAP = timedelta(minutes=10)
"""So long after a set was last noted it may still have decided: on what was read and not kept yet."""
MOST = 12
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
    """The rules that tell somebody, each with whom it names."""
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

    async def hold(self) -> None:
        """Note that these rules hold now; raises `TryAgain`.

        Another process may undo it by doing the same at once: a minute later it is done again.
        """
        now = text_of(self._now())
        kept = await self._kept()
        others = [one for one in kept["sets"] if one["rules"] != self._own]
        own = next((one for one in kept["sets"] if one["rules"] == self._own), {"rules": self._own, "since": now})
        sets = [{**own, "held": now}, *others]
        began = max([kept["began"] or now, *(text_of(read(one["held"]) + OVERLAP) for one in sets[MOST:])])
        await self._keeper.keep(_COLLECTION, {"_id": _ID, "began": began, "sets": sets[:MOST]})
        self.began = read(began).timestamp()

    async def others(self) -> list[RuleSet]:
        """The other sets that may have decided, as far as they are remembered; raises `TryAgain`."""
        kept = await self._kept()
        return [_set(one, _end_of(one)) for one in kept["sets"] if one["rules"] != self._own]

    async def _kept(self) -> Mapping[str, Any]:
        """What is remembered; an earlier build's, and what is none of ours, is nothing: it must not stop the start."""
        document = await self._keeper.kept(_COLLECTION, _ID)
        with contextlib.suppress(*DAMAGED):  # it is noted anew, and `rogatory verify` counts what came before
            if document and remembered(document).began is not None:
                return document
        return _NOTHING


def may_have_decided(one: RuleSet, seen: Seen) -> bool:
    """Whether a set was still in force when an event came, or came into force after that."""
    return one.until is None or seen.at <= one.until.timestamp()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What MongoDB remembers."""

    sets: Sequence[RuleSet]
    """Those that were had last come first."""
    began: datetime | None
    """Nothing is judged that came before this; None where nothing is remembered."""
    newest: datetime | None
    """When the newest set came."""


def remembered(document: Mapping[str, Any] | None) -> Remembered:
    """What a kept document remembers; raises `DAMAGED` where it is none of ours."""
    kept = document or _NOTHING
    rows = sorted(kept["sets"], key=lambda one: one["held"], reverse=True)
    # Nobody knows of what comes after the last note of all, but that the last rules may decide on it.
    sets = [_set(one, _end_of(one) if number else None) for number, one in enumerate(rows)]
    began = read(kept["began"]) if sets else None
    return Remembered(sets, began, max((read(one["since"]) for one in rows), default=None))


_NOTHING: Mapping[str, Any] = {"began": None, "sets": ()}


def _end_of(kept: Mapping[str, Any]) -> datetime:
    return read(kept["held"]) + OVERLAP


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
    tell = {row["name"]: _named_in(row) for row in rows if row["tells"]}
    return RuleSet(AlertRules(rules), tell, until)


def _named_in(row: Mapping[str, Any]) -> Named:
    return Named(tuple((recipient, channel) for recipient, channel in row["to"]), row["people"], row["climbs"])
