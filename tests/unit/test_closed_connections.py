"""What aiokafka makes of a connection that closed under its hands, on the loop that the services run on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from shared import closed_connections


class Request:
    """As much of a request as is looked at."""

    def prepare(self, _versions: Any) -> "Request":
        return self

    def build_request_header(self, **_: Any) -> "Request":
        return self

    def encode(self) -> bytes:
        return b"x"


class Impossible(Request):
    """A request that no broker here understands."""

    def prepare(self, _versions: Any) -> "Request":
        raise NotImplementedError("no such version")


@asynccontextmanager
async def connection(*, is_closed: bool) -> AsyncIterator[Any]:
    """A connection as aiokafka has it after its other end went."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made: Any = AIOKafkaConnection("127.0.0.1", port)
    made._reader, made._writer = await asyncio.open_connection("127.0.0.1", port)
    made._read_task = asyncio.ensure_future(asyncio.sleep(0))
    if is_closed:
        made._writer.transport.abort()
        await asyncio.sleep(0.01)
    yield made
    made.close()
    server.close()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send)
    closed_connections.install()


def on_uvloop(does: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await does()

    uvloop.run(run())


def test_without_it_uvloop_ends_whatever_task_of_aiokafka_wrote() -> None:
    """Where this fails, a new version knows it by itself: then `closed_connections` may go."""

    async def write() -> None:
        async with connection(is_closed=True) as made:
            with pytest.raises(RuntimeError, match="the handler is closed"):
                made.send(Request())

    on_uvloop(write)


@pytest.mark.usefixtures("installed")
def test_a_closed_connection_is_a_failure_that_aiokafka_tries_again() -> None:
    async def write() -> None:
        async with connection(is_closed=True) as made:
            with pytest.raises(KafkaConnectionError):
                made.send(Request())
            assert not made.connected()

    on_uvloop(write)


@pytest.mark.usefixtures("installed")
def test_an_open_connection_is_written_to_and_what_is_no_closing_stays_what_it_is() -> None:
    async def write() -> None:
        async with connection(is_closed=False) as made:
            answer = asyncio.ensure_future(made.send(Request()))
            assert len(made._requests) == 1
            with pytest.raises(NotImplementedError):
                made.send(Impossible())
            assert made.connected()
            answer.cancel()

    on_uvloop(write)
