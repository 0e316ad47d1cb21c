"""The ground: one mongod and one Kafka for the whole run, and the sides that are measured on them, one at a time."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import pymongo
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.letters import AGENCY
from deploy.local.deployment import Deployment
from deploy.local.jars import CACHE, ROOT
from deploy.local.java import java
from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from deploy.local.ports import free_ports, is_free
from deploy.local.processes import Child, stop_all, wait_until
from deploy.local.topics import create_topics

SERVICES = ("intake", "router", "notifier")
_WARM = "warm.v1"


class Side(Protocol):
    """One of two that are compared."""

    name: str
    """Also its database, and before its topics (ours has none there)."""

    @property
    def ports(self) -> Sequence[int]:
        """Where it takes letters."""

    def start(self, services: Sequence[str]) -> None:
        """Start these processes."""

    def stop(self) -> None:
        """Stop them."""

    def empty(self) -> None:
        """Leave nothing of a round in its database."""

    def topic(self, name: str) -> str:
        """Its own topic in place of one of ours."""

    @property
    def pids(self) -> Mapping[str, int]:
        """Its processes by service."""


class Ground:
    """The servers of one run; they start and stop with the block."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.logs, self.steps = folder, folder / "logs", folder / "steps"
        self.mongo = Mongo(folder / "mongo", logs=self.logs)
        # The JVM with all its compilers: the quick one of `make run` runs at three quarters of the speed.
        self.kafka = Kafka(folder / "kafka", logs=self.logs, jvm=())
        self.ours = folder / "ours"
        self.deployment = Deployment.prepare(self.ours)
        self.keys, self.token = self.deployment.keys, self.ours / "tokens" / f"{AGENCY}.jwt"

    def __enter__(self) -> Self:
        """Start the servers."""
        self.mongo.launch()
        self.kafka.launch()
        self.mongo.wait()
        self.kafka.wait()
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.mongo.uri)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self.client.close()
        self.kafka.stop()
        self.mongo.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The servers and we, who watch."""
        return {"mongod": self.mongo.children[0].pid, "kafka": self.kafka.children[0].pid, "watch": os.getpid()}

    def servers(self) -> dict[str, str]:
        """What the servers and the machine are."""
        mongod = str(self.client.server_info()["version"])
        return {"kafka": CACHE.name.removeprefix("kafka-"), "mongod": mongod, "java": java().version} | {
            "cores": str(os.cpu_count())
        }

    @contextmanager
    def cache(self, gigabytes: int) -> Iterator[None]:
        """Let mongod keep so much in memory until the block ends."""
        admin = self.client.admin
        before = admin.command("serverStatus")["wiredTiger"]["cache"]["maximum bytes configured"]
        admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=f"cache_size={gigabytes}G")
        try:
            yield
        finally:
            admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=f"cache_size={before}")

    def make_topics(self, topics: Mapping[str, int]) -> None:
        """Make what else a side needs."""
        asyncio.run(create_topics(self.kafka.bootstrap, topics))

    def clear(self, sides: Sequence[Side]) -> None:
        """Empty topics and no databases: what one key leaves behind must not reach the next."""
        for side in sides:
            self.client.drop_database(side.name)
        asyncio.run(
            self._new_topics(
                {side.topic(name): count for side in sides for name, count in self.deployment.topics.items()}
            )
        )

    async def _new_topics(self, topics: Mapping[str, int]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        await admin.start()
        try:
            old = topics.keys() & set(await admin.list_topics())
            if old:
                await admin.delete_topics(sorted(old))
            while topics.keys() & set(await admin.list_topics()):  # noqa: ASYNC110 - Kafka tells nobody when
                await asyncio.sleep(0.05)
        finally:
            await admin.close()
        await create_topics(self.kafka.bootstrap, topics)

    def warm(self, seconds: float) -> None:
        """Let the JVM compile what it does all day: a cold broker slows the faster side more and flatters a ratio."""
        asyncio.run(self._warm(seconds))

    async def _warm(self, seconds: float) -> None:
        await create_topics(self.kafka.bootstrap, {_WARM: 6})
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap, acks="all", enable_idempotence=True)
        consumer = AIOKafkaConsumer(_WARM, bootstrap_servers=self.kafka.bootstrap, group_id="warm")
        await producer.start()
        await consumer.start()
        end = time.monotonic() + seconds

        async def write(partition: int) -> None:
            while time.monotonic() < end:
                await producer.send_and_wait(_WARM, b"w" * 1_000, partition=partition)

        async def read() -> None:
            while time.monotonic() < end:
                await consumer.getmany(timeout_ms=100, max_records=500)
                await consumer.commit()

        await asyncio.gather(*(write(partition) for partition in range(6)), read())
        await producer.stop()
        await consumer.stop()


class Modules:
    """A side made of modules in `benchmarks/`."""

    def __init__(self, ground: Ground, name: str, modules: Mapping[str, str]) -> None:
        self.name, self._ground, self._modules = name, ground, modules
        self.ports: list[int] = []
        self._children: dict[str, Child] = {}

    def start(self, services: Sequence[str]) -> None:
        """Start these, and wait for the port of the one that takes letters."""
        self.ports = free_ports(1)
        ground = self._ground
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROGATORY_")} | {
            "PYTHONPATH": str(ROOT),
            "BENCH_KAFKA": ground.kafka.bootstrap,
            "BENCH_MONGO": ground.mongo.uri,
            "BENCH_DATABASE": self.name,
            "BENCH_PREPARED": str(ground.steps),
            "BENCH_ID_KEY": ground.keys.id_key,
            "BENCH_JWKS": str(ground.deployment.jwks),
            "BENCH_PORT": str(*self.ports),
            # Motor's ten threads for two cores would hold back whoever has one call per request.
            "MOTOR_MAX_WORKERS": "64",
        }
        for name in services:
            command = [sys.executable, "-m", self._modules[name]]
            self._children[name] = Child(
                f"{self.name} {name}", command, ground.logs / f"{self.name}-{name}.log", environment
            )
        if "intake" in services:
            wait_until(lambda: not is_free(*self.ports), f"the start of {self.name}", list(self._children.values()))

    def stop(self) -> None:
        """Stop them."""
        stop_all(self._children.values())
        self._children = {}

    def empty(self) -> None:
        """Drop its database."""
        self._ground.client.drop_database(self.name)

    def topic(self, name: str) -> str:
        """The side's name before the topic's."""
        return f"{self.name}.{name}"

    @property
    def pids(self) -> Mapping[str, int]:
        """The modules' processes."""
        return {name: child.pid for name, child in self._children.items()}


def bare(ground: Ground) -> Modules:
    """The bare loop."""
    return Modules(ground, "bare", {name: f"benchmarks.bare.{name}" for name in SERVICES})


def bare_updates(ground: Ground) -> Modules:
    """The bare loop's router where only updates come."""
    return Modules(ground, "bare", {"router": "benchmarks.bare.updates"})


def bare_clocks(ground: Ground) -> Modules:
    """The bare loop's router where only clocks ring."""
    return Modules(ground, "bare", {"router": "benchmarks.bare.clocks"})


def bare_notices(ground: Ground) -> Modules:
    """The bare notifier of webhooks: insert, post, mark."""
    return Modules(ground, "bare", {"notifier": "benchmarks.bare.notices"})


def direct(ground: Ground) -> Modules:
    """From Kafka to the webhooks, and nothing kept."""
    return Modules(ground, "direct", {"notifier": "benchmarks.bare.direct"})


def naive(ground: Ground) -> Modules:
    """The naive pipeline."""
    return Modules(ground, "naive", {name: f"benchmarks.naive.{name}" for name in SERVICES})


def insert_one(ground: Ground) -> Modules:
    """One `insert_one` a request."""
    return Modules(ground, "insert_one", {"intake": "benchmarks.insert_one"})


def hold(side: Side, held: bool) -> None:
    """Stop a side's processes where they are, or let them go on."""
    for pid in side.pids.values():
        os.kill(pid, signal.SIGSTOP if held else signal.SIGCONT)
