"""From Kafka straight to the webhooks: a batch is read, all that it leads to is posted at once, and it is committed."""

import asyncio
from contextlib import aclosing

from benchmarks.bare.common import batches, load_steps, start
from benchmarks.bare.posting import Posting
from benchmarks.prepared import Heard
from benchmarks.prepared_notices import Post
from shared import topics
from shared.vocabulary import Lane


async def main() -> None:
    """Post until cancelled."""
    posts: dict[Heard, tuple[Post, ...]] = load_steps("notices")
    posting = Posting()
    async with aclosing(batches(topics.case_events(Lane.NORMAL), "direct-notices")) as all_heard:
        async for heard in all_heard:
            await asyncio.gather(*(posting.send(post) for one in heard for post in posts[one]))


if __name__ == "__main__":
    start(main)
