"""HTTP as a source: posts that arrive together are decided and written together."""

import asyncio
from collections import deque
from collections.abc import Sequence

from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import Loop, Outcome

MAX_WAITING = 2_000
"""Messages that may wait; beyond that a caller is told to come again."""
AT_ONCE = 200
PATIENCE = 10.0
"""Seconds for which a caller waits for MongoDB."""


class QueueFull(Exception):
    """More posts wait than the service can answer in time."""


class Posts:
    """Collects what callers send and gives it to the loop in batches, in the order it came."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Sequence[Message], asyncio.Future[list[Outcome]]]] = deque()
        self._count = 0
        self._arrived = asyncio.Event()

    async def put(self, messages: Sequence[Message]) -> list[Outcome]:
        """The outcomes, once they are in MongoDB by majority and journal; raises `QueueFull` and `TryAgain`."""
        if self._count and self._count + len(messages) > MAX_WAITING:
            raise QueueFull
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, future))
        self._count += len(messages)
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._arrived.wait()
            batch, callers = self._take()
            try:
                outcomes = await self._loop.handle(batch, "http", PATIENCE)
            except TryAgain as reason:
                for _, future in callers:
                    if not future.done():
                        future.set_exception(TryAgain(str(reason)))
                continue
            at = 0
            for messages, future in callers:
                if not future.done():
                    future.set_result(outcomes[at : at + len(messages)])
                at += len(messages)

    def _take(self) -> tuple[list[Message], list[tuple[Sequence[Message], "asyncio.Future[list[Outcome]]"]]]:
        batch: list[Message] = []
        callers = []
        while self._waiting and (not batch or len(batch) + len(self._waiting[0][0]) <= AT_ONCE):
            caller = self._waiting.popleft()
            callers.append(caller)
            batch += caller[0]
        self._count -= len(batch)
        if not self._waiting:
            self._arrived.clear()
        return batch, callers
