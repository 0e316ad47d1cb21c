"""What earlier tries of one batch attempted and decided, so that the next one knows what stands already."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.decisions import Message
from shared.failures import Bug, NeverWill
from shared.records import Record

Source = Literal["kafka", "http", "clock", "replay"]


@dataclass(slots=True)
class Outcome:
    """What became of one message."""

    record: Record
    fresh: bool = False
    """This call wrote the events that it led to; False for one that was heard before, or changed nothing."""
    reply: Any = None
    refused: NeverWill | None = None
    """Why it must not be tried again; the source sets it aside or answers so."""


class Tries:
    """What earlier tries of a batch attempted: a write of unknown outcome is recognised by the chain it would leave."""

    def __init__(self, source: Source) -> None:
        """`source`: where the batch comes from."""
        self.is_first = True
        self.counts_bugs = source != "replay"
        self.wanted: set[str] = set()
        self.settled: dict[int, Outcome] = {}
        """What is decided for good, by its place in the batch: its record stands as a try wrote it, or read it."""
        self.recognised: dict[bytes, Record] = {}
        self.bugs: dict[tuple[str, str], Bug] = {}
        """One message is one bug, however often its batch is run."""
        self._attempted: dict[bytes, tuple[Record, Mapping[int, Outcome]]] = {}

    def open(self, messages: Iterable[Message]) -> set[str]:
        """The records about which something is still to be decided."""
        return {message.record for place, message in enumerate(messages) if place not in self.settled}

    def seen_in(self, messages: Iterable[Message]) -> Mapping[str, Record]:
        """The records that need not be read; after a try that failed, all are."""
        if not self.is_first:
            return {}
        return {message.record: message.seen for message in messages if message.seen is not None}

    def remember(self, records: Collection[Record], messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """What the try that begins would leave in these records, and what it makes of the messages to them."""
        of_record: dict[str, dict[int, Outcome]] = {record.id: {} for record in records}
        for place, message in enumerate(messages):
            if message.record in of_record:
                of_record[message.record][place] = outcomes[place]
        self._attempted.update({record.chain: (record, of_record[record.id]) for record in records})

    def recognise(self, stored: Record) -> None:
        """Whether a record stands as an earlier try would have left it: then that try wrote it."""
        if stored.chain not in self._attempted or stored.chain in self.recognised:
            return
        record, outcomes = self._attempted[stored.chain]
        self.recognised[stored.chain] = record
        self.settled.update(outcomes)

    def stood(self, records: Collection[str], messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """These records, in which nothing is written, are as they were read: what was decided about them holds."""
        self.settled.update(
            {place: outcomes[place] for place, message in enumerate(messages) if message.record in records}
        )
