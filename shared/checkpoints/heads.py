"""What has changed since the last checkpoint: in memory, and as notes in MongoDB that outlive the process.

A note names the records of a batch before the batch is written, so nothing can change without being either in memory or
in a note. What was noted since the last cut is not noted again: a busy record costs one entry, not one a change.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from shared.records import Record

Known = tuple[int, bytes] | None
"""The version and the chain that a record was seen to have; None: to be read."""
Keep = Callable[[str, Sequence[str]], Awaitable[None]]
"""Keeps a note, under an id, of these records; raises `TryAgain`."""


@dataclass(slots=True)
class Span:
    """What changed between two cuts, and the notes of it."""

    known: dict[str, Known] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    open: int = 0
    """Batches that are still being written: the notes stay until they have landed."""

    def learn(self, record: str, version: int, chain: bytes) -> None:
        """Remember the latest version; what must be read stays to be read."""
        before = self.known.get(record, (0, b""))
        if before is not None and before[0] < version:
            self.known[record] = (version, chain)


class Heads:
    """The heads of one collection, as a `Bookkeeper` of its loop."""

    def __init__(self, keep: Keep, next_note: Callable[[], str]) -> None:
        """`next_note`: an id for a note."""
        self.keep, self.next_note = keep, next_note
        self._span = Span()
        self._waiting: list[Span] = []

    def open(self) -> "Batch":
        """The books on a new batch, which belongs to the span that it begins in."""
        return Batch(self, self._span)

    def cut(self) -> list[Span]:
        """Begin a new span; the ones before it whose batches have all landed, until they are `done`."""
        if self._span.known or self._span.noted or self._span.open:
            self._waiting.append(self._span)
            self._span = Span()
        return [span for span in self._waiting if not span.open]

    def done(self, spans: Sequence[Span]) -> None:
        """These are anchored."""
        self._waiting = [span for span in self._waiting if not any(span is one for one in spans)]

    @property
    def count(self) -> int:
        """How many records wait to be anchored; one may be counted twice."""
        return sum(len(span.noted) for span in (self._span, *self._waiting))


class Batch:
    """The books on one batch."""

    def __init__(self, heads: Heads, span: Span) -> None:
        self._heads, self._span = heads, span
        self._records: set[str] = set()
        span.open += 1

    async def before(self, records: Sequence[Record]) -> None:
        """Note those that are not noted yet."""
        self._records.update(record.id for record in records)
        if new := [record.id for record in records if record.id not in self._span.noted]:
            note = self._heads.next_note()
            self._span.notes.append(note)  # also if nobody learns whether it was kept
            await self._heads.keep(note, new)
            self._span.noted.update(new)

    def close(self, landed: Sequence[Record] | None) -> None:
        """Remember how the records stand now; after an unknown outcome they are to be read."""
        for record in landed or ():
            self._span.learn(record.id, record.version, record.chain)
            self._records.discard(record.id)
        # An unknown outcome, or an earlier try of which nobody knows what it left.
        self._span.known.update(dict.fromkeys(self._records))
        self._span.open -= 1
