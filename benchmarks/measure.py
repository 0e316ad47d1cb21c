"""What one side does in one round: letters in, notices out, everything counted."""

import asyncio
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.cpu import Cpu
from benchmarks.ground import SERVICES, Ground, Side, hold
from benchmarks.letters import AGENCY, AUTHORITY, SUBSCRIBER, bodies
from benchmarks.prepared import Out, Prepared, Preparer
from benchmarks.watch import Watch
from deploy.local.jars import ROOT
from shared import topics
from shared.vocabulary import Lane

RECEIVED, ANSWERS = topics.letters_received(Lane.NORMAL), topics.answers_to(AGENCY)
CASES, EVENTS = topics.cases_of(AUTHORITY, Lane.NORMAL), topics.case_events(Lane.NORMAL)
NOTICES = topics.notices_to(SUBSCRIBER)
PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One side in one round."""

    rate: float
    """Letters per second."""
    cpu: dict[str, float]
    """Microseconds per letter and process."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the letter's topic to the authority's."""

    p50: float
    p99: float


class Letters:
    """The letters of a run, `warm` ones and measured ones, with all that is made of them beforehand."""

    def __init__(self, ground: Ground, warm: int, count: int) -> None:
        preparer = Preparer(ground.keys.id_key, ground.keys.sealing_key, AGENCY)
        self.warm = warm
        prepared = Prepared()
        for name, number in (("warm", warm), ("run", count)):
            preparer.prepare(bodies(name, number), prepared)
        prepared.save(ground.steps)
        outs, cases = prepared.letters_out, list(prepared.raisings)
        self._outs = {"warm": outs[:warm], "run": outs[warm:]}
        self._cases = {"warm": cases[:warm], "run": cases[warm:]}
        del prepared
        gc.collect()
        gc.freeze()

    def outs(self, name: str, count: int) -> list[Out]:
        """The first of them as they lie on `letters.received`."""
        return self._outs[name][:count]

    def cases(self, name: str, count: int) -> set[bytes]:
        """The ids of their cases."""
        return set(self.cases_in_order(name)[:count])

    def cases_in_order(self, name: str) -> list[bytes]:
        """The same, in the order of the letters."""
        return self._cases[name]


@dataclass(frozen=True, slots=True)
class Measured:
    """One thing to measure: the services that run, how letters come, what must have come of each."""

    services: Sequence[str]
    posted: bool
    """By HTTP; otherwise they lie ready on the topic."""
    records: Mapping[str, int]
    """Topic -> records per letter."""
    collections: Sequence[str]
    """Each holds one document per letter."""
    until_last_notice: bool = True
    """Otherwise the last answer is the end."""


END_TO_END = Measured(
    SERVICES,
    posted=True,
    records={RECEIVED: 1, ANSWERS: 2, CASES: 1, EVENTS: 1, NOTICES: 1},
    collections=("letters", "cases", "notices"),
)
BACKLOG = Measured(
    ("router", "notifier"),
    posted=False,
    records={CASES: 1, EVENTS: 1, NOTICES: 1},
    collections=("cases", "notices"),
)
ACCEPTED = Measured(
    ("intake",), posted=True, records={RECEIVED: 1, ANSWERS: 1}, collections=("letters",), until_last_notice=False
)
INSERTED = Measured(("intake",), posted=True, records={}, collections=("letters",), until_last_notice=False)


class Rounds:
    """Rounds of one key: each has fresh processes and an empty database, is warmed up, measured and checked."""

    def __init__(self, ground: Ground, letters: Letters, connections: int) -> None:
        self._ground, self._letters, self._connections = ground, letters, connections

    def run(self, side: Side, measured: Measured, count: int) -> Seen:
        """Measure so many letters."""
        with self._fresh(side, measured.services):
            return asyncio.run(self._run(side, measured, count))

    def run_latency(self, side: Side, rates: Mapping[float, int]) -> dict[float, Latency]:
        """The router alone, letters at fixed rates: rate -> how many."""
        with self._fresh(side, ("router",)):
            return asyncio.run(self._run_latency(side, rates))

    @contextmanager
    def _fresh(self, side: Side, services: Sequence[str]) -> Iterator[None]:
        self._ground.client.drop_database(side.name)
        side.start(services)
        try:
            yield
        finally:
            side.stop()
            self._ground.client.drop_database(side.name)

    def _watch(self, side: Side, topic: str) -> Watch:
        partitions = {side.topic(name): count for name, count in self._ground.deployment.topics.items()}
        return Watch(self._ground.kafka.bootstrap, side.topic(topic), partitions)

    async def _run(self, side: Side, measured: Measured, count: int) -> Seen:
        warm = self._letters.warm
        async with self._watch(side, NOTICES) as watch:
            books = _Books(self._ground, side, measured, watch)
            await books.open()
            await self._go(side, measured, watch, "warm", warm)
            await books.settle(warm)
            watch.forget()
            cpu = Cpu({**side.pids, **self._ground.pids})
            seconds, load = await self._go(side, measured, watch, "run", count)
            await books.settle(warm + count)
            used = cpu.microseconds_each(count)
            if measured.posted:
                used["load"] = round(load / count * 1e6, 1)
            await asyncio.sleep(0.3)
            await books.check(warm + count)
            return Seen(count / seconds, used)

    async def _go(self, side: Side, measured: Measured, watch: Watch, name: str, count: int) -> tuple[float, float]:
        """Seconds from the first letter to the end, and the CPU seconds of who posted them."""
        if measured.posted:
            began, ended, cpu = await self._post(side, name, count)
        else:
            hold(side, True)
            try:
                await self._file(side, self._letters.outs(name, count))
            finally:
                began, ended, cpu = time.monotonic(), 0.0, 0.0
                hold(side, False)
        if measured.until_last_notice:
            ended = await watch.until(self._letters.cases(name, count), PATIENCE)
        return ended - began, cpu

    async def _post(self, side: Side, name: str, count: int) -> tuple[float, float, float]:
        """Post from a process of its own: when it began, when it ended, its CPU seconds."""
        arguments = (side.port, self._ground.token, name, count, min(self._connections, count))
        command = (sys.executable, "-m", "benchmarks.load", *map(str, arguments))
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            told = await asyncio.wait_for(_talk(process), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
        assert told["statuses"] == {"202": count}, f"{side.name} answered {told['statuses']}"
        return told["began"], told["ended"], told["cpu"]

    async def _file(self, side: Side, outs: Sequence[Out]) -> None:
        """Put letters on their topic, as intake does."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._ground.kafka.bootstrap,
            acks="all",
            enable_idempotence=True,
            max_batch_size=1_000_000,
            linger_ms=5,
        )
        await producer.start()
        try:
            topic, sent = side.topic(RECEIVED), []
            for out in outs:
                sent.append(
                    await producer.send(topic, out.value, out.key, partition=out.partition, headers=out.headers)
                )
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def _run_latency(self, side: Side, rates: Mapping[float, int]) -> dict[float, Latency]:
        async with self._watch(side, CASES) as watch:
            await self._file(side, self._letters.outs("warm", self._letters.warm))
            await watch.until(self._letters.cases("warm", self._letters.warm), PATIENCE)
            seen, at = {}, 0
            for rate, count in rates.items():
                watch.forget()
                seen[rate] = await self._at_rate(side, watch, rate, at, count)
                at += count
            return seen

    async def _at_rate(self, side: Side, watch: Watch, rate: float, start: int, count: int) -> Latency:
        """Open loop: each letter leaves within its own slot, at a chance place, so that no timer runs in step."""
        outs = self._letters.outs("run", start + count)[start:]
        cases = self._letters.cases_in_order("run")[start : start + count]
        producer = AIOKafkaProducer(bootstrap_servers=self._ground.kafka.bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        chance, topic, sent, left = random.Random(start), side.topic(RECEIVED), [], {}
        began = time.monotonic() + 0.5
        try:
            for number, (out, case) in enumerate(zip(outs, cases, strict=True)):
                await asyncio.sleep(max(0.0, began + (number + chance.random()) / rate - time.monotonic()))
                left[case] = time.monotonic()
                sent.append(
                    await producer.send(topic, out.value, out.key, partition=out.partition, headers=out.headers)
                )
            await asyncio.gather(*sent)
            await watch.until(set(cases), PATIENCE)
        finally:
            await producer.stop()
        waited = sorted((watch.at[case] - since) * 1e3 for case, since in left.items())
        return Latency(statistics.median(waited), waited[min(len(waited) - 1, len(waited) * 99 // 100)])


class _Books:
    """What must have come of the letters: records on topics, documents, nothing unsent, nothing twice."""

    def __init__(self, ground: Ground, side: Side, measured: Measured, watch: Watch) -> None:
        self._database, self._side = ground.client[side.name], side
        self._measured, self._watch = measured, watch
        self._start: dict[str, int] = {}

    async def open(self) -> None:
        """Note how many records there are before."""
        self._start = {topic: await self._watch.records(self._side.topic(topic)) for topic in self._measured.records}

    async def settle(self, count: int) -> None:
        """Wait until all work on so many letters is done, also what comes after the last notice."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            written = await self._written()
            enough = all(written[topic] >= each * count for topic, each in self._measured.records.items())
            if enough and not any(map(self._unsent, self._measured.collections)):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self._side.name} did not finish {count} letters: {await self._written()}")

    async def check(self, count: int) -> None:
        """Raise unless exactly the right number of records and documents is there."""
        written = await self._written()
        wanted = {topic: each * count for topic, each in self._measured.records.items()}
        assert written == wanted, f"{self._side.name}: {written} records instead of {wanted}"
        for name in self._database.list_collection_names():
            found, wanted_here = self._database[name].count_documents({}), count * (name in self._measured.collections)
            assert found == wanted_here, f"{self._side.name}: {found} {name} instead of {wanted_here}"

    async def _written(self) -> dict[str, int]:
        return {
            topic: await self._watch.records(self._side.topic(topic)) - start for topic, start in self._start.items()
        }

    def _unsent(self, collection: str) -> int:
        return self._database[collection].count_documents({"unsent_since": {"$exists": True}}, limit=1)


async def _talk(process: asyncio.subprocess.Process) -> Any:
    """Wait until the load is ready, let it go, and read what it saw."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n", "the load did not become ready"
    process.stdin.write(b"go\n")
    told = json.loads(await process.stdout.readline())
    await process.wait()
    return told
