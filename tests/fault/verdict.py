"""What a check finds: faults of a kind, and the verdict that counts them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_SHOWN = 12
"""Faults of each kind that are printed."""


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
        return len(self.of(kind))

    def of(self, kind: Kind) -> list[Fault]:
        """The faults of a kind."""
        return [fault for fault in self.faults if fault.kind is kind]

    def __str__(self) -> str:
        """For people."""
        repeats = ", ".join(f"{topic} {n}" for topic, n in sorted(self.repeats.items()) if n) or "none"
        counts = ", ".join(f"{kind} {self.count(kind)}" for kind in Kind)
        lines = [
            f"{self.letters} letters, {self.cases} cases, {self.events} events without repeats; {counts}",
            f"repeats: {repeats}",
            *(f"  {fault.kind}: {fault.what}" for kind in Kind for fault in self.of(kind)[:_SHOWN]),
        ]
        return "\n".join(lines)
