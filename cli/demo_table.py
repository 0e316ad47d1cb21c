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
_COLOURS = {"ok": "green", "WRONG": "bold red", "...": "dim"}
_TITLES = ("", "letter", "State", "type", "lane", "authority", "why", "alert", "ms")
_WIDTHS = (5, 18, 12, 21, 6, 16, None, 17, 5)
_LONGEST_WHY = 44


def table(rows: Sequence[Row], width: int) -> Table:
    """All cases as a table that fits the terminal."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, expand=True, header_style="bold")
    for title, narrow in zip(_TITLES, _WIDTHS, strict=True):
        fixed = None if width >= _WIDE else narrow
        may_wrap = title in ("why", "alert")
        justify: Any = "right" if title == "ms" else "left"
        shown.add_column(title, width=fixed, no_wrap=not may_wrap, overflow="ellipsis", justify=justify)
    for row in rows:
        shown.add_row(*_styled(row, width))
    return shown


def _styled(row: Row, width: int) -> list[Text]:
    cells = [Text(cell) for cell in cells_of(row, short=width < _WIDE)]
    cells[0].stylize(_COLOURS[cells[0].plain])
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
    mark, letter, state, kind, lane, authority, why, alert, milliseconds = cells_of(row, short=False)
    parts = ((mark, 5), (letter, 20), (state, 15), (kind, 29), (lane, 6), (authority, 16), (why, 50), (alert, 47))
    text = " ".join(set_cell_size(part, max(width, cell_len(part))) for part, width in parts)
    return f"{text} {milliseconds:>5}" + (" ms" if row.milliseconds is not None else "")


def cells_of(row: Row, short: bool) -> list[str]:
    """The texts of a row; `short` ones fit a terminal of 120 columns."""
    reference = clean(row.reference)
    facts = row.facts
    kind = facts.get("type") or (row.expected.type if row.expected else "")
    took = "kept" if row.known else "" if row.milliseconds is None else str(row.milliseconds)
    return [
        mark(row),
        f"{row.sample} {_end(reference, 14) if short else reference}".strip(),
        state(row.party, facts.get("direction")),
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
