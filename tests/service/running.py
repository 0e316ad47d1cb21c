"""Our services as real processes on the run's Kafka and mongod; what tests say to them, and what they hear."""

import asyncio
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import httpx
import pymongo
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.jars import ROOT
from deploy.local.keys import AUDIENCE, ISSUER, Keys
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import stop_all, wait_until
from deploy.local.services import Service
from deploy.local.topics import create_topics
from shared.events import LETTER_RECEIVED, schema_of
from shared.ids import Ids
from shared.law import load_law
from shared.mongo import Mongo as Database
from shared.partners import load_partners
from shared.sealing import Sealer
from shared.topics import all_topics
from tests.servers import listening

Document = dict[str, Any]
Headers = list[tuple[str, bytes | None]]

AGENCY = "contact-point"
PATIENCE = 40.0
"""Seconds after which something that should have happened has not."""
SERVICES = ("intake", "router", "notifier")


@dataclass(frozen=True)
class Taken:
    """One request that a webhook receiver got."""

    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def data(self) -> dict[str, Any]:
        """The notice."""
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data


class Receiver:
    """The duty officers' own system: takes webhooks, and answers as it was told, otherwise 204."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._answers: dict[str, deque[tuple[int, dict[str, str]]]] = defaultdict(deque)
        [self.port] = free_ports(1)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}/notices"

    def will_answer(self, about: str, *answers: tuple[int, dict[str, str]]) -> None:
        """What it answers, one after the other, to notices about one case."""
        self._answers[about].extend(answers)

    def about(self, case: str) -> list[Taken]:
        """Every request about one case, in the order in which they came."""
        return [one for one in self.taken if one.data["about"] == case]

    async def _take(self, request: Request) -> Response:
        taken = Taken(dict(request.headers), await request.body())
        self.taken.append(taken)
        answers = self._answers[taken.data["about"]]
        status, headers = answers.popleft() if answers else (204, {})
        return Response(status_code=status, headers=headers)

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Serve in a thread, so that a test that computes keeps nobody waiting."""
        app = Starlette(routes=[Route("/notices", self._take, methods=["POST"])])
        config = uvicorn.Config(app, host=HOST, port=self.port, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the webhook receiver's start", [])
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(10)


def _client() -> httpx.AsyncClient:
    """A client for loopback: one that reads no root certificates, which takes 30 ms."""
    return httpx.AsyncClient(timeout=PATIENCE, verify=False)


@dataclass
class System:
    """Some of our services, the database that they work on, and the keys that they know."""

    kafka: str
    mongo: str
    database: str
    keys: Keys
    folder: Path
    receiver: Receiver
    services: dict[str, Service] = field(default_factory=dict)

    @cached_property
    def ids(self) -> Ids:
        """The ids as this deployment makes them."""
        return Ids(bytes.fromhex(self.keys.id_key))

    @cached_property
    def sealer(self) -> Sealer:
        """Opens what this deployment sealed."""
        return Sealer(bytes.fromhex(self.keys.sealing_key))

    @cached_property
    def settings(self) -> dict[str, str]:
        """What every service is told."""
        webhooks = {"duty-officers": {"url": self.receiver.url, "secret": self.keys.webhook_secret}}
        return {
            "ROGATORY_KAFKA": self.kafka,
            "ROGATORY_MONGO": self.mongo,
            "ROGATORY_DATABASE": self.database,
            "ROGATORY_ID_KEY": self.keys.id_key,
            "ROGATORY_SEALING_KEY": self.keys.sealing_key,
            "ROGATORY_CHECKPOINT_KEY": self.keys.checkpoint_key,
            "ROGATORY_CHECKPOINT_EVERY": "2",
            "ROGATORY_PARTNERS": str(ROOT / "partners.yaml"),
            "ROGATORY_ALERTS": str(ROOT / "alerts.yaml"),
            "ROGATORY_ROSTER": str(ROOT / "roster.yaml"),
            "ROGATORY_PEOPLE_BY_LOG": "true",
            "ROGATORY_LIFE_CYCLE": str(ROOT / "life-cycle.yaml"),
            "ROGATORY_LAW_ASSUMPTIONS": str(ROOT / "laws" / "assumptions" / "in-force.yaml"),
            "ROGATORY_JWKS": str(self.folder / "jwks.json"),
            "ROGATORY_TOKEN_ISSUER": ISSUER,
            "ROGATORY_TOKEN_AUDIENCE": AUDIENCE,
            "ROGATORY_WEBHOOKS": json.dumps(webhooks),
            "ROGATORY_WEBHOOKS_ALLOW_HTTP": "true",
        }

    def launch(self, *names: str) -> None:
        """Start services without waiting for them."""
        for name, port in zip(names, free_ports(len(names)), strict=True):
            self.services[name] = Service(name, port, self.settings, self.folder / "logs")
            self.services[name].launch()

    def wait(self, *names: str) -> None:
        """Wait until services are ready and consume."""
        for name in names:
            service = self.services[name]
            child = [service.child] if service.child else []
            wait_until(service.is_ready, f"{name}'s readiness", child)
            wait_until(partial(self.has_said, name, "consuming"), f"{name}'s consumers", child)

    def stop(self) -> None:
        """Stop every service."""
        stop_all(service.child for service in self.services.values() if service.child)

    def log(self, name: str) -> str:
        """All that a service ever printed."""
        child = self.services[name].child
        return child.log.read_text() if child else ""

    def said(self, name: str, event: str) -> list[dict[str, Any]]:
        """The facts of one kind in a service's log."""
        lines = [json.loads(line) for line in self.log(name).splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def has_said(self, name: str, event: str) -> bool:
        """Whether a service has logged a fact."""
        return bool(self.said(name, event))

    def url(self, name: str, path: str) -> str:
        """An address at a service."""
        return self.services[name].url + path

    async def metrics(self, name: str) -> dict[str, float]:
        """What a service counts, by name and labels as Prometheus writes them: `name{label=value}`."""
        async with _client() as client:
            page = (await client.get(self.url(name, "/metrics"))).raise_for_status().text
        found = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = ",".join(f"{label}={value}" for label, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def bearer(self, agency: str = AGENCY) -> dict[str, str]:
        """The header by which an agency is known."""
        return {"authorization": f"Bearer {self.keys.token(agency=agency)}"}

    async def post(
        self,
        body: Any,
        *,
        agency: str = AGENCY,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """File a letter (an object), or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = self.bearer(agency) if headers is None else dict(headers)
        async with _client() as client:
            return await client.post(
                self.url("intake", "/v1/letters"), content=content, headers={"content-type": media_type} | told
            )

    async def get(self, path: str, *, agency: str = AGENCY, **query: str) -> httpx.Response:
        """Ask intake something."""
        async with _client() as client:
            return await client.get(self.url("intake", path), params=query, headers=self.bearer(agency))

    def documents(self, collection: str, query: Mapping[str, Any] | None = None) -> list[Document]:
        """What stands in a collection."""
        with pymongo.MongoClient[Document](self.mongo, tz_aware=True) as client:
            return list(client[self.database][collection].find(query or {}))

    def document(self, collection: str, record: str) -> Document | None:
        """One record as it stands in MongoDB."""
        found = self.documents(collection, {"_id": record})
        return found[0] if found else None

    def connection(self) -> Database:
        """A connection of our own kind to the system's database."""
        return Database(self.mongo, self.database)

    @asynccontextmanager
    async def listening(self, *topics: str) -> AsyncIterator["Ear"]:
        """Hear what comes into these topics from now on."""
        async with listening(self.kafka, *topics) as consumer:
            yield Ear(consumer)

    async def produce(self, topic: str, *records: "Said") -> list[tuple[int, int]]:
        """Put records on a topic's first partition, so that one batch holds them; their partitions and offsets."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", linger_ms=50, max_request_size=2_000_000)
        await producer.start()
        try:
            sent = [
                await producer.send(topic, said.value, key=b"key", headers=said.headers, partition=0)
                for said in records
            ]
            acknowledged = [await one for one in sent]
        finally:
            await producer.stop()
        return [(one.partition, one.offset) for one in acknowledged]


@contextmanager
def system(kafka: str, mongo: str, database: str, folder: Path, *names: str) -> Iterator[System]:
    """Services as processes, ready, until the block ends; without names none is started."""
    keys = Keys.make()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jwks.json").write_text(json.dumps(keys.jwks))
    with Receiver().listening() as receiver:
        made = System(kafka, mongo, database, keys, folder, receiver)
        try:
            made.launch(*names)
            made.wait(*names)
            yield made
        finally:
            made.stop()


async def make_topics(bootstrap: str) -> None:
    """Every topic of the product."""
    partners = load_partners(ROOT / "partners.yaml")
    law = load_law(partners.law_file)
    await create_topics(bootstrap, all_topics(law.authorities, partners.agencies, partners.subscribers))


@dataclass(frozen=True)
class Said:
    """A record for Kafka."""

    value: bytes | None
    headers: Headers


@dataclass(frozen=True)
class Heard:
    """A record from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, str]

    @cached_property
    def data(self) -> dict[str, Any]:
        """The event's data."""
        data: dict[str, Any] = json.loads(self.value)
        return data

    @property
    def type(self) -> str:
        """What happened."""
        return self.headers["ce_type"]

    @property
    def record(self) -> str:
        """Whose history it stands in."""
        return self.headers["ce_source"].rsplit("/", 1)[-1]

    @property
    def sequence(self) -> int:
        """Its number among its record's events on its topic."""
        return int(self.headers["ce_sequence"])


def heard_from(record: ConsumerRecord[Any, Any]) -> Heard:
    """A consumed record; our own headers are all text."""
    headers = {name: value.decode() for name, value in record.headers}
    return Heard(record.topic, record.partition, record.offset, record.key, record.value or b"", headers)


class Ear:
    """Remembers what came into its topics."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.heard: list[Heard] = []

    async def wait_for(self, is_it: Callable[[Heard], bool], count: int = 1, patience: float = PATIENCE) -> list[Heard]:
        """The first records that are meant, once there are so many."""
        end = time.monotonic() + patience
        while True:
            found = [one for one in self.heard if is_it(one)]
            if len(found) >= count:
                return found
            if time.monotonic() > end:
                what = sorted((one.topic, one.headers.get("ce_type")) for one in self.heard)
                raise AssertionError(f"heard {len(found)} of {count} among {what}")
            await self.listen()

    async def listen(self) -> None:
        """Take what has come, at most a moment."""
        for records in (await self._consumer.getmany(timeout_ms=200)).values():
            self.heard += [heard_from(record) for record in records]

    async def from_the_beginning(self) -> None:
        """Hear also what came before."""
        await self._consumer.seek_to_beginning()

    async def read_to_the_end(self) -> None:
        """Take everything that stands in the topics now."""
        places = self._consumer.assignment()
        ends = await self._consumer.end_offsets(places)
        while any([await self._consumer.position(place) < ends[place] for place in places]):
            await self.listen()


async def eventually(look: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The first result that is true; `look` may be a coroutine function."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not happen within {patience:.0f} s"
        await asyncio.sleep(0.05)


def letter(reference: str, *types: str, **members: Any) -> dict[str, Any]:
    """A good letter with measures of these types; `members` take the place of its own."""
    measures = [
        {"type": kind, "contents": {"offence": "Fraud", "facts": f"What only {kind} says"}}
        for kind in types or ("stored_data_access",)
    ]
    return {
        "reference": reference,
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "treaty_basis": ["uncc"],
        "measures": measures,
    } | members


def cloud_event(
    event_id: str, source: str = f"/{AGENCY}", event_type: str = LETTER_RECEIVED, **attributes: str
) -> Headers:
    """The headers of an event in binary mode."""
    named = {"specversion": "1.0", "id": event_id, "source": source, "type": event_type} | attributes
    named.setdefault("dataschema", schema_of(event_type))
    return [*((f"ce_{name}", text.encode()) for name, text in named.items()), ("content-type", b"application/json")]


def filed(body: Mapping[str, Any] | bytes, event_id: str, **attributes: str) -> Said:
    """A letter as an agency puts it on its topic."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Said(value, cloud_event(event_id, **attributes))


def of(record: str) -> Callable[[Heard], bool]:
    """Tells whether an event belongs to a record, or is about it."""
    return lambda one: one.record == record or one.headers.get("ce_subject") == record


def on(topic: str, record: str) -> Callable[[Heard], bool]:
    """Tells whether an event is a record's on one topic."""
    return lambda one: one.topic == topic and one.record == record


def lines(letters: Iterable[Mapping[str, Any]]) -> bytes:
    """Letters as NDJSON."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in letters)


def without_repeats(heard: Sequence[Heard]) -> dict[tuple[str, str], list[Heard]]:
    """What a reader keeps per (record, topic): an event that it has seen by its sequence is dropped."""
    kept: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for one in heard:
        known = kept[(one.record, one.topic)]
        if one.sequence > (known[-1].sequence if known else 0):
            known.append(one)
    return kept
