"""What nothing holds back: no silence, no pause, no grouping, no quiet hours and no rate; decided from the facts alone.

An alerts file may add to this class and can take nothing away.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.events import (
    ALERT_RAISED,
    AUDIT_GAP,
    CASE_ASSIGNED,
    CASE_CLOCK_MISSED,
    CASE_LAPSED,
    CASE_TYPES,
    NOTICE_GIVEN_UP,
    QUARANTINE,
    ROSTER_GAP,
    STOPPED,
)
from shared.vocabulary import DESK, Lane, Urgency

Facts = Mapping[str, str]
When = Mapping[str, Iterable[str]]
"""Facts and the values that match; a fact that is not named may be anything."""


@dataclass(frozen=True)
class Matcher:
    """Some events, in the words of who is refused to hold them back: "an emergency"."""

    says: str
    when: Mapping[str, frozenset[str]]

    def matches(self, facts: Facts) -> bool:
        """Whether every fact that it names has one of its values."""
        return all(facts.get(fact) in values for fact, values in self.when.items())


def matcher(says: str, **when: str | Iterable[str]) -> Matcher:
    """`matcher("urgent on the desk", authority="desk", lane="urgent")`."""
    return Matcher(says, {fact: frozenset([of] if isinstance(of, str) else of) for fact, of in when.items()})


BUILT_IN = (
    matcher("an emergency", urgency=Urgency.EMERGENCY),
    matcher("a clock that was missed", event=CASE_CLOCK_MISSED),
    matcher("a preservation that lapsed", event=CASE_LAPSED),
    matcher("an urgent case that waits on the desk", event=CASE_ASSIGNED, authority=DESK, lane=Lane.URGENT),
    matcher("what may be urgent in quarantine", event=ALERT_RAISED, kind=QUARANTINE, lane=Lane.URGENT),
    matcher("a notice that was owed and not raised", event=ALERT_RAISED, kind=AUDIT_GAP),
    matcher("a gap in the roster", event=ALERT_RAISED, kind=ROSTER_GAP),
    matcher("a service that stopped", event=ALERT_RAISED, kind=STOPPED),
    matcher("a notice that reached nobody", event=ALERT_RAISED, kind=NOTICE_GIVEN_UP),
)
"""A life, or data may be lost; or nobody would hear that we do not work. `of_law` adds a person's freedom."""


def of_law(types: Iterable[str]) -> tuple[Matcher, ...]:
    """With the request types by which the law arrests a person before the documents have come."""
    arrests = frozenset(types)
    first, *rest = BUILT_IN
    return (first, Matcher("the arrest of a person", {"type": arrests}), *rest) if arrests else BUILT_IN


def is_never_held(facts: Facts, matchers: Sequence[Matcher] = BUILT_IN) -> bool:
    """Whether nothing may hold back what is said of an event with these facts."""
    return any(one.matches(facts) for one in matchers)


def can_only_be_never_held(when: When, matchers: Sequence[Matcher] = BUILT_IN) -> bool:
    """Whether `when` can match nothing outside the class: there are no facts that it matches and no matcher does.

    A fact that `when` does not name may be missing from the event, and what names it matches nothing then.
    """
    return not _can_dodge({fact: frozenset(values) for fact, values in when.items()}, matchers)


def touches(when: When, matchers: Sequence[Matcher] = BUILT_IN) -> tuple[Matcher, ...]:
    """Those of the class that `when` may match too: what a silence over it will not hold back."""
    given = {fact: frozenset(values) for fact, values in when.items()}
    if not all(given.values()):
        return ()
    return tuple(
        one for one in matchers if all(fact not in given or given[fact] & values for fact, values in one.when.items())
    )


def implied(when: When) -> dict[str, frozenset[str]]:
    """What `when` says, and what follows from it: only an alert has a kind, only a case a type."""
    given = {fact: frozenset(values) for fact, values in when.items()}
    if "rota" in given:
        given.setdefault("kind", frozenset({ROSTER_GAP}))
    alone = [given.get("event", _EVENTS)]
    if given.keys() & _OF_ALERTS:
        alone.append(frozenset({ALERT_RAISED}))
    if given.keys() & _OF_CASES:
        alone.append(_EVENTS - {ALERT_RAISED})
    return {**given, "event": frozenset.intersection(*alone)} if len(alone) > 1 else given


_EVENTS = frozenset({*CASE_TYPES, ALERT_RAISED})
_OF_ALERTS = {"kind", "service", "rota", "severity", "alertname"}
_OF_CASES = {"type", "authority", "status", "urgency", "direction", "party", "clock", "clock_kind", "step"}


def _can_dodge(given: Mapping[str, frozenset[str]], matchers: Sequence[Matcher]) -> bool:
    """Whether each fact has a value among those given with which none of these matches."""
    if not all(given.values()):
        return False
    for number, one in enumerate(matchers):
        if all(fact in given and given[fact] & values for fact, values in one.when.items()):
            left = ({**given, fact: given[fact] - values} for fact, values in one.when.items())
            return any(_can_dodge(rest, matchers[number + 1 :]) for rest in left)
    return True
