"""A client that does not keep to HTTP: raw bytes over a connection, and what comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local.ports import HOST
from tests.service.running import PATIENCE


@dataclass
class Answer:
    """One answer as it stood on the connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """What the body is."""
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass
class Pipe:
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, raw: bytes) -> None:
        """Send bytes; a server that has closed already is no error."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answers(self, patience: float = PATIENCE) -> list[Answer]:
        """Everything that comes until the server closes."""
        found = bytearray()
        async with asyncio.timeout(patience):
            while part := await self._part():
                found += part
        return _split(bytes(found))

    async def _part(self) -> bytes:
        try:
            return await self.reader.read(65_536)
        except ConnectionError:
            return b""

    async def is_closed(self) -> bool:
        """Whether the server has closed, as far as can be seen at once."""
        try:
            async with asyncio.timeout(0.01):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def _split(raw: bytes) -> list[Answer]:
    answers = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}
        size = int(headers.get("content-length", len(rest)))
        answers.append(Answer(int(first.split()[1]), headers, rest[:size]))
        raw = rest[size:]
    return answers


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Pipe]:
    """A connection, until the block ends."""
    made = Pipe(*await asyncio.open_connection(HOST, port))
    try:
        yield made
    finally:
        made.writer.close()


async def said(port: int, raw: bytes, patience: float = PATIENCE) -> list[Answer]:
    """What a server answers to these bytes on a connection of their own."""
    async with connected(port) as pipe:
        await pipe.says(raw)
        return await pipe.answers(patience)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole request, with its connection's end."""
    named = {"host": "x", "connection": "close", "content_length": str(len(body))} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body
