"""How every service runs: connect, build, serve, stop in order."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import uvicorn
import uvloop

from shared import closed_connections
from shared.connections import Connections, bounded, room_for
from shared.events import STOPPED
from shared.failures import BadStart, TryAgain, place_of
from shared.log import logger, start_logging
from shared.mongo import Store
from shared.platform import ASGI, Platform, connect
from shared.sealing import Broken, Sealer
from shared.settings import S, Settings, read_settings
from shared.sweep import Sweep
from shared.time_source import Time
from shared.times import text_of
from shared.under_way import Bodies

__all__ = ["ASGI", "Platform", "main", "run"]


def main(name: str, kind: type[S], build: Callable[[Platform, S], ASGI], *, may_be_simulated: bool = True) -> NoReturn:
    """Run a service as a process: exit code 2 with one sentence for a wrong setting or file, 1 after a bug."""
    try:
        settings = read_settings(kind)
        start_logging(name, settings.log)

        async def live() -> NoReturn:
            platform = connect(name, settings, may_be_simulated)
            _end(await run(platform, build(platform, settings)))

        closed_connections.install()
        uvloop.run(live())
    except BadStart as fault:
        print(f"rogatory {name} cannot start: {fault}", file=sys.stderr)
    sys.exit(2)


def _end(code: int) -> NoReturn:
    """End the process, for all of it has stopped in order.

    Python and uvloop would wait for every thread first, and one that hangs (in a name's look-up, in somebody's plugin)
    cannot be ended: the process would outlive its time to stop.
    """
    with contextlib.suppress(OSError, ValueError):  # whoever read our lines may have gone
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


class _Server(uvicorn.Server):
    """uvicorn, but the process ends when we have stopped everything, not when it has stopped serving."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(platform: Platform, app: ASGI) -> int:
    """Serve until a signal or a bug; then stop in order: door, consumers, sender, connections."""
    settings, log = platform.settings, logger()
    door = _bind(settings)
    most = room_for(settings.max_connections)
    connections = Connections(most, settings.head_within, settings.body_within, platform.http)
    app = bounded(app, platform.http, Bodies(settings.max_bodies_bytes))
    server = _Server(
        uvicorn.Config(
            _saying_so(app, platform.time) if platform.time.is_simulated else app,
            http=connections.protocol,  # type: ignore[arg-type]  # uvicorn calls it, and asks for nothing more
            ws="none",
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
        _sweep(platform, stores),
        platform.kafka.watch_lag(),
        platform.time.run(platform.mongo),
        connections.watch(),
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
    return 1 if fault or platform.why_stop() else 0


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
    await _settle(platform, 2)
    await platform.sender.drain(5)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await platform.producer.stop()
    await platform.mongo.close()


async def _settle(platform: Platform, seconds: float) -> None:
    """Write the running totals as they are, at most so long: what is not settled now is at the next start."""
    with contextlib.suppress(TryAgain, TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(totals.flush(idle=0) for totals in platform.totals))


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
    for known in platform.before_consuming:
        await known()
    await platform.kafka.start()
    platform.consuming = True
    log.info("consuming")


async def _sweep(platform: Platform, stores: Sequence[Store]) -> None:
    """Look for what nobody sent, by MongoDB's time and by the indexes; so after these are there."""
    while not platform.prepared:  # noqa: ASYNC110 - a short wait, once
        await asyncio.sleep(0.05)
    await Sweep(platform.sender, platform.metrics, platform.time.now).run(stores)


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
        if reason := platform.why_stop():
            with contextlib.suppress(TryAgain, TimeoutError):
                async with asyncio.timeout(5):
                    # Once an hour: who is started again and again stops again and again.
                    key = f"{platform.settings.instance}/{reason}/{text_of(platform.time.real())[:13]}"
                    await platform.quarantine.alarm(STOPPED, key, {"reason": reason})
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
