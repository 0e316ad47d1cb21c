"""The days from which a law file answers differently, and the ranges between them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from shared.law.competence import Law
from shared.law.sources import InForce
from shared.law.text import Dated

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Range:
    """Days on which the answers are the same; None: since ever, for ever."""

    first: date | None
    last: date | None

    def __str__(self) -> str:
        if self.first and self.last:
            return f"From {self.first} through {self.last}" if self.first < self.last else f"On {self.first} only"
        if self.last:
            return f"Before {self.last + ONE_DAY}"
        return f"From {self.first}" if self.first else "On every day"

    @property
    def some_day(self) -> date:
        """One day of them: any answers for all."""
        return self.first or self.last or date.max


def ranges(days: Iterable[date]) -> Sequence[Range]:
    """All days, cut where something changes."""
    cuts = sorted(set(days))
    firsts, lasts = [None, *cuts], [*(day - ONE_DAY for day in cuts), None]
    return [Range(first, last) for first, last in zip(firsts, lasts, strict=True)]


def days_of_change(law: Law) -> Sequence[date]:
    """The days from which something else holds: competence, contents, clocks, lanes."""
    return sorted({day for row in _dated(law) for day in _changes(row)})


def days_of_treaties(law: Law) -> Sequence[date]:
    """The days from which a treaty binds, or no longer binds."""
    treaties = law.text.treaties.values()
    return sorted({day for treaty in treaties for row in (*treaty.in_force, *treaty.parties) for day in _changes(row)})


def _dated(law: Law) -> Iterator[Dated]:
    text = law.text
    yield from text.lanes
    for clock in text.clocks.values():
        yield from clock.versions
    for contents in text.field_sets.values():
        yield from contents.values()
    for request_type in text.request_types.values():
        yield from request_type.must_contain.values()
        yield from (*request_type.incoming, *request_type.outgoing)


def _changes(row: Dated | InForce) -> Iterator[date]:
    if row.since:
        yield row.since
    if row.through:
        yield row.through + ONE_DAY
