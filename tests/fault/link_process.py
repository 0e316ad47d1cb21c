"""`python -m tests.fault.link_process`: the proxies behind `links`, told by lines on standard input what to do.

A process of its own, and one that goes first where it may: what passes through it must not wait for the tests, nor for
the services that it connects.
"""

import asyncio
import json
import sys
from collections import deque
from typing import cast

import uvloop

from deploy.local.ports import HOST, free_ports
from tests.fault.priority import go_first

_MOST_HELD = 1 << 20
"""Bytes that a link holds back before it reads no more."""


class Link:
    """One way in to one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: int) -> None:
        """`target`: the server's own port."""
        self.loop, self.target = loop, target
        [self.port] = free_ports(1)
        self.is_cut = self.is_reset = False
        self.delay = 0.0
        self.sides: set[_Side] = set()

    def cut(self) -> None:
        """Nothing passes any more."""
        self._set(is_cut=True, is_reset=False)

    def reset(self) -> None:
        """Every connection ends, and no other begins."""
        self._set(is_cut=False, is_reset=True)

    def slow(self, delay: float) -> None:
        """Everything comes so many seconds later, each way; 0: as fast as before."""
        self.delay = delay

    def mend(self) -> None:
        """Neither cut nor reset any more."""
        self._set(is_cut=False, is_reset=False)

    def _set(self, *, is_cut: bool, is_reset: bool) -> None:
        self.is_cut, self.is_reset = is_cut, is_reset
        for side in list(self.sides):
            if is_reset:
                side.abort()
            side.flush()

    async def listen(self) -> None:
        """Take connections."""
        self._server = await self.loop.create_server(lambda: _Front(self), HOST, self.port)


class _Side(asyncio.Protocol):
    """One end of a connection; what it hears goes to the other."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._ready = 0.0
        self._is_over = self._is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.sides.add(self)
        if self.other:
            self.other.flush()

    def data_received(self, data: bytes) -> None:
        # Never before what came earlier, though the link was slower then.
        self._ready = max(self._ready, self.link.loop.time() + self.link.delay if self.link.delay else 0.0)
        self._held.append((self._ready, data))
        self._size += len(data)
        self.flush()
        if self._size > _MOST_HELD and self.transport:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._is_ended = True
        self.flush()
        return True  # the other way is still open

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_over = True
        self.flush()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def flush(self) -> None:
        """Pass on what may pass now."""
        out = self.other.transport if self.other else None
        if self.link.is_cut or out is None:
            return
        now = self.link.loop.time()
        while self._held and self._held[0][0] <= now:
            _, data = self._held.popleft()
            self._size -= len(data)
            out.write(data)
        if self._held:
            self.link.loop.call_at(self._held[0][0], self.flush)
        elif self._is_over:
            self.link.sides.discard(self)
            out.close()
        elif self._is_ended:
            if not out.is_closing():
                out.write_eof()
        elif self.transport and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """End at once, with all that is on its way."""
        self._held.clear()
        self.link.sides.discard(self)
        if self.transport:
            self.transport.abort()


class _Front(_Side):
    """The client's end: it calls the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.link.is_reset:
            self.abort()
            return
        self._calling = self.link.loop.create_task(self._call())

    async def _call(self) -> None:
        back = _Side(self.link)
        self.other, back.other = back, self
        try:
            await self.link.loop.create_connection(lambda: back, HOST, self.link.target)
        except OSError:
            self.abort()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    links: list[Link] = []
    while line := await told.readline():
        what, *more = json.loads(line)
        if what == "to":
            links.append(Link(loop, *more))
            await links[-1].listen()
            answer = [len(links) - 1, links[-1].port]
        else:
            number, *rest = more
            getattr(links[number], what)(*rest)
            answer = []
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    go_first()
    uvloop.run(_serve())
