"""While something was wrong, and until all was well again: what may be late then, and what may not; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.fault.reading import Reading
from tests.fault.rings import HISTORY, IN_TIME, Due, Ring
from tests.fault.verdict import Fault, Kind

WELL_WITHIN = timedelta(seconds=30)
"""So soon after a fault's end all goes at its normal rate again."""
AROUND_A_JUMP = timedelta(seconds=30)
"""Of what is due so near to a jump of MongoDB's clock nobody can say when it should ring."""


@dataclass(frozen=True, slots=True)
class Window:
    """Faults that were there at once."""

    what: str
    began: datetime
    ended: datetime
    well: datetime
    """When the rate was as before, and a router read what was said as it came."""
    moves_time: bool = False

    @property
    def took(self) -> timedelta:
        """From the end of the faults until all was well."""
        return self.well - self.ended

    def __str__(self) -> str:
        """For people."""
        held = (self.ended - self.began).total_seconds()
        return f"{self.what}: {held:.1f} s, well after {self.took.total_seconds():.1f} s, {self.well:%H:%M:%S}"


def is_within(moment: datetime, windows: Sequence[Window]) -> bool:
    """Whether something was due in one of these, or so shortly before that its time ends there."""
    return any(one.began - IN_TIME <= moment <= one.well for one in windows)


def slow(windows: Sequence[Window]) -> Iterator[Fault]:
    """After every fault all is well in time."""
    for window in windows:
        if window.took > WELL_WITHIN:
            yield Fault(Kind.SLOW, f"{window}")


def could_ring(due: datetime, windows: Sequence[Window], reading: Reading | None = None) -> datetime:
    """The first moment from its due time on at which nothing was wrong, and what was said before was read."""
    moment = _well(due, windows)
    if reading is None:
        return moment
    # It may be behind as usual, and no more: a reading that stands still excuses nothing.
    return _well(min(reading.passed(due, moment), moment + reading.usual), windows)


def _well(moment: datetime, windows: Sequence[Window]) -> datetime:
    for window in sorted(windows, key=lambda one: one.began):
        if window.began - IN_TIME <= moment <= window.well:
            moment = window.well
    return moment


def lateness(
    wanted: Mapping[Ring, Due],
    found: Mapping[tuple[str, Ring], Sequence[datetime]],
    windows: Sequence[Window],
    reading: Reading | None = None,
) -> dict[Ring, timedelta]:
    """By how much each ring came to its holder's topic after it was due and nothing was wrong.

    `reading`: and after what could have stopped it was read.
    """
    return {
        ring: times[0] - could_ring(due.at, windows, reading)
        for ring, due in by_one_clock(wanted, windows).items()
        if (times := found.get((due.places[0], ring)))
    }


def by_one_clock(wanted: Mapping[Ring, Due], windows: Sequence[Window]) -> dict[Ring, Due]:
    """Of these the rings whose time no jump of MongoDB's clock can have moved."""
    jumps = [(one.began - AROUND_A_JUMP, one.well + AROUND_A_JUMP) for one in windows if one.moves_time]
    return {ring: due for ring, due in wanted.items() if not any(began < due.at < end for began, end in jumps)}


def told(
    ring: Ring,
    due: Due,
    found: Mapping[tuple[str, Ring], Sequence[datetime]],
    windows: Sequence[Window],
    reading: Reading | None = None,
) -> str:
    """When a ring was due, could ring, was decided and stood on its holder's topic, and what had gone wrong before."""
    before = [window for window in windows if window.began <= due.at + IN_TIME]
    places = {"decided": HISTORY, "told": due.places[0]}
    moments = {
        "due": due.at,
        "could ring": could_ring(due.at, windows, reading),
        **{what: times[0] for what, place in places.items() if (times := found.get((place, ring)))},
    }
    said = ", ".join(f"{what} {moment:%H:%M:%S.%f}" for what, moment in moments.items())
    return f"{ring.case}: {said}; after {before[-1] if before else 'nothing'}"


def late(by_ring: Mapping[Ring, timedelta]) -> Iterator[Fault]:
    """No ring later than that by more than `IN_TIME`."""
    for ring, by in by_ring.items():
        if by > IN_TIME:
            yield Fault(Kind.LATE, f"{ring} rang {by.total_seconds():.2f} s late")
