"""The duty roster: whose turn it is, worked out by hand, and what holds for every roster and every moment."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.duty.roster import EARLIEST, Gap, Roster, Turn, Why, load_roster, wall_clock
from services.notifier.duty.roster_turns import NEVER, Pattern, Person, Rota, Span
from shared.partners import NoticeChannel

ROOT = Path(__file__).parents[2]
BAKU, PARIS = ZoneInfo("Asia/Baku"), ZoneInfo("Europe/Paris")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

GOOD = """\
zone: Europe/Paris
people:
  anna: {name: Anna Secret, language: en, contacts: {email: anna.secret@example.org}}
  bela: {name: Bela Secret, language: fr, contacts: {email: bela.secret@example.org, apprise: "jsons://secret/bela"}}
  cem: {name: Cem Secret, language: az, contacts: {apprise: "jsons://secret/cem"}}
rotas:
  desk:
    title: The desk
    stand_in: cem
    since: 2026-01-05 08:00
    until: 2027-12-31 20:00
    turns:
      - start: 2026-01-05
        hand_over: ["08:00", "20:00"]
        order: [anna, bela]
    shifts:
      - {from: 2026-05-04 08:00, until: 2026-05-04 12:00, on: bela}
      - {from: 2026-05-04 12:00, until: 2026-05-04 20:00, on: anna}
    holidays:
      - {day: 2026-05-01, on: cem}
      - {from: 2026-05-04, through: 2026-05-05, on: cem}
    instead:
      - {from: 2026-05-04 10:00, until: 2026-05-04 11:00, on: cem, reason: a swap}
  heads:
    title: The heads
    stand_in: anna
    turns:
      - start: 2026-01-07
        hand_over: [Monday 09:00]
        order: [bela, cem]
"""


def roster_of(folder: Path, text: str = GOOD) -> Roster:
    return load_roster(roster_file(folder, text))


def roster_file(folder: Path, text: str = GOOD) -> Path:
    path = folder / "roster.yaml"
    path.write_text(text)
    return path


def at(local: str, zone: ZoneInfo = PARIS) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=zone).astimezone(UTC)


def said(turn: Turn, zone: ZoneInfo = PARIS) -> tuple[str | None, ...]:
    since, until = (one.astimezone(zone).isoformat(" ")[:16] if one else None for one in (turn.since, turn.until))
    return turn.person.id, since, until, turn.next.id if turn.next else None


ON_DUTY = {
    "a day's turn": ("desk", "2026-04-20 12:00", ("anna", "2026-04-20 08:00", "2026-04-20 20:00", "bela")),
    "a turn over midnight": ("desk", "2026-04-21 03:00", ("bela", "2026-04-20 20:00", "2026-04-21 08:00", "anna")),
    "the very hand-over": ("desk", "2026-04-20 20:00", ("bela", "2026-04-20 20:00", "2026-04-21 08:00", "anna")),
    "a holiday from hand-over to hand-over": (
        "desk",
        "2026-05-02 07:59",
        ("cem", "2026-05-01 08:00", "2026-05-02 08:00", "anna"),
    ),
    "a shift goes before a holiday, here of who had the night": (
        "desk",
        "2026-05-04 09:00",
        ("bela", "2026-05-03 20:00", "2026-05-04 10:00", "cem"),
    ),
    "who takes over goes before a shift": (
        "desk",
        "2026-05-04 10:30",
        ("cem", "2026-05-04 10:00", "2026-05-04 11:00", "bela"),
    ),
    "and then the shift goes on": (
        "desk",
        "2026-05-04 11:00",
        ("bela", "2026-05-04 11:00", "2026-05-04 12:00", "anna"),
    ),
    "after the shifts the holiday": (
        "desk",
        "2026-05-05 12:00",
        ("cem", "2026-05-04 20:00", "2026-05-06 08:00", "anna"),
    ),
    "the first week begins on the first Monday": (
        "heads",
        "2026-01-12 09:00",
        ("bela", "2026-01-12 09:00", "2026-01-19 09:00", "cem"),
    ),
    "the second week": ("heads", "2026-01-20 00:00", ("cem", "2026-01-19 09:00", "2026-01-26 09:00", "bela")),
    "a week without an hour": ("heads", "2026-03-29 12:00", ("bela", "2026-03-23 09:00", "2026-03-30 09:00", "cem")),
    "before the rota": ("heads", "2026-01-12 08:59", ("anna", "0001-01-02 00:09", "2026-01-12 09:00", "bela")),
    "after the rota": ("desk", "2028-01-01 00:00", ("cem", "2027-12-31 20:00", None, None)),
}


@pytest.mark.parametrize("case", ON_DUTY)
def test_who_is_on_until_when_and_who_is_next(case: str, tmp_path: Path) -> None:
    rota, moment, expected = ON_DUTY[case]

    assert said(roster_of(tmp_path).on_duty(rota, at(moment))) == expected


def test_a_swap_says_its_reason_and_a_gap_that_somebody_stands_in(tmp_path: Path) -> None:
    roster = roster_of(tmp_path)

    swap, gap = roster.on_duty("desk", at("2026-05-04 10:30")), roster.on_duty("desk", at("2028-01-01 00:00"))

    assert (swap.why, swap.reason, swap.stands_in) == (Why.INSTEAD, "a swap", False)
    assert (gap.why, gap.reason, gap.stands_in) == (Why.STAND_IN, "", True)


NIGHTS = {
    "an ordinary night": (PARIS, "2026-03-27 20:00", 12),
    "the night in which clocks are put forward": (PARIS, "2026-03-28 20:00", 11),
    "the night in which clocks are put back": (PARIS, "2026-10-24 20:00", 13),
    "a night in Baku, where clocks stay": (BAKU, "2026-03-28 20:00", 12),
    "a night in Baku when they were still put forward": (BAKU, "2015-03-28 20:00", 11),
    "a night in Baku when they were still put back": (BAKU, "2015-10-24 20:00", 13),
}


@pytest.mark.parametrize("case", NIGHTS)
def test_hand_overs_keep_to_the_wall_clock(case: str) -> None:
    zone, evening, lasts = NIGHTS[case]
    roster = of_pattern(zone, [(None, time(8)), (None, time(20))], "ab")

    turn = roster.on_duty("desk", at(evening, zone))

    assert said(turn, zone)[1] == evening
    assert turn.until is not None
    assert f"{turn.until.astimezone(zone):%H:%M}" == "08:00"
    assert turn.until - turn.since == lasts * HOUR


CHANGES = {
    "never shown: when clocks are put forward": ("2026-03-29 02:30", "2026-03-29 01:00"),
    "never shown, at the edge": ("2026-03-29 02:00", "2026-03-29 01:00"),
    "just after": ("2026-03-29 03:00", "2026-03-29 01:00"),
    "shown twice: the second time": ("2026-10-25 02:30", "2026-10-25 01:30"),
    "shown once, before": ("2026-10-25 01:59", "2026-10-24 23:59"),
    "shown once, after": ("2026-10-25 03:00", "2026-10-25 02:00"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_wall_clock_says_one_moment(case: str) -> None:
    local, expected = CHANGES[case]

    assert wall_clock(datetime.fromisoformat(local), PARIS) == at(expected, ZoneInfo("UTC"))


def test_two_hand_overs_in_the_hour_that_is_left_out_lose_no_moment() -> None:
    roster = of_pattern(PARIS, [(None, time(2, 15)), (None, time(2, 45)), (None, time(3, 30))], "abcd")
    night = at("2026-03-29 00:00")

    turns = list(roster.turns("desk", night, night + 4 * HOUR))

    assert [f"{turn.since.astimezone(PARIS):%H:%M}" for turn in turns] == ["03:30", "03:00", "03:30"]
    assert all(turn.until == after.since for turn, after in pairwise(turns))


def test_a_hand_over_in_the_hour_that_comes_twice_happens_once() -> None:
    roster = of_pattern(PARIS, [(None, time(2, 30))], "ab")
    night = at("2026-10-25 00:00")

    lasts = [turn.until - turn.since for turn in roster.turns("desk", night, night + DAY) if turn.until]

    assert lasts == [25 * HOUR, 24 * HOUR]


def test_a_new_pattern_takes_over_with_its_first_turn(tmp_path: Path) -> None:
    more = "        order: [bela, cem]\n      - {start: 2026-03-05, hand_over: [Wednesday 12:00], order: [anna]}\n"
    roster = roster_of(tmp_path, GOOD.replace("        order: [bela, cem]\n", more))

    before, after = roster.on_duty("heads", at("2026-03-11 11:59")), roster.on_duty("heads", at("2026-03-11 12:00"))

    assert said(before) == ("bela", "2026-03-09 09:00", "2026-03-11 12:00", "anna")
    assert said(after) == ("anna", "2026-03-11 12:00", None, None)


def test_nobody_hands_over_to_themselves(tmp_path: Path) -> None:
    text = GOOD.replace("order: [anna, bela]", "order: [anna, anna, bela]").replace(
        "on: cem, reason", "on: bela, reason"
    )
    roster = roster_of(tmp_path, text)

    turns = list(roster.turns("desk", at("2026-04-01 00:00"), at("2026-07-01 00:00")))

    assert all(turn.next is not None and turn.next != turn.person for turn in turns)


def test_the_roster_of_the_project_has_no_gap_before_2028() -> None:
    roster = load_roster(ROOT / "roster.yaml")

    assert roster.gaps(at("2026-11-01 00:00"), at("2028-02-01 00:00")) == []
    assert {person.language for person in roster.people.values()} == {"az", "en", "ru", "fr"}
    assert all(NoticeChannel.APPRISE in person.contacts for person in roster.people.values())
    assert all(person.contacts[NoticeChannel.EMAIL].endswith("@example.org") for person in roster.people.values())


def test_gaps_are_whole_however_they_are_looked_at(tmp_path: Path) -> None:
    roster = roster_of(tmp_path)
    whole = Gap("desk", at("2027-12-31 20:00"), None)

    assert roster.gaps(at("2028-03-01 00:00"), at("2028-03-02 00:00")) == [whole]


# What holds for every roster and moment.


def person(name: str) -> Person:
    return Person(name, name.upper(), "en", {NoticeChannel.EMAIL: f"{name}@example.org"})


PEOPLE = {name: person(name) for name in "abcdz"}


def of_pattern(zone: ZoneInfo, hand_overs: list[tuple[int | None, time]], order: str) -> Roster:
    week = sorted((one, at) for day, at in hand_overs for one in (range(7) if day is None else (day,)))
    pattern = Pattern(date(2015, 1, 1), tuple(week), tuple(PEOPLE[name] for name in order), zone)
    return of_rota(Rota("desk", "Desk", PEOPLE["z"], EARLIEST, NEVER, patterns=(pattern,)), zone)


def of_rota(rota: Rota, zone: ZoneInfo) -> Roster:
    return Roster(zone, PEOPLE, {rota.id: rota})


FIRST = datetime(2026, 3, 20, tzinfo=UTC)
minutes = st.integers(0, 40 * 24 * 60).map(lambda many: timedelta(minutes=many))
times = st.builds(time, st.sampled_from([0, 2, 3, 8, 20, 23]), st.sampled_from([0, 30]))
some_people = st.sampled_from([PEOPLE[name] for name in "abcd"])


@st.composite
def spans(draw: Callable[..., Any]) -> tuple[Span, ...]:
    bounds = sorted(draw(st.sets(minutes, max_size=6)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    return tuple(Span(FIRST + since, FIRST + until, draw(some_people)) for since, until in pairs)


@st.composite
def rosters(draw: Callable[..., Any]) -> Roster:
    """Any rota of March and April 2026, when clocks are put forward in Paris, and back in the south."""
    zone = draw(st.sampled_from([PARIS, BAKU, ZoneInfo("America/Santiago"), ZoneInfo("Australia/Lord_Howe")]))
    daily = draw(st.booleans())
    days = st.just(range(7)) if daily else st.sets(st.integers(0, 6), min_size=1, max_size=3)
    week = sorted({(day, at) for at in draw(st.sets(times, min_size=1, max_size=3)) for day in draw(days)})
    start = date(2026, 3, 15) + draw(st.integers(0, 20)) * DAY
    starts = (start, start + draw(st.integers(7, 20)) * DAY)[: draw(st.integers(0, 2))]
    orders = st.lists(some_people, min_size=1, max_size=5).map(tuple)
    patterns = tuple(Pattern(one, tuple(week), draw(orders), zone) for one in starts)
    since, until = draw(st.sampled_from([(EARLIEST, NEVER), (FIRST + 2 * DAY, FIRST + 30 * DAY)]))
    rota = Rota("desk", "Desk", PEOPLE["z"], since, until, draw(spans()), draw(spans()), draw(spans()), patterns)
    return of_rota(rota, zone)


def expected(rota: Rota, at: datetime) -> Person | None:
    """Who is on by the plan, found the slow way: every list is looked through, every hand-over is counted."""
    if not rota.since <= at < rota.until:
        return None
    for spans in (rota.instead, rota.shifts, rota.holidays):
        for span in spans:
            if span.since <= at < span.until:
                return span.person
    on = None
    for pattern in rota.patterns:
        day, number = pattern.start, 0
        while day <= at.astimezone(pattern.zone).date() + DAY:
            for weekday, when in pattern.hand_overs:
                if weekday == day.weekday() and wall_clock(datetime.combine(day, when), pattern.zone) <= at:
                    on, number = pattern.order[number % len(pattern.order)], number + 1
            day += DAY
    return on


@given(rosters(), minutes)
def test_at_any_moment_one_person_is_on_and_it_is_the_right_one(roster: Roster, after: timedelta) -> None:
    moment = FIRST + after
    planned = expected(roster.rotas["desk"], moment)

    turn = roster.on_duty("desk", moment)

    assert turn.person == (planned or PEOPLE["z"])
    assert turn.stands_in == (planned is None)
    assert turn.since <= moment
    assert turn.until is None or moment < turn.until


@given(rosters())
def test_turns_tile_the_time(roster: Roster) -> None:
    turns = list(roster.turns("desk", FIRST, FIRST + 40 * DAY))

    assert turns[0].since <= FIRST
    assert turns[-1].until is None or turns[-1].until >= FIRST + 40 * DAY
    for turn, after in pairwise(turns):
        assert turn.until == after.since
        assert (turn.person, turn.stands_in) != (after.person, after.stands_in)
        assert turn.next == after.person


@given(rosters(), minutes)
def test_the_next_is_who_is_on_when_the_turn_ends(roster: Roster, after: timedelta) -> None:
    turn = roster.on_duty("desk", FIRST + after)

    expected = None if turn.until is None else roster.on_duty("desk", turn.until).person

    assert turn.next == expected


@given(rosters(), minutes)
def test_a_turn_is_the_same_whenever_one_asks(roster: Roster, after: timedelta) -> None:
    turn = roster.on_duty("desk", FIRST + after)
    last = (turn.until or FIRST + 60 * DAY) - timedelta(microseconds=1)

    assert roster.rotas["desk"].turn(max(turn.since, FIRST)) == turn == roster.rotas["desk"].turn(last)


@given(rosters(), minutes)
def test_somebody_stands_in_exactly_in_the_gaps(roster: Roster, after: timedelta) -> None:
    moment = FIRST + after
    gaps = roster.gaps(FIRST, FIRST + 41 * DAY)

    inside = [gap for gap in gaps if gap.since <= moment and (gap.until is None or moment < gap.until)]

    assert len(inside) == roster.on_duty("desk", moment).stands_in
