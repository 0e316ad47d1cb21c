"""What every service is made of: the connections and common parts of one process, and how it shows its health."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import quarantine as quarantine_domain
from shared import totals as running
from shared.accounting import Accounting
from shared.accounts import Terms, of_entry
from shared.checkpoints import keeping
from shared.checkpoints.anchoring import Anchoring
from shared.checkpoints.checkpoint import SigningKey
from shared.checkpoints.measures import CheckpointMetrics
from shared.connections import HttpMetrics
from shared.decisions import Decide
from shared.failures import TryAgain
from shared.ids import Ids
from shared.kafka import KafkaSource, broker_at
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.log import logger
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo, Store
from shared.partners import Partners, load_partners
from shared.producer import Producer
from shared.quarantine import Quarantine, counting
from shared.quarantine.acting import Acting
from shared.quarantine.api import Desk
from shared.quarantine.reading import INDEXES as OF_ENTRIES
from shared.quarantine.reading import Entries
from shared.quarantine.replaying import INDEXES as OF_REPLAYS
from shared.quarantine.replaying import Replaying
from shared.records import Evolve
from shared.sealing import Sealer
from shared.sender import Sender
from shared.settings import Settings
from shared.time_source import Time
from shared.times import text_of
from shared.totals import Totals

ASGI = Callable[..., Awaitable[None]]
Task = Callable[[], Coroutine[Any, Any, None]]

_HEARTBEAT = 15.0
"""Seconds after which a loop that does not turn counts as dead."""


@dataclass
class Platform:
    """The connections and common parts of one process; `app.build` adds the service's own."""

    name: str
    settings: Settings
    partners: Partners
    law: Law
    life: LifeCycle
    mongo: Mongo
    ids: Ids
    sealer: Sealer
    metrics: Metrics
    producer: Producer
    sender: Sender
    quarantine: Quarantine
    kafka: KafkaSource
    time: Time
    desk: Desk
    """How people work with the quarantine."""
    http: HttpMetrics
    needs_kafka: bool = True
    """Whether the service is of use only while it consumes; intake takes letters while Kafka is down."""
    loops: list[Loop] = field(default_factory=list)
    totals: list[Totals] = field(default_factory=list)
    """Of every collection whose records are counted."""
    indexes: dict[Store, list[Mapping[str, Any]]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    """Run beside the server until the end."""
    before_consuming: list[Task] = field(default_factory=list)
    """What must be known before the first message is heard."""
    beat: float = field(default_factory=monotonic)
    consuming: bool = False
    prepared: bool = False
    anchoring: Anchoring | None = None
    """Where the deployment signs checkpoints."""

    def loop(
        self,
        collection: str,
        decide: Decide,
        evolve: Evolve,
        indexes: Iterable[Mapping[str, Any]] = (),
        terms: Terms | None = None,
    ) -> Loop:
        """The loop over one collection, swept and indexed; `terms`: what its records count for in the totals."""
        store = self.mongo.store(collection)
        loop = Loop(store, decide, evolve, self.sealer, self.sender, self.metrics, self.time.now)
        self.loops.append(loop)
        self.indexes[loop.store] = list(indexes)
        if self.anchoring:
            self.anchoring.watch(loop)
        if terms:
            self.count(loop, terms)
        return loop

    def count(self, loop: Loop, terms: Terms) -> None:
        """Keep running totals over the records of a loop."""
        slots = self.mongo.slots(running.COLLECTION)
        totals = Totals(slots, loop.store, terms, self.settings.instance, self.time.real)
        loop.bookkeepers.append(totals)
        self.totals.append(totals)
        self.tasks.append(totals.run)

    def why_stop(self) -> str | None:
        """Why the service must not go on; None while it may."""
        if any(loop.broken.is_set() for loop in self.loops):
            return "unexpected failures piled up"
        newer = self.kafka.newer
        return f"only a newer build knows this event: {newer}" if newer else None

    def routes(self) -> list[Route]:
        """`/live`, `/ready` and `/metrics`."""
        return [Route("/live", self._live), Route("/ready", self._ready), Route("/metrics", self._metrics_page)]

    async def _live(self, _request: Request) -> Response:
        # Kafka or MongoDB away must not restart us: only a loop that stands still, or a bug that piles up.
        stuck = ["event loop"] if monotonic() - self.beat > _HEARTBEAT else []
        stuck += [loop.store.name for loop in self.loops if loop.broken.is_set()]
        return _health(stuck)

    async def _ready(self, _request: Request) -> Response:
        waiting = ["Kafka"] if self.needs_kafka and not (self.consuming and self.kafka.is_reading) else []
        try:
            async with asyncio.timeout(2):
                await self.mongo.ping()
        except (TryAgain, TimeoutError):
            waiting.append("MongoDB")
        if not self.prepared and not waiting:
            waiting.append("indexes")
        return _health(waiting, {"simulated_time": text_of(self.time.now())} if self.time.is_simulated else {})

    async def _metrics_page(self, _request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _health(waiting_for: list[str], facts: Mapping[str, str] | None = None) -> Response:
    body = {"ok": not waiting_for, **(facts or {})} | ({"waiting_for": waiting_for} if waiting_for else {})
    return JSONResponse(body, 503 if waiting_for else 200)


def connect(name: str, settings: Settings, may_be_simulated: bool = True) -> Platform:
    """The common parts of a service; raises `BadStart` for a wrong file. Nothing is opened before `run`.

    `may_be_simulated`: whether a simulation, where it is switched on, is this service's time too.
    """
    partners = load_partners(settings.partners)
    law = load_law(settings.law or partners.law_file, settings.law_assumptions)
    life = load_life_cycle(settings.life_cycle, law)
    metrics, ids = Metrics(name), Ids(settings.id_key.get_secret_value())
    sealer = Sealer(settings.sealing_key.get_secret_value())
    mongo = Mongo(settings.mongo.get_secret_value(), settings.database, settings.mongo_driver)
    client = f"rogatory-{name}-{settings.instance}"
    time_source = Time(settings.simulation and may_be_simulated)
    producer = Producer(settings.kafka, client, metrics, time_source.real)
    metrics.simulated.set(time_source.is_simulated)
    sender = Sender(producer, ids, sealer, metrics, time_source.now)
    entries = Loop(
        mongo.store(f"{name}_quarantine"),
        quarantine_domain.decide,
        quarantine_domain.evolve,
        sealer,
        sender,
        metrics,
        time_source.now,
    )
    quarantine = Quarantine(name, entries, ids, metrics)
    sender.alarm = quarantine.alarm
    broker = broker_at(settings.kafka, client)
    kafka = KafkaSource(broker, name, settings.instance, quarantine, metrics, sender.precedence)
    replaying = Replaying(name, entries, kafka.readers, sealer, metrics)
    acting = Acting(entries, replaying, kafka.readers, sealer, metrics, time_source.now)
    desk = Desk(Entries(entries.store, sealer, {*law.request_types, *life.updates, *life.messages}), acting, sealer)
    platform = Platform(
        name,
        settings,
        partners,
        law,
        life,
        mongo,
        ids,
        sealer,
        metrics,
        producer,
        sender,
        quarantine,
        kafka,
        time_source,
        desk,
        HttpMetrics(metrics.registry),
        loops=[entries],
    )
    platform.indexes[entries.store] = [*OF_ENTRIES, *OF_REPLAYS, counting.INDEX]
    platform.tasks += [
        lambda: replaying.run(lambda: platform.consuming),
        lambda: counting.run(entries.store, metrics),
    ]
    if settings.checkpoint_key:
        key = SigningKey(settings.checkpoint_key.get_secret_value())
        _make_checkpoints(platform, key, settings.checkpoint_every)
    else:
        logger().warning("no checkpoints", reason="ROGATORY_CHECKPOINT_KEY is not set")
    platform.count(entries, of_entry)
    accounting = Accounting(platform.totals, metrics.registry, quarantine.alarm, time_source.real)
    platform.tasks.append(accounting.run)
    return platform


def _make_checkpoints(platform: Platform, key: SigningKey, every: float) -> None:
    name = platform.name
    # Before the others are watched: a checkpoint of checkpoints would have no end.
    loop = platform.loop(f"{name}_checkpoints", keeping.decide, keeping.evolve, [keeping.INDEX])
    measures = CheckpointMetrics(platform.metrics.registry)
    platform.anchoring = Anchoring(
        name,
        platform.settings.instance,
        every,
        key,
        loop,
        platform.mongo,
        platform.ids,
        measures,
        platform.time.real,
    )
    platform.anchoring.watch(platform.loops[0])
    platform.tasks.append(platform.anchoring.run)
