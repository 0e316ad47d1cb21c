"""How the demo shows its cases: a live table for a terminal, one line per case for everything else."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from cli.demo_board import Row
from shared.times import read
from shared.vocabulary import DESK, Direction, Lane

_WIDE = 165
"""Columns of a terminal from which on nothing need be shortened."""
_NARROW = 140
"""Columns below which lane and alert find no place."""
_TALL = 36
"""Lines of a terminal from which on a case may take more than one."""
_MARKS = {"ok": Text("✓", "green"), "WRONG": Text("✗", "bold red"), "...": Text("…", "dim")}
_WIDTHS: Mapping[str, int | None] = {
    "": 1,
    "letter": 14,
    "State": 10,
    "type": 20,
    "lane": 6,
    "authority": 16,
    "status": 17,
    "next clock": 22,
    "why": None,
    "alert": 17,
    "ms": 4,
}
"""The columns, and how wide each is where the terminal is narrow."""
_LINE = {"": 5, "letter": 20, "State": 15, "type": 29, "lane": 6, "authority": 24, "status": 26, "why": 46, "alert": 30}
_LONGEST_WHY, _LONGEST_REFERENCE = 46, 10


def table(rows: Sequence[Row], width: int, height: int, now: datetime | None = None) -> Table:
    """All cases as a table that fits the terminal; `now`: the simulated time, from which clocks have time left."""
    shown = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, expand=True, header_style="bold")
    shown.caption = brief_time(now) if now else None
    titles = _titles(rows, width)
    for title in titles:
        fixed = None if width >= _WIDE else _WIDTHS[title]
        if title == "next clock" and "why" not in titles:
            fixed = None
        may_wrap = title in ("why", "alert", "next clock") and height >= _TALL
        justify: Any = "right" if title == "ms" else "left"
        shown.add_column(title, width=fixed, no_wrap=not may_wrap, overflow="ellipsis", justify=justify)
    for row in rows:
        cells = _styled(row, width, now)
        shown.add_row(*(cells[title] for title in titles))
    return shown


def _titles(rows: Sequence[Row], width: int) -> list[str]:
    """The columns: while clocks run they are what one looks at, afterwards the reasons."""
    runs = any(row.clock for row in rows)
    leave_out = {"why"} if runs and width < _WIDE else set() if runs else {"next clock"}
    if width < (_WIDE if runs else _NARROW):
        leave_out |= {"lane", "alert"}
    return [title for title in _WIDTHS if title not in leave_out]


def _styled(row: Row, width: int, now: datetime | None) -> dict[str, Text]:
    cells = {title: Text(cell) for title, cell in cells_of(row, short=width < _WIDE, now=now).items()}
    cells[""] = _MARKS[mark(row)]
    if row.facts.get("lane") == Lane.URGENT:
        cells["lane"].stylize("yellow")
    if row.present.get("authority") == DESK:
        cells["authority"].stylize("magenta")
    if row.clock and row.clock["kind"] == "statutory":
        cells["next clock"].stylize("bold")
    if row.measure > 1:
        cells["letter"].stylize("dim")
        cells["State"].stylize("dim")
    return cells


def line(row: Row) -> str:
    """One case as one line, in columns."""
    cells = cells_of(row, short=False)
    cells["letter"] = f"{row.sample} {_end(clean(row.reference), 16)}"
    cells["authority"] = " → ".join(dict.fromkeys(holders(row)))
    cells["status"] = ", ".join(row.expected.end if row.expected and not row.lacks else row.statuses[-1:])
    cells["why"] = _cut(cells["why"], _LINE["why"])
    shown = [set_cell_size(cells[name], max(width, cell_len(cells[name]))) for name, width in _LINE.items()]
    took = f"{cells['ms']:>5}" + (" ms" if row.milliseconds is not None else "")
    lacked = [one["field"] for one in row.facts.get("missing") or ()]
    return " ".join([*shown, took]) + (f"  lacked: {', '.join(lacked)}" if lacked else "")


def holders(row: Row) -> list[str]:
    """Who had the case, one after the other."""
    return [str(facts["authority"]) for facts in (row.facts, row.present) if facts.get("authority")]


def brief(row: Row) -> str:
    """One case in a few words, without columns."""
    cells = cells_of(row, short=False)
    return "  ".join(
        cells[title] for title in ("letter", "State", "type", "lane", "authority", "status", "why", "alert")
    )


def brief_time(now: datetime) -> str:
    """The simulated time, which must not be taken for the real one."""
    return f"simulated time: {now.astimezone(UTC):%-d %B %Y %H:%M} UTC"


def cells_of(row: Row, short: bool, now: datetime | None = None) -> dict[str, str]:
    """The texts of a row by their columns; `short` ones fit a terminal of 120 columns."""
    reference = clean(row.reference)
    facts = row.facts
    kind = facts.get("type") or (row.expected.type if row.expected else "")
    took = "kept" if row.known else "" if row.milliseconds is None else str(row.milliseconds)
    return {
        "": mark(row),
        "letter": f"{row.sample} {_end(reference, _LONGEST_REFERENCE) if short else reference}".strip(),
        "State": state(row.party, row.direction),
        "type": str(kind),
        "lane": str(facts.get("lane", "")),
        "authority": str(row.present.get("authority", "")),
        "status": ", ".join(
            row.statuses[-2:] if row.expected and row.expected.end and not row.lacks else row.statuses[-1:]
        ),
        "next clock": clock(row, now),
        "why": _cut(why(facts), _LONGEST_WHY) if short else why(facts),
        "alert": alert(row.told),
        "ms": took,
    }


def clock(row: Row, now: datetime | None) -> str:
    """The clock that rings next, of which kind it is, and how much of it is left."""
    if (found := row.clock) is None:
        return ""
    left = f"{_span(read(found['due']) - now)} left, " if now else ""
    return f"{left}{found['kind']}: {found['clock']}"


def _span(span: timedelta) -> str:
    """A span of time in its largest units."""
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if days < 10 else f"{days} d"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


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
