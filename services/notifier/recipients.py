"""A recipient on one channel, as one process knows it: how much it may get now, and whether it answers."""

from collections import deque
from dataclasses import dataclass, field

from services.notifier.domain.bodies import Delivered, Failed
from shared.events import Event
from shared.log import Away
from shared.records import Record

IN_FLIGHT = 4
"""Requests to one recipient at a time."""
TRUST = 5
"""After so many failed attempts in a row a recipient gets one request at a time, until one succeeds."""
MINUTE = 60.0
SAID_FOR = 600.0
"""Seconds for which it need not be said again that a recipient cannot be reached."""
AHEAD = 4.0
"""Seconds of work that may be claimed before there is room for it: another process waits a minute for what dies here.

By the recipient's own pace: a slow one has little claimed.
"""
MOST_FOUND = 40
"""Of what a look finds no more is claimed for one recipient: several processes look for the same."""
MOST_KEPT = 100
"""Outcomes of one recipient that are kept beside its requests: where this process dies, these may be repeated."""
_FASTEST = 0.005
"""Seconds that a request is taken to last at least."""
GATHERING = "a digest"
"""Takes one place of a recipient while what goes into it is claimed."""
FIRST_PACE = 1.0
"""Seconds that a request is taken to last before one was seen to."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What this process won for one attempt: a notice, or several that go as one message."""

    recipient: "Recipient"
    records: tuple[Record, ...]
    """As they stand in MongoDB."""
    raised: tuple[Event, ...]
    about: str
    never_held: bool
    at: float
    """When its claim began, on the event loop's clock."""

    def attempt(self, number: int = 0) -> int:
        """Which attempt this is for one of its notices."""
        attempt: int = self.records[number].state["attempts"]
        return attempt


@dataclass(slots=True)
class Line:
    """What is due for a recipient and was not claimed as raised; what nothing may hold back has one of its own."""

    behind: bool = False
    """There is some: what comes now waits behind it."""
    raised: bool = False
    """Something was raised and not claimed, since the last look for whether it is still behind."""


@dataclass(slots=True)
class Recipient:
    """One recipient on one channel, as this process knows it."""

    name: str
    channel: str
    away: Away
    busy: set[str] = field(default_factory=set)
    """What the notices in flight are about: a later one about the same waits for its end."""
    keeping: set[str] = field(default_factory=set)
    """Of these what was taken already: its outcome is just being kept, and takes no place of the recipient's."""
    sending: set[str] = field(default_factory=set)
    """The notices in flight by their ids, all of a digest too, until their outcomes are kept or their claims end."""
    ahead: deque[Claimed] = field(default_factory=deque)
    """What is claimed and waits for room, in order: what nothing may hold back stands before the rest."""
    first: int = 0
    """How much of that nothing may hold back."""
    lines: tuple[Line, Line] = field(default_factory=lambda: (Line(), Line()))
    """What waits unclaimed: what may be held back, and what nothing may."""
    passed_over: bool = False
    """The last look for what is due left something of it out: there may be more when it has room again."""
    pace: float = FIRST_PACE
    """Seconds that a request lasts of late."""
    answers: bool = False
    """The last attempt that ended was taken: more may be claimed than there is room for now."""
    failures: int = 0
    given_up: float = -SAID_FOR
    """When somebody was told that it cannot be reached."""
    has_rate: bool = False
    """Whether it ever asked for no more than so many a minute."""
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    """When something was sent, within the last minute."""

    def line(self, *, never_held: bool) -> Line:
        """What waits unclaimed of one kind."""
        return self.lines[never_held]

    @property
    def may_look(self) -> bool:
        """Whether something may be due that there is room for now."""
        rest, first = self.lines
        if first.behind and self.room_for(never_held=True):
            return True
        return (rest.behind or self.passed_over) and self.room_for(never_held=False) > 0

    def room_for(self, *, never_held: bool) -> int:
        """How many more notices may be claimed; what nothing may hold back has one more place.

        Ahead of the places only once half of what may be claimed so has gone: a look for what is due reads hundreds,
        so it should find many at once.
        """
        ahead = self.waiting(never_held=never_held)
        places = (1 if self.away.is_away else IN_FLIGHT) + never_held - self._open
        most = min(MOST_FOUND, int(IN_FLIGHT * AHEAD / max(self.pace, _FASTEST))) if self.answers else 0
        return max(0, places + (most if ahead <= most / 2 else 0) - ahead)

    @property
    def _open(self) -> int:
        """Places that are taken; where MongoDB is slow, outcomes that wait for it take some too."""
        return len(self.busy) - min(len(self.keeping), MOST_KEPT)

    def was_taken(self, about: str) -> None:
        """The recipient has it; until that is kept nothing else about the same goes."""
        self.keeping.add(about)

    def is_over(self, claimed: Claimed) -> None:
        """It takes no place any more."""
        self.busy.discard(claimed.about)
        self.keeping.discard(claimed.about)

    def was_kept(self, claimed: Claimed) -> None:
        """What became of it is in MongoDB, or its claim has ended."""
        self.sending.difference_update(record.id for record in claimed.records)

    def has(self, notice: str) -> bool:
        """Whether this process is sending a notice to it, or will soon."""
        return notice in self.sending or any(one.id == notice for claimed in self.ahead for one in claimed.records)

    def is_busy_with(self, about: str) -> bool:
        """Whether something about this is in flight, or waits for room."""
        return about in self.busy or any(one.about == about for one in self.ahead)

    def may_claim(self, more: int, *, never_held: bool) -> bool:
        """Whether a notice may be claimed as it is raised, after so many others of its kind in its batch."""
        if self.away.is_away or self.line(never_held=never_held).behind:
            return False
        return (self.waiting(never_held=never_held) + more) * max(self.pace, _FASTEST) < IN_FLIGHT * AHEAD

    def waiting(self, *, never_held: bool) -> int:
        """How much is claimed and goes before such a notice."""
        return self.first if never_held else len(self.ahead)

    def was_sent(self, moment: float) -> None:
        """Count it among what was sent within the last minute."""
        self.count(moment)
        self.sent.append(moment)

    def queue(self, claimed: Claimed) -> None:
        """What nothing may hold back goes before the rest."""
        if claimed.never_held:
            self.ahead.insert(self.first, claimed)
            self.first += 1
        else:
            self.ahead.append(claimed)

    def next(self, oldest: float) -> Claimed | None:
        """What there is room for now and was claimed since `oldest`, one about each case at a time.

        It is in flight when it comes out.
        """
        limit, passed = 1 if self.away.is_away else IN_FLIGHT, set[str]()
        for number, claimed in enumerate(self.ahead):
            if self._open >= limit + claimed.never_held:
                return None  # what nothing may hold back stands before the rest
            if claimed.at >= oldest and claimed.about not in self.busy and claimed.about not in passed:
                del self.ahead[number]
                self.first -= claimed.never_held
                self.busy.add(claimed.about)
                self.sending.update(record.id for record in claimed.records)
                return claimed
            passed.add(claimed.about)
        return None

    def too_late(self, oldest: float) -> list[Claimed]:
        """What was claimed before `oldest`, with what follows it about the same case: it waits no longer here.

        All of it where the recipient does not answer.
        """
        late: list[Claimed] = []
        kept: deque[Claimed] = deque()
        about: set[str] = set()
        for one in self.ahead:
            if one.at < oldest or self.away.is_away or one.about in about:
                about.add(one.about)
                late.append(one)
                self.line(never_held=one.never_held).behind = True
            else:
                kept.append(one)
        self.ahead, self.first = kept, sum(one.never_held for one in kept)
        # Each claim is an attempt: who has become slow must not use them all up before one begins.
        self.answers = self.answers and not late
        return late

    def empty(self) -> list[Claimed]:
        """All that waits; it waits no longer here."""
        waiting, self.ahead, self.first = list(self.ahead), deque(), 0
        return waiting

    def took(self, seconds: float) -> None:
        """Note how long a request lasted."""
        self.pace += (seconds - self.pace) / 8

    def may_have(self, rate: int | None, moment: float) -> bool:
        """Whether one more within this minute is not too many."""
        self.has_rate = self.has_rate or rate is not None
        return rate is None or self.count(moment) < rate

    def count(self, moment: float) -> int:
        """How much was sent within the last minute."""
        while self.sent and self.sent[0] < moment - MINUTE:
            self.sent.popleft()
        return len(self.sent)

    def answered(self, outcome: Delivered | Failed) -> None:
        """Note how an attempt ended."""
        self.answers = isinstance(outcome, Delivered)
        if isinstance(outcome, Delivered):
            self.failures = 0
            self.away.back()
        else:
            self.failures += 1
            if self.failures >= TRUST:
                self.away.lost(outcome.reason)
