"""What every service is made of, and how it runs: connect, build, serve, stop in order."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import uvicorn
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import quarantine as quarantine_domain
from shared.decisions import Decide
from shared.events import STOPPED
from shared.failures import BadStart, TryAgain, place_of
from shared.ids import Ids
from shared.kafka import KafkaSource, broker_at
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.log import logger, start_logging
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Mongo, Store
from shared.partners import Partners, load_partners
from shared.producer import Producer
from shared.quarantine import Quarantine
from shared.records import Evolve
from shared.sealing import Broken, Sealer
from shared.sender import Sender
from shared.settings import S, Settings, read_settings
from shared.time_source import Time
from shared.times import text_of

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
    needs_kafka: bool = True
    """Whether the service is of use only while it consumes; intake takes letters while Kafka is down."""
    loops: list[Loop] = field(default_factory=list)
    indexes: dict[Store, list[Mapping[str, Any]]] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    """Run beside the server until the end."""
    beat: float = field(default_factory=time.monotonic)
    consuming: bool = False
    prepared: bool = False

    def loop(self, collection: str, decide: Decide, evolve: Evolve, indexes: Iterable[Mapping[str, Any]] = ()) -> Loop:
        """The loop over one collection, swept and indexed."""
        store = self.mongo.store(collection)
        loop = Loop(store, decide, evolve, self.sealer, self.sender, self.metrics, self.time.now)
        self.loops.append(loop)
        self.indexes[loop.store] = list(indexes)
        return loop

    def routes(self) -> list[Route]:
        """`/live`, `/ready` and `/metrics`."""
        return [Route("/live", self._live), Route("/ready", self._ready), Route("/metrics", self._metrics_page)]

    async def _live(self, _request: Request) -> Response:
        # Kafka or MongoDB away must not restart us: only a loop that stands still, or a bug that piles up.
        stuck = ["event loop"] if time.monotonic() - self.beat > _HEARTBEAT else []
        stuck += [loop.store.name for loop in self.loops if loop.broken.is_set()]
        return _health(stuck)

    async def _ready(self, _request: Request) -> Response:
        waiting = [] if self.consuming or not self.needs_kafka else ["Kafka"]
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
    producer = Producer(settings.kafka, client, metrics)
    time_source = Time(settings.simulation and may_be_simulated)
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
    kafka = KafkaSource(broker_at(settings.kafka, client), name, settings.instance, quarantine, metrics)
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
        loops=[entries],
    )
    platform.indexes[entries.store] = []
    return platform


def main(name: str, kind: type[S], build: Callable[[Platform, S], ASGI], *, may_be_simulated: bool = True) -> NoReturn:
    """Run a service as a process: exit code 2 with one sentence for a wrong setting or file, 1 after a bug."""
    try:
        settings = read_settings(kind)
        start_logging(name, settings.log)

        async def live() -> int:
            platform = connect(name, settings, may_be_simulated)
            return await run(platform, build(platform, settings))

        code = uvloop.run(live())
    except BadStart as fault:
        print(f"rogatory {name} cannot start: {fault}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code)


class _Server(uvicorn.Server):
    """uvicorn, but the process ends when we have stopped everything, not when it has stopped serving."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(platform: Platform, app: ASGI) -> int:
    """Serve until a signal or a bug; then stop in order: door, consumers, sender, connections."""
    settings, log = platform.settings, logger()
    door = _bind(settings)
    server = _Server(
        uvicorn.Config(
            _saying_so(app, platform.time) if platform.time.is_simulated else app,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=10,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    stores = [loop.store for loop in platform.loops]
    sending = asyncio.create_task(platform.sender.run())
    own = [
        _begin(platform, log),
        platform.sender.sweep(stores),
        platform.kafka.watch_lag(),
        platform.time.run(platform.mongo),
        _watch(platform, server),
    ]
    tasks = [asyncio.create_task(task) for task in (*own, *(task() for task in platform.tasks))]
    guard = asyncio.create_task(_until_one_fails([sending, *tasks], server, log))
    # What is there now stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if platform.time.is_simulated:
        log.warning("simulated time", reason="ROGATORY_SIMULATION is set: nothing here is meant in earnest")
    log.info("started", host=settings.host, port=settings.port, law=platform.law.version, instance=settings.instance)
    await server.serve(sockets=[door])
    fault = guard.result() if guard.done() else None
    await _stop(platform, [guard, *tasks], sending)
    log.info("stopped")
    if isinstance(fault, BadStart):
        raise fault
    return 1 if fault or any(loop.broken.is_set() for loop in platform.loops) else 0


def _saying_so(app: ASGI, time_source: Time) -> ASGI:
    """Every answer says in a header that its times are simulated."""

    async def marked(scope: Any, receive: Any, send: Any) -> None:
        async def say(message: Any) -> None:
            if message["type"] == "http.response.start":
                mark = (b"rogatory-simulated-time", text_of(time_source.now()).encode())
                message = {**message, "headers": [*message.get("headers", ()), mark]}
            await send(message)

        await app(scope, receive, say)

    return marked


async def _stop(platform: Platform, tasks: list[asyncio.Task[Any]], sending: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await platform.kafka.stop()
    await platform.sender.drain(5)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await platform.producer.stop()
    await platform.mongo.close()


def _bind(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        raise BadStart(f"ROGATORY_HOST and ROGATORY_PORT: {settings.host}:{settings.port}: {error.strerror}") from None


async def _begin(platform: Platform, log: Any) -> None:
    """Make the indexes, then consume; waits for MongoDB and for Kafka."""
    said = False
    while not platform.prepared:
        try:
            await platform.time.ask(platform.mongo)
            for store, indexes in platform.indexes.items():
                await store.prepare(indexes)
                await _check_key(store, platform.sealer)
            platform.prepared = True
        except TryAgain as reason:
            if not said:
                log.warning("away", what="MongoDB", reason=str(reason), doing="waiting")
            said = True
            await asyncio.sleep(0.5)
    if said:
        log.info("back", what="MongoDB")
    await platform.kafka.start()
    platform.consuming = True
    log.info("consuming")


async def _check_key(store: Store, sealer: Sealer) -> None:
    """Another deployment's key would refuse every old record, one by one: better not to start."""
    found = await store.any_key()
    try:
        if found:
            sealer.key_of(*found)
    except Broken:
        raise BadStart(f"ROGATORY_SEALING_KEY is not the key under which {store.name} was written") from None


async def _watch(platform: Platform, server: _Server) -> None:
    """The heartbeat, and the end after a bug."""
    while True:
        platform.beat = time.monotonic()
        if any(loop.is_away for loop in platform.loops):
            # A quiet night brings no batch that would notice.
            with contextlib.suppress(TryAgain):
                await platform.mongo.ping()
                for loop in platform.loops:
                    loop.back()
        if any(loop.broken.is_set() for loop in platform.loops):
            with contextlib.suppress(TryAgain, TimeoutError):
                async with asyncio.timeout(5):
                    facts = {"reason": "unexpected failures piled up"}
                    await platform.quarantine.alarm(STOPPED, f"{platform.settings.instance}/{time.time():.0f}", facts)
            server.should_exit = True
            return
        await asyncio.sleep(1)


async def _until_one_fails(tasks: list[asyncio.Task[Any]], server: _Server, log: Any) -> BaseException | None:
    """A background task that dies of a bug ends the service: better a restart than half of one."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                if not isinstance(error, BadStart):
                    log.critical("stopping", error=type(error).__name__, place=place_of(error))
                server.should_exit = True
                return error
    return None
