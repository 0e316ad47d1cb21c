"""Bodies under way: together and of one caller no more than there is room for, and what is answered makes room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import Request
from prometheus_client import CollectorRegistry

from services.intake.door import Door as LettersDoor
from services.intake.messages_api import add_messages
from shared.connections import HttpMetrics, bounded
from shared.http import api, caller_of
from shared.limits import CONTRACT
from shared.problems import ProblemError
from shared.rates import Rates
from shared.tokens import Caller
from shared.under_way import CALLER, Bodies

ROOM = 100


class Door:
    """Reads bodies until their ends, behind the room for them."""

    def __init__(self) -> None:
        self.app = bounded(self._app, HttpMetrics(CollectorRegistry()), Bodies(ROOM))
        self.read = 0

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["caller"] is not None:
            scope[CALLER] = scope["caller"]
        while (message := await receive())["more_body"]:
            self.read += len(message["body"])
        await send({"type": "http.response.start", "status": 200})

    @asynccontextmanager
    async def sending(self, size: int, caller: str | None = None) -> AsyncIterator[None]:
        """A body of which so much has come, until the block ends; raises what the caller is told."""
        parts: asyncio.Queue[Any] = asyncio.Queue()
        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.append(message["status"])

        before = self.read
        request = asyncio.ensure_future(self.app({"type": "http", "caller": caller}, parts.get, send))
        for part in (size // 2, size - size // 2):
            parts.put_nowait({"type": "http.request", "body": b"x" * part, "more_body": True})
        while self.read < before + size and not request.done():  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0)
        if request.done():
            await request
        yield
        parts.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await request
        assert statuses == [200]


async def test_all_together_have_so_much_room_and_what_is_answered_makes_room() -> None:
    door = Door()
    for _ in range(3):
        async with door.sending(ROOM - 10), door.sending(10):
            with pytest.raises(ProblemError) as refused:
                await door.sending(2).__aenter__()
            assert refused.value.problem.status == 503
            assert dict(refused.value.problem.headers).keys() == {"Retry-After"}


async def test_one_caller_has_half_of_the_room() -> None:
    door = Door()
    for _ in range(3):
        async with door.sending(ROOM // 2, "agency"):
            with pytest.raises(ProblemError):
                await door.sending(2, "agency").__aenter__()
            async with door.sending(ROOM // 2, "another"):
                pass


async def test_what_is_refused_takes_no_room_with_it() -> None:
    door = Door()
    for _ in range(10):
        with pytest.raises(ProblemError):
            await door.sending(ROOM // 2 + 2, "agency").__aenter__()

    async with door.sending(ROOM // 2, "agency"):
        pass


AGENCY = "contact-point"


class Known:
    """A stand-in for who knows tokens: whoever comes is the contact point, or somebody else."""

    def __init__(self, caller: Caller | None = None) -> None:
        self.caller = caller or Caller(AGENCY, None, frozenset())

    async def verify(self, *_: object) -> Caller:
        return self.caller


def for_letters() -> Any:
    """The door for letters."""
    nobody: Any = None
    return LettersDoor(cast("Any", Known()), {AGENCY: nobody}, frozenset(), nobody, nobody, Rates(0))


def for_messages() -> Any:
    """The route for messages, with nobody behind it."""

    async def take(*_: object) -> tuple[int, dict[str, str]]:
        return 202, {}

    app = api("messages", [])
    door: Any = SimpleNamespace(agencies={AGENCY: None}, rates=Rates(0), limits=CONTRACT, take=take)
    add_messages(app, door, cast("Any", Known()))
    return app


@pytest.mark.parametrize(("made", "path"), [(for_letters, "/v1/letters"), (for_messages, "/v1/letters/let_1/messages")])
async def test_an_agencys_doors_say_whose_body_it_is_before_they_read_it(made: Any, path: str) -> None:
    app, callers = made(), []

    async def saying(scope: Any, receive: Any, send: Any) -> None:
        async def hear() -> Any:
            callers.append(scope.get(CALLER))
            return await receive()

        await app(scope, hear, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=saying), base_url="http://door") as client:
        await client.post(path, json={})

    assert callers[:1] == [f"agency {AGENCY}"]


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        (Caller(None, "security-service", frozenset(), account="anar"), "authority security-service"),
        (Caller(None, None, frozenset(), "subscription.court", "court-1"), "subscriber subscription.court"),
        (Caller(None, None, frozenset(), None, "anar"), "account anar"),
        (Caller(None, None, frozenset()), "operator"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_whoever_else_calls_has_half_of_the_room_too(caller: Caller, name: str) -> None:
    request = Request({"type": "http", "headers": []})

    found = await caller_of(request, cast("Any", Known(caller)), "cases:write")

    assert (found, request.scope[CALLER]) == (caller, name)
