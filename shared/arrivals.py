"""What a subscription makes of the records that arrive: messages for its loop, and what must be set aside.

New records and replayed ones go the same way.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from shared.company import MESSAGES, Company
from shared.decisions import Message
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.lenient_records import UnreadBatch
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.pace import Turn
from shared.tries import Source

_Record = ConsumerRecord[Any, Any]
Read = Callable[[_Record], Sequence[Message]]
"""The messages in one Kafka record, one per record of ours; raises `NeverWill` for what must be set aside."""
Enrich = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
"""The messages of a batch with what MongoDB knows beside, and messages that follow; raises `TryAgain`."""
Heard = Callable[[Sequence[Message], Sequence[Outcome]], None]
"""Told of every batch that is in MongoDB."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of records: their messages, each with its origin and outcome, and what is to be set aside."""

    messages: Sequence[Message]
    origins: Sequence[_Record | None]
    """The Kafka record of each message; None for one that no record said."""
    outcomes: Sequence[Outcome]
    aside: Sequence[tuple[_Record, str]]


@dataclass(frozen=True, slots=True)
class Reader:
    """What one subscription does with what it reads."""

    read: Read
    loop: Loop
    enrich: Enrich | None = None
    heard: Heard | None = None
    company: Company | None = None
    """With whom what comes from Kafka is written."""

    async def take(self, records: Sequence[_Record], source: Source) -> Taken:
        """Decide and keep what the records say; raises `TryAgain`, and `NewerBuild` before anything is kept."""
        messages, origins, aside = await self._read(records, source)
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), MESSAGES):
            # One record may be many messages: in parts, so that the rest of the process goes on.
            outcomes += await self._keep(messages[at : at + MESSAGES], source)
        aside = [*aside, *_refused(messages, origins, outcomes, self.loop)]
        if also := [told for outcome in outcomes if outcome.refused for told in outcome.refused.also]:
            await self._keep(also, source)
        return Taken(messages, origins, outcomes, aside)

    async def _keep(self, messages: Sequence[Message], source: Source) -> list[Outcome]:
        if self.company and source == "kafka":
            return await self.company.handle(messages)
        return await self.loop.handle(messages, source)

    async def foresee(self, records: Sequence[_Record]) -> Taken:
        """What `take` would do now, with nothing kept."""
        messages, origins, aside = await self._read(records, "replay")
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), MESSAGES):
            outcomes += await self.loop.foresee(messages[at : at + MESSAGES])
        return Taken(messages, origins, outcomes, [*aside, *_refused(messages, origins, outcomes, None)])

    async def _read(
        self, records: Sequence[_Record], source: Source
    ) -> tuple[Sequence[Message], Sequence[_Record | None], list[tuple[_Record, str]]]:
        messages: list[Message] = []
        origins: list[_Record | None] = []
        aside: list[tuple[_Record, str]] = []
        turn = Turn()
        for record in records:
            await turn.step()
            found: Sequence[Message] = ()
            try:
                found = self._read_one(record)
            except NewerBuild:
                raise
            except NotForUs:
                continue
            except NeverWill as reason:
                aside.append((record, str(reason)))
                found = reason.also
            except Exception as error:  # noqa: BLE001 - a bug must cost its record only, not the batch
                where = f"{record.topic}/{record.partition}/{record.offset}"
                aside.append((record, str(self.loop.bug(error, where, counts=source != "replay"))))
            messages += found
            origins += [record] * len(found)
        if self.enrich is None:
            return messages, origins, aside
        enriched = await self.enrich(messages)
        return enriched, _origins_of(enriched, messages, origins), aside

    def _read_one(self, record: _Record) -> Sequence[Message]:
        if isinstance(record.value, UnreadBatch):
            raise NeverWill(record.value.why)
        return self.read(record)


def _refused(
    messages: Sequence[Message], origins: Sequence[_Record | None], outcomes: Sequence[Outcome], loop: Loop | None
) -> list[tuple[_Record, str]]:
    """The records of which something was refused; what no record said is only logged."""
    aside = []
    for record, message, outcome in zip(origins, messages, outcomes, strict=True):
        if outcome.refused and record is not None:
            aside.append((record, str(outcome.refused)))
        elif outcome.refused and loop is not None:
            logger(part="consumer").error("refused", record=message.record, reason=str(outcome.refused))
    return aside


def _origins_of(
    enriched: Sequence[Message], messages: Sequence[Message], origins: Sequence[_Record | None]
) -> list[_Record | None]:
    """The Kafka record of each message; None for one that no record said."""
    if len(enriched) == len(messages) and all(map(_is_same, enriched, messages)):
        return list(origins)
    known: dict[tuple[str, str], deque[_Record | None]] = {}
    for message, origin in zip(messages, origins, strict=True):
        known.setdefault((message.record, message.cause), deque()).append(origin)
    return [of_it.popleft() if (of_it := known.get((message.record, message.cause))) else None for message in enriched]


def _is_same(one: Message, other: Message) -> bool:
    return one is other or (one.record == other.record and one.cause == other.cause)
