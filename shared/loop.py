"""The one loop: read what decides, decide each message, write every record once, feed the sender.

    Kafka batch --+                                                                +--> commit offsets / answer callers
    HTTP posts  --+--> split --> read --> decide each --> one write per record ----+
    clock ticks --+    (fold the batch per record in memory)                       +--> sender: Kafka, then mark
    replay      --+

A source turns what it hears into messages, one per record, and calls `Loop.handle`; when that returns, the batch is in
MongoDB by majority and journal, and the source may commit or answer. Kafka may be down meanwhile.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared import times
from shared.bookkeeping import Booking, Bookkeeper, note
from shared.decisions import Decide, Message, NeedsHistory
from shared.failures import Bug, NeverWill, TryAgain, place_of
from shared.log import Away, logger
from shared.metrics import OUTCOMES, Metrics
from shared.mongo import Change, Store
from shared.pace import breathe
from shared.parcels import parcel_of
from shared.records import Evolve, Record, leaves_unsent
from shared.records_read import opened, read_histories
from shared.sealing import Sealer
from shared.sender import Sender
from shared.tries import Outcome, Source, Tries

__all__ = ["BUGS_A_MINUTE", "PATIENCE", "Loop", "Outcome"]

PATIENCE = 60.0
"""Seconds for which a batch is tried while MongoDB is away; below Kafka's `max_poll_interval_ms`."""
BUGS_A_MINUTE = 5
"""More unexpected failures than this in a minute are a bug of ours, not poison: the service stops."""


@dataclass(slots=True)
class _Batch:
    """One try of one batch."""

    outcomes: list[Outcome]
    records: dict[str, Record]
    wanted: set[str]
    changes: list[Change] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    """Records about which something was decided of which nothing is written."""

    @property
    def unguarded(self) -> dict[str, int]:
        """The versions on which a decision rests that no write guards."""
        return {name: self.records[name].stored_version for name in self.judged if not self.records[name].fresh}

    @property
    def fresh(self) -> list[Record]:
        """The records that it changes."""
        return [record for record in self.records.values() if record.fresh]

    def landed(self, tries: Tries) -> list[Record]:
        """What stands in MongoDB because of it: what an earlier try wrote, then what the last one did."""
        return [*tries.recognised.values(), *self.fresh]


class Loop:
    """The loop over the records of one collection."""

    def __init__(
        self,
        store: Store,
        decide: Decide,
        evolve: Evolve,
        sealer: Sealer,
        sender: Sender,
        metrics: Metrics,
        now: Callable[[], datetime] = times.now,
    ) -> None:
        """`now`: the time of the events, the sender's too."""
        self.store, self.evolve, self.sealer, self.now = store, evolve, sealer, now
        self._decide_one, self._sender, self._metrics = decide, sender, metrics
        self._log = logger(collection=store.name)
        self._away = Away("MongoDB", self._log)
        self._bugs: deque[float] = deque(maxlen=BUGS_A_MINUTE + 1)
        self.bookkeepers: list[Bookkeeper] = []
        self.broken = asyncio.Event()
        """Set when unexpected failures pile up: the service must stop."""

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = PATIENCE) -> list[Outcome]:
        """Decide and keep a batch; the outcomes stand in the order of the messages.

        Raises `TryAgain` when MongoDB stays away longer than `patience` seconds: the outcome is then unknown, and the
        same messages may be given again.
        """
        if not messages:
            return []
        began, tries = time.monotonic(), Tries(source)
        bookings = [keeper.open() for keeper in self.bookkeepers]
        landed: list[Record] | None = None
        try:
            batch = await self._land(messages, tries, bookings, began + patience)
            landed = batch.landed(tries)
        finally:
            for booking in bookings:
                booking.close(landed)
        unsent = [record for record in landed if record.fresh and leaves_unsent(record)]
        self._sender.feed(parcel_of(self.store, record, tuple(record.fresh)) for record in unsent)
        self._count(batch.outcomes, landed, source, time.monotonic() - began)
        return batch.outcomes

    async def foresee(self, messages: Sequence[Message]) -> list[Outcome]:
        """What `handle` would do with them now; nothing is kept, sent or counted. Raises `TryAgain`."""
        tries = Tries("replay")
        while True:
            batch = await self._try(messages, self.now(), tries)
            if not batch.wanted:
                return batch.outcomes

    async def _land(
        self, messages: Sequence[Message], tries: Tries, bookings: Sequence[Booking], until: float
    ) -> _Batch:
        """Try until all of it is written; raises `TryAgain` once the patience is over."""
        now = self.now()
        while True:
            began = time.monotonic()
            try:
                batch = await self._try(messages, now, tries)
                if batch.wanted:
                    continue
                await note(bookings, batch.fresh)
                landed = await self._write(batch, messages, tries)
            except TryAgain as reason:
                tries.is_first = False  # what was written may have landed
                self._lost(reason, began)
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - jitter
                continue
            self.back()
            if landed:
                return batch
            tries.is_first = False
            self._metrics.reruns.inc()
            if time.monotonic() > until:
                raise TryAgain("other writers win every race")
            await asyncio.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter

    async def _write(self, batch: _Batch, messages: Sequence[Message], tries: Tries) -> bool:
        """Write what changes; whether all of it landed, and all else is as it was read.

        What writes nothing (a refusal, a reply, nothing to do) has no guard that would tell of a read that lacked the
        latest: a primary that was just elected gave such a one, and "no such case" was said of one that was there.
        """
        unguarded = batch.unguarded
        if not unguarded:
            return await self.store.write(batch.changes) if batch.changes else True
        steps = [self._stand(unguarded), *([self.store.write(batch.changes)] if batch.changes else ())]
        looked, *wrote = await asyncio.gather(*steps, return_exceptions=True)
        if isinstance(looked, set):
            tries.stood(looked, messages, batch.outcomes)
        for result in (looked, *wrote):
            if isinstance(result, BaseException):
                raise result
        return looked == unguarded.keys() and all(wrote)

    async def _stand(self, versions: Mapping[str, int]) -> set[str]:
        """Which of these records are as they were read."""
        found = await self.store.versions(list(versions))
        return {record for record, version in versions.items() if found.get(record, 0) == version}

    @property
    def is_away(self) -> bool:
        """Whether MongoDB did not answer the last time."""
        return self._away.is_away

    def back(self) -> None:
        """MongoDB answers."""
        if self._away.is_away:
            self._metrics.away.labels("mongodb").set(0)
        self._away.back()

    def _lost(self, reason: TryAgain, began: float) -> None:
        self._away.lost(str(reason), began)
        if self._away.is_away:
            self._metrics.away.labels("mongodb").set(1)

    async def _try(self, messages: Sequence[Message], now: datetime, tries: Tries) -> _Batch:
        """Read and decide the whole batch once, as if no earlier try had been."""
        seen = tries.seen_in(messages)
        heads = await self.store.read(list(tries.open(messages) - seen.keys()))
        found = {head["_id"]: opened(head, self.sealer, self._log) for head in heads}
        found |= {name: record.kept() for name, record in seen.items() if record.version}
        for record in found.values():
            tries.recognise(record)
        if wanted := tries.wanted & tries.open(messages) & found.keys():
            await read_histories(self.store, {name: found[name] for name in wanted}, seen.keys(), self._log)
        batch = _Batch([], found, set())
        for place, message in enumerate(messages):
            batch.outcomes.append(tries.settled.get(place) or self._one(message, batch, now, tries))
            await breathe(place + 1)
        tries.wanted |= batch.wanted
        if not batch.wanted:
            await self._encode(batch, messages, now)
            tries.remember(batch.fresh, messages, batch.outcomes)
        return batch

    def _one(self, message: Message, batch: _Batch, now: datetime, tries: Tries) -> Outcome:
        record = batch.records.get(message.record)
        if record is None:
            record = Record(message.record, message.subject or message.record, message.context)
            batch.records[message.record] = record
        if message.cause in record.causes:
            return Outcome(record)
        if record.broken:
            return Outcome(record, refused=NeverWill(record.broken))
        before = (record.version, record.state, record.sent, record.chain, record.size, record.key, len(record.fresh))
        try:
            decision = self._decide_one(record, message, now)
            for draft in decision.events:
                record.append(
                    draft, by=message.by, cause=message.cause, now=now, evolve=self.evolve, sealer=self.sealer
                )
        except NeedsHistory:
            batch.wanted.add(message.record)
            return Outcome(record)
        except NeverWill as reason:
            refused: NeverWill = reason
        except Exception as error:  # noqa: BLE001 - a bug must cost its message only, not the batch
            mine = (message.record, message.cause)
            refused = tries.bugs.get(mine) or self.bug(error, message.record, counts=tries.counts_bugs)
            tries.bugs[mine] = refused
        else:
            if not decision.events:
                batch.judged.add(message.record)
            return Outcome(record, fresh=bool(decision.events), reply=decision.reply)
        record.version, record.state, record.sent, record.chain, record.size, record.key, kept = before
        del record.fresh[kept:]
        record.causes.discard(message.cause)
        batch.judged.add(message.record)
        return Outcome(record, refused=refused)

    def bug(self, error: Exception, where: str, *, counts: bool = True) -> Bug:
        """Say and count an unexpected failure; the answer is the reason to set its message aside.

        What is only tried again does not count: whoever replays a thousand records must not stop the service.
        """
        self._log.error("bug", where=where, error=type(error).__name__, place=place_of(error))
        if not counts:
            return Bug(f"unexpected {type(error).__name__}")
        self._bugs.append(time.monotonic())
        if len(self._bugs) > BUGS_A_MINUTE and self._bugs[-1] - self._bugs[0] < timedelta(minutes=1).total_seconds():
            self._log.critical("stopping", reason=f"more than {BUGS_A_MINUTE} unexpected failures within a minute")
            self.broken.set()
        return Bug(f"unexpected {type(error).__name__}")

    async def _encode(self, batch: _Batch, messages: Sequence[Message], now: datetime) -> None:
        for number, record in enumerate(batch.fresh, 1):
            await breathe(number)
            try:
                batch.changes.append(self.store.change(record, now))
            except NeverWill as reason:
                events, record.fresh = record.fresh, []
                batch.judged.add(record.id)
                lost = {event.cause for event in events}
                for message, outcome in zip(messages, batch.outcomes, strict=True):
                    if message.record == record.id and message.cause in lost:
                        outcome.fresh, outcome.refused = False, reason

    def _count(self, outcomes: Sequence[Outcome], landed: Sequence[Record], source: Source, seconds: float) -> None:
        tally = dict.fromkeys(OUTCOMES, 0)
        for outcome in outcomes:
            kind = "refused" if outcome.refused else "new" if outcome.fresh else "repeated"
            tally[kind] += 1
        for kind, number in tally.items():
            if number:
                self._metrics.messages.labels(source, kind).inc(number)
        for event_type, number in Counter(e.type for record in landed for e in record.fresh).items():
            self._metrics.events.labels(event_type).inc(number)
        self._metrics.batch_seconds.labels(source).observe(seconds)
