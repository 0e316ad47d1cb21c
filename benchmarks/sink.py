"""The sink: a process of its own that takes webhooks, as cheaply as Python can.

    python -m benchmarks.sink PORT

It answers 204 to every request and keeps when each webhook came first: by its `webhook-id`, and Alertmanager's, which
have none, by the fingerprint of their alert. Lines on its input ask: `expect N` forgets what came and says so, and then
when N distinct ones have come; `tell` says all that came.
"""

import asyncio
import gc
import json
import re
import sys
import time
from typing import cast

import uvloop

from deploy.local.ports import HOST

_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb'\r\nwebhook-id: *([^\r]+)|"fingerprint":"([0-9a-f]+)"', re.IGNORECASE)
BACKLOG = 8_192
"""Connections that may wait: Alertmanager opens one for each webhook that it has in flight."""


class _Sink:
    """All that came."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.requests = 0
        self._expected = 0

    def take(self, request: bytes) -> None:
        """Note one request."""
        found = _ID.search(request)
        name = (found[1] or found[2]).decode() if found else "?"
        self.requests += 1
        if name not in self.at:
            self.at[name] = time.monotonic()
            if len(self.at) == self._expected:
                _say({"came": self.at[name]})

    async def obey(self) -> None:
        """Do what the lines ask until there are no more."""
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            match line.split():
                case ["expect", count]:
                    self.at, self.requests, self._expected = {}, 0, int(count)
                    gc.collect()
                    _say({})
                case ["tell"]:
                    _say({"requests": self.requests, "at": self.at})


class _Connection(asyncio.Protocol):
    """One connection; requests come whole or in parts, one after another."""

    def __init__(self, sink: _Sink) -> None:
        self._sink, self._got = sink, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got = got = self._got + data if self._got else data
        head = got.find(b"\r\n\r\n")
        while head >= 0:
            length = _LENGTH.search(got, 0, head + 2)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(got) < end:
                return
            self._sink.take(got[:end])
            self._transport.write(_TAKEN)
            self._got = got = got[end:]
            head = got.find(b"\r\n\r\n")


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def _main(port: int) -> None:
    sink = _Sink()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), HOST, port, backlog=BACKLOG)
    gc.freeze()
    _say({})
    async with server:
        await sink.obey()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
