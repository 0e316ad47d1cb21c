"""Kafka as a source: FastStream batch subscribers that hand whole records to a loop.

What holds here and why: `NACK_ON_ERROR` (every other policy loses what a handler failed on), a batch is committed
after the loop has it (`committing`), a failing batch sleeps before it comes again (FastStream's nack is a seek without
a pause), headers are left as bytes (one that does not decode would lose its whole batch), nothing is published by a
reply header.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared import lenient_records
from shared.arrivals import Enrich, Heard, Read, Reader
from shared.closing import closed_within
from shared.committing import EVERY, Commits
from shared.company import Company
from shared.failures import NewerBuild, TryAgain
from shared.fetching import Fetching
from shared.log import logger
from shared.loop import Loop
from shared.metrics import Metrics
from shared.precedence import Precedence
from shared.quarantine import Quarantine
from shared.vocabulary import Lane

_PAUSE = 5.0
"""Seconds before a batch that failed as a whole comes again."""
_CLOSED_IN = 20.0
_STOPPED_IN = 120.0
"""Seconds in which consumers that began to start must end: one that is just joining its group takes up to 90."""

_Record = ConsumerRecord[Any, Any]


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
        apply_types=False,  # a handler gets the records as they are; the look for its parameters took a thread a batch
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


class _Seeking:
    """A consumer as FastStream has it for a batch: what failed is sought again, what did not `Commits` commits."""

    def __init__(self, consumer: Any) -> None:
        self.seek = consumer.seek

    async def commit(self) -> None:
        """Nothing: FastStream's would commit whatever was fetched of all partitions."""


async def _parse(records: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    first, last = records[0], records[-1]
    message = await original(tuple(_Bare(r.topic, r.offset, r.timestamp) for r in (first, last)))
    message.raw_message = records
    message.consumer = _Seeking(message.consumer)
    return message


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


class _Drain(ConsumerRebalanceListener):
    """Lets the batch in hand finish and commit before its partitions go (300 duplicates a rebalance without)."""

    def __init__(self, commits: Commits) -> None:
        self.busy, self._commits = asyncio.Lock(), commits

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        async with self.busy:
            await self._commits.commit()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._commits.begin_anew()


def _fingerprint(names: Sequence[str]) -> str:
    return hashlib.sha256(",".join(sorted(names)).encode()).hexdigest()[:8]


class KafkaSource:
    """The consumers of one service."""

    def __init__(
        self,
        broker: KafkaBroker,
        service: str,
        instance: str,
        quarantine: Quarantine,
        metrics: Metrics,
        precedence: Precedence,
    ) -> None:
        self._broker, self._service, self._instance = broker, service, instance
        self._quarantine, self._metrics, self._precedence = quarantine, metrics, precedence
        self._log = logger(part="consumer")
        self.readers: dict[str, Reader] = {}
        """What is done with the records of each topic."""
        self._companies: dict[tuple[Loop, Lane], Company] = {}
        self._fetching: list[Fetching] = []
        self._commits: list[Commits] = []
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
        commit_every: float = EVERY,
    ) -> str:
        """Read topics of one lane in a group of their own, `rogatory-<service>-<name>-<lane>`; its name comes back."""
        commits = Commits(commit_every)
        drain = _Drain(commits)
        group = f"rogatory-{self._service}-{name}-{lane}"
        subscriber = self._broker.subscriber(
            *names,
            batch=True,
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
        company = self._companies.setdefault((loop, lane), Company(loop))
        reader = Reader(read, loop, enrich, heard, company)
        self.readers |= dict.fromkeys(names, reader)

        async def on_batch(records: Sequence[_Record]) -> None:
            async with drain.busy:
                await self._take(records, reader, commits)

        self._commits.append(commits)
        fetching = Fetching(lane, commits, self._precedence)
        fetching.install(subscriber)
        self._fetching.append(fetching)
        subscriber(on_batch, parser=_parse, decoder=_decode)
        return group

    async def _take(self, records: Sequence[_Record], reader: Reader, commits: Commits) -> None:
        """Handle a batch; only one that is kept may be committed."""
        await self._handle(records, reader)
        await commits.done(records)

    async def _handle(self, records: Sequence[_Record], reader: Reader) -> None:
        try:
            taken = await reader.take(records, "kafka")
            if reader.heard:  # at once: what is healthy waits for nobody's quarantine
                reader.heard(taken.messages, taken.outcomes)
            if taken.aside:
                await self._quarantine.keep(taken.aside)
        except TryAgain:
            await self._comes_again("away")
            raise
        except NewerBuild as reason:
            if self.newer is None:
                self._log.critical("stopping", reason=f"only a newer build knows this event: {reason.schema}")
            self.newer = reason.schema
            await self._comes_again("newer build")
            raise
        except Exception as error:
            reader.loop.bug(error, f"a batch of {records[0].topic}")
            await self._comes_again("bug")
            raise

    async def _comes_again(self, why: str) -> None:
        """Nothing of the batch is committed, so it comes again: never in a hot loop."""
        self._metrics.batches_again.labels(why).inc()
        await asyncio.sleep(_PAUSE)

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
                # To its end, for the same broker is started again; where it has none, a new process must.
                if not await closed_within(_STOPPED_IN, self._broker.stop()):
                    reason = "its consumers neither start nor end"
                    self._log.error("away", what="Kafka", reason=reason, doing="ending, to be started anew")
                    raise TimeoutError from None
                await asyncio.sleep(1)
            else:
                if away:
                    self._log.info("back", what="Kafka")
                return

    @property
    def is_reading(self) -> bool:
        """Whether every consumer still reads; one that has ended alone does not, and its service runs on."""
        return not any(fetching.stands_still for fetching in self._fetching)

    async def stop(self) -> None:
        """Let the batches in hand finish and commit, then leave."""
        await asyncio.gather(*(commits.leave() for commits in self._commits))
        await closed_within(_CLOSED_IN, self._broker.stop())

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
