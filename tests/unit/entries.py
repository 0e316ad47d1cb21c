"""Quarantined entries for tests: the real decisions, limits and seals, with records in memory."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord

from shared.decisions import Decision, Message
from shared.failures import TryAgain
from shared.ids import Ids
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.quarantine import Quarantine, deciding, evolve
from shared.records import Record
from shared.sealing import Sealer
from shared.tries import Source

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"i" * 32), Sealer(b"s" * 32)
GATE = "agency.contact-point.letters.v1"


class Remembering(Loop):
    """A stand-in for the loop: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Message] = []

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        self.told += messages
        return [Outcome(Record(message.record, message.record, {}), fresh=True) for message in messages]


def consumed(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
    *,
    topic: str = GATE,
    offset: int = 7,
    key: bytes | None = b"key",
) -> "ConsumerRecord[Any, Any]":
    """A Kafka record as the consumer hands it out."""
    given: Any = tuple(headers)
    return ConsumerRecord(topic, 1, offset, 1_700_000_000_000, 0, key, value, None, 0, len(value or b""), given)


async def messages_of(*records: "ConsumerRecord[Any, Any]", reason: str = "not a letter") -> list[Message]:
    """What the quarantine says when it sets records aside."""
    loop = Remembering()
    await Quarantine("intake", loop, IDS, Metrics("test")).keep([(record, reason) for record in records])
    if not loop.told:
        raise TryAgain
    return loop.told


class Entry:
    """One entry, to which things are said."""

    def __init__(self, first: Message) -> None:
        self.record = Record(first.record, first.record, {}, history=[])
        self._causes = itertools.count(1)
        self.hear(first.body, first.by)

    def hear(self, body: Any, by: str = "desk") -> Decision:
        """What one message leads to; its events are in the history then."""
        cause = f"cause-{next(self._causes)}"
        now = NOW + timedelta(minutes=self.record.version)
        decision = deciding.decide(self.record, Message(self.record.id, cause, by, body), now)
        for draft in decision.events:
            self.record.append(draft, by=by, cause=cause, now=now, evolve=evolve, sealer=SEALER)
        return decision

    @property
    def status(self) -> str:
        """How it stands."""
        return str(self.record.state["status"])

    @property
    def types(self) -> list[str]:
        """What happened to it."""
        return [event.type for event in self.record.fresh]


async def entry(value: bytes | None = b"{}", **how: Any) -> Entry:
    """An entry that holds one record."""
    [first] = await messages_of(consumed(value, **how))
    return Entry(first)
