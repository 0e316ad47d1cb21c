"""The sender: one task per process that puts events on Kafka in order and marks their records as sent.

It is fed by the loop, and by the sweep (`shared.sweep`). So an event is sent at least once, with the same id and
sequence each time, and readers drop repeats.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared import envelope, times
from shared.events import ALERT_RAISED, EVENT_REFUSED, Event
from shared.failures import TryAgain
from shared.ids import Ids
from shared.log import logger
from shared.metrics import Metrics
from shared.mongo import Store
from shared.pace import Pace
from shared.producer import Outgoing, Producer, Refused
from shared.records import event_of, record_of, value_on
from shared.sealing import Broken, Sealer

MAX_QUEUED, MAX_QUEUED_BYTES = 5_000, 64_000_000
"""Parcels in memory; beyond that a feed is dropped and the sweep delivers, for Kafka may be down for hours."""
MAX_TAKEN = 1_000
LOADED_AT_ONCE = 50
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """Events of one record, in order and without gaps, that are to be sent."""

    store: Store
    record: str
    subject: str
    context: Mapping[str, str]
    published: int
    """The version up to which MongoDB had the record marked as sent when it was read."""
    events: tuple[Event, ...]

    @property
    def size(self) -> int:
        """Bytes of what is to be sent."""
        return sum(len(event.data_json) + len(event.content or b"") for event in self.events)


@dataclass(slots=True)
class _Run:
    """One record's events in one delivery, and how far it has come."""

    parcel: Parcel
    events: list[Event] = field(default_factory=list)
    next: int = 0
    failed: bool = False


Alarm = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
"""Raises an alert of a kind, once per key, with facts that hold no personal data."""


class Sender:
    """Sends what it is fed in waves: event k+1 of a record only after event k is acknowledged on all its topics."""

    def __init__(
        self, producer: Producer, ids: Ids, sealer: Sealer, metrics: Metrics, now: Callable[[], datetime] = times.now
    ) -> None:
        """`now`: the time in which the loops that feed it live."""
        self._now = now
        self._producer, self._ids, self._sealer, self._metrics = producer, ids, sealer, metrics
        self._log = logger(part="sender")
        self._queue: deque[Parcel] = deque()
        self._queued_bytes = 0
        self._waiting: Counter[str] = Counter()
        self._fed = asyncio.Event()
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._mark: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.acknowledged = 0
        """How much Kafka has taken so far."""
        self._refusals: dict[str, Mapping[str, str]] = {}
        self._told: OrderedDict[str, int] = OrderedDict()
        self.alarm: Alarm | None = None

    def feed(self, parcels: Iterable[Parcel]) -> None:
        """Take parcels to be sent; more than fit are left to the sweep."""
        for parcel in parcels:
            if len(self._queue) >= MAX_QUEUED or self._queued_bytes > MAX_QUEUED_BYTES:
                return
            self._queue.append(parcel)
            self._queued_bytes += parcel.size
            self._waiting[parcel.record] += 1
            self._idle.clear()
            self._fed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        pace = Pace()
        while True:
            await self._fed.wait()
            await pace.step()
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_TAKEN))]
            if not self._queue:
                self._fed.clear()
            try:
                await self._deliver(taken)
                await self._raise_alarms()
            except TryAgain as reason:
                # MongoDB is away: the loop says so; the sweep finds what was left.
                self._log.debug("left to the sweep", reason=str(reason))
            self._queued_bytes -= sum(parcel.size for parcel in taken)
            self._waiting.subtract(Counter(parcel.record for parcel in taken))
            self._waiting = +self._waiting
            if not self._queue:
                self._idle.set()

    def parcels_of(self, store: Store, documents: Iterable[Mapping[str, object]]) -> list[Parcel]:
        """The unsent events of whole documents."""
        parcels = []
        for document in documents:
            history: list[Mapping[str, object]] = document["history"]  # type: ignore[assignment]
            head = {**document, "causes": (), "chain": b""}
            try:
                record = record_of(head, self._sealer)
                unsent = tuple(event_of(record.id, form, record.key) for form in history[record.published :])
            except Broken as error:
                self._log.error("cannot be sent", record=document["_id"], reason=str(error))
                continue
            if unsent:
                parcels.append(Parcel(store, record.id, record.subject, record.context, record.published, unsent))
        return parcels

    @property
    def is_busy(self) -> bool:
        """Whether so much is queued that more of it need not be looked for."""
        return len(self._queue) >= MAX_QUEUED // 2

    @property
    def is_kafka_away(self) -> bool:
        """Whether Kafka did not answer the last time."""
        return self._producer.is_away

    def has(self, record: str) -> bool:
        """Whether something of a record is queued or being sent."""
        return record in self._waiting

    async def idle(self) -> None:
        """Returns when nothing is queued."""
        await self._idle.wait()

    async def drain(self, seconds: float) -> None:
        """Wait until the queue is empty and marked, at most so long: what is left is swept at the next start."""
        with contextlib.suppress(TimeoutError, TryAgain):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
                if self._mark:
                    await self._mark

    async def _deliver(self, parcels: Sequence[Parcel]) -> None:
        runs = await self._runs(parcels)
        while wave := [run for run in runs if not run.failed and run.next < len(run.events)]:
            await self._wave(wave)
        done: dict[Store, dict[int, list[str]]] = {}
        for run in runs:
            # Nothing to send where this process sent it all: then its mark was lost.
            version = run.events[-1].seq if run.events else self._sent.get(run.parcel.record, 0)
            if version and not run.failed:
                _remember(self._sent, run.parcel.record, version)
                done.setdefault(run.parcel.store, {}).setdefault(version, []).append(run.parcel.record)
        if done:
            if self._mark:
                await self._mark
            self._mark = asyncio.create_task(self._mark_sent(done))

    async def _runs(self, parcels: Sequence[Parcel]) -> list[_Run]:
        """What is to be sent per record: nothing twice that this process sent, nothing before what is still missing."""
        runs: dict[str, _Run] = {}
        missing: dict[str, Parcel] = {}
        for parcel in parcels:
            run = runs.setdefault(parcel.record, _Run(parcel))
            last = run.events[-1].seq if run.events else max(parcel.published, self._sent.get(parcel.record, 0))
            if last < parcel.events[0].seq - 1:
                missing[parcel.record] = parcel
            else:
                run.events += [event for event in parcel.events if event.seq > last]
        if missing:
            for loaded in await self._load(missing):
                run = runs[loaded.record]
                sent = self._sent.get(loaded.record, 0)
                run.events = [event for event in loaded.events if event.seq > sent]
        return list(runs.values())

    async def _load(self, missing: Mapping[str, Parcel]) -> list[Parcel]:
        by_store: dict[Store, list[str]] = {}
        for record, parcel in missing.items():
            by_store.setdefault(parcel.store, []).append(record)
        loaded: list[Parcel] = []
        for store, records in by_store.items():
            for at in range(0, len(records), LOADED_AT_ONCE):
                loaded += self.parcels_of(store, await store.histories(records[at : at + LOADED_AT_ONCE]))
        return loaded

    async def _wave(self, wave: Sequence[_Run]) -> None:
        outgoing: list[Outgoing] = []
        owners: list[_Run] = []
        for run in wave:
            event = run.events[run.next]
            if event.to:
                outgoing += self._outgoing(run.parcel, event)
                owners += [run] * len(event.to)
        results = await self._producer.send(outgoing) if outgoing else []
        now, acknowledged = self._now(), 0
        for run, out, result in zip(owners, outgoing, results, strict=True):
            if result is None:
                acknowledged += 1
                continue
            run.failed = True
            if isinstance(result, Refused):
                self._refused(run, out.topic, result)
        self.acknowledged += acknowledged
        self._metrics.sent.inc(acknowledged)
        for run in wave:
            event = run.events[run.next]
            run.next += 1
            if event.to and not run.failed:
                self._metrics.accept_to_sent.observe((now - times.read(event.at)).total_seconds())

    def _outgoing(self, parcel: Parcel, event: Event) -> list[Outgoing]:
        event_id, key = self._ids.event(parcel.record, event.seq), parcel.subject.encode()
        return [
            Outgoing(
                topic,
                key,
                value_on(topic, event),
                envelope.headers_for(topic, event, event_id, parcel.record, parcel.subject, parcel.context),
            )
            for topic in event.to
        ]

    def _refused(self, run: _Run, topic: str, refused: Refused) -> None:
        """Say it, and raise one alert an hour for a topic and a reason: a lost right refuses thousands of events."""
        event = run.events[run.next]
        self._metrics.refused.inc()
        self._log.error("refused by kafka", record=run.parcel.record, event_type=event.type, reason=refused.reason)
        # An alert about an alert that is refused would be refused too, and so on without end.
        if event.type != ALERT_RAISED:
            self._refusals.setdefault(
                f"{topic}/{refused.reason}/{event.at[:13]}",
                {
                    "topic": topic,
                    "event": event.type,
                    "record": run.parcel.record,
                    "reason": refused.reason,
                },
            )

    async def _raise_alarms(self) -> None:
        """After the sending, which must not wait for it."""
        while self._refusals:
            key, facts = next(iter(self._refusals.items()))
            if self.alarm and key not in self._told:
                await self.alarm(EVENT_REFUSED, key, facts)
                _remember(self._told, key, 1)
            del self._refusals[key]

    async def _mark_sent(self, done: Mapping[Store, Mapping[int, list[str]]]) -> None:
        for store, versions in done.items():
            # A mark that is lost only makes the sweep send again.
            with contextlib.suppress(TryAgain):
                await store.mark_sent(versions)


def _remember(known: OrderedDict[str, int], name: str, value: int) -> None:
    known[name] = value
    known.move_to_end(name)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
