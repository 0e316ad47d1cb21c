"""When a clock ends, when it warns, and what of it is due: pure arithmetic over times, days and a State's calendar.

Hours and minutes run by the clock, so four hours are four hours also in the night in which it is put forward. Days are
those of the law's zone. The day on which something happens is not counted: 60 days from 10 March are over with the 60th
day after it, and "to the end of the day" is the midnight that ends it. A moment at midnight leaves no last microsecond
in doubt, and nothing ever ends before the whole day has gone by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from shared.times import read, text_of

Clock = dict[str, Any]
"""A clock as it stands in a case's state."""

DUE = "due"
"""The name of a clock's last step; the others are named for the time that is left then."""

WORKING = "working"
TO_THE_END_OF_THE_DAY = "to the end of the day"
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""Where the years end, a clock ends too."""

ONE_DAY = timedelta(days=1)
REMEMBERED = 8192


@dataclass(frozen=True, eq=False)  # one for each law, told apart at a glance: what is remembered hangs on it
class Calendar:
    """A State's days: whose midnight begins them, and on which of them nobody works (Monday is 0)."""

    zone: ZoneInfo
    weekend: frozenset[int]
    holidays: frozenset[date]

    def __post_init__(self) -> None:
        if self.weekend >= frozenset(range(7)):
            raise ValueError("a week needs a day on which somebody works")

    def is_working(self, day: date) -> bool:
        """Whether offices are open on this day."""
        return day.weekday() not in self.weekend and day not in self.holidays


class Span(Protocol):
    """How long a clock runs: what this file needs to know of the law file's row."""

    @property
    def lasts(self) -> str | None: ...
    @property
    def ends(self) -> str | None: ...
    @property
    def warn(self) -> Sequence[str]: ...
    @property
    def counted(self) -> str: ...
    @property
    def rounding(self) -> str: ...
    @property
    def basis(self) -> Sequence[str]: ...


class Rule(Protocol):
    """A clock's name and kind, and how long it runs for what starts today."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def span(self) -> Span: ...


def end_of(start: datetime, lasts: str, counted: str, rounding: str, calendar: Calendar) -> datetime:
    """When `lasts` ("60 days", "4 hours", "30 minutes") is over, in UTC.

    Calendar days: the same local time that many days later, or the midnight that ends that day. Working days: only days
    are counted on which offices are open. What starts on another day has its first working day counted whole, and ends
    with a day in any case.
    """
    number, hours = _read(lasts)
    try:
        if hours is None:
            return _after_days(start, number, counted == WORKING, rounding == TO_THE_END_OF_THE_DAY, calendar)
        end = start.astimezone(UTC) + hours
        whole = rounding == TO_THE_END_OF_THE_DAY
        return _end_of_day(end.astimezone(calendar.zone).date(), calendar.zone) if whole else end
    except OverflowError:
        return LATEST


def started(rule: Rule, at: datetime, calendar: Calendar, ends: datetime | None = None) -> Clock:
    """A clock that starts now; `ends` is the end that was set for it, which never shortens what the law lets it last.

    With an end in the past it is due at once. A warning for which it is too late already is left out.
    """
    span = rule.span
    if span.lasts is None and ends is None:
        raise ValueError("a clock needs to know when it ends")
    # In UTC, where no two moments look alike: what is remembered is found by how it looks.
    at, ends = at.astimezone(UTC), ends and ends.astimezone(UTC)
    began, steps = _course(at, span.lasts, span.counted, span.rounding, tuple(span.warn), ends, calendar)
    return {
        "clock": rule.name,
        "kind": rule.kind,
        "started_at": began,
        "due": steps[-1][0],
        "steps": [list(step) for step in steps],
        "basis": list(span.basis),
    }


def stopped(clock: Mapping[str, Any], at: datetime) -> Clock:
    """The clock, stopped by what it waited for; a missed one keeps that it was, so that one sees how late it came."""
    return dict(clock) if "stopped_at" in clock else {**clock, "stopped_at": text_of(at)}


def is_running(clock: Mapping[str, Any]) -> bool:
    """Whether it still waits: neither stopped nor missed."""
    return "stopped_at" not in clock and "missed_at" not in clock


def due_steps(clock: Mapping[str, Any], now: datetime) -> list[list[str]]:
    """The steps whose time has come, the earliest first; none once it is stopped or missed."""
    until = text_of(now)
    return [step for step in clock["steps"] if step[0] <= until] if is_running(clock) else []


def fired(clock: Mapping[str, Any], step: Sequence[str], now: datetime) -> Clock:
    """The clock without this step and those before it; one that is not there (any more) changes nothing.

    Missed is missed at the time that was set, however late it is noticed, so `now` decides nothing.
    """
    at, name = step
    steps = [list(one) for one in clock["steps"]]
    if not is_running(clock) or [at, name] not in steps:
        return dict(clock)
    rest = steps[steps.index([at, name]) + 1 :]
    return {**clock, "steps": rest} | ({"missed_at": at} if name == DUE else {})


def next_due(clocks: Iterable[Mapping[str, Any]]) -> str | None:
    """When the next step of any running clock is due."""
    return min((clock["steps"][0][0] for clock in clocks if is_running(clock)), default=None)


def left(clock: Mapping[str, Any], now: datetime) -> timedelta:
    """How much time is left, or was when it stopped; less than nothing when it is over."""
    return read(clock["due"]) - (read(clock["stopped_at"]) if "stopped_at" in clock else now)


@lru_cache(maxsize=REMEMBERED)  # letters that come together begin together
def _course(
    at: datetime,
    lasts: str | None,
    counted: str,
    rounding: str,
    warn: tuple[str, ...],
    ends: datetime | None,
    calendar: Calendar,
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """When a clock began, and its steps in order."""
    least = at if lasts is None else end_of(at, lasts, counted, rounding, calendar)
    due = least if ends is None else max(ends, least)
    began, last = text_of(at), text_of(due)
    warned = ((text_of(_before(due, lead, calendar.zone)), lead) for lead in warn)
    return began, (*sorted(step for step in warned if began < step[0] < last), (last, DUE))


@lru_cache(maxsize=REMEMBERED)
def _read(lasts: str) -> tuple[int, timedelta | None]:
    """The number, and for what runs by the clock the time."""
    count, unit = lasts.split()
    number, unit = int(count), unit.removesuffix("s")
    return number, None if unit == "day" else timedelta(**{f"{unit}s": number})


def _after_days(start: datetime, count: int, working: bool, whole: bool, calendar: Calendar) -> datetime:
    local = start.astimezone(calendar.zone)
    day = local.date()
    if whole or (working and not calendar.is_working(day)):
        return _end_after(day, count, working, calendar)
    last = _day_after(day, count, working, calendar)
    return _moment(datetime.combine(last, local.time()), calendar.zone)


@lru_cache(maxsize=REMEMBERED)
def _end_after(day: date, count: int, working: bool, calendar: Calendar) -> datetime:
    return _end_of_day(_day_after(day, count, working, calendar), calendar.zone)


@lru_cache(maxsize=REMEMBERED)
def _day_after(day: date, count: int, working: bool, calendar: Calendar) -> date:
    """The day that comes so many days, or working days, after this one."""
    if not working:
        return day + count * ONE_DAY
    while count:
        day += ONE_DAY
        count -= calendar.is_working(day)
    return day


def _end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first moment at which this day is over for good, also where clocks are changed around midnight."""
    midnight = datetime.combine(day + ONE_DAY, time())
    once, again = _readings(midnight, zone)
    if once < again:
        still = (again - timedelta(microseconds=1)).astimezone(zone).date() == day
        return again if still else once
    return _moment(midnight, zone)


@lru_cache(maxsize=REMEMBERED)
def _before(due: datetime, lead: str, zone: ZoneInfo) -> datetime:
    """The moment that comes so long before: hours by the clock, days at the same local time."""
    number, hours = _read(lead)
    if hours is not None:
        return due - hours
    return _moment(due.astimezone(zone).replace(tzinfo=None) - number * ONE_DAY, zone)


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """What local clocks show, in UTC: the second time if they show it twice; if never, when they are put forward."""
    once, again = _readings(local, zone)
    return max(once, again) if once <= again else _change(again, once, zone)


def _readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The two ways to read a local time; they differ only where clocks are changed."""
    first, second = local.replace(tzinfo=zone, fold=0).utcoffset(), local.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None  # a zone of the database always knows
    assert second is not None
    once = (local - first).replace(tzinfo=UTC, fold=0)
    return once, once if first == second else (local - second).replace(tzinfo=UTC, fold=0)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between these two at which the zone's clocks are changed, to the second."""
    offset = after.astimezone(zone).utcoffset()
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
