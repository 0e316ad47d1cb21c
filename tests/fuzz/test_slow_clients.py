"""Slow and idle clients, a thousand at once: the door stays open for who has a letter."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.fuzz.conftest import MOST_CONNECTIONS
from tests.fuzz.raw import Pipe, connected, request
from tests.service.running import SERVICES, System, eventually, letter

IDLE, SLOW = 1_000, 100


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


@pytest.mark.parametrize("what", ["head", "body"])
async def test_requests_byte_by_byte_are_cut_off_and_hold_nobody_up(services: System, prefix: str, what: str) -> None:
    port = services.services["intake"].port
    bearer = services.bearer()["authorization"]
    whole = request("POST", "/v1/letters", b"{" * 10_000, authorization=bearer, content_type="application/json")
    begun = whole.index(b"\r\n\r\n") + 4 if what == "body" else 1
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connected(port)) for _ in range(SLOW)]
        for pipe in slow:
            await pipe.says(whole[:begun])
        drips = asyncio.create_task(_drip(slow, whole[begun:]))
        stack.callback(drips.cancel)

        for n in range(5):
            assert (await services.post(letter(f"{prefix}-{n}"))).status_code == 202

        # Who goes on sending after the answer may lose it: the connection is reset.
        answers = [await pipe.answers() for pipe in slow]
        assert {answer.status for some in answers for answer in some} == {408}
    assert not services.has_said("intake", "bug")


async def _drip(pipes: list[Pipe], rest: bytes) -> None:
    for byte in rest:
        for pipe in pipes:
            await pipe.says(bytes([byte]))
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_lets_go_of_who_says_nothing(services: System, service: str) -> None:
    before = (await services.metrics(service))["rogatory_http_connections_closed_total{why=idle}"]
    async with connected(services.services[service].port) as pipe:
        assert await pipe.answers() == []

    async def is_counted() -> bool:
        return (await services.metrics(service))["rogatory_http_connections_closed_total{why=idle}"] > before

    await eventually(is_counted, "the count")
