"""What a law file asks of a letter, which clocks run for it and on what grounds it may be refused: pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from shared.law.text import NOBODY, PARENT, Ground, LawText, RequestType, Span, holding
from shared.vocabulary import Direction, Lane, Urgency

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Required:
    """One word that a letter must contain: what it means, who asks for it, when, and where it stands."""

    word: str
    says: str
    basis: tuple[str, ...]
    need: str
    pointer: str | None

    @property
    def unless(self) -> str | None:
        """The word that makes this one unnecessary."""
        return self.need.removeprefix("unless ") if self.need.startswith("unless ") else None


@dataclass(frozen=True)
class ClockRule:
    """A clock as it runs for a case: its name, whose deadline it is, and how it is counted."""

    name: str
    kind: str
    says: str
    span: Span
    tells_sender: bool = False


def required(text: LawText, type: str, on: date) -> tuple[Required, ...]:
    """What a letter of this type must contain on this day, in the order of the file."""
    request_type = text.request_types[type]
    sets = (*(text.field_sets[name] for name in request_type.field_sets), request_type.must_contain)
    return tuple(
        Required(word, content.says, content.basis, content.need, content.pointer)
        for contents in sets
        for word, content in contents.items()
        if word not in request_type.without and holding((content,), on)
    )


def clocks_for(
    text: LawText,
    type: str,
    direction: Direction,
    urgency: Urgency,
    lane: Lane,
    treaty: str | None,
    holder: str | None,
    on: date,
) -> Iterator[ClockRule]:
    """The clocks that may run for such a case, the type's own first."""
    for name in dict.fromkeys((*text.request_types[type].clocks, *text.standard_clocks)):
        clock = text.clocks[name]
        if clock.runs_for.fits(urgency, lane, direction, treaty, holder):
            for span in holding(clock.versions, on):
                yield ClockRule(name, clock.kind, clock.says, span, clock.tells_sender)


def grounds(text: LawText, request_type: RequestType) -> Mapping[str, Ground]:
    """The closed list of grounds on which this type may be refused."""
    codes = (code for name in request_type.grounds for code in text.ground_sets[name])
    return MappingProxyType({code: text.refusal_grounds[code] for code in codes})


def named(text: LawText, type: str, direction: Direction, on: date) -> str | None:
    """The authority that the law itself names on this day, if it names one."""
    row = next(iter(holding(text.request_types[type].rows(direction), on)), None)
    return None if row is None or row.to in (NOBODY, PARENT) else row.to


def may_hold(text: LawText, authority: str, type: str) -> bool:
    """Whether the authority may have a case of this type at all: a need to know, whoever would give it."""
    known = text.authorities.get(authority)
    return known is None or known.never is None or type not in known.never.types
