"""What clients asked for, and what they were told: every try as ok, failed or unknown, with its times."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared import times


class Outcome(StrEnum):
    """How one try ended."""

    OK = "ok"
    FAILED = "failed"
    """Nothing can have been kept."""
    UNKNOWN = "unknown"
    """It may have been kept."""


@dataclass(slots=True)
class Invocation:
    """One try."""

    what: str
    of: str
    began: datetime
    ended: datetime | None = None
    outcome: Outcome = Outcome.UNKNOWN


@dataclass
class History:
    """All tries, in the order in which they began."""

    tries: list[Invocation] = field(default_factory=list)

    @contextmanager
    def invoke(self, what: str, of: str) -> Iterator[Invocation]:
        """A try; unknown unless the block says otherwise."""
        one = Invocation(what, of, times.now())
        self.tries.append(one)
        try:
            yield one
        finally:
            one.ended = times.now()

    @property
    def counts(self) -> Counter[Outcome]:
        """How many tries ended how."""
        return Counter(one.outcome for one in self.tries)

    def by_kind(self) -> dict[str, Counter[Outcome]]:
        """The same for each kind of try."""
        kinds: dict[str, Counter[Outcome]] = {}
        for one in self.tries:
            kinds.setdefault(one.what, Counter())[one.outcome] += 1
        return kinds

    def longest(self, what: str) -> float:
        """Seconds that the longest answered try of a kind took."""
        spans = [(one.ended - one.began).total_seconds() for one in self.tries if one.what == what and one.ended]
        return max(spans, default=0.0)
