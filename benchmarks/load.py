"""The load: a process of its own that posts letters over connections that stay open, as cheaply as Python can.

    python -m benchmarks.load PORT,... TOKEN-FILE NAME COUNT CONNECTIONS RATE URGENCY

It makes all requests, connects, prints `ready`, waits for a line on its input, posts, and prints what it saw as JSON.
Closed loop: every connection posts again as soon as it has its answer. With a RATE (per second; not 0) open loop: posts
leave at their time (`moments`) whether or not the earlier ones are answered, and latency counts from that time.
"""

import asyncio
import gc
import itertools
import json
import resource
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.letters import PATH, bodies
from benchmarks.pace import moments
from deploy.local.ports import HOST


class _Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, load: "_Load") -> None:
        self._load, self._got, self.since = load, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def post(self, request: bytes, since: float) -> None:
        """Send one request; `since` is when it was due."""
        self.since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got = got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        at = got.lower().find(b"content-length: ", 0, end) + 16
        if len(got) - end - 4 >= int(got[at : got.find(b"\r", at)]):
            self._got = b""
            self._load.answered(self, got[9:12])

    def connection_lost(self, _error: Exception | None) -> None:
        self._load.lost()


class _Load:
    """All requests, and what became of them."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self._requests = requests
        self._moments = moments(rate, len(requests), len(requests)) if rate else None
        self._next, self._waited = 0, [0.0] * len(requests)
        self._answers = 0
        self._statuses: Counter[bytes] = Counter()
        self._due: deque[tuple[int, float]] = deque()
        self._idle: deque[_Connection] = deque()
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, connections: list[_Connection]) -> dict[str, object]:
        """Post all and wait for all answers."""
        before, began = _cpu(), time.monotonic()
        if self._moments is None:
            for connection in connections:
                self._post_next(connection)
        else:
            self._idle.extend(connections)
            self._tick(began)
        await self._done
        ended = time.monotonic()
        waited = sorted(self._waited)
        return {
            "began": began,
            "ended": ended,
            "statuses": {status.decode(): number for status, number in self._statuses.items()},
            "p50_ms": waited[len(waited) // 2] * 1e3,
            "p99_ms": waited[len(waited) * 99 // 100] * 1e3,
            "cpu": _cpu() - before,
        }

    def answered(self, connection: _Connection, status: bytes) -> None:
        """Take one answer and, if there is more to post, post it."""
        now = time.monotonic()
        self._waited[self._answers] = now - connection.since
        self._answers += 1
        self._statuses[status] += 1
        if self._answers == len(self._requests):
            self._done.set_result(None)
        elif self._moments is None:
            self._post_next(connection, now)
        elif self._due:
            number, since = self._due.popleft()
            connection.post(self._requests[number], since)
        else:
            self._idle.append(connection)

    def lost(self) -> None:
        """A server that closes a connection spoils the measurement."""
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server closed a connection"))

    def _post_next(self, connection: _Connection, now: float | None = None) -> None:
        if self._next < len(self._requests):
            self._next += 1
            connection.post(self._requests[self._next - 1], now or time.monotonic())

    def _tick(self, began: float) -> None:
        """Post what is due by now, and come again when the next is."""
        assert self._moments is not None
        now = time.monotonic()
        while self._next < len(self._requests) and (due := began + self._moments[self._next]) <= now:
            if self._idle:
                # In turn: a server closes a connection that is idle for long.
                self._idle.popleft().post(self._requests[self._next], due)
            else:
                self._due.append((self._next, due))
            self._next += 1
        if self._next < len(self._requests):
            asyncio.get_running_loop().call_later(began + self._moments[self._next] - now, self._tick, began)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def requests(token: str, name: str, count: int, urgency: str) -> list[bytes]:
    """Whole HTTP requests, ready to be written."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies(name, count, urgency)]


async def _main(
    ports: list[int], token: str, name: str, count: int, connections: int, rate: float, urgency: str
) -> None:
    loop = asyncio.get_running_loop()
    load = _Load(requests(token, name, count, urgency), rate)
    takers = itertools.islice(itertools.cycle(ports), connections)
    opened = [await loop.create_connection(lambda: _Connection(load), HOST, port) for port in takers]
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    print(json.dumps(await load.run([connection for _, connection in opened])), flush=True)


if __name__ == "__main__":
    ports, token_file, name, count, connections, rate, urgency = sys.argv[1:]
    token = Path(token_file).read_text().strip()
    numbers = [int(port) for port in ports.split(",")]
    uvloop.run(_main(numbers, token, name, int(count), int(connections), float(rate), urgency))
