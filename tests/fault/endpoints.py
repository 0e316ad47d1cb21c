"""Endpoints for webhooks, each a server of its own: one takes what comes, one hangs, one answers 500."""

import asyncio
import time
from collections import defaultdict
from enum import StrEnum

import orjson

from deploy.local.ports import HOST

HANGS_FOR = 30.0
"""Seconds."""


class Answer(StrEnum):
    """What an endpoint does with each request."""

    TAKES = "204 No Content"
    FAILS = "500 Internal Server Error"
    HANGS = "none"


class Endpoint:
    """One recipient's system."""

    def __init__(self, port: int, answer: Answer) -> None:
        self.url = f"http://{HOST}:{port}/notices"
        self.came: dict[str, float] = {}
        """By what a notice is about: when it first came, by the monotonic clock."""
        self.tries: defaultdict[str, int] = defaultdict(int)
        self.most_at_once = 0
        self._port, self._answer, self._at_once = port, answer, 0
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, self._port)

    def stop(self) -> None:
        """Listen no more, and leave nobody waiting."""
        self._server.close()
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                _, *lines = head.strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers["content-length"]))
                about = orjson.loads(body)["data"]["about"]
                self.came.setdefault(about, time.monotonic())
                self.tries[about] += 1
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    await self._answered(reader, writer)
                finally:
                    self._at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError):  # its client is through with it
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._answer is Answer.HANGS:
            # Whoever gives up closes the connection: then nothing is under way any more.
            async with asyncio.timeout(HANGS_FOR):
                await reader.readuntil(b"\r\n\r\n")
            return
        content = b"" if self._answer is Answer.TAKES else b"Content-Length: 0\r\n"
        writer.write(f"HTTP/1.1 {self._answer}\r\n".encode() + content + b"\r\n")
