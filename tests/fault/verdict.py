"""What a check finds: faults of a kind, and the verdict that counts them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong with it."""

    LOST = "lost"
    TWICE = "twice"
    OUT_OF_ORDER = "out of order"
    CHANGED = "changed"
    WRONG = "wrong"
    """It is there, and should not be, or not there."""
    UNSENT = "unsent"
    LATE = "late clock"
    QUARANTINED = "quarantined"
    SLOW = "slow to be well again"
    UNGRACEFUL = "ungraceful stop"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that must not be."""

    kind: Kind
    what: str


@dataclass
class Verdict:
    """What was counted, and what is wrong."""

    letters: int
    cases: int
    events: int
    repeats: Mapping[str, int]
    """Per topic, what a reader has to drop."""
    faults: list[Fault] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        """How many faults of a kind."""
        return sum(fault.kind is kind for fault in self.faults)

    def __str__(self) -> str:
        """For people."""
        repeats = ", ".join(f"{topic} {n}" for topic, n in sorted(self.repeats.items()) if n) or "none"
        counts = ", ".join(f"{kind} {self.count(kind)}" for kind in Kind)
        lines = [
            f"{self.letters} letters, {self.cases} cases, {self.events} events without repeats; {counts}",
            f"repeats: {repeats}",
            *(f"  {fault.kind}: {fault.what}" for fault in self.faults[:40]),
        ]
        return "\n".join(lines)
