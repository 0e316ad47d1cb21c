"""The bare intake: letters by HTTP in, the news of their cases, answers out."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import uvicorn

from benchmarks.bare.common import Collection, Sender, consume, load_steps, start
from benchmarks.letters import reference_in
from benchmarks.prepared import Step
from deploy.local.ports import HOST
from services.intake.app import INDEXES
from shared import topics
from shared.vocabulary import Lane

AT_ONCE = 200
"""Posts in one batch, as ours."""
_HEADERS = [(b"content-type", b"application/json")]

ASGI = Callable[[Mapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Posts:
    """Collects posts and keeps them in batches."""

    def __init__(self, letters: Collection, sender: Sender) -> None:
        self._letters, self._sender = letters, sender
        self._waiting: deque[tuple[Step, asyncio.Future[None]]] = deque()
        self._arrived = asyncio.Event()

    async def put(self, step: Step) -> None:
        """Returns once the letter is in MongoDB."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, future))
        self._arrived.set()
        await future

    async def run(self) -> None:
        """Keep batches until cancelled."""
        while True:
            await self._arrived.wait()
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
            if not self._waiting:
                self._arrived.clear()
            batch = [step for step, _ in taken]
            await self._letters.read(batch)
            await self._letters.insert(batch)
            self._sender.feed(batch)
            for _, future in taken:
                future.set_result(None)


def door(posts: Posts, steps: Mapping[bytes, Step]) -> ASGI:
    """One raw ASGI route."""

    async def app(_scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        step = steps[reference_in(body)]
        await posts.put(step)
        location, receipt = step.answer
        headers = [*_HEADERS, (b"content-length", b"%d" % len(receipt)), (b"location", location)]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": receipt})

    return app


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def main() -> None:
    """Prepare, then serve and consume."""
    letters = Collection("letters")
    await letters.prepare(INDEXES)
    sender = Sender(letters)
    posts = Posts(letters, sender)
    by_reference, by_case = load_steps("intake")
    config = uvicorn.Config(
        door(posts, by_reference),
        host=HOST,
        port=int(os.environ["BENCH_PORT"]),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
    )
    events = topics.case_events(Lane.NORMAL)
    news = consume(events, "bare-intake", by_case, letters, sender, updates=True)
    await asyncio.gather(news, posts.run(), sender.run(), _Server(config).serve())


if __name__ == "__main__":
    start(main)
