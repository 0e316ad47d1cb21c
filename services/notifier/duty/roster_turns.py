"""Whose turn it is: pure arithmetic over one rota's pattern, its exceptions and the wall clock of its zone.

Hand-overs happen when the clocks on the wall show their time, so a night turn lasts 11 or 13 hours when clocks are
changed. What a wall clock shows twice happens the second time, what it never shows when clocks are put forward.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from shared.clocks import LATEST
from shared.partners import NoticeChannel

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
"""Since when something holds that never began."""
NEVER = LATEST
"""Until when something holds that never ends."""
_JUST = timedelta(microseconds=1)
_DAYS = 7


class Why(StrEnum):
    """What puts somebody on duty; what stands earlier here goes before what stands later."""

    INSTEAD = "instead"
    SHIFT = "shift"
    HOLIDAY = "holiday"
    TURN = "turn"
    STAND_IN = "stand-in"


@dataclass(frozen=True)
class Person:
    """Somebody who can be on duty; a log line says the id and nothing else."""

    id: str
    name: str = field(repr=False)
    language: str
    contacts: Mapping[NoticeChannel, str] = field(repr=False, hash=False)


@dataclass(frozen=True)
class Turn:
    """Who is on and the hand-over note: since when, until when (None: for good), and who is next."""

    person: Person
    since: datetime
    until: datetime | None
    next: Person | None
    stands_in: bool
    """Whether this is a gap: nobody is on by the plan, so the rota's stand-in is."""
    why: Why = Why.TURN
    """The strongest of what puts them on at some time of it."""
    reason: str = ""
    """Why somebody is on instead, as the roster says: for people, never for a log."""


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody from one moment to another."""

    since: datetime
    until: datetime
    person: Person
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    """Who holds a rota as far as one part of it says (None: nobody), and for how long it says just that."""

    since: datetime
    until: datetime
    person: Person | None = None
    why: Why = Why.STAND_IN
    reason: str = ""

    def joined(self, other: "_Held") -> "_Held":
        """Both as one; they adjoin and the same person holds them."""
        why = min(self.why, other.why, key=list(Why).index)
        reason = "; ".join(dict.fromkeys(one.reason for one in (self, other) if one.reason))
        return _Held(min(self.since, other.since), max(self.until, other.until), self.person, why, reason)


@lru_cache(maxsize=8192)
def wall_clock(local: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's wall clocks show this, in UTC: the second time if twice; if never, when they are put forward."""
    once, again = readings(local, zone)
    if once <= again:
        return again
    shift = once.astimezone(zone).utcoffset()
    seconds = range(int(again.timestamp()), int(once.timestamp()) + 1)
    changed = bisect_left(seconds, shift, key=lambda one: datetime.fromtimestamp(one, zone).utcoffset())  # type: ignore[type-var]  # a zone always has an offset
    return datetime.fromtimestamp(seconds[changed], UTC)


def readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The two ways to read a wall clock; they differ only where clocks are changed."""
    once, again = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return once, again


@dataclass(frozen=True)
class Pattern:
    """Turns without end: at each hand-over the next in the order comes on."""

    start: date
    """The first hand-over on or after this day begins the first turn."""
    hand_overs: tuple[tuple[int, time], ...]
    """Those of a week in their order; Monday is 0."""
    order: tuple[Person, ...]
    zone: ZoneInfo

    @cached_property
    def begins(self) -> datetime:
        """When its first turn begins."""
        return self._at(self._first)

    @property
    def day_begins(self) -> time:
        """The earliest hand-over of a day: a day of duty lasts from it to that of the next day."""
        return min(at for _, at in self.hand_overs)

    def held(self, at: datetime) -> _Held:
        """The turn at a moment, none before the first."""
        if at < self.begins:
            return _Held(EARLIEST, self.begins)
        if len(set(self.order)) == 1:
            return _Held(self.begins, NEVER, self.order[0], Why.TURN)
        number = self._number(at.astimezone(self.zone).replace(tzinfo=None))
        # Where clocks are changed the same local time is before a hand-over and after it.
        while self._at(number) > at:
            number -= 1
        while self._at(number + 1) <= at:
            number += 1
        person = self.order[(number - self._first) % len(self.order)]
        return _Held(self._at(number), self._at(number + 1), person, Why.TURN)

    @cached_property
    def _first(self) -> int:
        return self._number(datetime.combine(self.start, time()) - _JUST) + 1

    def _number(self, local: datetime) -> int:
        """Which hand-over was the last at this local time, counted from the year 1, whose first day was a Monday."""
        weeks, weekday = divmod(local.toordinal() - 1, _DAYS)
        return weeks * len(self.hand_overs) + bisect_right(self.hand_overs, (weekday, local.time())) - 1

    def _at(self, number: int) -> datetime:
        weeks, nth = divmod(number, len(self.hand_overs))
        weekday, at = self.hand_overs[nth]
        return wall_clock(datetime.combine(date.fromordinal(weeks * _DAYS + weekday + 1), at), self.zone)


@dataclass(frozen=True)
class Rota:
    """One duty: its pattern, what goes before it, and who stands in where nobody is on."""

    id: str
    title: str
    stand_in: Person
    since: datetime
    until: datetime
    instead: tuple[Span, ...] = ()
    shifts: tuple[Span, ...] = ()
    holidays: tuple[Span, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    """Each takes over from the one before it with its first turn."""

    def turn(self, at: datetime) -> Turn:
        """Who is on at a moment: always somebody."""
        held = self._whole(at.astimezone(UTC))
        ends = held.until < NEVER
        return Turn(
            person=held.person or self.stand_in,
            since=held.since,
            until=held.until if ends else None,
            next=(self._held(held.until).person or self.stand_in) if ends else None,
            stands_in=held.person is None,
            why=held.why,
            reason=held.reason,
        )

    def _whole(self, at: datetime) -> _Held:
        """Who holds at a moment, with all that they hold before and after it: nobody hands over to themselves.

        This ends: exceptions are counted, and a pattern in which somebody stays on for ever is one turn.
        """
        held = self._held(at)
        while held.since > EARLIEST and (before := self._held(held.since - _JUST)).person == held.person:
            held = before.joined(held)
        while held.until < NEVER and (after := self._held(held.until)).person == held.person:
            held = held.joined(after)
        return held

    def _held(self, at: datetime) -> _Held:
        """The first that has somebody, as long as nothing that goes before it begins."""
        if not self.since <= at < self.until:
            return _Held(EARLIEST, self.since) if at < self.since else _Held(self.until, NEVER)
        since, until = self.since, self.until
        for held in (
            _spanned(self.instead, at, Why.INSTEAD),
            _spanned(self.shifts, at, Why.SHIFT),
            _spanned(self.holidays, at, Why.HOLIDAY),
            self._patterned(at),
        ):
            since, until = max(since, held.since), min(until, held.until)
            if held.person:
                break
        return replace(held, since=since, until=until)

    def _patterned(self, at: datetime) -> _Held:
        number = bisect_right(self.patterns, at, key=lambda one: one.begins)
        until = self.patterns[number].begins if number < len(self.patterns) else NEVER
        if not number:
            return _Held(EARLIEST, until)
        held = self.patterns[number - 1].held(at)
        return replace(held, until=min(held.until, until))


def _spanned(spans: Sequence[Span], at: datetime, why: Why) -> _Held:
    """Which of the spans, in their order and apart from each other, has this moment."""
    number = bisect_right(spans, at, key=lambda span: span.since)
    last = spans[number - 1] if number else None
    if last and at < last.until:
        return _Held(last.since, last.until, last.person, why, last.reason)
    return _Held(last.until if last else EARLIEST, spans[number].since if number < len(spans) else NEVER)
