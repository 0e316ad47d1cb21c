"""HTTP connections that cost too much: idle ones, slow ones, endless headers, and what is no HTTP at all.

uvicorn waits for ever for a request's end, keeps headers of any size, and answers what it cannot read in its own words.
"""

import asyncio
import contextlib
import resource
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httptools
from prometheus_client import CollectorRegistry, Counter, Gauge
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared import problems
from shared.log import logger
from shared.problems import MEDIA_TYPE, Problem
from shared.under_way import Bodies

MOST_HEAD = 32 * 1024
"""Bytes of a request's line and headers; a token has at most 8 KiB."""
MOST_QUEUED = 4
"""Requests of one connection that wait for the answer to one before them; uvicorn would keep as many as come."""
LONG_BODY = 5.0
"""Seconds after which a body that still comes makes room for somebody new, where there is no other."""
RESERVED = 256
"""Files that a process needs beside its connections: Kafka, MongoDB, its own."""
_LOOK = 0.5
"""Seconds between two looks for those that are too slow."""
LINGER = 30.0
"""Seconds for which somebody may take nothing of what we answer."""
STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503)
"""What is counted by itself; all else is `other`."""


class HttpMetrics:
    """How the door stands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._refusals = Counter(
            "rogatory_http_refusals_total",
            "Requests that were answered with a problem.",
            ("status",),
            registry=registry,
        )
        for status in (*map(str, STATUSES), "other"):
            self._refusals.labels(status)
        self.connections = Gauge("rogatory_http_connections", "Connections that are open.", registry=registry)
        self.closed = Counter(
            "rogatory_http_connections_closed_total", "Connections that we closed early.", ("why",), registry=registry
        )
        for why in ("idle", "slow", "room", "stuck"):
            self.closed.labels(why)

    def refused(self, status: int) -> None:
        """One more answer of this status."""
        self._refusals.labels(str(status) if status in STATUSES else "other").inc()


class Connections:
    """Every open connection of one process; `protocol` makes one, as uvicorn asks for it."""

    def __init__(self, most: int, head_within: float, body_within: float, metrics: HttpMetrics) -> None:
        """`most`: at once. `head_within`, `body_within`: seconds for a request's headers, and then for its body."""
        self.most, self._head_within, self._body_within = most, head_within, body_within
        self.metrics = metrics
        self.waiting: OrderedDict[_Connection, float] = OrderedDict()
        """Those without a whole head of a request, and since when: the oldest first."""
        self.reading: OrderedDict[_Connection, float] = OrderedDict()
        """Those whose request's body has not come whole."""
        self.stuck: OrderedDict[_Connection, float] = OrderedDict()
        """Those who have not taken what we wrote."""
        self.open = 0

    def protocol(self, *args: Any, **kwargs: Any) -> "_Connection":
        """A new connection."""
        return _Connection(self, *args, **kwargs)

    async def watch(self) -> None:
        """Close what is too slow, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK)
            self.look(asyncio.get_running_loop().time())

    def look(self, now: float) -> None:
        """Close what is too slow now."""
        for connection in _longer_than(self._head_within, self.waiting, now):
            connection.too_slow(in_body=False)
        for connection in _longer_than(self._body_within, self.reading, now):
            connection.too_slow(in_body=True)
        for connection in _longer_than(LINGER, self.stuck, now):
            self.metrics.closed.labels("stuck").inc()
            connection.transport.abort()

    def make_room(self, new: "_Connection") -> None:
        """There are too many: the one that has waited longest goes, or whose body comes long, or the new one."""
        oldest, since = self.waiting.popitem(last=False)
        self.metrics.closed.labels("room").inc()
        if oldest is not new:
            oldest.close()
        elif slow := next(_longer_than(LONG_BODY, self.reading, since), None):
            self.waiting[new] = since
            slow.refuse(problems.too_slow(), in_body=True)
        else:
            new.refuse(problems.no_room(), in_body=False)


def _begin(found: "OrderedDict[_Connection, float]", connection: "_Connection", now: float) -> None:
    """Its time there begins now, behind all whose time began before, whether it was there already or not."""
    found.pop(connection, None)
    found[connection] = now


def _longer_than(within: float, found: "OrderedDict[_Connection, float]", now: float) -> Iterator["_Connection"]:
    while found and now - next(iter(found.values())) > within:
        yield found.popitem(last=False)[0]


class _Connection(HttpToolsProtocol):
    """uvicorn's own, which also knows how far its request has come."""

    def __init__(self, all_of_them: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = all_of_them
        self._head = 0
        """Bytes of the head that is being read."""
        self._in_head = False
        self._is_deaf = False
        """Whether nothing is read any more: a broken request followed on one that is still worked for."""
        self._why: Problem | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.open += 1
        self._all.metrics.connections.set(self._all.open)
        _begin(self._all.waiting, self, self.loop.time())
        if self._all.open > self._all.most:
            self._all.make_room(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.open -= 1
        self._all.metrics.connections.set(self._all.open)
        for found in (self._all.waiting, self._all.reading, self._all.stuck):
            found.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf or self.transport.is_closing():
            return
        self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MOST_HEAD:
            self.refuse(problems.head_too_large(MOST_HEAD), in_body=False)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        _begin(self._all.waiting, self, self.loop.time())

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a body (trailers) must not become a header of the request, such as another token.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_QUEUED:
            raise httptools.HttpParserError("too many requests at once")
        if self._head > MOST_HEAD and len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers) > MOST_HEAD:
            self._why = problems.head_too_large(MOST_HEAD)
            raise httptools.HttpParserError("the head is too large")
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            raise httptools.HttpParserError("another HTTP")
        super().on_headers_complete()
        self._in_head = False
        self._all.waiting.pop(self, None)
        _begin(self._all.reading, self, self.loop.time())

    def on_message_complete(self) -> None:
        self._head = 0
        self._all.reading.pop(self, None)
        if self.cycle.response_complete:
            _begin(self._all.waiting, self, self.loop.time())
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            _begin(self._all.stuck, self, self.loop.time())
        elif self.cycle.response_complete and not self._in_head:
            # uvicorn closes it when it has rested; until then it may go first where there is no room. What is still
            # to come of a body that is answered holds no place: whoever has no token could hold them all so.
            self._all.reading.pop(self, None)
            _begin(self._all.waiting, self, self.loop.time())

    def timeout_keep_alive_handler(self) -> None:
        self.close()

    def pause_writing(self) -> None:
        self._all.stuck.setdefault(self, self.loop.time())
        super().pause_writing()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():  # who takes a little of what is left is still waited for no longer
            self._all.stuck.pop(self, None)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self.refuse(self._why or problems.not_http(), in_body=self in self._all.reading)

    def too_slow(self, *, in_body: bool) -> None:
        """Close what has not sent a whole request within its time."""
        has_begun = in_body or self._in_head
        self._all.metrics.closed.labels("slow" if has_begun else "idle").inc()
        if has_begun:
            self.refuse(problems.too_slow(), in_body=in_body)
        else:
            self.close()

    def refuse(self, problem: Problem, *, in_body: bool) -> None:
        """Say why, unless it would be read as the answer to another request, and close."""
        if self._is_deaf or self.transport.is_closing():
            return
        cycle = self.cycle
        if not in_body and cycle is not None and not cycle.response_complete:
            # A whole request came before: it gets its answer, and then the connection is closed.
            self._is_deaf, cycle.keep_alive = True, False
            self._all.waiting.pop(self, None)
            return
        if not (in_body and (cycle.response_started or self.pipeline)):
            self._all.metrics.refused(problem.status)
            self.transport.write(_written(problem))
            if in_body:
                cycle.disconnected = True  # what the application says from now on would be a second answer
                cycle.message_event.set()
        self.close()

    def close(self) -> None:
        """Close, once what we wrote has been taken; who takes nothing is not waited for long."""
        _begin(self._all.stuck, self, self.loop.time())
        self.transport.close()


def _written(problem: Problem) -> bytes:
    """An answer outside any request."""
    body = problem.body()
    more = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), *problem.headers, ("connection", "close")]
    head = "".join(f"{name.lower()}: {value}\r\n" for name, value in more)
    return f"HTTP/1.1 {problem.status} {problem.title}\r\n{head}\r\n".encode("latin-1") + body


def room_for(wanted: int) -> int:
    """So many connections as the system lets a process have, at most those wanted; asks for all that it may have."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = wanted if soft == resource.RLIM_INFINITY else min(wanted, max(1, soft - RESERVED))
    if room < wanted:
        logger(part="http").warning("few connections", wanted=wanted, possible=room, reason="the limit of open files")
    return room


def bounded(
    app: Callable[..., Awaitable[None]], metrics: HttpMetrics, bodies: Bodies
) -> Callable[..., Awaitable[None]]:
    """The same application, whose refusals are counted, and whose bodies must find room."""

    async def within(scope: Any, receive: Any, send: Any) -> None:
        body = bodies.of(scope)

        async def hear() -> Any:
            message = await receive()
            if part := message.get("body"):
                body.take(len(part))
            return message

        async def say(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                metrics.refused(message["status"])
            await send(message)

        try:
            await app(scope, hear, say)
        finally:
            body.release()

    return within
