"""How the demo shows its cases: a live table for a terminal, one line per case for everything else."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from cli.demo_board import Row
from shared.vocabulary import DESK, Direction, Lane

_WIDE = 165
"""Columns of a terminal from which on nothing need be shortened."""
_TALL = 36
"""Lines of a terminal from which on a case may take more than one."""
_MARKS = {"ok": Text("✓", "green"), "WRONG": Text("✗", "bold red"), "...": Text("…", "dim")}
_TITLES = ("", "letter", "State", "type", "lane", "authority", "why", "alert", "ms")
_WIDTHS = (1, 14, 10, 20, 6, 16, None, 17, 4)
_LINE = (5, 20, 15, 29, 6, 16, 50, 47)
_LONGEST_WHY, _LONGEST_REFERENCE = 46, 10


def table(rows: Sequence[Row], width: int, height: int) -> Table:
    """All cases as a table that fits the terminal."""
    shown = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, expand=True, header_style="bold")
    for title, narrow in zip(_TITLES, _WIDTHS, strict=True):
        fixed = None if width >= _WIDE else narrow
        may_wrap = title in ("why", "alert") and height >= _TALL
        justify: Any = "right" if title == "ms" else "left"
        shown.add_column(title, width=fixed, no_wrap=not may_wrap, overflow="ellipsis", justify=justify)
    for row in rows:
        shown.add_row(*_styled(row, width))
    return shown


def _styled(row: Row, width: int) -> list[Text]:
    cells = [Text(cell) for cell in cells_of(row, short=width < _WIDE)]
    cells[0] = _MARKS[mark(row)]
    if row.facts.get("lane") == Lane.URGENT:
        cells[4].stylize("yellow")
    if row.facts.get("authority") == DESK:
        cells[5].stylize("magenta")
    if row.measure > 1:
        cells[1].stylize("dim")
        cells[2].stylize("dim")
    return cells


def line(row: Row) -> str:
    """One case as one line, in columns."""
    *cells, milliseconds = cells_of(row, short=False)
    cells[1], cells[6] = f"{row.sample} {_end(clean(row.reference), 16)}", _cut(cells[6], 50)
    text = " ".join(set_cell_size(cell, max(width, cell_len(cell))) for cell, width in zip(cells, _LINE, strict=True))
    return f"{text} {milliseconds:>5}" + (" ms" if row.milliseconds is not None else "")


def brief(row: Row) -> str:
    """One case in a few words, without columns."""
    return "  ".join(cells_of(row, short=False)[1:-1])


def cells_of(row: Row, short: bool) -> list[str]:
    """The texts of a row; `short` ones fit a terminal of 120 columns."""
    reference = clean(row.reference)
    facts = row.facts
    kind = facts.get("type") or (row.expected.type if row.expected else "")
    took = "kept" if row.known else "" if row.milliseconds is None else str(row.milliseconds)
    return [
        mark(row),
        f"{row.sample} {_end(reference, _LONGEST_REFERENCE) if short else reference}".strip(),
        state(row.party, row.direction),
        str(kind),
        str(facts.get("lane", "")),
        str(facts.get("authority", "")),
        _cut(why(facts), _LONGEST_WHY) if short else why(facts),
        alert(row.told),
        took,
    ]


def mark(row: Row) -> str:
    """Whether the case stands where it must, in a word: colour alone says nothing to many."""
    return "WRONG" if row.wrong else "..." if row.lacks else "ok"


def why(facts: Mapping[str, Any]) -> str:
    """The first clause of the reason."""
    if str(facts.get("gate", "")).startswith("no basis"):
        return f"No legal basis with {facts['party']}"
    return re.split(r"[:;.](?:\s|$)", str(facts.get("because", "")), maxsplit=1)[0]


def alert(told: Mapping[str, Sequence[str]]) -> str:
    """Who was told, and how."""
    return "; ".join(f"{who}: {', '.join(ways)}" for who, ways in sorted(told.items()))


def state(party: str, direction: object) -> str:
    """The other State's code and short name, with an arrow where the letter goes there."""
    arrow = "→" if direction == Direction.OUTGOING else ""
    return f"{arrow}{party} {_names().get(party, '')}".rstrip()


@cache
def _names() -> Mapping[str, str]:
    """Short English names of the States, from the time zone database."""
    text = (files("tzdata.zoneinfo") / "iso3166.tab").read_text(encoding="utf-8")
    rows = (row.split("\t") for row in text.splitlines() if not row.startswith("#"))
    return dict(rows)


def clean(text: str) -> str:
    """A stranger's text without what would move the cursor or turn the direction of a line."""
    return "".join(character for character in text if unicodedata.category(character)[0] != "C")


def _end(text: str, most: int) -> str:
    """The end of a reference: its beginning mostly repeats the State."""
    while cell_len(text) > most:
        text = "…" + text.removeprefix("…")[1:]
    return text


def _cut(text: str, most: int) -> str:
    return text if cell_len(text) <= most else set_cell_size(text, most - 1).rstrip() + "…"
