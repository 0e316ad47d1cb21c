"""How the command line says times, spans, whose a deadline is, and what strangers wrote."""

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from cli.demo_table import clean

KINDS: Mapping[str, str] = {
    "statutory": "the law's",
    "requested": "the sender's wish",
    "policy": "ours, not the law's",
}
"""Whose a clock is: three kinds that nobody may take for one another."""

WIDTH = 110
_PARTS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def moment(text: str) -> str:
    """A time of an event, to the second, in UTC."""
    return f"{text[:10]} {text[11:19]}Z"


def span(seconds: float) -> str:
    """`3 days 4 h`, `25 min`, `40 s`: the two largest parts, without regard to the sign."""
    rest = int(abs(seconds))
    for (name, size), (smaller, part) in zip(_PARTS, [*_PARTS[1:], ("", 0)], strict=True):
        if rest >= size:
            number, rest = divmod(rest, size)
            more = rest // part if part else 0
            return _counted(number, name) + (f" {_counted(more, smaller)}" if more else "")
    return "0 s"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}s" if name == "day" and number != 1 else f"{number} {name}"


def plain(value: Any) -> str:
    """A value of an event on one line, without what would move the cursor."""
    if isinstance(value, str):
        return clean(" ".join(value.split()))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(name)}: {plain(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        return "; ".join(map(plain, value))
    return str(value)


def words(name: str) -> str:
    """A name of ours as words."""
    return clean(name).replace("_", " ").replace("-", " ")


def paragraph(text: str, indent: int, hanging: int = 0) -> Iterator[str]:
    """Text broken into lines, each indented, those after the first by `hanging` more."""
    first, later = " " * indent, " " * (indent + hanging)
    yield from wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False) or [""]
