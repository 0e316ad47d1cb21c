"""What earlier tries of one batch attempted, so that the next one knows what landed."""

from collections.abc import Iterable, Mapping
from typing import Literal

from shared.decisions import Message
from shared.failures import Bug
from shared.records import Record

Source = Literal["kafka", "http", "clock", "replay"]


class Tries:
    """What earlier tries of a batch attempted: a write of unknown outcome is recognised by the chain it would leave."""

    def __init__(self, source: Source) -> None:
        """`source`: where the batch comes from."""
        self.is_first = True
        self.counts_bugs = source != "replay"
        self.wanted: set[str] = set()
        self.landed: dict[tuple[str, str], Record] = {}
        self.recognised: dict[bytes, Record] = {}
        self.bugs: dict[tuple[str, str], Bug] = {}
        """One message is one bug, however often its batch is run."""
        self._attempted: dict[bytes, Record] = {}

    def seen_in(self, messages: Iterable[Message]) -> Mapping[str, Record]:
        """The records that need not be read; after a try that failed, all are."""
        if not self.is_first:
            return {}
        return {message.record: message.seen for message in messages if message.seen is not None}

    def remember(self, records: Iterable[Record]) -> None:
        """What the try that begins would leave."""
        self._attempted.update({record.chain: record for record in records})

    def recognise(self, stored: Record) -> None:
        """Whether a record stands as an earlier try would have left it: then that try wrote it."""
        attempt = self._attempted.get(stored.chain)
        if attempt is not None and stored.chain not in self.recognised:
            self.recognised[stored.chain] = attempt
            self.landed |= {(attempt.id, event.cause): attempt for event in attempt.fresh}
