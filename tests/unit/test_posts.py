"""Posts: what arrives together is kept together, and everybody gets the answer to what they sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import Loop, Outcome
from shared.posts import AT_ONCE, MAX_WAITING, Posts, QueueFull
from shared.records import Record
from shared.tries import Source


class Answering(Loop):
    """A stand-in for the loop, which would want MongoDB: it keeps the batches and answers with the messages' ids."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.began = asyncio.Event()
        self.down = False

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        self.batches.append([message.record for message in messages])
        self.began.set()
        await asyncio.sleep(0)
        if self.down:
            raise TryAgain("away")
        return [Outcome(Record(message.record, message.record, {})) for message in messages]


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
def posts(answering: Answering) -> Posts:
    """Not running yet: what is put before arrives together."""
    return Posts(answering)


@contextlib.asynccontextmanager
async def running(posts: Posts) -> AsyncIterator[None]:
    task = asyncio.create_task(posts.run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def letters(*names: str) -> list[Message]:
    return [Message(name, f"cause/{name}", "contact-point", None) for name in names]


async def put(posts: Posts, *names: str) -> list[str]:
    """Who gets which answers."""
    return [outcome.record.id for outcome in await posts.put(letters(*names), 1_000)]


async def waiting(posts: Posts, *callers: Sequence[str]) -> "list[asyncio.Task[list[str]]]":
    tasks = [asyncio.create_task(put(posts, *names)) for names in callers]
    await asyncio.sleep(0)
    return tasks


async def test_posts_that_arrive_together_are_kept_together_in_the_order_they_came(
    posts: Posts, answering: Answering
) -> None:
    callers = await waiting(posts, ["a"], ["b", "c"], ["d"])

    async with running(posts):
        answers = await asyncio.gather(*callers)

    assert answering.batches == [["a", "b", "c", "d"]]
    assert answers == [["a"], ["b", "c"], ["d"]]


async def test_what_arrives_while_a_batch_is_written_waits_for_the_next(posts: Posts, answering: Answering) -> None:
    async with running(posts):
        first = asyncio.create_task(put(posts, "a"))
        await answering.began.wait()
        second = asyncio.create_task(put(posts, "b"))
        await asyncio.gather(first, second)

    assert answering.batches == [["a"], ["b"]]


async def test_a_batch_holds_no_more_than_so_many_but_never_splits_a_caller(posts: Posts, answering: Answering) -> None:
    many = [f"m{n}" for n in range(AT_ONCE - 1)]
    most = [f"x{n}" for n in range(AT_ONCE + 50)]
    callers = await waiting(posts, many, ["a", "b"], most, ["c"])

    async with running(posts):
        await asyncio.gather(*callers)

    assert answering.batches == [many, ["a", "b"], most, ["c"]]


async def test_a_full_queue_says_so_at_once_and_takes_again_when_there_is_room(posts: Posts) -> None:
    callers = await waiting(posts, *([f"{n}"] for n in range(MAX_WAITING)))

    with pytest.raises(QueueFull):
        await posts.put(letters("one too many"), 1_000)

    async with running(posts):
        await asyncio.gather(*callers)
        assert await put(posts, "later") == ["later"]


async def test_a_single_caller_with_more_than_the_queue_holds_is_served_when_nobody_waits(posts: Posts) -> None:
    names = [f"{n}" for n in range(MAX_WAITING + 1)]

    async with running(posts):
        assert await put(posts, *names) == names


async def test_a_database_that_is_away_is_told_to_every_caller_and_the_next_are_served(
    posts: Posts, answering: Answering
) -> None:
    answering.down = True
    callers = await waiting(posts, ["a"], ["b"])

    async with running(posts):
        results = await asyncio.gather(*callers, return_exceptions=True)
        answering.down = False
        assert await put(posts, "c") == ["c"]

    assert [type(result) for result in results] == [TryAgain, TryAgain]
    assert results[0] is not results[1]


async def test_a_caller_who_hangs_up_does_not_take_the_others_answers(posts: Posts, answering: Answering) -> None:
    gone, stays = await waiting(posts, ["a"], ["b"])
    gone.cancel()

    async with running(posts):
        assert await stays == ["b"]

    assert answering.batches == [["a", "b"]]
