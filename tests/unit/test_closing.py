"""Closing what hangs, or fails at the last moment."""

import asyncio

import pytest

from shared.closing import closed_within


async def test_it_waits_until_it_is_closed() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        await asyncio.sleep(0.01)
        closed.set()

    assert await closed_within(60, close())
    assert closed.is_set()


async def test_what_swallows_its_cancellation_is_left_behind() -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    assert not await closed_within(0.01, hang())
    assert not ended.is_set()
    may_end.set()
    await ended.wait()


async def test_what_it_raises_ends_nobody_and_is_not_said_later(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("the handler is closed")

    await closed_within(60, fail())

    assert not caplog.records
