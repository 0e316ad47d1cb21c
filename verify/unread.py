"""What waits to be read: since when, by whom, and for how long it may before somebody must look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from verify.findings import Finding, Kind
from verify.world import Reader

TOO_LONG = timedelta(minutes=15)
"""Letters are read within seconds, a backlog of a hundred thousand within minutes: who is later stands still."""
_TOO_LONG = TOO_LONG // timedelta(milliseconds=1)


@dataclass
class Waiting:
    """What one reader has not read of one partition; times in milliseconds."""

    count: int
    earliest: int
    overdue_to: int
    """The last offset of what is too old; -1 where nothing is."""


@dataclass
class Unread:
    """By reader what it has not read."""

    of: dict[Reader, Waiting] = field(default_factory=dict)

    def add(self, reader: Reader, offset: int, at: int, now: int) -> None:
        """Take a record that a reader has not read."""
        one = self.of.setdefault(reader, Waiting(0, at, -1))
        one.count += 1
        one.earliest = min(one.earliest, at)
        if now - at > _TOO_LONG:
            one.overdue_to = max(one.overdue_to, offset)

    def since(self, service: str, name: str) -> int | None:
        """When the earliest came of what a service has not read, by what it calls its readers."""
        begins = f"rogatory-{service}-{name}-"
        return min((one.earliest for (group, *_), one in self.of.items() if group.startswith(begins)), default=None)

    def overdue(self) -> dict[Reader, Waiting]:
        """Of these the readers that are too late."""
        return {reader: one for reader, one in self.of.items() if one.overdue_to >= 0}

    def as_json(self) -> list[list[str | int]]:
        """For a file between two runs."""
        return [[*reader, one.count, one.earliest, one.overdue_to] for reader, one in self.of.items()]

    @classmethod
    def of_json(cls, told: Sequence[tuple[str, str, int, int, int, int]]) -> Self:
        """What such a file says."""
        return cls({(group, topic, n): Waiting(*waiting) for group, topic, n, *waiting in told})


def not_read(overdue: dict[Reader, Waiting], now: int) -> Iterator[Finding]:
    """What is said of readers that are too late; `now`: when the run began, in milliseconds."""
    for (group, topic, partition), one in overdue.items():
        age = timedelta(seconds=(now - one.earliest) // 1000)
        records = f"{one.count:,} record{'s wait' if one.count > 1 else ' waits'}"
        yield Finding(Kind.NOT_READ, "", f"{group}: {records} on {partition}, the oldest for {age}", topic)
