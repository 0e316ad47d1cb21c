"""Links between processes that a test can cut, reset and slow down: small TCP proxies in a thread of their own.

What is cut passes nothing on and says nothing, as a cable that is pulled: what was sent meanwhile arrives when the link
is whole again, also the end of a connection. What is reset ends its connections, and takes none until it is whole.
"""

import asyncio
import threading
from collections import deque
from typing import Self, cast

import uvloop

from deploy.local.ports import HOST, free_ports

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
        self.loop.call_soon_threadsafe(setattr, self, "delay", delay)

    def mend(self) -> None:
        """Neither cut nor reset any more."""
        self._set(is_cut=False, is_reset=False)

    def _set(self, *, is_cut: bool, is_reset: bool) -> None:
        def change() -> None:
            self.is_cut, self.is_reset = is_cut, is_reset
            for side in list(self.sides):
                if is_reset:
                    side.abort()
                side.flush()

        self.loop.call_soon_threadsafe(change)

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await self.loop.create_server(lambda: _Front(self), HOST, self.port)


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


class Links:
    """All links of a test; `with` ends them."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self.all: list[Link] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; connections that are still there end with it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def to(self, target: int) -> Link:
        """A new link to a port."""
        link = Link(self._loop, target)
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result()
        self.all.append(link)
        return link
