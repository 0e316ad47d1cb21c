"""Kafka as a source: FastStream batch subscribers that hand whole records to a loop.

What holds here and why: `NACK_ON_ERROR` (every other policy loses what a handler failed on), the batch is committed
after the loop has it, a failing batch sleeps before it comes again (FastStream's nack is a seek without a pause),
headers are left as bytes (one that does not decode would lose its whole batch), nothing is published by a reply header.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared import lenient_records
from shared.decisions import Message
from shared.failures import NeverWill, NewerBuild, NotForUs, TryAgain
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.quarantine import Quarantine
from shared.vocabulary import Lane

AT_ONCE = {Lane.NORMAL: 500, Lane.URGENT: 50}
"""Records in one batch; an urgent one never waits long for its neighbours."""
MESSAGES = 2_000
"""Messages that are decided together at most."""
_PAUSE = 5.0
"""Seconds before a batch that failed as a whole comes again."""

_Record = ConsumerRecord[Any, Any]
Read = Callable[[_Record], Sequence[Message]]
"""The messages in one Kafka record, one per record of ours; raises `NeverWill` for what must be set aside."""
Enrich = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]
"""The messages of a batch with what MongoDB knows beside, and messages that follow; raises `TryAgain`."""
Heard = Callable[[Sequence[Message], Sequence[Outcome]], None]
"""Told of every batch that is in MongoDB."""


class _Quiet(logging.Filter):
    """Keeps FastStream from saying what is said already (`Away`), or what is meant (no topics are made here)."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], TryAgain):
            return False
        return not record.getMessage().startswith("Auto create topics is disabled")


def broker_at(bootstrap: str, client: str) -> KafkaBroker:
    """A FastStream broker with our defaults; it connects when it is started."""
    lenient_records.install()
    log = logging.getLogger("rogatory.faststream")  # never None: that hides failing handlers
    log.addFilter(_Quiet())
    return KafkaBroker(
        bootstrap.split(","),
        client_id=client,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        allow_auto_create_topics=False,
        consumer_only=True,  # events leave by the sender
        graceful_timeout=15.0,
        logger=log,
        log_level=logging.DEBUG,
    )


@dataclass(frozen=True, slots=True)
class _Bare:
    """The parts of a record that FastStream's parser looks at, without the headers that it would decode."""

    topic: str
    offset: int
    timestamp: int
    value: bytes = b""
    headers: tuple[()] = ()


async def _parse(records: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    first, last = records[0], records[-1]
    message = await original(tuple(_Bare(r.topic, r.offset, r.timestamp) for r in (first, last)))
    message.raw_message = records
    return message


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


class _Drain(ConsumerRebalanceListener):
    """Lets the batch in hand finish and commit before its partitions go (300 duplicates a rebalance without)."""

    def __init__(self) -> None:
        self.busy = asyncio.Lock()

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        async with self.busy:
            pass
        await asyncio.sleep(0.05)  # the commit follows the handler

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        pass


def _fingerprint(names: Sequence[str]) -> str:
    return hashlib.sha256(",".join(sorted(names)).encode()).hexdigest()[:8]


class KafkaSource:
    """The consumers of one service."""

    def __init__(
        self, broker: KafkaBroker, service: str, instance: str, quarantine: Quarantine, metrics: Metrics
    ) -> None:
        self._broker, self._service, self._instance = broker, service, instance
        self._quarantine, self._metrics = quarantine, metrics
        self._log = logger(part="consumer")
        self.newer: str | None = None
        """The schema of an event that only a newer build knows, once one was read: the service must stop."""

    def subscribe(
        self,
        name: str,
        lane: Lane,
        names: Sequence[str],
        read: Read,
        loop: Loop,
        *,
        enrich: Enrich | None = None,
        heard: Heard | None = None,
    ) -> str:
        """Read topics of one lane in a group of their own, `rogatory-<service>-<name>-<lane>`; its name comes back."""
        drain = _Drain()
        group = f"rogatory-{self._service}-{name}-{lane}"
        subscriber = self._broker.subscriber(
            *names,
            batch=True,
            max_records=AT_ONCE[lane],
            batch_timeout_ms=20,
            group_id=group,
            # Kafka gives a member that comes back what it had, without a look at what it asks for now: with another
            # law or another agency it would get topics that it does not read, and could never join.
            group_instance_id=f"{group}-{self._instance}-{_fingerprint(names)}",
            auto_offset_reset="earliest",
            no_reply=True,
            listener=drain,
            session_timeout_ms=15_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=90_000,
            max_poll_interval_ms=300_000,
        )
        reader = _Reader(read, loop, enrich, heard)

        async def on_batch(records: Any, message: KafkaMessage) -> None:
            async with drain.busy:
                await self._handle(message.raw_message, reader)  # type: ignore[arg-type]

        subscriber(on_batch, parser=_parse, decoder=_decode)
        return group

    async def _handle(self, records: Sequence[_Record], reader: "_Reader") -> None:
        loop = reader.loop
        try:
            messages, origins, aside = reader.messages_in(records)
            if reader.enrich:
                enriched = await reader.enrich(messages)
                messages, origins = enriched, _origins_of(enriched, messages, origins)
            outcomes: list[Outcome] = []
            for at in range(0, len(messages), MESSAGES):
                # One record may be many messages: in parts, so that the rest of the process goes on.
                outcomes += await loop.handle(messages[at : at + MESSAGES], "kafka")
            for record, message, outcome in zip(origins, messages, outcomes, strict=True):
                if outcome.refused and record is not None:
                    aside.append((record, str(outcome.refused)))
                elif outcome.refused:
                    self._log.error("refused", record=message.record, reason=str(outcome.refused))
            if also := [told for outcome in outcomes if outcome.refused for told in outcome.refused.also]:
                await loop.handle(also, "kafka")
            if aside:
                await self._quarantine.keep(aside)
            if reader.heard:
                reader.heard(messages, outcomes)
        except TryAgain:
            await asyncio.sleep(_PAUSE)
            raise
        except NewerBuild as reason:
            if self.newer is None:
                self._log.critical("stopping", reason=f"only a newer build knows this event: {reason.schema}")
            self.newer = reason.schema
            await asyncio.sleep(_PAUSE)  # nothing is committed: a newer build reads the batch again
            raise
        except Exception as error:
            loop.bug(error, f"a batch of {records[0].topic}")
            await asyncio.sleep(_PAUSE)  # the batch comes again: never in a hot loop
            raise

    async def start(self) -> None:
        """Start consuming; waits while Kafka is away, and says so once. The topics must be there before."""
        away = False
        while True:
            try:
                await self._broker.start()
            except Exception as error:  # noqa: BLE001 - whatever a broker that is away makes the client raise
                if not away:
                    self._log.warning("away", what="Kafka", reason=type(error).__name__, doing="waiting")
                away = True
                with contextlib.suppress(Exception):
                    await self._broker.stop()
                await asyncio.sleep(1)
            else:
                if away:
                    self._log.info("back", what="Kafka")
                return

    async def stop(self) -> None:
        """Let the batches in hand finish and commit, then leave."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._broker.stop(), 20)

    async def watch_lag(self) -> None:
        """Measure how far behind the consumers are, every five seconds, until cancelled."""
        while True:
            await asyncio.sleep(5)
            self._metrics.lag.clear()
            for subscriber in self._broker.subscribers:
                # A partition that is just given away has no position: it is measured the next time.
                with contextlib.suppress(AssertionError, KafkaError):
                    await self._measure(getattr(subscriber, "consumer", None))

    async def _measure(self, consumer: Any) -> None:
        for place in consumer.assignment() if consumer else ():
            end = consumer.highwater(place)
            if end is not None:
                behind = max(0, end - await consumer.position(place))
                self._metrics.lag.labels(place.topic, place.partition).set(behind)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What one subscription does with what it reads."""

    read: Read
    loop: Loop
    enrich: Enrich | None
    heard: Heard | None

    def messages_in(
        self, records: Sequence[_Record]
    ) -> tuple[Sequence[Message], Sequence[_Record | None], list[tuple[_Record, str]]]:
        """The messages, the record of each, and what is to be set aside; raises `NewerBuild`."""
        messages: list[Message] = []
        origins: list[_Record | None] = []
        aside: list[tuple[_Record, str]] = []
        for record in records:
            found: Sequence[Message] = ()
            try:
                found = self.read(record)
            except NewerBuild:
                raise
            except NotForUs:
                continue
            except NeverWill as reason:
                aside.append((record, str(reason)))
                found = reason.also
            except Exception as error:  # noqa: BLE001 - a bug must cost its record only, not the batch
                aside.append((record, str(self.loop.bug(error, f"{record.topic}/{record.partition}/{record.offset}"))))
            messages += found
            origins += [record] * len(found)
        return messages, origins, aside


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
