"""The bare notifier of webhooks: case events in; each notice is inserted, posted and marked."""

import asyncio
import os
from contextlib import aclosing
from typing import Any

from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import IndexModel

from benchmarks.bare.common import DATABASE, batches, load_steps, start
from benchmarks.bare.posting import Posting
from benchmarks.prepared import Heard
from benchmarks.prepared_notices import Post
from services.notifier.app import INDEXES
from shared import times, topics
from shared.mongo import SAFE
from shared.vocabulary import Lane

IN_FLIGHT = 200
"""As many as ours has at most: 4 to each of 50 recipients."""
AHEAD = 1_000
"""Notices that may wait to be posted before no more are read: they would only fill the memory."""


class _Notices:
    """Everything by majority and journal, as ours."""

    def __init__(self) -> None:
        client: Any = AsyncIOMotorClient(os.environ["BENCH_MONGO"])
        self._collection: Any = client[DATABASE]["notices"].with_options(write_concern=SAFE)
        self._waiting: asyncio.Queue[Post] = asyncio.Queue(AHEAD)
        self._taken: list[str] = []
        self._any_taken = asyncio.Event()

    async def prepare(self) -> None:
        """Make the indexes that ours has."""
        await self._collection.create_indexes([IndexModel(**index) for index in INDEXES])

    async def consume(self, posts: dict[Heard, tuple[Post, ...]]) -> None:
        """Insert what each batch leads to, and have it posted, until cancelled."""
        async with aclosing(batches(topics.case_events(Lane.NORMAL), "bare-notices")) as all_heard:
            async for heard in all_heard:
                batch = [post for one in heard for post in posts[one]]
                await self._collection.insert_many([RawBSONDocument(post.insert) for post in batch], ordered=False)
                for post in batch:
                    await self._waiting.put(post)

    async def post(self, posting: Posting) -> None:
        """Post one after another until cancelled."""
        while True:
            post = await self._waiting.get()
            await posting.send(post)
            self._taken.append(post.id)
            self._any_taken.set()

    async def mark(self) -> None:
        """Mark what was taken meanwhile in one write, until cancelled."""
        while True:
            await self._any_taken.wait()
            self._any_taken.clear()
            ids, self._taken = self._taken, []
            delivered = {"version": 2, "state.status": "delivered", "state.delivered_at": times.text_of(times.now())}
            change = {"$set": delivered, "$unset": {"next_due": "", "state.next_due": ""}}
            await self._collection.update_many({"_id": {"$in": ids}}, change)


async def main() -> None:
    """Prepare, then consume, post and mark at the same time."""
    notices, posting = _Notices(), Posting()
    await notices.prepare()
    senders = [notices.post(posting) for _ in range(IN_FLIGHT)]
    await asyncio.gather(notices.consume(load_steps("notices")), notices.mark(), *senders)


if __name__ == "__main__":
    start(main)
