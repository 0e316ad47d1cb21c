"""What clocks rang, by the bytes of the topics and by the histories, against what should have rung and when; pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from shared import topics
from shared.events import CASE_CLOCK_MISSED, CASE_CLOCK_WARNED, CASE_LAPSED
from shared.vocabulary import Lane
from tests.fault.checker import First, Histories
from tests.fault.verdict import Fault, Kind

RINGING = (CASE_CLOCK_WARNED, CASE_CLOCK_MISSED, CASE_LAPSED)
IN_TIME = timedelta(seconds=2)
"""A clock rings so long after it is due, or after a router has caught up, and no later."""
_EARLY = timedelta(milliseconds=50)
"""How far a process may be mistaken about MongoDB's time."""
HISTORY = "the history"


@dataclass(frozen=True, slots=True)
class Ring:
    """One step of one clock of one case."""

    case: str
    clock: str
    step: str = "due"


@dataclass(frozen=True, slots=True)
class Due:
    """Where a ring is told, and when it is due."""

    at: datetime
    holder: str
    lane: Lane

    @property
    def places(self) -> tuple[str, ...]:
        """Each holds the ring once: the holder's topic, our own services' topic, and the case's history."""
        return topics.cases_of(self.holder, self.lane), topics.case_events(self.lane), HISTORY


@dataclass(slots=True)
class Life:
    """From a start of all routers until they were killed."""

    launched: datetime
    caught_up: datetime | None = None
    """When one of them was first seen to have read everything that was said before the start."""
    killed: datetime | None = None


def rung(first: First, histories: Histories) -> dict[tuple[str, Ring], list[datetime]]:
    """When each ring was told in each place, repeats dropped: on a topic the time of the Kafka record."""
    found: dict[tuple[str, Ring], list[datetime]] = {}
    for topic, records in first.items():
        for seen in records.values():
            if seen.type in RINGING:
                said = orjson.loads(seen.value)["said"]
                ring = Ring(seen.subject, said["clock"], said["step"])
                at = datetime.fromtimestamp(seen.timestamp / 1000, UTC)
                found.setdefault((topic, ring), []).append(at)
    for case, held in histories["cases"].items():
        for event in held.history:
            if event.type in RINGING:
                ring = Ring(case, event.data["said"]["clock"], event.data["said"]["step"])
                found.setdefault((HISTORY, ring), []).append(datetime.fromisoformat(event.at))
    return found


def once_each(wanted: Mapping[Ring, Due], found: Mapping[tuple[str, Ring], Collection[datetime]]) -> Iterator[Fault]:
    """Every ring is told once in each of its places, and no other ring is told anywhere."""
    right = Counter((place, ring) for ring, due in wanted.items() for place in due.places)
    told = Counter({where: len(times) for where, times in found.items()})
    for (place, ring), missing in (right - told).items():
        yield Fault(Kind.LOST, f"{ring} is not in {place} ({missing})")
    for (place, ring), excess in (told - right).items():
        kind = Kind.TWICE if (place, ring) in right else Kind.WRONG
        yield Fault(kind, f"{ring} is in {place} and should not be ({excess})")


def lateness(
    wanted: Mapping[Ring, Due], found: Mapping[tuple[str, Ring], Sequence[datetime]], lives: Sequence[Life]
) -> dict[Ring, timedelta]:
    """By how much each ring came to its holder's topic after it was due and a router had caught up."""
    late = {}
    for ring, due in wanted.items():
        times = found.get((due.places[0], ring))
        if times:
            late[ring] = times[0] - could_ring(due.at, lives)
    return late


def could_ring(due: datetime, lives: Sequence[Life]) -> datetime:
    """The later of a due time and the moment of catching up, in the first life that went on long enough after it."""
    for life in lives:
        if life.caught_up:
            moment = max(due, life.caught_up)
            if life.killed is None or life.killed > moment + IN_TIME:
                return moment
    raise AssertionError(f"no router lived long enough after {due}")


def late(
    wanted: Mapping[Ring, Due], found: Mapping[tuple[str, Ring], Sequence[datetime]], lives: Sequence[Life]
) -> Iterator[Fault]:
    """No ring later than that by more than `IN_TIME`."""
    for ring, by in lateness(wanted, found, lives).items():
        if by > IN_TIME:
            yield Fault(Kind.LATE, f"{ring} rang {by.total_seconds():.2f} s late")


def early(wanted: Mapping[Ring, Due], found: Mapping[tuple[str, Ring], Sequence[datetime]]) -> Iterator[Fault]:
    """No ring before its time."""
    for (place, ring), times in found.items():
        if ring in wanted and min(times) < wanted[ring].at - _EARLY:
            yield Fault(Kind.WRONG, f"{ring} in {place} at {min(times)}, due at {wanted[ring].at}")
