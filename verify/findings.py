"""What a verification can find, and how it is counted. No finding holds personal data."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Kind(StrEnum):
    """What is wrong."""

    CHAIN = "chain"
    GAP = "gap"
    STATE = "state"
    CONTEXT = "context"
    SENT = "sent"
    UNSENT = "unsent"
    KEY = "key"
    SEALED = "sealed"
    TWICE = "twice"
    STRANGE = "strange"
    LOST = "lost"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    CHANGED = "changed"
    ORDER = "order"
    PARTITION = "partition"
    MISROUTED = "misrouted"
    NOT_TAKEN = "not taken"
    UNREAD = "unread"
    NOT_READ = "not read"
    NO_CASE = "no case"
    NO_LETTER = "no letter"
    NEVER_ENDED = "never ended"
    NEVER_FIRED = "never fired"
    NEVER_ALERTED = "never alerted"
    NEVER_TOLD = "never told"
    NO_RULES = "no rules"
    OVERDUE = "overdue"
    UNBALANCED = "unbalanced"
    TOTALS = "totals"
    UNREADABLE = "no checkpoint"
    FORGED = "forged checkpoint"
    UNKNOWN_KEY = "unknown checkpoint key"
    UNLINKED = "unlinked checkpoint"
    MISSING = "missing checkpoint"
    REWRITTEN = "rewritten"
    REMOVED = "removed"


SAYS: dict[str, str] = {
    Kind.CHAIN: "The chain of a history does not hold: something in it was changed after it was written.",
    Kind.GAP: "A history has a gap, or says another number of events than it has.",
    Kind.STATE: "A state is not what the history says.",
    Kind.CONTEXT: "To whom or to what a record belongs is not what its history, its id or its letter says.",
    Kind.SENT: "The sequences per topic are not those of the history.",
    Kind.UNSENT: "Events wait to be sent for longer than they should.",
    Kind.KEY: "Something is sealed and the key of its record is gone, though no event says that it was erased.",
    Kind.SEALED: "What is sealed does not open.",
    Kind.TWICE: "One cause had its effect twice.",
    Kind.STRANGE: "A document is no record as we write them.",
    Kind.LOST: "An event that was sent does not stand on its topic.",
    Kind.UNKNOWN: "An event stands on a topic, and no history knows it.",
    Kind.CONFLICT: "Another event stands on a topic in the place of the one that the history has.",
    Kind.CHANGED: "An event has other bytes on its topic than in the history.",
    Kind.ORDER: "Events of one record stand on a topic in another order than they happened.",
    Kind.PARTITION: "An event stands on another partition than its key's.",
    Kind.MISROUTED: "An event stands on a topic to which it was not sent.",
    Kind.NOT_TAKEN: "Something arrived, was passed over, and left no trace.",
    Kind.UNREAD: "Records were removed from a topic, by its retention or by hand, before their reader had read them.",
    Kind.NOT_READ: "Records wait for their reader for more than a quarter of an hour: it stands still or never came.",
    Kind.NO_CASE: "A measure of an accepted letter has no case.",
    Kind.NO_LETTER: "A case stands for a letter that is not there.",
    Kind.NEVER_ENDED: "A case has ended, and its letter does not know.",
    Kind.NEVER_FIRED: "A clock is past due and has not rung.",
    Kind.NEVER_ALERTED: "Somebody had to be told of an event, or a ladder to begin, and no record says so.",
    Kind.NEVER_TOLD: "A record says that somebody was told, and that notice is not there.",
    Kind.NO_RULES: "There are notices, and nothing says by which rules: who had to be told, nobody knows.",
    Kind.OVERDUE: "A notice, or a replay from quarantine, waits past its time.",
    Kind.UNBALANCED: "A whole is not the sum of its parts.",
    Kind.TOTALS: "The running totals are not what the records add up to.",
    Kind.UNREADABLE: "What stands among the checkpoints is none.",
    Kind.FORGED: "A checkpoint was changed, or somebody else made it: its signature or its root does not hold.",
    Kind.UNKNOWN_KEY: "A checkpoint is signed by a key that is not among those given.",
    Kind.UNLINKED: "A checkpoint does not follow from the one before it, or two have one number.",
    Kind.MISSING: "Checkpoints are missing: between others, from the beginning of their topic, or all of them.",
    Kind.REWRITTEN: "A history is not what it was when it was anchored.",
    Kind.REMOVED: "A record, or its latest events, were anchored and are gone.",
}
"""One sentence for each kind."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be."""

    kind: str
    record: str
    detail: str
    topic: str = ""
    settles: bool = False
    """It may be right a moment later: it is looked at once more before it is said."""
    as_it_stands: str = ""
    """What of the detail may read otherwise at that look, of the same finding."""

    @property
    def says(self) -> str:
        """All that is known of it."""
        return ": ".join(part for part in (self.detail, self.as_it_stands) if part)

    @property
    def same(self) -> tuple[str, ...]:
        """What it has in common with itself at another look."""
        return self.kind, self.record, self.detail, self.topic

    def as_json(self) -> dict[str, str]:
        """The same for programs."""
        return {"kind": str(self.kind), "record": self.record, "topic": self.topic, "detail": self.says}


KEPT = 10_000
"""Findings of one kind that are remembered; beyond that they are only counted."""


@dataclass
class Tally:
    """What was counted, and what was found."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)
    """Findings per kind that are counted and not kept."""

    def found(self, findings: Iterable[Finding]) -> None:
        """Take findings; what is too many of a kind is counted."""
        for one in findings:
            if self.of_kind[one.kind] >= KEPT:
                self.more[one.kind] += 1
            else:
                self.of_kind[one.kind] += 1
                self.findings.append(one)

    def __post_init__(self) -> None:
        """Count what it begins with."""
        self.of_kind: Counter[str] = Counter(one.kind for one in self.findings)

    def add(self, other: Self) -> None:
        """Take what another one counted and found."""
        self.counts += other.counts
        self.more += other.more
        self.found(other.findings)

    def replace(self, findings: Iterable[Finding]) -> None:
        """Keep these in the place of all that were kept."""
        self.findings = list(findings)
        self.of_kind = Counter(one.kind for one in self.findings)

    def as_json(self) -> dict[str, Any]:
        """For a file between two runs."""
        kept = [[one.kind, one.record, one.detail, one.topic, one.settles, one.as_it_stands] for one in self.findings]
        return {"counts": dict(self.counts), "more": dict(self.more), "findings": kept}

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Self:
        """What such a file says."""
        return cls(Counter(told["counts"]), [Finding(*one) for one in told["findings"]], Counter(told["more"]))


@dataclass(frozen=True)
class Report:
    """What a verification says at its end."""

    tally: Tally
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Per quantity its terms."""
    totals: str = ""
    """What is said of the durable totals."""
    of: Mapping[str, str] = field(default_factory=dict)
    """What was verified: Kafka, MongoDB and the database."""

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.tally.findings and not self.tally.more

    @property
    def numbers(self) -> dict[str, int]:
        """How many findings there are of each kind."""
        return dict(sorted((self.tally.of_kind + self.tally.more).items()))

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        counts = dict(sorted(self.tally.counts.items()))
        apart = {name: counts.pop(name, 0) for name in ("beyond_retention", "erased", "cannot_tell", "discarded")}
        return {
            "verdict": "ok" if self.is_right else "failed",
            "of": dict(self.of),
            "counts": counts,
            "numbers": self.numbers,
            "findings": [one.as_json() for one in self.tally.findings],
            **apart,
            "accounts": self.accounts,
            "totals": self.totals,
        }
