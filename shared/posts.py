"""HTTP as a source: posts that arrive together are decided and written together."""

import asyncio
from collections import deque
from collections.abc import Sequence

from shared.decisions import Message
from shared.failures import Bug, TryAgain
from shared.loop import Loop, Outcome
from shared.pace import Pace
from shared.tries import Source

MAX_WAITING = 2_000
MAX_WAITING_BYTES = 64_000_000
"""Messages that may wait, and what was posted of them; beyond that a caller is told to come again."""
AT_ONCE, AT_ONCE_BYTES = 200, 8_000_000
"""What is written together at most."""
PATIENCE = 10.0
"""Seconds for which a caller waits for MongoDB."""


class QueueFull(Exception):
    """More posts wait than the service can answer in time."""


class Posts:
    """Collects what callers send and gives it to the loop in batches, in the order it came."""

    def __init__(self, loop: Loop, source: Source = "http") -> None:
        """`source`: what is counted as where they come from."""
        self._loop, self._source = loop, source
        self._waiting: deque[_Caller] = deque()
        self._count = self._size = 0
        self._arrived = asyncio.Event()

    async def put(self, messages: Sequence[Message], size: int) -> list[Outcome]:
        """The outcomes, once they are in MongoDB by majority and journal; raises `QueueFull`, `TryAgain` and `Bug`.

        `size`: what was posted, in bytes.
        """
        full = self._count + len(messages) > MAX_WAITING or self._size + size > MAX_WAITING_BYTES
        if self._count and full:
            raise QueueFull
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, future, size))
        self._count += len(messages)
        self._size += size
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Answer until cancelled."""
        pace = Pace()
        while True:
            await self._arrived.wait()
            await pace.step()
            batch, callers = self._take()
            try:
                outcomes = await self._loop.handle(batch, self._source, PATIENCE)
            except TryAgain as reason:
                _fail(callers, reason)
                continue
            except Exception as error:  # noqa: BLE001 - a bug must cost this batch only
                _fail(callers, self._loop.bug(error, "a batch of posts"))
                continue
            at = 0
            for messages, future, _ in callers:
                if not future.done():
                    future.set_result(outcomes[at : at + len(messages)])
                at += len(messages)

    def _take(self) -> tuple[list[Message], list["_Caller"]]:
        batch: list[Message] = []
        callers = []
        size = 0
        while self._waiting and (not batch or self._fits(len(batch), size)):
            caller = self._waiting.popleft()
            size += caller[2]
            callers.append(caller)
            batch += caller[0]
        self._count -= len(batch)
        self._size -= size
        if not self._waiting:
            self._arrived.clear()
        return batch, callers

    def _fits(self, count: int, size: int) -> bool:
        messages, _, more = self._waiting[0]
        return count + len(messages) <= AT_ONCE and size + more <= AT_ONCE_BYTES


_Caller = tuple[Sequence[Message], "asyncio.Future[list[Outcome]]", int]


def _fail(callers: Sequence[_Caller], error: TryAgain | Bug) -> None:
    for _, future, _ in callers:
        if not future.done():
            future.set_exception(type(error)(str(error)))
