"""`roster.yaml` is read and checked whole: every fault is one plain sentence with its line that names no person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from services.notifier.duty.roster_text import (
    HolidayText,
    PersonText,
    RosterText,
    RotaText,
    RowText,
    ShiftText,
    TurnsText,
)
from services.notifier.duty.roster_turns import EARLIEST, NEVER, Pattern, Person, Rota, Span, readings, wall_clock
from shared.failures import BadStart
from shared.partners import NoticeChannel
from shared.yaml_file import Place, YamlFile, did_you_mean, quoted, read_yaml

ONE_DAY = timedelta(days=1)
_MIDNIGHT = time()


def read_roster(path: Path) -> tuple[ZoneInfo, dict[str, Person], dict[str, Rota]]:
    """The zone, the people and the rotas of a file; raises `BadStart`, one line a fault."""
    file = read_yaml(path)
    text = file.typed(RosterText)
    if faults := list(_faults(file, text)):
        raise BadStart("\n".join(map(str, faults)))
    people = {name: _person(name, person) for name, person in text.people.items()}
    return text.zone, people, {name: _rota(name, rota, people, text.zone) for name, rota in text.rotas.items()}


def _person(name: str, text: PersonText) -> Person:
    told = {NoticeChannel(way): address for way, address in text.contacts if address}
    return Person(name, text.name, text.language, MappingProxyType(told))


def _rota(name: str, text: RotaText, people: Mapping[str, Person], zone: ZoneInfo) -> Rota:
    patterns = tuple(_pattern(turns, [people[one] for one in turns.order], zone) for turns in text.turns)
    return Rota(
        name,
        text.title,
        people[text.stand_in],
        since=wall_clock(text.since, zone) if text.since else EARLIEST,
        until=wall_clock(text.until, zone) if text.until else NEVER,
        instead=_in_order(
            Span(wall_clock(one.since, zone), wall_clock(one.until, zone), people[one.on], one.reason)
            for one in text.instead
        ),
        shifts=_in_order(
            Span(wall_clock(one.since, zone), wall_clock(one.until, zone), people[one.on]) for one in text.shifts
        ),
        holidays=_in_order(_holiday(one, people[one.on], patterns, zone) for one in text.holidays),
        patterns=patterns,
    )


def _in_order(spans: Iterator[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: span.since))


def _pattern(turns: TurnsText, order: Sequence[Person], zone: ZoneInfo) -> Pattern:
    return Pattern(turns.start, tuple(turns.week), tuple(order), zone)


def _holiday(text: HolidayText, person: Person, patterns: Sequence[Pattern], zone: ZoneInfo) -> Span:
    """Its days begin with the day's first hand-over, so that nobody is relieved at midnight in the middle of a turn."""

    def begins(day: date) -> datetime:
        before = [pattern for pattern in patterns if pattern.start <= day] or list(patterns[:1])
        return wall_clock(datetime.combine(day, before[-1].day_begins if before else _MIDNIGHT), zone)

    first, last = text.days
    return Span(begins(first), begins(last + ONE_DAY), person)


def _faults(file: YamlFile, text: RosterText) -> Iterator[BadStart]:
    titles: dict[str, str] = {}
    for name, rota in text.rotas.items():
        place: Place = ("rotas", name)
        if (title := rota.title.casefold()) in titles:
            both = f"{quoted(titles[title])} and {quoted(name)}"
            yield file.bad((*place, "title"), f"{both} are rotas with one title")
        titles.setdefault(title, name)
        yield from _strangers(file, place, rota, text.people)
        yield from _bad_turns(file, (*place, "turns"), rota.turns, text.zone)
        if not rota.turns and not rota.shifts:
            yield file.bad(place, f"{quoted(name)} has neither turns nor shifts: nobody would ever be on")
        for what, spans in (("shift", rota.shifts), ("instead", rota.instead)):
            yield from _bad_spans(file, (*place, "shifts" if what == "shift" else what), what, spans, text.zone)
        yield from _bad_holidays(file, (*place, "holidays"), rota.holidays)
        for key, at in (("since", rota.since), ("until", rota.until)):
            yield from _no_such_time(file, (*place, key), at, text.zone)
        if rota.since and rota.until and rota.until <= rota.since:
            yield file.bad((*place, "until"), f"{quoted(name)} ends before it begins")


def _strangers(file: YamlFile, place: Place, rota: RotaText, people: Mapping[str, object]) -> Iterator[BadStart]:
    named: list[tuple[Place, str]] = [(("stand_in",), rota.stand_in)]
    lists: Mapping[str, Sequence[RowText]] = {
        "shifts": rota.shifts,
        "instead": rota.instead,
        "holidays": rota.holidays,
    }
    for key, rows in lists.items():
        named += [((key, number, "on"), row.on) for number, row in enumerate(rows)]
    for number, turns in enumerate(rota.turns):
        named += [(("turns", number, "order", nth), one) for nth, one in enumerate(turns.order)]
    for where, person in named:
        if person not in people:
            hint = did_you_mean(person, people)
            yield file.bad((*place, *where), f"there is no person {quoted(person)} in this roster{hint}")


def _bad_turns(file: YamlFile, place: Place, patterns: Sequence[TurnsText], zone: ZoneInfo) -> Iterator[BadStart]:
    before: datetime | None = None
    for number, turns in enumerate(patterns):
        week = turns.week
        if len(set(week)) < len(week):
            yield file.bad((*place, number, "hand_over"), "two hand-overs at one time")
        begins = _pattern(turns, (), zone).begins
        if before and begins <= before:
            yield file.bad(
                (*place, number, "start"), "these turns begin before those above them; the latest stand last"
            )
        before = begins


def _bad_spans(
    file: YamlFile, place: Place, what: str, spans: Sequence[ShiftText], zone: ZoneInfo
) -> Iterator[BadStart]:
    for number, span in enumerate(spans):
        yield from _no_such_time(file, (*place, number, "from"), span.since, zone)
        yield from _no_such_time(file, (*place, number, "until"), span.until, zone)
        if span.until <= span.since:
            yield file.bad((*place, number, "until"), f"the end of this {quoted(what)} is not after its beginning")
    rows = [(span.since, span.until, number) for number, span in enumerate(spans) if span.since < span.until]
    yield from _overlaps(file, place, what, rows)


def _bad_holidays(file: YamlFile, place: Place, holidays: Sequence[HolidayText]) -> Iterator[BadStart]:
    rows = []
    for number, holiday in enumerate(holidays):
        first, last = holiday.days
        if last < first:
            yield file.bad((*place, number, "through"), "this holiday ends before it begins")
        else:
            rows.append((datetime.combine(first, _MIDNIGHT), datetime.combine(last + ONE_DAY, _MIDNIGHT), number))
    yield from _overlaps(file, place, "holiday", rows)


def _overlaps(
    file: YamlFile, place: Place, what: str, rows: Sequence[tuple[datetime, datetime, int]]
) -> Iterator[BadStart]:
    latest: tuple[datetime, int] | None = None
    for since, until, number in sorted(rows):
        if latest and since < latest[0]:
            line = file.lines[(*place, latest[1])]
            yield file.bad((*place, number), f"this {quoted(what)} begins before the one on line {line} ends")
        latest = max(latest or (until, number), (until, number))


def _no_such_time(file: YamlFile, place: Place, local: datetime | None, zone: ZoneInfo) -> Iterator[BadStart]:
    """What is written by hand must mean one moment: where clocks are changed, another time says it better."""
    if local is None:
        return
    once, again = readings(local, zone)
    if once > again:
        yield file.bad(place, f"there is no {local:%H:%M} on {local:%Y-%m-%d} in {zone}: clocks are put forward")
    if once < again:
        yield file.bad(place, f"{local:%H:%M} comes twice on {local:%Y-%m-%d} in {zone}: clocks are put back")
