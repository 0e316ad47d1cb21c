"""An outside monitor hears from the notifier while it is well, and from nothing else that happens."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from deploy.local.ports import HOST, free_ports
from services.notifier.heartbeat import Heartbeat

EVERY = 0.02


class Monitor:
    """A real HTTP server that counts beats."""

    def __init__(self) -> None:
        self.beats: list[dict[str, str]] = []
        self.elsewhere = 0
        self.status = 200
        [self.port] = free_ports(1)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/beats/secret-token"

    async def take(self, request: web.Request) -> web.Response:
        self.beats.append(await request.json())
        return web.Response(status=self.status, headers={"location": "/elsewhere"})

    async def other(self, _request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    async def serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/beats/secret-token", self.take)
        app.router.add_route("*", "/elsewhere", self.other)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.port).start()
        return runner


@pytest.fixture
async def monitor() -> AsyncIterator[Monitor]:
    one = Monitor()
    runner = await one.serve()
    yield one
    await runner.cleanup()


@pytest.fixture
async def beating() -> AsyncIterator[Callable[[Heartbeat], None]]:
    """Runs heartbeats until the test ends."""
    running: list[asyncio.Task[None]] = []
    yield lambda heart: running.append(asyncio.create_task(heart.run()))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.005)


async def test_it_beats_while_all_is_well_and_says_who_it_is(
    monitor: Monitor, beating: Callable[[Heartbeat], None]
) -> None:
    beating(Heartbeat(monitor.url, lambda: True, "notifier-0", EVERY))

    await until(lambda: len(monitor.beats) >= 3)

    assert monitor.beats[0] == {"service": "notifier", "instance": "notifier-0"}


async def test_while_it_is_not_well_the_monitor_hears_nothing_and_the_log_hears_it_once(
    monitor: Monitor, beating: Callable[[Heartbeat], None]
) -> None:
    well = [True]
    with capture_logs() as lines:
        beating(Heartbeat(monitor.url, lambda: well[0], "notifier-0", EVERY))
        await until(lambda: len(monitor.beats) >= 1)

        well[0] = False
        await asyncio.sleep(3 * EVERY)
        heard = len(monitor.beats)
        await asyncio.sleep(5 * EVERY)
        assert len(monitor.beats) == heard

        well[0] = True
        await until(lambda: len(monitor.beats) > heard)

    assert [line["event"] for line in lines] == ["not well", "well again"]


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_monitor_that_refuses_is_survived_not_followed_and_told_of_once(
    monitor: Monitor, beating: Callable[[Heartbeat], None], status: int
) -> None:
    monitor.status = status
    with capture_logs() as lines:
        beating(Heartbeat(monitor.url, lambda: True, "notifier-0", EVERY))
        await until(lambda: len(monitor.beats) >= 4)

        monitor.status = 204
        await until(lambda: any(line["event"] == "back" for line in lines))

    assert [(line["event"], line.get("reason")) for line in lines] == [("away", f"HTTP {status}"), ("back", None)]
    assert monitor.elsewhere == 0


async def test_a_monitor_that_is_away_is_survived_and_its_address_is_in_no_line(
    beating: Callable[[Heartbeat], None],
) -> None:
    one = Monitor()
    with capture_logs() as lines:
        beating(Heartbeat(one.url, lambda: True, "notifier-0", EVERY))
        await until(lambda: len(lines) >= 1)
        await asyncio.sleep(5 * EVERY)

        runner = await one.serve()
        await until(lambda: len(one.beats) >= 1 and len(lines) == 2)
        await runner.cleanup()

    assert [line["event"] for line in lines[:2]] == ["away", "back"]
    assert "secret-token" not in str(lines)
    assert str(one.port) not in str(lines)
