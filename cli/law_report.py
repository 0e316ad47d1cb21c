"""The worked cases of a law file as a table for people and as JSON."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from shared.law_coverage import Coverage
from shared.worked_cases import Ran


def cases_as_table(ran: Sequence[Ran]) -> Table:
    """One row per case: what it asks, and how it was answered; a failed one says what was expected and what came."""
    table = Table("", "worked case", "received", "answer", box=None, pad_edge=False)
    for one in ran:
        given = one.case.given
        mark = Text("passed", "green") if one.passed else Text("FAILED", "bold red")
        table.add_row(mark, Text(one.case.case), str(given.received), Text("\n".join(_answered(one))))
    return table


def _answered(one: Ran) -> Iterator[str]:
    if one.passed:
        yield one.case.expect.to
    for name, (expected, got) in one.wrong.items():
        yield f"{name}: expected {_spoken(expected)}, got {_spoken(got)}"


def _spoken(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "nothing" if value is None else str(value)


def untouched_in_words(ran: Sequence[Ran], covered: Coverage) -> Iterator[str]:
    """What the cases came to, and what they leave out."""
    failed = sum(not one.passed for one in ran)
    yield f"{len(ran)} worked cases, {failed} failed; {covered.rows} rows, {len(covered.untouched)} untouched."
    yield from covered.sentences()


def cases_as_json(ran: Sequence[Ran], covered: Coverage) -> dict[str, object]:
    """The same, for a program."""
    return {
        "cases": [
            {
                "case": one.case.case,
                "passed": one.passed,
                "wrong": {name: {"expected": expected, "got": got} for name, (expected, got) in one.wrong.items()},
            }
            for one in ran
        ],
        "failed": sum(not one.passed for one in ran),
        "rows": covered.rows,
        "untouched": list(covered.untouched),
        "one_sided": list(covered.one_sided),
    }
