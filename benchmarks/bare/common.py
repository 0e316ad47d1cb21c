"""What the three bare processes have in common: one consumer loop, one sender, one MongoDB collection each."""

import asyncio
import contextlib
import gc
import math
import os
import pickle
import random
import signal
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from itertools import zip_longest
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import IndexModel, ReadPreference, UpdateMany, UpdateOne, WriteConcern
from pymongo.read_concern import ReadConcern

from benchmarks.prepared import Heard, Out, Step, Steps
from shared import times
from shared.mongo import SAFE
from shared.records import HEAD

KAFKA, DATABASE = os.environ["BENCH_KAFKA"], os.environ["BENCH_DATABASE"]
AT_ONCE = 500
"""Records in one batch, as ours."""
_COMMITTED_EVERY = 1.0
"""Seconds, as ours."""
_TAKEN = 1_000
_RAW = CodecOptions(document_class=RawBSONDocument)
_UNSENT = IndexModel([("unsent_since", 1)], name="unsent", partialFilterExpression={"unsent_since": {"$exists": True}})


def load_steps(service: str) -> Any:
    """The prepared steps of one service, out of the garbage collector's sight."""
    with open(f"{os.environ['BENCH_PREPARED']}/{service}.pickle", "rb") as file:
        steps = pickle.load(file)
    gc.collect()
    gc.freeze()
    return steps


def topic_of(name: str) -> str:
    """This side's own topic in place of one of ours."""
    return f"{DATABASE}.{name}"


class Collection:
    """One collection: a majority read, writes by majority and journal, marks by neither."""

    def __init__(self, name: str) -> None:
        client: Any = AsyncIOMotorClient(os.environ["BENCH_MONGO"], tz_aware=True)
        self._safe: Any = client[DATABASE][name].with_options(
            _RAW, ReadPreference.PRIMARY, SAFE, ReadConcern("majority")
        )
        self._marks: Any = self._safe.with_options(write_concern=WriteConcern(1))

    async def prepare(self, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Make the indexes that ours has."""
        await self._safe.create_indexes([_UNSENT, *(IndexModel(**index) for index in indexes)])

    async def read(self, steps: Sequence[Step]) -> None:
        """Read the heads of a batch."""
        query, count = {"_id": {"$in": [step.id for step in steps]}}, len(steps)
        await self._safe.find(query, HEAD, limit=count, batch_size=count + 1).to_list(None)

    async def due(self, limit: int, *, many: bool) -> list[str]:
        """The ids of cases with a clock that is due, read as ours reads them: half of the later pages from anywhere."""
        query: dict[str, Any] = {"next_due": {"$lte": times.text_of(times.now())}, "_id": {"$nin": []}}
        skip = 0
        if many and random.random() < 0.5:
            beyond = await self._safe.count_documents(query, limit=limit * 20, hint="due") - limit
            skip = random.randrange(beyond + 1) if beyond > 0 else 0
        cursor = self._safe.find(
            query, {"next_due": 1, "state.clocks": 1}, limit=limit, skip=skip, batch_size=limit + 1
        )
        return [found["_id"] for found in await cursor.sort([("next_due", 1)]).to_list(None)]

    async def insert(self, steps: Sequence[Step]) -> None:
        """Write new records."""
        await self._safe.insert_many([RawBSONDocument(step.insert) for step in steps if step.insert], ordered=False)

    async def update(self, steps: Sequence[Step]) -> None:
        """Write guarded updates, and see that all landed."""
        changes = [
            UpdateOne(
                {"_id": step.id, "version": step.guard},
                {name: RawBSONDocument(part) for name, part in (step.update or {}).items()},
            )
            for step in steps
        ]
        result = await self._safe.bulk_write(changes, ordered=False)
        assert result.matched_count == len(changes)

    async def mark(self, steps: Sequence[Step]) -> None:
        """Note what was sent, once per version."""
        by_version: dict[int, list[str]] = {}
        for step in steps:
            by_version.setdefault(step.version, []).append(step.id)
        marks = [
            UpdateMany({"_id": {"$in": ids}, "version": v}, {"$set": {"published": v}, "$unset": {"unsent_since": ""}})
            for v, ids in by_version.items()
        ]
        await self._marks.bulk_write(marks, ordered=False)


class Sender:
    """Sends steps wave by wave in whole batches to known partitions, then marks."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._queue: deque[Step] = deque()
        self._fed = asyncio.Event()
        self._mark: asyncio.Task[None] | None = None

    def feed(self, steps: Sequence[Step]) -> None:
        """Take steps to be sent."""
        self._queue.extend(steps)
        self._fed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        producer = AIOKafkaProducer(
            bootstrap_servers=KAFKA, acks="all", enable_idempotence=True, max_batch_size=1_000_000
        )
        await producer.start()
        try:
            while True:
                await self._fed.wait()
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), _TAKEN))]
                if not self._queue:
                    self._fed.clear()
                for wave in zip_longest(*(step.waves for step in taken), fillvalue=()):
                    await _send(producer, [out for outs in wave for out in outs])
                if self._mark:
                    await self._mark
                self._mark = asyncio.create_task(self._collection.mark(taken))
        finally:
            await producer.stop()


async def _send(producer: AIOKafkaProducer, outs: Sequence[Out]) -> None:
    places: dict[tuple[str, int], list[Out]] = {}
    for out in outs:
        places.setdefault((out.topic, out.partition), []).append(out)
    sent = []
    for (topic, partition), group in places.items():
        batch = producer.create_batch()
        for out in group:
            if batch.append(key=out.key, value=out.value, timestamp=None, headers=out.headers) is None:
                sent.append(await producer.send_batch(batch, topic_of(topic), partition=partition))
                batch = producer.create_batch()
                batch.append(key=out.key, value=out.value, timestamp=None, headers=out.headers)
        sent.append(await producer.send_batch(batch, topic_of(topic), partition=partition))
    for future in sent:
        await future


async def consume(
    topic: str,
    group: str,
    steps: Steps,
    collection: Collection,
    sender: Sender,
    *,
    updates: bool = False,
) -> None:
    """Read, write, send and commit batches of one topic until cancelled."""
    async with aclosing(batches(topic, group)) as all_heard:
        async for heard in all_heard:
            # What follows from nothing is only committed.
            if batch := [steps[one] for one in heard if one in steps]:
                await collection.read(batch)
                await (collection.update(batch) if updates else collection.insert(batch))
                sender.feed(batch)


async def batches(topic: str, group: str) -> AsyncGenerator[list[Heard]]:
    """What is heard on a topic; once a second it is committed how far whoever asks for the next batch has come."""
    consumer = AIOKafkaConsumer(
        topic_of(topic),
        bootstrap_servers=KAFKA,
        group_id=group,
        group_instance_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=15_000,
        heartbeat_interval_ms=1_000,
    )
    await consumer.start()
    last, is_behind = -math.inf, False
    try:
        while True:
            if is_behind and time.monotonic() - last > _COMMITTED_EVERY:
                await consumer.commit()
                last, is_behind = time.monotonic(), False
            found = await consumer.getmany(timeout_ms=1_000, max_records=AT_ONCE)
            heard = [(record.key or b"", record.headers[1][1]) for records in found.values() for record in records]
            if heard:
                yield heard
                is_behind = True
    finally:
        await consumer.stop()


def start(main: Callable[[], Awaitable[None]]) -> None:
    """Run a process until SIGTERM; a task that fails ends it."""
    uvloop.run(_until_stopped(main))


async def _until_stopped(main: Callable[[], Awaitable[None]]) -> None:
    whole = asyncio.ensure_future(main())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await whole
