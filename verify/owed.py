"""What an event owes: the notices and ladders by which all are told whom its rules name, and what of that stands."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from services.notifier.audit.audit_owed import Seen
from services.notifier.audit.audit_rules import RuleSet
from shared.ids import Ids

OWED = "owed"
"""The rows of events that owe somebody a notice."""
_SOMEBODY = "somebody/"
"""Before an alert: any notice of it will do."""
_MOST_NAMED = 3

Way = Mapping[str, str]
"""By one set of rules: what must stand, and who hears by it."""


@dataclass(slots=True)
class Owed:
    """An event, what it is about, and the ways to tell of it, of which one must have been taken."""

    about: str
    ways: list[Way]
    input: int
    partition: int
    offset: int
    digest: str
    event: str

    def is_told(self, stand: Collection[str]) -> bool:
        """Whether by some rules everybody was told."""
        return any(not _lacking(way, stand) for way in self.ways)

    def lacks(self, stand: Collection[str]) -> str:
        """Who was not told, by the rules of which the least is missing."""
        lacking = min((_lacking(way, stand) for way in self.ways), key=len)
        more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
        return f"no {', no '.join(lacking[:_MOST_NAMED])}{more}"


def way(rules: RuleSet, seen: Seen, ids: Ids) -> Way:
    """What must stand by these rules; empty where they tell nobody of it.

    Every notice to a subscriber or a system, and every ladder. Who is on duty changes: where a rule tells nobody else,
    any notice of it.
    """
    must: dict[str, str] = {}
    for rule in rules.owed(seen):
        alert, named = ids.alert(rule, seen.cause), rules.tell[rule]
        for recipient, channel in named.notices:
            must[ids.notice(alert, recipient, channel)] = f"notice to {recipient} by {channel} ({rule})"
        if named.climbs:
            must[alert] = f"ladder ({rule})"
        elif not named.notices:
            must[_SOMEBODY + alert] = f"notice to anybody ({rule})"
    return must


def standing(told: Iterable[tuple[str, str]]) -> set[str]:
    """What stands, as a way asks for it: of notices and ladders their ids and their alerts'."""
    return {name for record, alert in told for name in (record, _SOMEBODY + alert)}


def _lacking(way: Way, stand: Collection[str]) -> list[str]:
    return [who for name, who in way.items() if name not in stand]
