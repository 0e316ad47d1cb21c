"""The duty officers' system: takes every webhook and counts it."""

import asyncio
from collections import Counter

from deploy.local.ports import HOST

_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class Webhooks:
    """A server that answers every POST with 204."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        """By `webhook-id`."""
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, port)

    def stop(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                _, *lines = head.strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                await reader.readexactly(int(headers["content-length"]))
                self.came[headers["webhook-id"]] += 1
                writer.write(_TAKEN)
        except (asyncio.IncompleteReadError, ConnectionError):  # its client was killed
            pass
        finally:
            writer.close()
