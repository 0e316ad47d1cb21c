"""The whole system on one machine: mongod, Kafka, their topics, keys and tokens, and the three services."""

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pymongo
from aiokafka.errors import KafkaConnectionError, KafkaError
from pymongo.errors import PyMongoError

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.locks import locked
from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, choose_port
from deploy.local.processes import Child, stop_all, wait_until
from deploy.local.screen import SILENCE, Screen
from deploy.local.services import PORTS, Service
from deploy.local.topics import create_topics
from shared.failures import BadStart

if TYPE_CHECKING:
    from deploy.local.deployment import Deployment
    from deploy.local.keys import Keys

DATA = ROOT / ".rogatory" / "data"
OWN = ROOT / ".rogatory" / "own"
"""Keys and tokens where a server is somebody's own: its data outlive us, so nothing here is ever emptied."""

WEBHOOK_PORT = 8004
"""Where all webhooks go: whoever wants to see the notices listens there."""

_KAFKA_PORT, _MONGO_PORT = 19092, 27117


class Stack:
    """Starts everything in order when its block begins, stops everything in the opposite order when it ends."""

    deployment: "Deployment"
    webhook_port: int

    def __init__(
        self,
        folder: Path | None = None,
        *,
        services: Sequence[str] = tuple(PORTS),
        keep: bool = False,
        kafka: str | None = None,
        mongo: str | None = None,
        settings: Mapping[str, str] | None = None,
        screen: Screen = SILENCE,
    ) -> None:
        """Choose what will run; `kafka` and `mongo` are servers of one's own, `settings` go to every service."""
        has_own = kafka is not None or mongo is not None
        self.folder = folder or (OWN if has_own else DATA)
        self.logs, self.tokens = self.folder / "logs", self.folder / "tokens"
        self._keep, self._names, self._screen = keep or has_own, services, screen
        self._settings = settings or {}
        self.kafka_address, self.mongo_uri = kafka or "", mongo or ""
        self.kafka: Kafka | None = None
        self.mongo: Mongo | None = None
        self.services: dict[str, Service] = {}
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        """Start everything; if anything fails, or Ctrl-C comes, what has started is stopped again."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.stop()

    @property
    def keys(self) -> "Keys":
        """The keys of this run."""
        return self.deployment.keys

    @property
    def webhook_url(self) -> str:
        """Where notices by webhook are sent; the signature's secret is `keys.webhook_secret`."""
        return f"http://{HOST}:{self.webhook_port}/notices"

    @property
    def children(self) -> list[Child]:
        """Every process that we started."""
        servers = [child for server in (self.mongo, self.kafka) if server for child in server.children]
        return servers + [service.child for service in self.services.values() if service.child]

    def watch(self) -> None:
        """Stay until a process ends that should not, and raise saying which."""
        while True:
            for child in self.children:
                child.check()
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the services, then Kafka, then mongod; nothing is left running."""
        self._screen.wait("stopping")
        stop_all(service.child for service in self.services.values() if service.child)
        if self.kafka:
            self.kafka.stop()
        if self.mongo:
            self.mongo.stop()
        self._lock.close()

    def _start(self) -> None:
        self._lock.enter_context(locked(self.folder.with_name(f"{self.folder.name}.lock"), _refuse_second))
        if not self._keep and self.folder.exists():
            shutil.rmtree(self.folder)
        self._launch_servers()
        from deploy.local.deployment import Deployment  # takes a moment, in which the servers start

        self.deployment = Deployment.prepare(self.folder)
        self._launch_services()
        self._wait_for_servers()
        self._make_topics()
        self._wait_for_services()

    def _launch_servers(self) -> None:
        """Start both at once: each waits for its disk and for itself, not for the other."""
        if not self.mongo_uri:
            port = choose_port(_MONGO_PORT, self._screen)
            self.mongo = Mongo(self.folder / "mongo", port=port, logs=self.logs)
            self.mongo.launch()
            self.mongo_uri = self.mongo.uri
        if not self.kafka_address:
            port = choose_port(_KAFKA_PORT, self._screen)
            self.kafka = Kafka(self.folder / "kafka", port=port, logs=self.logs, screen=self._screen)
            self.kafka.launch()
            self.kafka_address = self.kafka.bootstrap

    def _launch_services(self) -> None:
        """Start them before their servers answer: they wait, as they do in production."""
        self.webhook_port = choose_port(WEBHOOK_PORT, self._screen)
        told = self.deployment.settings(self.kafka_address, self.mongo_uri, self.webhook_url) | dict(self._settings)
        for name, preferred in PORTS.items():
            service = Service(name, choose_port(preferred, self._screen), told, self.logs)
            service.write_environment(self.folder / "environment")
            if name in self._names:
                self.services[name] = service
                service.launch()

    def _wait_for_servers(self) -> None:
        self._screen.wait("MongoDB")
        if self.mongo:
            self.mongo.wait()
        else:
            _greet(self.mongo_uri)
        self._screen.wait("Kafka")
        if self.kafka:
            self.kafka.wait()

    def _make_topics(self) -> None:
        self._screen.wait(f"{len(self.deployment.topics)} topics")
        replication = self.kafka.replication if self.kafka else None
        try:
            asyncio.run(create_topics(self.kafka_address, self.deployment.topics, replication))
        except KafkaConnectionError:
            raise BadStart(f"no Kafka answers at {self.kafka_address}") from None
        except (KafkaError, TimeoutError) as failure:
            raise BadStart(f"Kafka at {self.kafka_address} does not make the topics: {failure!r}") from None

    def _wait_for_services(self) -> None:
        for name, service in self.services.items():
            self._screen.wait(name)
            others = [child for child in self.children if child is not service.child]
            wait_until(service.is_ready, f"{name}'s readiness", [*others, service.running()])


def _refuse_second() -> None:
    raise BadStart("Rogatory already runs from this folder: stop that one first (Ctrl-C)")


def _greet(uri: str) -> None:
    """Refuse a MongoDB of one's own that does not answer, without repeating its address: it may hold a password."""
    try:
        with pymongo.MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=5000) as client:
            client.admin.command("ping")
    except PyMongoError as failure:
        raise BadStart(f"the MongoDB that --mongo names does not answer: {type(failure).__name__}") from None
