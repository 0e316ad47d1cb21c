"""What one side does in one round: letters in, notices out, everything counted."""

import asyncio
import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.books import PATIENCE, Books, Measured
from benchmarks.cpu import Cpu
from benchmarks.ground import SERVICES, Ground, Side, hold
from benchmarks.letters import AGENCY, AUTHORITY, SUBSCRIBER, bodies
from benchmarks.pace import moments
from benchmarks.prepared import Out, Prepared, Preparer
from benchmarks.watch import Groups, Watch
from deploy.local.jars import ROOT
from shared import topics
from shared.vocabulary import Lane

RECEIVED, ANSWERS = topics.letters_received(Lane.NORMAL), topics.answers_to(AGENCY)
CASES, EVENTS = topics.cases_of(AUTHORITY, Lane.NORMAL), topics.case_events(Lane.NORMAL)
UPDATES, NOTICES = topics.updates_from(AUTHORITY, Lane.NORMAL), topics.notices_to(SUBSCRIBER)


@dataclass(frozen=True, slots=True)
class Seen:
    """One side in one round."""

    rate: float
    """Letters per second."""
    cpu: dict[str, float]
    """Microseconds per letter and process."""
    memory: dict[str, float] = field(default_factory=dict)
    """Megabytes by process when all is done (RSS)."""
    again: int = 0
    """Records that came more than once, where that may be."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from when something was sent until what follows from it came."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Posted:
    """What the load saw."""

    began: float
    ended: float
    cpu: float
    """Seconds of its own."""
    answered: Latency
    """From when a post was due until its answer."""


class Letters:
    """The letters of a run, `warm` ones and measured ones, with all that is made of them beforehand."""

    def __init__(self, ground: Ground, warm: int, count: int) -> None:
        preparer = Preparer(ground.keys.id_key, ground.keys.sealing_key, AGENCY)
        self.warm = warm
        prepared = Prepared()
        for name, number in (("warm", warm), ("run", count)):
            preparer.prepare(bodies(name, number), prepared, assigned=name == "warm")
        prepared.save(ground.steps)
        outs, cases = prepared.letters_out, prepared.cases
        self.said = prepared.said
        """What authorities say to the warm ones' cases."""
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

    def keys_in_order(self, name: str) -> list[bytes]:
        """Their own keys on `letters.received`."""
        return [out.key for out in self._outs[name]]


END_TO_END = Measured(
    SERVICES,
    posted=True,
    records={RECEIVED: 1, ANSWERS: 2, CASES: 1, EVENTS: 1, NOTICES: 1},
    collections=("letters", "cases", "notices"),
)
WITH_UPDATES = replace(
    END_TO_END, updates_per_second=20, records_of_other={UPDATES: 1, CASES: 1, EVENTS: 1, ANSWERS: 1}
)
"""20 updates of authorities a second come in beside the letters."""
BACKLOG = Measured(("router", "notifier"), {CASES: 1, EVENTS: 1, NOTICES: 1}, ("cases", "notices"))
ACCEPTED = Measured(("intake",), {RECEIVED: 1, ANSWERS: 1}, ("letters",), posted=True, until_last_notice=False)
INSERTED = Measured(("intake",), {}, ("letters",), posted=True, until_last_notice=False)


class Rounds:
    """Rounds of one key: each has fresh processes and an empty database, is warmed up, measured and checked."""

    def __init__(self, ground: Ground, letters: Letters, connections: int) -> None:
        self._ground, self._letters, self._connections = ground, letters, connections

    def run(self, side: Side, measured: Measured, count: int) -> Seen:
        """Measure so many letters."""
        with self.fresh(side, measured.services):
            return asyncio.run(self._run(side, measured, count))

    def go(self, side: Side, measured: Measured, count: int) -> None:
        """So many letters through processes that are up; what they leave stays until the block of `fresh` ends."""
        asyncio.run(self._run(side, measured, count))

    def run_latency(
        self, side: Side, rates: Mapping[float, int], arrive: Callable[[Letters, str], list[bytes]] | None = None
    ) -> dict[float, Latency]:
        """The router alone, letters at fixed rates: rate -> how many; `arrive`: by which keys, if not their cases'."""
        with self.fresh(side, ("router",)):
            return asyncio.run(self._run_latency(side, rates, arrive or Letters.cases_in_order))

    @contextmanager
    def fresh(self, side: Side, services: Sequence[str]) -> Iterator[None]:
        """New processes over an empty database, until the block ends."""
        side.empty()
        side.start(services)
        try:
            yield
        finally:
            side.stop()
            side.empty()

    def watch(self, side: Side, topic: str) -> Watch:
        """Who sees what one of its topics carries."""
        partitions = {side.topic(name): count for name, count in self._ground.deployment.topics.items()}
        return Watch(self._ground.kafka.bootstrap, side.topic(topic), partitions)

    async def _run(self, side: Side, measured: Measured, count: int) -> Seen:
        warm = self._letters.warm
        async with self.watch(side, NOTICES) as watch:
            books = Books(self._ground, side, measured, watch)
            await books.open()
            await self._until_shared(measured)
            await self._go(side, measured, watch, "warm", warm)
            await books.settle(warm)
            watch.forget()
            cpu = Cpu({**side.pids, **self._ground.pids})
            async with self._updates(side, measured, books):
                seconds, load = await self._go(side, measured, watch, "run", count)
            await books.settle(warm + count)
            used = cpu.microseconds_each(count)
            if measured.posted:
                used["load"] = round(load / count * 1e6, 1)
            memory = cpu.megabytes()
            await asyncio.sleep(0.3)
            return Seen(count / seconds, used, memory, await books.check(warm + count))

    async def _until_shared(self, measured: Measured) -> None:
        """Returns when as many of each service as there should be have shared out the work."""
        if measured.members:
            async with Groups(self._ground.kafka.bootstrap) as groups:
                beginnings = [f"rogatory-{service}-" for service in measured.services]
                await groups.shared_by(measured.members, beginnings, PATIENCE)

    async def _go(self, side: Side, measured: Measured, watch: Watch, name: str, count: int) -> tuple[float, float]:
        """Seconds from the first letter to the end, and the CPU seconds of who posted them."""
        if measured.posted:
            posted = await self.post(side, name, count, self._connections)
            began, ended, cpu = posted.began, posted.ended, posted.cpu
        else:
            hold(side, True)
            try:
                await self.file(side, self._letters.outs(name, count))
            finally:
                began, ended, cpu = time.monotonic(), 0.0, 0.0
                hold(side, False)
        if measured.until_last_notice:
            cases = self._letters.cases(name, count)
            ended = await watch.until(cases, PATIENCE, may_repeat=measured.members > 1)
        return ended - began, cpu

    async def post(
        self, side: Side, name: str, count: int, connections: int, rate: float = 0, urgency: str = "normal"
    ) -> Posted:
        """Post from a process of its own; `rate`: a second, at their moments (`pace`); 0: as fast as answers come."""
        ports = ",".join(map(str, side.ports))
        arguments = (ports, self._ground.token, name, count, min(connections, count), rate, urgency)
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
        return Posted(told["began"], told["ended"], told["cpu"], Latency(told["p50_ms"], told["p99_ms"]))

    async def file(self, side: Side, outs: Sequence[Out]) -> None:
        """Put records on their topic at once, as intake puts letters."""
        async with self.producer(max_batch_size=1_000_000, linger_ms=5) as producer:
            await asyncio.gather(*[await send(producer, side, out) for out in outs])

    @asynccontextmanager
    async def _updates(self, side: Side, measured: Measured, books: Books) -> AsyncIterator[None]:
        """Until the block ends, the cases of the warm letters get officers one by one, as long as there are any."""
        ended = asyncio.Event()

        async def say() -> None:
            began = time.monotonic()
            async with self.producer() as producer:
                for number, out in enumerate(self._letters.said if measured.updates_per_second else ()):
                    wait = began + number / measured.updates_per_second - time.monotonic()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), max(0.0, wait))
                    if ended.is_set():
                        return
                    await send(producer, side, out)
                    books.others += 1

        saying = asyncio.create_task(say())
        try:
            yield
        finally:
            ended.set()
            await saying

    @asynccontextmanager
    async def producer(self, **options: int) -> AsyncIterator[AIOKafkaProducer]:
        """Who sends, until the block ends."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._ground.kafka.bootstrap, acks="all", enable_idempotence=True, **options
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _run_latency(
        self, side: Side, rates: Mapping[float, int], arrive: Callable[[Letters, str], list[bytes]]
    ) -> dict[float, Latency]:
        async with self.watch(side, CASES) as watch:
            await self.file(side, self._letters.outs("warm", self._letters.warm))
            await watch.until(set(arrive(self._letters, "warm")), PATIENCE)
            seen, at, keys = {}, 0, arrive(self._letters, "run")
            for rate, count in rates.items():
                watch.forget()
                seen[rate] = await self._at_rate(side, watch, rate, at, keys[at : at + count])
                at += count
            return seen

    async def _at_rate(self, side: Side, watch: Watch, rate: float, start: int, keys: Sequence[bytes]) -> Latency:
        outs = self._letters.outs("run", start + len(keys))[start:]
        left = await self.send_at_rate(side, outs, rate, start)
        await watch.until(set(keys), PATIENCE)
        return latency(watch.at[key] - since for key, since in zip(keys, left, strict=True))

    async def send_at_rate(self, side: Side, outs: Sequence[Out], rate: float, seed: int) -> list[float]:
        """When each left: open loop, each at its moment (`pace`)."""
        sent, left = [], []
        began = time.monotonic() + 0.5
        async with self.producer() as producer:
            for moment, out in zip(moments(rate, len(outs), seed), outs, strict=True):
                await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
                left.append(time.monotonic())
                sent.append(await send(producer, side, out))
            await asyncio.gather(*sent)
        return left


def latency(seconds: Iterable[float]) -> Latency:
    """The latency of so many waits."""
    waited = sorted(one * 1e3 for one in seconds)
    return Latency(statistics.median(waited), waited[min(len(waited) - 1, len(waited) * 99 // 100)])


async def send(producer: AIOKafkaProducer, side: Side, out: Out) -> asyncio.Future[Any]:
    """Hand one record to the producer."""
    return await producer.send(side.topic(out.topic), out.value, out.key, partition=out.partition, headers=out.headers)  # type: ignore[no-any-return]


async def _talk(process: asyncio.subprocess.Process) -> Any:
    """Wait until the load is ready, let it go, and read what it saw."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n", "the load did not become ready"
    process.stdin.write(b"go\n")
    told = json.loads(await process.stdout.readline())
    await process.wait()
    return told
