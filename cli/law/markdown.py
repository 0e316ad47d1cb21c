"""Pieces of Markdown in which nothing that a law file says can pass for markup."""

import re
from collections.abc import Iterable, Iterator, Sequence

_MARKUP = re.compile(r"[\\`*_{}\[\]<>|#&~]")


def plain(text: object) -> str:
    """A text on one line, every sign of it meant as it stands."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(text).split()))


def code(text: object) -> str:
    """A name of the law file, as it is written there."""
    line = " ".join(str(text).split())
    return plain(line) if "`" in line or "|" in line or not line else f"`{line}`"


def codes(names: Iterable[object]) -> str:
    """Names, one after the other."""
    return ", ".join(map(code, names))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, or nothing where it has no row; cells come escaped."""
    body = [_row(row) for row in rows]
    if body:
        yield from (_row(head), _row(["---"] * len(head)), *body, "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
