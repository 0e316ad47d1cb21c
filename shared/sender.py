"""The sender: one task per process that puts events on Kafka in order and marks their records as sent.

It is fed by the loop, and by the sweep (`shared.sweep`). So an event is sent at least once, with the same id and
sequence each time, and readers drop repeats.
"""

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared import envelope, times
from shared.events import ALERT_RAISED, EVENT_REFUSED, Event
from shared.failures import TryAgain
from shared.gaps import Gaps
from shared.ids import Ids
from shared.log import logger
from shared.metrics import Metrics
from shared.mongo import Store
from shared.pace import Pace
from shared.parcels import Parcel, parcels_of
from shared.precedence import Portion, Precedence
from shared.producer import Outgoing, Producer, Refused
from shared.records import value_on
from shared.sealing import Sealer
from shared.vocabulary import Lane

MAX_QUEUED, MAX_QUEUED_BYTES = 5_000, 64_000_000
"""Parcels in memory; beyond that a feed is dropped and the sweep delivers, for Kafka may be down for hours."""
MAX_TAKEN = 250
"""Parcels in one delivery: an urgent one that comes meanwhile waits for no more than these."""
_REMEMBERED = 20_000


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
        self.precedence = Precedence()
        """Whether something urgent is about: whatever became of it comes here."""
        self._portion = Portion(self.precedence, MAX_TAKEN)
        self._queues: dict[Lane, deque[Parcel]] = {lane: deque() for lane in Lane}
        self._turns = deque((Lane.URGENT, Lane.NORMAL))
        self._queued_bytes = 0
        self._waiting: Counter[str] = Counter()
        self._fed = asyncio.Event()
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._gaps = Gaps(sealer, now, self._filled, lambda: self._queued_bytes > MAX_QUEUED_BYTES)
        self._mark: asyncio.Task[None] | None = None
        self._idle, self._empty = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._empty.set()
        self.acknowledged = 0
        """How much Kafka has taken so far."""
        self._refusals: dict[str, Mapping[str, str]] = {}
        self._told: OrderedDict[str, int] = OrderedDict()
        self.alarm: Alarm | None = None

    def feed(self, parcels: Iterable[Parcel]) -> None:
        """Take parcels to be sent; more than fit are left to the sweep."""
        for parcel in parcels:
            if self._count >= MAX_QUEUED or self._queued_bytes > MAX_QUEUED_BYTES:
                return
            self._take(parcel)

    async def run(self) -> None:
        """Send until cancelled."""
        await asyncio.gather(self._send(), self._gaps.run())

    async def _send(self) -> None:
        pace = Pace()
        while True:
            await self._fed.wait()
            await pace.step()
            taken = self._next()
            if not self._queued:
                self._fed.clear()
            began = time.monotonic()
            self._done(await self._deliver(taken))
            if taken and taken[0].lane is Lane.NORMAL:
                self._portion.took(time.monotonic() - began)
            with contextlib.suppress(TryAgain):  # MongoDB is away: they are raised the next time
                await self._raise_alarms()
            if not self._queued:
                self._idle.set()
                if not self._gaps.count:
                    self._empty.set()

    def _next(self) -> list[Parcel]:
        """What is delivered together: parcels of one lane; where both have some, the lanes take turns."""
        lane = next((lane for lane in self._turns if self._queues[lane]), Lane.NORMAL)
        self._turns.remove(lane)
        self._turns.append(lane)
        queue = self._queues[lane]
        most = self._portion.size() if lane is Lane.NORMAL else MAX_TAKEN
        return [queue.popleft() for _ in range(min(len(queue), most))]

    @property
    def _queued(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def _count(self) -> int:
        """What is queued, and what waits for others' marks."""
        return self._queued + self._gaps.count

    def _take(self, parcel: Parcel) -> None:
        if parcel.lane is Lane.URGENT:
            self.precedence.came()
        self._queues[parcel.lane].append(parcel)
        self._queued_bytes += parcel.size
        self._waiting[parcel.record] += 1
        self._idle.clear()
        self._empty.clear()
        self._fed.set()

    def _done(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            self._queued_bytes -= parcel.size
            self._waiting[parcel.record] -= 1
            if not self._waiting[parcel.record]:
                del self._waiting[parcel.record]

    def _filled(self, waited: Sequence[Parcel], instead: Sequence[Parcel]) -> None:
        """Nothing need be waited for any more before these parcels; what goes in their place may be sent."""
        for parcel in instead:
            self._take(parcel)
        self._done(waited)
        self._fed.set()

    def parcels_of(self, store: Store, documents: Iterable[Mapping[str, object]]) -> list[Parcel]:
        """The unsent events of whole documents."""
        return parcels_of(store, documents, self._sealer)

    @property
    def is_busy(self) -> bool:
        """Whether so much is queued that more of it need not be looked for."""
        return self._count >= MAX_QUEUED // 2

    @property
    def is_kafka_away(self) -> bool:
        """Whether Kafka did not answer the last time."""
        return self._producer.is_away

    def has(self, record: str) -> bool:
        """Whether something of a record is queued or being sent."""
        return record in self._waiting

    async def idle(self) -> None:
        """Returns when nothing is queued; some may still wait for another process's mark."""
        await self._idle.wait()

    async def drain(self, seconds: float) -> None:
        """Wait until all is sent and marked, at most so long: what is left is swept at the next start."""
        with contextlib.suppress(TimeoutError, TryAgain):
            async with asyncio.timeout(seconds):
                await self._empty.wait()
                if self._mark:
                    await self._mark

    async def _deliver(self, parcels: Sequence[Parcel]) -> Sequence[Parcel]:
        """Send them and see that they are marked; those that need not wait for what is missing come back."""
        runs, done_with = self._runs(parcels)
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
        return done_with

    def _runs(self, parcels: Iterable[Parcel]) -> tuple[Sequence[_Run], Sequence[Parcel]]:
        """What is to be sent per record: nothing twice that this process sent, nothing before what is still missing.

        Beside it the parcels of which it is made up; the others wait among the gaps.
        """
        runs: dict[str, _Run] = {}
        whole: list[Parcel] = []
        for parcel in parcels:
            run = runs.get(parcel.record)
            last = run.events[-1].seq if run and run.events else max(parcel.published, self._sent.get(parcel.record, 0))
            if last < parcel.events[0].seq - 1:
                self._gaps.add(parcel)
                continue
            run = run or runs.setdefault(parcel.record, _Run(parcel))
            run.events += [event for event in parcel.events if event.seq > last]
            whole.append(parcel)
        return list(runs.values()), whole

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
