"""A recipient on one channel, as one process knows it: how much it may get now, and whether it answers."""

from collections import deque
from dataclasses import dataclass, field

from services.notifier.domain.bodies import Delivered, Failed
from shared.log import Away

IN_FLIGHT = 4
"""Requests to one recipient at a time."""
TRUST = 5
"""After so many failed attempts in a row a recipient gets one request at a time, until one succeeds."""
MINUTE = 60.0
SAID_FOR = 600.0
"""Seconds for which it need not be said again that a recipient cannot be reached."""


@dataclass(slots=True)
class Recipient:
    """One recipient on one channel, as this process knows it."""

    name: str
    channel: str
    away: Away
    busy: set[str] = field(default_factory=set)
    """What the notices in flight are about: a later one about the same waits for its end."""
    failures: int = 0
    given_up: float = -SAID_FOR
    """When somebody was told that it cannot be reached."""
    has_rate: bool = False
    """Whether it ever asked for no more than so many a minute."""
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    """When something was sent, within the last minute."""

    def room_for(self, *, never_held: bool) -> int:
        """How many more requests it may get now; what nothing may hold back has one more place."""
        return max(0, (1 if self.away.is_away else IN_FLIGHT) + never_held - len(self.busy))

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
        if isinstance(outcome, Delivered):
            self.failures = 0
            self.away.back()
        else:
            self.failures += 1
            if self.failures >= TRUST:
                self.away.lost(outcome.reason)
