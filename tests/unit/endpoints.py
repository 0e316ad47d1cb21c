"""Systems of recipients, on real sockets and over TLS under a test CA: well-behaved ones and hostile ones."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network

import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from services.notifier.channels.guard import Guard

HOST = "hooks.example"
HERE = Guard([ip_network("127.0.0.0/8")])
"""A guard that lets the test reach its own endpoints, and is strict in all else."""

_CA = trustme.CA()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Endpoint:
    """Where a recipient listens."""

    answer: Answer
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody has left."""

    @property
    def url(self) -> str:
        """Its address, with what must never be told."""
        return f"https://{HOST}:{self.port}/notices?token=hush"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until one side ends it."""
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                self.asked.append(await _read(reader))
                await self.answer(writer)
                await writer.drain()
        self.dropped.set()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    method, path, _ = head[0].split()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-1])}
    return Asked(method, path, headers, await reader.readexactly(int(headers["content-length"])))


@contextlib.asynccontextmanager
async def endpoint(answer: Answer, host: str = HOST) -> AsyncIterator[Endpoint]:
    """An endpoint with a certificate for `host`."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _CA.issue_cert(host).configure_cert(tls)
    there, serving = Endpoint(answer), set[asyncio.Task[None]]()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(there.serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def trusting() -> ssl.SSLContext:
    """TLS as a client whose only authority is the test's."""
    tls = ssl.create_default_context()
    _CA.configure_trust(tls)
    return tls


class Names(AbstractResolver):
    """Answers every look-up the same, and counts them."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses or ("127.0.0.1",)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses, whatever the name."""
        self.asked.append(host)
        return [_result(host, address, port) for address in self.addresses]

    async def close(self) -> None:
        """Nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


# What endpoints answer


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\n{named}\r\n"

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode("latin-1") + body)

    return answer


async def never_ends(writer: asyncio.StreamWriter) -> None:
    """A body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte a second, and never a whole status."""
    for byte in b"HTTP/1.1 200 OK\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def drips_its_body(writer: asyncio.StreamWriter) -> None:
    """The status at once, then a byte a second."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def says_nothing(writer: asyncio.StreamWriter) -> None:
    """A connection that is held and never answered."""
    await asyncio.Event().wait()


async def closes_in_its_status(writer: asyncio.StreamWriter) -> None:
    """The connection ends in mid-answer, before anything was said."""
    writer.write(b"HTTP/1.1 200 O")
    writer.close()


async def closes_in_its_body(writer: asyncio.StreamWriter) -> None:
    """The connection ends in mid-answer, after it was said that the notice is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nxx")
    writer.close()


async def speaks_no_http(writer: asyncio.StreamWriter) -> None:
    """Something else listens there."""
    writer.write(b"220 mail.hooks.example hush\r\n")
    writer.close()
