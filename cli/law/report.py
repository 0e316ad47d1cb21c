"""What the commands about law files found, in words for people and as JSON."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from cli.law.coverage import Coverage
from cli.law.diff import Difference
from cli.law.replay import Replayed
from cli.law.worked_cases import Ran
from shared.law import Law


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


def diff_in_words(old: Law, new: Law, found: Difference, ran: Sequence[Replayed] | None, what: str) -> Iterator[str]:
    """What two law files answer differently, line by line; `what`: what the letters are called that were run."""
    yield f"{old.name} {old.version} -> {new.name} {new.version}"
    for assumed in new.assumptions:
        yield f"assumed: {assumed}"
    yield from map(str, found.changes)
    if not found.differs:
        yield "No answer differs."
    if old.version == new.version and old.sha256 != new.sha256:
        yield f"Both call themselves {old.version}; whoever edits a law file raises its version."
    yield f"Wording only: {found.wording}."
    if ran is not None:
        yield f"{what} changed: {sum(bool(one.says) for one in ran)} of {len(ran)}."
    for one in ran or ():
        yield from (f"  {one.letter}, {sentence}" for sentence in one.says)


def diff_as_json(old: Law, new: Law, found: Difference, ran: Sequence[Replayed] | None) -> dict[str, object]:
    """The same, for a program."""
    laws = {
        name: {"law": law.name, "version": law.version, "sha256": law.sha256}
        for name, law in (("old", old), ("new", new))
    }
    letters = {
        "replayed": len(ran or ()),
        "changed": {one.letter: list(one.says) for one in ran or () if one.says},
    }
    changes = [change.as_json() for change in found.changes]
    return {**laws, "changes": changes, "wording_only": found.wording} | ({} if ran is None else {"letters": letters})
