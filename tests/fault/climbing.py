"""How ladders were climbed, by their histories and their notices, against how they should have been; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.events import (
    LADDER_ACKNOWLEDGED,
    LADDER_BEGUN,
    LADDER_ENDED,
    LADDER_STEPPED,
    LADDER_TOLD,
    NOTICE_DELIVERED,
    Event,
)
from shared.times import read
from tests.fault.checker import Held
from tests.fault.rings import IN_TIME, Life, could_ring
from tests.fault.verdict import Fault, Kind

Recipient = tuple[str, str]
"""Who, and on which channel."""
NOBODY = "nobody acknowledged"
_EARLY = timedelta(milliseconds=50)
"""How far a process may be mistaken about MongoDB's time."""
_TAKEN_OVER = timedelta(milliseconds=900)
"""Notices that come so long after their step were raised by another process than took it."""


class Place(NamedTuple):
    """Where on its ladder an alert stands."""

    round: int
    step: int

    def __str__(self) -> str:
        """As notices say it."""
        return f"{self.round}.{self.step}"


@dataclass(frozen=True)
class Ladder:
    """How a ladder is climbed, in the test's own words."""

    tells: Sequence[frozenset[Recipient]]
    """Per step."""
    pace: timedelta
    """From one step to the next, from the last one to the same again, and from acknowledgement to reminder."""
    rounds: int
    reminds: bool

    def after(self, place: Place, *, is_acknowledged: bool) -> Place | None:
        """Where it goes on; None at its end."""
        if not is_acknowledged and place.step + 1 < len(self.tells):
            return Place(place.round, place.step + 1)
        if place.round == self.rounds:
            return None
        return Place(place.round + 1, 0 if is_acknowledged else len(self.tells) - 1)


@dataclass(frozen=True)
class Taken:
    """One step that was taken."""

    alert: str
    place: Place
    due: datetime
    at: datetime
    told: datetime | None
    """When the last of its notices was raised."""
    delivered: datetime | None
    """When the last of its notices was taken by its channel, of those that are delivered."""

    @property
    def was_taken_over(self) -> bool:
        """Whether another process than took it raised its notices: its own was killed in between."""
        return self.told is not None and self.told - self.at > _TAKEN_OVER

    @property
    def began(self) -> bool:
        """Whether Kafka, and no clock, said that it was due."""
        return self.place == (0, 0)


@dataclass
class Climbed:
    """One alert: its steps, and what is wrong."""

    steps: list[Taken]
    faults: list[Fault]
    pending: tuple[datetime, datetime] | None = None
    """A step that was due, and when an acknowledgement or the end of the ladder took it away."""


class Lives:
    """When each process lived, and since when it could work."""

    def __init__(self, answering: Sequence[Sequence[Life]], consuming: Sequence[Sequence[Life]]) -> None:
        """Per process: its lives by when it first answered, and by when it first consumed."""
        self._answering, self._consuming = answering, consuming

    def could_step(self, due: datetime) -> datetime:
        """When the first process that lived long enough could take a step."""
        return min(could_ring(due, lives) for lives in self._answering)

    def could_begin(self, due: datetime) -> datetime:
        """When whichever process has the event's partition could begin a ladder."""
        return max(could_ring(due, lives) for lives in self._consuming)

    def lateness(self, step: Taken) -> timedelta:
        """By how much the notices of a step came after it was due and somebody could raise them."""
        could = self.could_begin if step.began else self.could_step
        return (step.told or step.at) - could(step.due)


def climbed(
    alert: str, held: Held, notices: Sequence[Held], ladder: Ladder, said_at: datetime, now: datetime
) -> Climbed:
    """One ladder: every step that came due was taken once, in its turn, and told each of its recipients once.

    `said_at`: when its event was put on its topic; `now`: when all had come to rest.
    """
    climb = _Climb(alert, ladder, notices, said_at)
    for event in held.history:
        climb.happened(event, read(event.at))
    if climb.due is not None:
        climb.fault(Kind.LOST, f"due at {climb.due} after {climb.place}, and nothing came of it until {now}")
    climb.result.faults += _told(alert, climb.taken, climb.told, notices, ladder)
    return climb.result


class _Climb:
    """How far one alert has come, event by event."""

    def __init__(self, alert: str, ladder: Ladder, notices: Sequence[Held], said_at: datetime) -> None:
        self.result = Climbed([], [])
        self.place: Place | None = None
        self.due: datetime | None = said_at
        self.taken: dict[Place, datetime] = {}
        self.told: set[str] = set()
        self._alert, self._ladder, self._notices = alert, ladder, notices
        self._is_acknowledged = False

    def fault(self, kind: Kind, what: str) -> None:
        """Something is wrong with it."""
        self.result.faults.append(Fault(kind, f"{self._alert}: {what}"))

    def happened(self, event: Event, at: datetime) -> None:
        """One event of its history."""
        if event.type in (LADDER_BEGUN, LADDER_STEPPED):
            self._stepped(event, at)
        elif event.type == LADDER_TOLD:
            self.told.add(event.data["at"])
        elif event.type == LADDER_ACKNOWLEDGED:
            self.result.pending = (self.due, at) if self.due else None
            self.due = at + self._ladder.pace if self._ladder.reminds else None
            self._is_acknowledged = True
        elif event.type == LADDER_ENDED:
            self._ended(event, at)

    @property
    def _next(self) -> Place | None:
        if self.place is None:
            return Place(0, 0)
        return self._ladder.after(self.place, is_acknowledged=self._is_acknowledged)

    def _stepped(self, event: Event, at: datetime) -> None:
        new, due = Place(event.data["round"], event.data["step"]), self.due
        if new in self.taken:
            self.fault(Kind.TWICE, f"{new} was taken twice")
        elif due is None or new != self._next:
            self.fault(Kind.WRONG, f"{new} was taken after {self.place}; {self._next} was next, due at {due}")
        elif at < due - _EARLY or (event.type == LADDER_STEPPED and read(event.data["due"]) != due):
            self.fault(Kind.WRONG, f"{new} was taken at {at}, due at {due}")
        raised = [one for one in self._notices if one.record.state.get("step") == str(new)]
        self.result.steps.append(_taken(self._alert, new, due or at, at, raised))
        self.taken[new], self.place, self._is_acknowledged = at, new, False
        self.due = at + self._ladder.pace  # the last one has its time, too

    def _ended(self, event: Event, at: datetime) -> None:
        is_last = self._next is None
        if event.data["reason"] == NOBODY and not (is_last and self.due and at >= self.due - _EARLY):
            self.fault(Kind.LOST, f"given up at {self.place}, due at {self.due}")
        if self.due and not is_last:
            self.result.pending = (self.due, at)
        self.due = None


def _taken(alert: str, place: Place, due: datetime, at: datetime, raised: Sequence[Held]) -> Taken:
    told = [read(one.history[0].at) for one in raised]
    delivered = [read(event.at) for one in raised for event in one.history if event.type == NOTICE_DELIVERED]
    return Taken(alert, place, due, at, max(told, default=None), max(delivered, default=None))


def _told(
    alert: str, taken: Mapping[Place, datetime], told: set[str], notices: Sequence[Held], ladder: Ladder
) -> Iterator[Fault]:
    """Each recipient of each step once, not before its step; nobody else, and nothing of a step that was not taken."""
    found = Counter((str(one.record.state.get("step")), _recipient(one)) for one in notices)
    right = Counter((str(place), recipient) for place in taken for recipient in ladder.tells[place.step])
    for (step, recipient), excess in (found - right).items():
        kind = Kind.TWICE if (step, recipient) in right else Kind.WRONG
        yield Fault(kind, f"{alert}: {recipient} was told of {step} and should not have been ({excess})")
    for (step, recipient), missing in (right - found).items():
        # What nobody had raised yet when somebody acknowledged is no longer owed.
        if step in told:
            yield Fault(Kind.LOST, f"{alert}: {recipient} was not told of {step} ({missing})")
    decided = {str(place): at for place, at in taken.items()}
    for one in notices:
        step, at = str(one.record.state.get("step")), read(one.history[0].at)
        if step in decided and at < decided[step]:
            yield Fault(Kind.WRONG, f"{alert}: {_recipient(one)} was told of {step} before it was decided")


def _recipient(notice: Held) -> Recipient:
    return notice.record.state["subscriber"], notice.record.state["channel"]


def late(all_climbed: Sequence[Climbed], lives: Lives) -> Iterator[Fault]:
    """No step later than `IN_TIME`, and none that was due so long when it was taken away."""
    for one in all_climbed:
        for step in one.steps:
            if (by := lives.lateness(step)) > IN_TIME:
                yield Fault(Kind.LATE, f"{step.alert}: {step.place} came {by.total_seconds():.2f} s late")
        if one.pending and one.pending[1] - lives.could_step(one.pending[0]) > IN_TIME:
            due, until = one.pending
            yield Fault(Kind.LATE, f"{one.steps[0].alert}: due at {due}, and not taken until {until}")
