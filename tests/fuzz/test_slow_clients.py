"""Slow and idle clients, a thousand at once: the door stays open for who has a letter."""

import asyncio
from contextlib import AsyncExitStack

from tests.fuzz.conftest import MOST_CONNECTIONS
from tests.fuzz.raw import Answer, Pipe, connected, request
from tests.service.running import SERVICES, System, eventually, letter

IDLE, SLOW = 1_000, 100
BEGUN = ("head", "body")
"""What has begun, and comes on byte by byte."""


async def test_a_thousand_idle_connections_do_not_close_the_door(services: System, prefix: str) -> None:
    port = services.services["intake"].port
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(port)) for _ in range(IDLE)]

        for n in range(5):
            assert (await services.post(letter(f"{prefix}-{n}"))).status_code == 202

        counts = await services.metrics("intake")
        assert counts["rogatory_http_connections"] <= MOST_CONNECTIONS + 10
        assert counts["rogatory_http_connections_closed_total{why=room}"] >= IDLE - MOST_CONNECTIONS - 10
        for pipe in idle:
            assert await pipe.answers() == []


async def test_requests_byte_by_byte_are_cut_off_and_hold_nobody_up(services: System, prefix: str) -> None:
    port = services.services["intake"].port
    bearer = services.bearer()["authorization"]
    whole = request("POST", "/v1/letters", b"{" * 10_000, authorization=bearer, content_type="application/json")
    async with AsyncExitStack() as stack:
        slow = {begun: [await stack.enter_async_context(connected(port)) for _ in range(SLOW)] for begun in BEGUN}
        for begun, pipes in slow.items():
            within = 1 if begun == "head" else whole.index(b"\r\n\r\n") + 4
            for pipe in pipes:
                await pipe.says(whole[:within])
            drips = asyncio.create_task(_drip(pipes, whole[within:]))
            stack.callback(drips.cancel)

        for n in range(5):
            assert (await services.post(letter(f"{prefix}-{n}"))).status_code == 202

        for pipes in slow.values():
            # Who goes on sending after the answer may lose it: the connection is reset.
            answers = [await pipe.answers() for pipe in pipes]
            assert {answer.status for some in answers for answer in some} == {408}
    assert not services.has_said("intake", "bug")


async def _drip(pipes: list[Pipe], rest: bytes) -> None:
    for byte in rest:
        for pipe in pipes:
            await pipe.says(bytes([byte]))
        await asyncio.sleep(0.2)


async def test_every_service_lets_go_of_who_says_nothing(services: System) -> None:
    before = {name: await idle_at(services, name) for name in SERVICES}

    async def says_nothing(name: str) -> list[Answer]:
        async with connected(services.services[name].port) as pipe:
            return await pipe.answers()

    assert await asyncio.gather(*map(says_nothing, SERVICES)) == [[], [], []]
    for name in SERVICES:

        async def is_counted(of: str = name) -> bool:
            return await idle_at(services, of) > before[of]

        await eventually(is_counted, f"the count of {name}")


async def idle_at(services: System, name: str) -> float:
    """How many idle connections a service has closed."""
    return (await services.metrics(name))["rogatory_http_connections_closed_total{why=idle}"]
