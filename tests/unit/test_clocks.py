"""When clocks end, warn and are due: worked out by hand against calendars, and what holds for every zone and day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.clocks import (
    DUE,
    LATEST,
    TO_THE_END_OF_THE_DAY,
    WORKING,
    Calendar,
    Clock,
    due_steps,
    end_of,
    fired,
    is_running,
    left,
    next_due,
    started,
    stopped,
)
from shared.times import read, text_of

CALENDAR = "calendar"
SECOND = "to the second"
DAY = TO_THE_END_OF_THE_DAY
WEEKEND = frozenset({5, 6})
SPRING = frozenset(date(2026, 3, day) for day in range(20, 25))
"""A Friday to a Tuesday."""
BAKU = Calendar(ZoneInfo("Asia/Baku"), WEEKEND, SPRING)
ONE = timedelta(days=1)
AT = datetime(2026, 3, 10, 8, tzinfo=UTC)
ZONES = [
    "Europe/Lisbon",
    "America/St_Johns",
    "Asia/Baku",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Atlantic/Azores",
    "America/Nuuk",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Toronto",
]


@dataclass(frozen=True)
class Span:
    """As the law file has it."""

    lasts: str | None = None
    ends: str | None = None
    warn: tuple[str, ...] = ()
    counted: str = CALENDAR
    rounding: str = SECOND
    basis: tuple[str, ...] = ("law 1",)


@dataclass(frozen=True)
class Rule:
    """As the law gives it."""

    span: Span
    name: str = "kept"
    kind: str = "statutory"


def local(text: str, zone: str = "Asia/Baku") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def shown(at: datetime, zone: str = "Asia/Baku") -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def a_calendar(zone: str) -> Calendar:
    return Calendar(ZoneInfo(zone), WEEKEND, frozenset())


@pytest.mark.parametrize(
    ("start", "lasts", "counted", "rounding", "end"),
    [
        pytest.param("2026-03-10 08:00", "30 minutes", CALENDAR, SECOND, "2026-03-10 08:30", id="minutes"),
        pytest.param("2026-03-20 22:00", "4 hours", CALENDAR, SECOND, "2026-03-21 02:00", id="hours on a holiday"),
        pytest.param("2026-03-10 22:00", "4 hours", CALENDAR, DAY, "2026-03-12 00:00", id="the day in which hours end"),
        pytest.param("2026-03-10 08:00", "1 day", CALENDAR, SECOND, "2026-03-11 08:00", id="a day"),
        pytest.param("2026-03-10 08:00", "60 days", CALENDAR, SECOND, "2026-05-09 08:00", id="60 days to the second"),
        pytest.param("2026-03-10 08:00", "60 days", CALENDAR, DAY, "2026-05-10 00:00", id="the 60th is the 9th of May"),
        pytest.param("2026-03-10 23:59", "60 days", CALENDAR, DAY, "2026-05-10 00:00", id="late that day"),
        pytest.param("2026-03-11 00:00", "60 days", CALENDAR, DAY, "2026-05-11 00:00", id="with the next day's start"),
        pytest.param("2026-01-31 12:00", "30 days", CALENDAR, DAY, "2026-03-03 00:00", id="over a short month"),
        pytest.param("2028-02-28 12:00", "1 days", CALENDAR, DAY, "2028-03-01 00:00", id="the leap day"),
        pytest.param("2027-02-28 12:00", "1 days", CALENDAR, DAY, "2027-03-02 00:00", id="no leap day"),
        pytest.param("2026-12-31 12:00", "18 days", CALENDAR, DAY, "2027-01-19 00:00", id="over the year's end"),
        pytest.param("2026-03-09 15:00", "3 days", WORKING, SECOND, "2026-03-12 15:00", id="Monday to Thursday"),
        pytest.param("2026-03-09 15:00", "3 days", WORKING, DAY, "2026-03-13 00:00", id="Monday to Thursday's end"),
        pytest.param("2026-03-12 15:00", "3 days", WORKING, DAY, "2026-03-18 00:00", id="Thursday to Tuesday's end"),
        pytest.param("2026-03-13 15:00", "1 days", WORKING, SECOND, "2026-03-16 15:00", id="Friday to Monday"),
        pytest.param("2026-03-14 15:00", "1 days", WORKING, SECOND, "2026-03-17 00:00", id="Saturday to Monday's end"),
        pytest.param("2026-03-15 15:00", "3 days", WORKING, DAY, "2026-03-19 00:00", id="Sunday to Wednesday's end"),
        pytest.param("2026-03-18 15:00", "1 days", WORKING, DAY, "2026-03-20 00:00", id="the day before the holidays"),
        pytest.param("2026-03-19 15:00", "1 days", WORKING, DAY, "2026-03-26 00:00", id="over holidays and weekend"),
        pytest.param("2026-03-21 15:00", "1 days", WORKING, DAY, "2026-03-26 00:00", id="a holiday on a Saturday"),
        pytest.param("2026-03-24 15:00", "1 days", WORKING, SECOND, "2026-03-26 00:00", id="the last holiday"),
        pytest.param(
            "2026-03-19 15:00", "10 days", WORKING, DAY, "2026-04-08 00:00", id="ten from before the holidays"
        ),
    ],
)
def test_ends_worked_out_by_hand(start: str, lasts: str, counted: str, rounding: str, end: str) -> None:
    assert shown(end_of(local(start), lasts, counted, rounding, BAKU)) == end


@pytest.mark.parametrize(
    ("zone", "start", "lasts", "rounding", "end"),
    [
        pytest.param(
            "Europe/Lisbon", "2026-03-28 22:00", "4 hours", SECOND, "2026-03-29 03:00", id="4 hours, 1 skipped"
        ),
        pytest.param("Europe/Lisbon", "2026-10-24 23:00", "4 hours", SECOND, "2026-10-25 02:00", id="4 hours, 1 twice"),
        pytest.param("Europe/Lisbon", "2026-03-28 22:00", "1 days", SECOND, "2026-03-29 22:00", id="a day of 23 hours"),
        pytest.param("Europe/Lisbon", "2026-03-28 01:30", "1 days", SECOND, "2026-03-29 02:00", id="at no such time"),
        pytest.param("America/Santiago", "2026-09-04 12:00", "1 days", DAY, "2026-09-06 01:00", id="no midnight"),
        pytest.param("America/Santiago", "2026-04-03 12:00", "1 days", DAY, "2026-04-05 00:00", id="23 o'clock twice"),
        pytest.param("Africa/Cairo", "2026-04-22 12:00", "1 days", DAY, "2026-04-24 01:00", id="Cairo has no midnight"),
        pytest.param("America/St_Johns", "2006-10-27 12:00", "1 days", DAY, "2006-10-29 00:00", id="midnight twice"),
        pytest.param(
            "Pacific/Apia", "2011-12-28 12:00", "1 days", DAY, "2011-12-31 00:00", id="the day that was left out"
        ),
        pytest.param("America/Toronto", "1919-03-29 12:00", "1 days", DAY, "1919-03-31 00:30", id="midnight in a gap"),
    ],
)
def test_the_changes_of_clocks_are_counted_right(zone: str, start: str, lasts: str, rounding: str, end: str) -> None:
    assert shown(end_of(local(start, zone), lasts, CALENDAR, rounding, a_calendar(zone)), zone) == end


def test_a_time_that_comes_twice_is_the_second_one_and_so_is_a_midnight_that_ends_the_day() -> None:
    lisbon, st_johns = a_calendar("Europe/Lisbon"), a_calendar("America/St_Johns")

    twice = end_of(local("2026-10-24 01:30", "Europe/Lisbon"), "1 days", CALENDAR, SECOND, lisbon)
    midnight = end_of(
        local("2006-10-28 12:00", "America/St_Johns") - timedelta(days=1), "1 days", CALENDAR, DAY, st_johns
    )

    assert twice == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert midnight == datetime(2006, 10, 29, 3, 30, tzinfo=UTC)


def test_a_midnight_that_only_begins_the_day_twice_ends_the_day_before_the_first_time() -> None:
    azores = a_calendar("Atlantic/Azores")

    end = end_of(local("2026-10-23 12:00", "Atlantic/Azores"), "1 days", CALENDAR, DAY, azores)

    assert end == datetime(2026, 10, 25, tzinfo=UTC)


def test_a_preservation_of_60_days_warns_when_day_53_is_over_and_ends_with_day_60() -> None:
    span = Span("60 days", warn=("7 days", "30 days", "1 day", "14 days"), rounding=DAY, basis=("uncc 42(8)",))

    clock = started(Rule(span), local("2026-03-10 08:00"), BAKU)

    assert clock == {
        "clock": "kept",
        "kind": "statutory",
        "started_at": "2026-03-10T04:00:00.000000Z",
        "due": "2026-05-09T20:00:00.000000Z",
        "steps": [
            ["2026-04-09T20:00:00.000000Z", "30 days"],
            ["2026-04-25T20:00:00.000000Z", "14 days"],
            ["2026-05-02T20:00:00.000000Z", "7 days"],
            ["2026-05-08T20:00:00.000000Z", "1 day"],
            ["2026-05-09T20:00:00.000000Z", DUE],
        ],
        "basis": ["uncc 42(8)"],
    }
    last_of_day_53 = local("2026-03-10 23:59") + timedelta(days=53)
    assert not [step for step in due_steps(clock, last_of_day_53) if step[1] == "7 days"]
    assert [step for step in due_steps(clock, last_of_day_53 + timedelta(minutes=1)) if step[1] == "7 days"]


def test_warnings_in_days_keep_the_local_time_over_a_change_of_clocks_and_those_in_hours_do_not() -> None:
    span = Span("10 days", warn=("7 days", "168 hours"))

    clock = started(Rule(span), local("2026-03-22 12:00", "Europe/Lisbon"), a_calendar("Europe/Lisbon"))

    assert [(shown(read(at), "Europe/Lisbon"), name) for at, name in clock["steps"]] == [
        ("2026-03-25 11:00", "168 hours"),
        ("2026-03-25 12:00", "7 days"),
        ("2026-04-01 12:00", DUE),
    ]


def test_an_end_that_was_set_counts_and_warnings_before_the_start_are_left_out() -> None:
    clock = started(Rule(Span(ends="requested_deadline", warn=("7 days", "1 day", "6 hours"))), AT, BAKU, AT + 3 * ONE)

    assert clock["due"] == text_of(AT + 3 * ONE)
    assert [name for _, name in clock["steps"]] == ["1 day", "6 hours", DUE]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_an_end_in_the_past_is_due_at_once_and_warns_of_nothing(late: timedelta) -> None:
    clock = started(Rule(Span(ends="requested_deadline", warn=("7 days", "1 hours"))), AT, BAKU, AT - late)

    assert clock["due"] == clock["started_at"] == text_of(AT)
    assert due_steps(clock, AT) == clock["steps"] == [[text_of(AT), DUE]]


def test_a_warning_as_long_as_the_clock_itself_tells_nothing_and_is_left_out() -> None:
    assert started(Rule(Span("7 days", warn=("7 days",))), AT, BAKU)["steps"] == [[text_of(AT + 7 * ONE), DUE]]


@pytest.mark.parametrize(("days", "counts"), [(None, 60), (59, 60), (60, 60), (61, 61)])
def test_an_end_that_was_set_never_shortens_what_the_law_lets_it_last(days: int | None, counts: int) -> None:
    ends = None if days is None else AT + days * ONE

    assert started(Rule(Span("60 days", ends="until")), AT, BAKU, ends)["due"] == text_of(AT + counts * ONE)


def test_a_clock_of_which_nobody_says_when_it_ends_does_not_start() -> None:
    with pytest.raises(ValueError, match="needs to know when it ends"):
        started(Rule(Span(ends="until")), AT, BAKU)


def test_where_the_years_end_a_clock_ends_too() -> None:
    late = datetime(9998, 12, 31, 23, tzinfo=UTC)

    for lasts in ("99999 days", "99999 hours"):
        assert end_of(late, lasts, CALENDAR, SECOND, BAKU) == LATEST
    assert end_of(late, "99999 days", WORKING, DAY, BAKU) == LATEST


def test_a_week_without_a_working_day_is_refused() -> None:
    with pytest.raises(ValueError, match="a day on which somebody works"):
        Calendar(ZoneInfo("Asia/Baku"), frozenset(range(7)), frozenset())


WARNED = started(Rule(Span("60 days", warn=("30 days", "7 days"))), AT, BAKU)


def test_steps_become_due_in_their_order() -> None:
    names = [[name for _, name in due_steps(WARNED, AT + days * ONE)] for days in (0, 30, 52, 53, 59, 60, 90)]

    assert names == [[], ["30 days"], ["30 days"], *[["30 days", "7 days"]] * 2, *[["30 days", "7 days", DUE]] * 2]


def test_a_step_fires_once_and_takes_those_before_it_along() -> None:
    second = WARNED["steps"][1]

    once = fired(WARNED, second, AT + 53 * ONE)

    assert [name for _, name in once["steps"]] == [DUE]
    assert fired(once, second, AT + 54 * ONE) == fired(once, WARNED["steps"][0], AT + 54 * ONE) == once
    assert is_running(once)


def test_a_missed_clock_was_missed_when_it_was_due_however_late_that_is_noticed() -> None:
    missed = fired(WARNED, WARNED["steps"][-1], AT + 99 * ONE)

    assert missed["missed_at"] == WARNED["due"]
    assert (missed["steps"], is_running(missed), due_steps(missed, AT + 99 * ONE)) == ([], False, [])


def test_steps_that_came_back_from_storage_as_tuples_fire_too() -> None:
    stored = {**WARNED, "steps": [tuple(step) for step in WARNED["steps"]]}

    assert fired(stored, ["x", "y"], AT)["steps"] == stored["steps"]
    assert fired(stored, stored["steps"][0], AT)["steps"] == WARNED["steps"][1:]


def test_a_stopped_clock_says_nothing_more_and_its_time_stands_still() -> None:
    stop = stopped(WARNED, AT + 40 * ONE)

    assert (is_running(stop), due_steps(stop, AT + 99 * ONE)) == (False, [])
    assert fired(stop, WARNED["steps"][-1], AT + 99 * ONE) == stopped(stop, AT + 41 * ONE) == stop
    assert left(stop, AT + 99 * ONE) == 20 * ONE
    assert "stopped_at" not in WARNED


def test_what_was_missed_and_then_done_shows_both() -> None:
    missed = fired(WARNED, WARNED["steps"][-1], AT + 60 * ONE)

    done = stopped(missed, AT + 62 * ONE)

    assert (done["missed_at"], done["stopped_at"]) == (text_of(AT + 60 * ONE), text_of(AT + 62 * ONE))
    assert left(done, AT + 99 * ONE) == -2 * ONE


def test_time_left_is_less_than_nothing_when_it_is_over() -> None:
    assert [left(WARNED, AT + days * ONE) for days in (0, 60, 61)] == [60 * ONE, timedelta(0), -ONE]


def test_the_next_step_of_all_that_run_is_the_earliest() -> None:
    soon = started(Rule(Span("4 hours")), AT, BAKU)

    assert next_due([WARNED, soon]) == soon["due"]
    assert next_due([WARNED, stopped(soon, AT)]) == WARNED["steps"][0][0]
    assert next_due([stopped(soon, AT)]) is next_due([]) is None


MOMENTS = st.integers(0, 70 * 365 * 86400).map(
    lambda seconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(0, seconds, 1)
)
CALENDARS = st.builds(
    Calendar,
    st.sampled_from([ZoneInfo(zone) for zone in ZONES]),
    st.frozensets(st.integers(0, 6), max_size=3),
    st.frozensets(st.dates(date(2025, 1, 1), date(2027, 1, 1)), max_size=40),
)
NEAR_CHANGES = st.builds(
    lambda day, minutes: datetime.combine(day, time(), UTC) + timedelta(minutes=minutes),
    st.sampled_from([date(2026, month, day) for month in (3, 4, 9, 10) for day in range(1, 31)]),
    st.integers(-180, 1620),
)
STARTS = MOMENTS | NEAR_CHANGES
LENGTHS = st.builds("{} {}".format, st.integers(1, 400), st.sampled_from(["days", "hours", "minutes"]))
COUNTED = st.sampled_from([CALENDAR, WORKING])
ROUNDING = st.sampled_from([SECOND, DAY])


@given(STARTS, LENGTHS, COUNTED, ROUNDING, CALENDARS, st.none() | MOMENTS, st.lists(LENGTHS, max_size=4))
def test_no_clock_ends_or_warns_before_it_starts(
    start: datetime,
    lasts: str,
    counted: str,
    rounding: str,
    calendar: Calendar,
    ends: datetime | None,
    warn: list[str],
) -> None:
    clock: Clock = started(Rule(Span(lasts, "until", tuple(warn), counted, rounding)), start, calendar, ends)

    times = [at for at, _ in clock["steps"]]
    assert times == sorted(times)
    assert times[-1] == clock["due"] > clock["started_at"]
    assert all(at > clock["started_at"] for at in times)
    assert clock["steps"][-1][1] == DUE


@given(STARTS, st.integers(1, 120), CALENDARS)
def test_so_many_working_days_are_over_at_the_end_and_the_last_of_them_has_just_ended(
    start: datetime, count: int, calendar: Calendar
) -> None:
    """Counted here one day after the other, from the day after the start through the day that ends."""
    end = end_of(start, f"{count} days", WORKING, DAY, calendar)

    last = (end - timedelta(microseconds=1)).astimezone(calendar.zone).date()
    assert _working_days(start, last, calendar) == count
    assert calendar.is_working(last)


@given(STARTS, st.integers(1, 120), CALENDARS)
def test_working_days_to_the_second_end_within_the_last_of_them(
    start: datetime, count: int, calendar: Calendar
) -> None:
    end = end_of(start, f"{count} days", WORKING, SECOND, calendar)

    whole = end_of(start, f"{count} days", WORKING, DAY, calendar)
    began = start.astimezone(calendar.zone)
    last = (whole - timedelta(microseconds=1)).astimezone(calendar.zone).date()
    assert end <= whole
    if calendar.is_working(began.date()):
        assert end == end_of(start, f"{(last - began.date()).days} days", CALENDAR, SECOND, calendar)
    else:
        assert end == whole


def _working_days(start: datetime, last: date, calendar: Calendar) -> int:
    first = start.astimezone(calendar.zone).date()
    return sum(calendar.is_working(first + n * ONE) for n in range(1, (last - first).days + 1))


@given(STARTS, st.integers(1, 400), COUNTED, CALENDARS)
def test_the_end_of_a_day_is_where_another_begins(
    start: datetime, count: int, counted: str, calendar: Calendar
) -> None:
    end = end_of(start, f"{count} days", counted, DAY, calendar)

    before, after = ((end + timedelta(microseconds=n)).astimezone(calendar.zone).date() for n in (-1, 0))
    later = [(end + timedelta(minutes=n)).astimezone(calendar.zone).date() for n in range(0, 180, 10)]
    assert before < after
    assert all(day > before for day in later)


@given(STARTS, st.integers(1, 400), st.integers(1, 400), COUNTED, ROUNDING, CALENDARS)
def test_more_days_never_end_earlier(
    start: datetime, some: int, more: int, counted: str, rounding: str, calendar: Calendar
) -> None:
    ends = [end_of(start, f"{count} days", counted, rounding, calendar) for count in sorted((some, more))]

    assert ends == sorted(ends)


@given(STARTS, st.timedeltas(timedelta(0), timedelta(days=9)), LENGTHS, COUNTED, ROUNDING, CALENDARS)
def test_what_starts_later_never_ends_earlier(
    start: datetime, later: timedelta, lasts: str, counted: str, rounding: str, calendar: Calendar
) -> None:
    assume(_has_one_reading(start, calendar.zone) and _has_one_reading(start + later, calendar.zone))

    assert end_of(start, lasts, counted, rounding, calendar) <= end_of(
        start + later, lasts, counted, rounding, calendar
    )


def _has_one_reading(at: datetime, zone: ZoneInfo) -> bool:
    """Of two starts in an hour that comes twice, local clocks show the later one an earlier time."""
    shown = at.astimezone(zone)
    return shown.utcoffset() == shown.replace(fold=1 - shown.fold).utcoffset()


@given(STARTS, st.integers(1, 9999), st.sampled_from(["hours", "minutes"]), CALENDARS)
def test_hours_are_hours_whatever_the_clocks_do(start: datetime, count: int, unit: str, calendar: Calendar) -> None:
    assert end_of(start, f"{count} {unit}", CALENDAR, SECOND, calendar) - start == timedelta(**{unit: count})


@given(STARTS, st.integers(1, 400), CALENDARS)
def test_days_to_the_second_end_at_the_same_local_time_or_when_clocks_are_put_forward(
    start: datetime, count: int, calendar: Calendar
) -> None:
    began = start.astimezone(calendar.zone).replace(tzinfo=None, fold=0)

    ended = end_of(start, f"{count} days", CALENDAR, SECOND, calendar).astimezone(calendar.zone)

    same = ended.replace(tzinfo=None, fold=0) == began + count * ONE
    before = (ended.astimezone(UTC) - timedelta(microseconds=1)).astimezone(calendar.zone)
    put_forward = ended.utcoffset() != before.utcoffset()
    assert same or put_forward
