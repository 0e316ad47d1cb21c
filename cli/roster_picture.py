"""A roster as a calendar in the terminal: a week to a block, a band for each rota, a colour for each person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby

from rich.text import Text

from cli.roster_table import MARKS, turn_in_words
from cli.telling import plain
from services.notifier.duty.roster import Roster, Turn, Why, wall_clock

WEEK = 7
CELLS = (24, 12, 8, 6, 4, 3, 2)
"""Into how many cells a day may be cut: as many as fit."""
COLOURS = (
    "grey0 on sky_blue1",
    "grey0 on light_goldenrod2",
    "grey0 on dark_sea_green2",
    "grey0 on light_pink1",
    "grey0 on plum2",
    "grey0 on light_salmon1",
    "grey0 on aquamarine1",
    "grey0 on grey78",
    "white on deep_sky_blue4",
    "white on dark_green",
    "white on purple4",
    "white on dark_orange3",
)
NOBODY = "bold white on red"
Legend = Mapping[str, str]


def picture(roster: Roster, rotas: Sequence[str], first: date, days: int, now: datetime, width: int) -> Iterator[Text]:
    """The lines of the calendar; `width`: how many columns there are."""
    margin = max(map(len, rotas)) + 1
    cells = next((many for many in CELLS if margin + WEEK * many <= width), CELLS[-1])
    colours = _colours(roster, rotas, first, days)
    for start in range(0, days, WEEK):
        week = [first + timedelta(days=day) for day in range(start, min(start + WEEK, days))]
        yield Text(" " * margin + "".join(f"▏{_title(day, cells - 1):<{cells - 1}}" for day in week), "bold")
        if marker := _marker(roster, week, cells, now):
            yield Text(" " * margin + marker, "bold red")
        for rota in rotas:
            yield Text.assemble(f"{rota:<{margin}}", *_band(roster, rota, week, cells, colours))
        yield Text()
    yield from _remarks(roster, rotas, first, days)
    yield from _legend(roster, colours, width)


def _title(day: date, most: int) -> str:
    """As much of a day's name as fits."""
    titles = (f"{day:%a %d %b %Y}", f"{day:%a %d %b}", f"{day:%a} {day.day}", f"{day:%a}", f"{day:%d}")
    return next((title for title in titles if len(title) <= most), "")


def _marker(roster: Roster, week: Sequence[date], cells: int, now: datetime) -> str | None:
    local = now.astimezone(roster.zone)
    if local.date() not in week:
        return None
    passed = timedelta(hours=local.hour, minutes=local.minute) / timedelta(days=1)
    at = int((week.index(local.date()) + passed) * cells)
    return " " * at + "▼ now"


def _band(roster: Roster, rota: str, week: Sequence[date], cells: int, colours: Legend) -> Iterator[tuple[str, str]]:
    """The turns of a week, each as long as it lasts; what is too short for a cell is not seen."""
    turns = [roster.on_duty(rota, at) for day in week for at in _middles(roster, day, cells)]
    for _, run in groupby(turns, key=lambda turn: turn.since):
        same = list(run)
        turn = same[0]
        label = f"▏{_label(turn)}"[: len(same)] if len(same) > 1 else _label(turn)[0]
        fill = MARKS[turn.why] if turn.stands_in else " "
        yield label.ljust(len(same), fill), NOBODY if turn.stands_in else colours[turn.person.id]


def _middles(roster: Roster, day: date, cells: int) -> Iterator[datetime]:
    """The middle of every cell: a hand-over is drawn where it is nearest."""
    for cell in range(cells):
        yield wall_clock(datetime.combine(day, time()) + timedelta(days=1) * (cell + 0.5) / cells, roster.zone)


def _label(turn: Turn) -> str:
    return f"{MARKS.get(turn.why, '')}{turn.person.id}"


def _remarks(roster: Roster, rotas: Sequence[str], first: date, days: int) -> Iterator[Text]:
    """Every swap and gap in words: a short one is not seen in a band."""
    for rota in rotas:
        for turn in roster.turns(rota, *_bounds(roster, first, days)):
            if turn.stands_in or turn.why is Why.INSTEAD:
                said = f"{MARKS[turn.why]} {rota}: {turn_in_words(roster, turn)}"
                yield Text(said, "bold red" if turn.stands_in else "")


def _colours(roster: Roster, rotas: Sequence[str], first: date, days: int) -> Legend:
    """A colour for each person who is seen, in the order of the file."""
    seen = {turn.person.id for rota in rotas for turn in roster.turns(rota, *_bounds(roster, first, days))}
    people = [person for person in roster.people if person in seen]
    return {person: COLOURS[number % len(COLOURS)] for number, person in enumerate(people)}


def _bounds(roster: Roster, first: date, days: int) -> tuple[datetime, datetime]:
    ends = (datetime.combine(first + timedelta(days=day), time()) for day in (0, days))
    since, until = (wall_clock(end, roster.zone) for end in ends)
    return since, until


def _legend(roster: Roster, colours: Legend, width: int) -> Iterator[Text]:
    line = Text()
    for person, colour in colours.items():
        entry = Text.assemble((f" {person} ", colour), f" {plain(roster.people[person].name)}   ")
        if line and line.cell_len + entry.cell_len > width:
            yield line
            line = Text()
        line.append_text(entry)
    yield line
    instead, holiday, nobody = (MARKS[why] for why in (Why.INSTEAD, Why.HOLIDAY, Why.STAND_IN))
    yield Text(f"{instead} instead of another   {holiday} holiday   {nobody} nobody, so this one stands in")
