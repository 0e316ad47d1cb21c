"""Connections that cost too much are closed, and a good one beside them is served; the time is passed in."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from shared.connections import LINGER, LONG_BODY, MOST_HEAD, MOST_QUEUED, Connections, HttpMetrics, bounded, room_for
from shared.under_way import Bodies

GOOD = b"GET /good HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD, BODY = 10.0, 60.0


@dataclass
class Pipe:
    """A raw connection of a client's."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, raw: bytes) -> "Pipe":
        """Send bytes, and let the server read them."""
        self.writer.write(raw)
        await self.writer.drain()
        await asyncio.sleep(0.02)
        return self

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def problem(self) -> str:
        """The next answer, which must be a problem and the last."""
        status, headers, body = await self.answer()
        assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
        told = json.loads(body)
        assert told["status"] == status
        await self.is_closed()
        return str(told["type"]).removeprefix("urn:rogatory:problem:")

    async def is_closed(self) -> None:
        """Nothing more comes."""
        async with asyncio.timeout(10):
            assert await self.reader.read() == b""


@dataclass
class Server:
    """A server with an application that answers `/good`, reads `/body`, and answers `/early` before the body came."""

    connections: Connections
    registry: CollectorRegistry
    port: int = 0
    uvicorn: Any = None
    bodies: list[bytes] = field(default_factory=list)
    scopes: list[Mapping[str, Any]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        status = 200
        if scope["path"] == "/body":
            body = b""
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
            self.bodies.append(body)
        elif scope["path"] == "/work":
            await self.go_on.wait()
        elif scope["path"] == "/early":
            status = 413
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def pipe(self) -> Pipe:
        """A new connection."""
        made = Pipe(*await asyncio.open_connection("127.0.0.1", self.port))
        await asyncio.sleep(0.02)
        return made

    def at_work(self) -> list[Any]:
        """The connections, as uvicorn keeps them."""
        return [*self.uvicorn.server_state.connections]

    def look(self, later: float) -> None:
        """What is seen at a later time."""
        self.connections.look(asyncio.get_running_loop().time() + later)

    def count(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.registry.get_sample_value(f"rogatory_http_{name}", labels) or 0.0


@asynccontextmanager
async def serving(most: int = 100) -> AsyncIterator[Server]:
    """The server, until the block ends."""
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry)
    made = Server(Connections(most, HEAD, BODY, metrics), registry)
    config = uvicorn.Config(
        bounded(made.app, metrics, Bodies(1_000_000)),
        port=0,
        http=made.connections.protocol,  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    made.uvicorn = server
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
            await asyncio.sleep(0.01)
    made.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.go_on.set()
        server.should_exit = True
        await task


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with room."""
    async with serving() as made:
        yield made


async def test_who_says_nothing_is_closed_without_a_word(server: Server) -> None:
    pipe = await server.pipe()

    server.look(HEAD - 1)
    assert not pipe.reader.at_eof()
    server.look(HEAD + 1)

    await pipe.is_closed()
    assert server.count("connections_closed_total", why="idle") == 1


async def test_a_head_byte_by_byte_does_not_win_time(server: Server) -> None:
    pipe = await server.pipe()
    for byte in GOOD[:12]:
        await pipe.says(bytes([byte]))

    server.look(HEAD + 1)

    assert await pipe.problem() == "too-slow"
    assert server.count("connections_closed_total", why="slow") == 1
    assert server.count("refusals_total", status="408") == 1


async def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(POST + b"12345")

    server.look(HEAD + 1)
    assert not pipe.reader.at_eof()
    server.look(BODY + 1)

    assert await pipe.problem() == "too-slow"
    assert server.bodies == []


async def test_a_body_that_nobody_waits_for_is_not_waited_for_either(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(POST.replace(b"/body", b"/early") + b"12345")
    assert (await pipe.answer())[0] == 413

    server.look(BODY + 1)

    await pipe.is_closed()  # a second answer would be taken for that of the next request


@pytest.mark.parametrize("within", [HEAD + 1, 0])
async def test_who_is_answered_holds_no_place_by_going_on_slowly(within: float) -> None:
    async with serving(most=2) as server:
        slow = await server.pipe()
        await slow.says(POST.replace(b"/body", b"/early") + b"1")
        assert (await slow.answer())[0] == 413
        await slow.says(b"2")
        working = await server.pipe()
        await working.says(GOOD.replace(b"/good", b"/work"))

        if within:
            server.look(within)
            await slow.is_closed()
        another = await server.pipe()
        await another.says(GOOD)

        assert (await another.answer())[0] == 200
        await slow.is_closed()
        server.go_on.set()
        assert (await working.answer())[0] == 200


async def test_who_is_worked_for_is_not_closed_though_another_answer_came_before(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(GOOD + GOOD.replace(b"/good", b"/work"))
    assert (await pipe.answer())[0] == 200

    server.look(1_000)
    server.go_on.set()

    assert (await pipe.answer())[0] == 200


async def test_who_is_worked_for_is_not_closed(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(GOOD.replace(b"/good", b"/work"))

    server.look(1_000)
    server.go_on.set()

    assert (await pipe.answer())[0] == 200


async def test_a_connection_that_was_used_may_be_used_again(server: Server) -> None:
    pipe = await server.pipe()
    for _ in range(3):
        await pipe.says(GOOD)
        assert (await pipe.answer())[0] == 200
        server.look(HEAD - 1)
    await pipe.says(POST.replace(b"/body", b"/early") + b"1234567890")
    assert (await pipe.answer())[0] == 413
    await pipe.says(GOOD)
    assert (await pipe.answer())[0] == 200

    server.look(HEAD + 1)
    await pipe.is_closed()


@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "endless"])
async def test_a_head_over_the_limit_is_refused(server: Server, is_whole: bool) -> None:
    pipe = await server.pipe()
    await pipe.says(GOOD[:-2] + b"x: " + b"y" * MOST_HEAD + (b"\r\n\r\n" if is_whole else b""))

    assert await pipe.problem() == "headers-too-large"
    assert server.scopes == []


async def test_a_long_url_is_refused_too(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(b"GET /" + b"a" * MOST_HEAD + b" HTTP/1.1\r\nhost: x\r\n\r\n")

    assert await pipe.problem() == "headers-too-large"


async def test_a_large_body_is_no_large_head(server: Server) -> None:
    body = b"b" * (MOST_HEAD * 3)
    pipe = await server.pipe()
    await pipe.says(POST.replace(b" 10", b" %d" % len(body)) + body + GOOD)

    assert (await pipe.answer())[0] == 200
    assert (await pipe.answer())[0] == 200
    assert server.bodies == [body]


NOT_HTTP = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "an unknown method": b"BREW /good HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path of other bytes": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "HTTP/0.9": b"GET /good\r\nhost: x\r\n\r\n",
    "NUL in a header": b"GET /good HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_no_http_gets_a_problem(server: Server, name: str) -> None:
    pipe = await server.pipe()
    await pipe.says(NOT_HTTP[name])

    assert await pipe.problem() == "not-http"
    assert server.count("refusals_total", status="400") == 1


async def test_a_body_that_breaks_off_into_noise_gets_a_problem(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(CHUNKED + b"5\r\nhello\r\nzz\r\n")

    assert await pipe.problem() == "not-http"
    assert server.bodies == []


async def test_noise_behind_a_request_that_is_worked_for_is_not_its_answer(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(GOOD.replace(b"/good", b"/work"))
    await pipe.says(b"\x00noise\r\n\r\n")
    await pipe.says(GOOD)
    server.go_on.set()

    assert (await pipe.answer())[0] == 200
    await pipe.is_closed()
    assert len(server.scopes) == 1


async def test_of_many_requests_at_once_the_first_are_answered_and_the_rest_are_not_kept(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(GOOD.replace(b"/good", b"/work"))
    await pipe.says(GOOD * 10_000)
    [connection] = server.at_work()
    kept = len(connection.pipeline)
    server.look(HEAD + 1)  # what is not read any more is not too slow either
    server.go_on.set()

    for _ in range(1 + MOST_QUEUED):
        assert (await pipe.answer())[0] == 200
    await pipe.is_closed()
    assert (kept, len(server.scopes)) == (MOST_QUEUED, 1 + MOST_QUEUED)


async def test_a_trailer_is_no_header(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(CHUNKED + b"2\r\nok\r\n0\r\nauthorization: other\r\n\r\n")

    assert (await pipe.answer())[0] == 200
    [scope] = server.scopes
    assert b"authorization" not in dict(scope["headers"])


async def test_where_there_is_no_room_the_longest_idle_goes() -> None:
    async with serving(most=3) as server:
        at_work, oldest, younger = [await server.pipe() for _ in range(3)]
        await at_work.says(GOOD.replace(b"/good", b"/work"))

        new = await server.pipe()

        await oldest.is_closed()
        await new.says(GOOD)
        assert (await new.answer())[0] == 200
        await younger.says(GOOD)
        assert (await younger.answer())[0] == 200
        server.go_on.set()
        assert (await at_work.answer())[0] == 200
        assert server.count("connections_closed_total", why="room") == 1


async def test_where_all_are_at_work_the_new_one_is_told_to_come_again() -> None:
    async with serving(most=2) as server:
        others = [await server.pipe() for _ in range(2)]
        for other in others:
            await other.says(GOOD.replace(b"/good", b"/work"))

        new = await server.pipe()

        status, headers, _ = await new.answer()
        assert (status, headers["retry-after"]) == (503, "5")
        await new.is_closed()
        assert server.count("connections") == 2


async def test_a_body_that_has_long_been_coming_makes_room_and_one_that_just_began_does_not() -> None:
    async with serving(most=2) as server:
        slow, quick = [await server.pipe() for _ in range(2)]
        await slow.says(POST)
        await quick.says(POST)
        for connection in [*server.connections.reading][:1]:
            server.connections.reading[connection] -= LONG_BODY

        served = await server.pipe()
        await served.says(GOOD.replace(b"/good", b"/work"))
        refused = await server.pipe()
        server.go_on.set()

        assert await slow.problem() == "too-slow"
        assert (await refused.answer())[0] == 503
        assert (await served.answer())[0] == 200
        await quick.says(b"1234567890")
        assert (await quick.answer())[0] == 200


async def test_who_takes_no_answer_is_not_held_for_ever(server: Server) -> None:
    pipe = await server.pipe()
    [connection] = server.connections.waiting
    connection.pause_writing()  # as the transport says when too much waits to be taken
    server.look(HEAD - 1)
    assert server.connections.stuck

    server.look(1_000)

    await pipe.is_closed()
    assert server.count("connections") == 0


async def test_refusals_are_counted_by_status(server: Server) -> None:
    pipe = await server.pipe()
    await pipe.says(POST.replace(b"/body", b"/early") + b"1234567890" + GOOD)
    await pipe.answer()
    await pipe.answer()

    assert server.count("refusals_total", status="413") == 1
    assert server.count("refusals_total", status="other") == 0


def test_there_is_room_for_no_more_than_the_system_allows() -> None:
    assert room_for(10) == 10
    assert 0 < room_for(10_000_000) < 10_000_000


async def test_who_takes_nothing_goes_though_one_before_it_began_anew(server: Server) -> None:
    pipes = [await server.pipe() for _ in range(2)]
    first, second = server.connections.waiting
    server.connections.waiting.clear()  # or they are closed for waiting
    stuck = server.connections.stuck

    first.pause_writing()
    second.pause_writing()
    await asyncio.sleep(0.02)
    first.close()
    between = (stuck[first] + stuck[second]) / 2
    server.connections.look(between + LINGER)

    assert list(stuck) == [first]
    await pipes[1].is_closed()
