"""What an event owes: the notices and ladders by which all are told whom its rules name, and what of that stands."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.notifier.audit.audit_owed import Seen
from services.notifier.audit.audit_rules import RuleSet
from shared.events import LADDER_BEGUN, LADDER_STEPPED, LADDER_TOLD, NOTICE_HANDED_ON
from shared.ids import Ids
from verify.documents import NoticeHead
from verify.history import Known

OWED = "owed"
"""The rows of events that owe somebody a notice."""
_PERSON = "person/"
"""Before an alert: any notice of it to a person will do, but those of its ladder."""
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

    Every notice to a subscriber or a system, and every ladder. Who is on duty changes: of people, any of them.
    """
    must: dict[str, str] = {}
    for rule in rules.owed(seen):
        alert, named = ids.alert(rule, seen.cause), rules.tell[rule]
        for recipient, channel in named.notices:
            must[ids.notice(alert, recipient, channel)] = f"notice to {recipient} by {channel} ({rule})"
        if named.climbs:
            must[alert] = f"ladder ({rule})"
        if named.people:
            must[_PERSON + alert] = f"notice to a person ({rule})"
    return must


def fewest(ways: Sequence[Way]) -> list[Way]:
    """Without those that ask for all that another one asks for: that one is enough."""
    found: list[Way] = []
    for one in sorted(ways, key=len):
        if not any(other.keys() <= one.keys() for other in found):
            found.append(one)
    return found


def standing(told: Iterable[NoticeHead]) -> set[str]:
    """What stands, as a way asks for it."""
    stand: set[str] = set()
    for one in told:
        stand.add(one.record)
        if one.subscriber.startswith("person.") and not one.step:
            stand.add(_PERSON + one.alert)
    return stand


def promised(known: Known, ids: Ids) -> Iterator[tuple[str, str]]:
    """The notices that must be there by what a ladder or another notice says, each with that.

    A ladder says of each step whom it tells, and then that their notices stand; a notice, that it was handed on.
    """
    tells: list[Mapping[str, str]] = []
    for event in known.events:
        if event.type in (LADDER_BEGUN, LADDER_STEPPED):
            tells = event.data["tells"]
        elif event.type == LADDER_TOLD:
            at = event.data["at"]
            for tell in tells:
                recipient, channel = tell["subscriber"], tell["channel"]
                yield ids.notice(f"{known.record}/{at}", recipient, channel), f"step {at}: {recipient} by {channel}"
        elif event.type == NOTICE_HANDED_ON:
            recipient, channel = known.state["subscriber"], event.data["channel"]
            yield ids.notice(known.record, recipient, channel), f"handed on: {recipient} by {channel}"


def _lacking(way: Way, stand: Collection[str]) -> list[str]:
    return [who for name, who in way.items() if name not in stand]
