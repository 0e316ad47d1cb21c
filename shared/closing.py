"""Closing a client that may hang: one of Kafka's waits for brokers that are gone, and swallows its cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def closed_within(seconds: float, closing: Coroutine[Any, Any, object]) -> bool:
    """Wait until it is closed, at most so long; whether it is. What hangs is left behind, nobody needs what it raises.

    `asyncio.wait_for` would wait for as long as the cancelled one likes.
    """
    task = asyncio.ensure_future(closing)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    await asyncio.wait({task}, timeout=seconds)
    return not task.cancel()
