"""What the worked cases of a law file leave untouched: rows that no case asks about, dates with one side only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from cli.law.days import ONE_DAY, days_of_change
from cli.law.worked_cases import Ran
from shared.law.competence import Law, rule_id
from shared.vocabulary import Direction


@dataclass(frozen=True)
class Coverage:
    """How many rows there are and which of them no case touches; days of change that no case stands on."""

    rows: int
    untouched: tuple[str, ...]
    one_sided: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.untouched and not self.one_sided

    def sentences(self) -> Iterator[str]:
        """What is missing, as the writer of the cases reads it."""
        for rule in self.untouched:
            yield f"no worked case is answered by the row {rule}"
        yield from self.one_sided


def coverage(law: Law, ran: Iterable[Ran]) -> Coverage:
    """What these cases touch of this law."""
    cases = tuple(ran)
    rules = [
        rule_id(code, direction, row)
        for code, request_type in law.request_types.items()
        for direction in Direction
        for row in request_type.rows(direction)
    ]
    touched = {one.answer.rule for one in cases}
    received = {one.case.given.received for one in cases}
    return Coverage(
        rows=len(rules),
        untouched=tuple(rule for rule in rules if rule not in touched),
        one_sided=tuple(_one_sided(law, received)),
    )


def _one_sided(law: Law, received: set[date]) -> Iterator[str]:
    for day in days_of_change(law):
        if day not in received:
            yield f"something changes on {day}, and no worked case was received on that day"
        if day - ONE_DAY not in received:
            yield f"something changes on {day}, and no worked case was received on the day before"
