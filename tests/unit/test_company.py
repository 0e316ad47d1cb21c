"""Company: what is heard while a batch is written goes together, and everybody gets the answer to what they said."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.company import MESSAGES, Company
from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import PATIENCE, Loop, Outcome
from shared.records import Record
from shared.tries import Source


class Writing(Loop):
    """A stand-in for the loop, which would want MongoDB: every batch waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.patience: list[float] = []
        self.go = asyncio.Semaphore(0)
        self.fails: Exception | None = None

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        assert source == "kafka"
        self.patience.append(patience)
        self.batches.append([message.record for message in messages])
        await self.go.acquire()
        if self.fails:
            raise self.fails
        return [Outcome(Record(message.record, message.record, {})) for message in messages]


@pytest.fixture
def writing() -> Writing:
    return Writing()


@pytest.fixture
def company(writing: Writing) -> Company:
    return Company(writing)


def said(*names: str) -> list[Message]:
    return [Message(name, f"cause/{name}", "router", None) for name in names]


async def hear(company: Company, *names: str) -> list[str]:
    return [outcome.record.id for outcome in await company.handle(said(*names))]


async def together(company: Company, *batches: Sequence[str]) -> list[asyncio.Task[list[str]]]:
    """They come one after another, while nothing is let go."""
    tasks = []
    for batch in batches:
        tasks.append(asyncio.create_task(hear(company, *batch)))
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_alone_does_not_wait(company: Company, writing: Writing) -> None:
    writing.go.release()

    assert await hear(company, "one", "two") == ["one", "two"]
    assert writing.batches == [["one", "two"]]


async def test_what_comes_while_a_batch_is_written_goes_together_after_it(company: Company, writing: Writing) -> None:
    tasks = await together(company, ["one"], ["two", "three"], ["four"])
    for _ in range(2):
        writing.go.release()

    assert await asyncio.gather(*tasks) == [["one"], ["two", "three"], ["four"]]
    assert writing.batches == [["one"], ["two", "three", "four"]]


async def test_more_than_fit_together_go_one_after_another(company: Company, writing: Writing) -> None:
    many = [f"{n}" for n in range(MESSAGES)]
    tasks = await together(company, ["first"], many, ["next"])
    for _ in range(3):
        writing.go.release()

    assert await asyncio.gather(*tasks) == [["first"], many, ["next"]]
    assert [len(batch) for batch in writing.batches] == [1, MESSAGES, 1]


async def test_while_mongodb_is_away_everybody_is_to_try_again(company: Company, writing: Writing) -> None:
    tasks = await together(company, ["one"], ["two"], ["three"])
    writing.fails = TryAgain("no primary")
    for _ in range(2):
        writing.go.release()

    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [repr(error) for error in found] == [repr(TryAgain("no primary"))] * 3


async def test_who_waits_for_others_has_so_much_less_patience_with_mongodb(
    company: Company, writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("shared.company.time.monotonic", lambda: now)
    tasks = await together(company, ["one"], ["two"], ["three"])
    now += 50
    for _ in range(2):
        writing.go.release()
    await asyncio.gather(*tasks)

    assert writing.patience == [PATIENCE, PATIENCE - 50]


async def test_a_bug_is_told_to_one_and_without_its_text_to_the_others(company: Company, writing: Writing) -> None:
    tasks = await together(company, ["one"], ["two"], ["three"])
    writing.go.release()
    await tasks[0]
    writing.fails = ValueError("Jane Roe")
    writing.go.release()

    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [repr(error) for error in found[1:]] == [repr(ValueError("Jane Roe")), repr(TryAgain("ValueError"))]


@pytest.mark.parametrize("gone", [0, 1])
async def test_who_stops_waiting_holds_nobody_up(company: Company, writing: Writing, gone: int) -> None:
    tasks = await together(company, ["one"], ["two"], ["three"])
    tasks[gone].cancel()
    await asyncio.sleep(0)
    for _ in range(2):
        writing.go.release()

    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[gone], asyncio.CancelledError)
    assert [names for names in found if isinstance(names, list)] == [
        [name] for n, name in enumerate(("one", "two", "three")) if n != gone
    ]
    writing.go.release()
    assert await hear(company, "later") == ["later"]
