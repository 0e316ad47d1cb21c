"""HTTP that two readers could read differently: it is one request, or refused and the connection closed."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.fuzz.raw import said
from tests.service.running import SERVICES, System

HIDDEN = b"GET /metrics HTTP/1.1\r\nhost: hidden\r\n\r\n"
"""What an attacker would like to be taken for a request of somebody else's."""


@dataclass(frozen=True)
class Form:
    """A request with a second one hidden in it, as some reader between would see it."""

    name: str
    headers: bytes
    body: bytes
    first: bytes = b"POST /live HTTP/1.1"

    @property
    def raw(self) -> bytes:
        """All of it as it is sent."""
        return self.first + b"\r\nhost: x\r\n" + self.headers + b"\r\n\r\n" + self.body


CHUNKED = b"0\r\n\r\n" + HIDDEN
FORMS = (
    Form("CL.TE", b"content-length: %d\r\ntransfer-encoding: chunked" % len(CHUNKED), CHUNKED),
    Form("TE.CL", b"transfer-encoding: chunked\r\ncontent-length: 3", b"1\r\nx\r\n0\r\n\r\n" + HIDDEN),
    Form("two lengths", b"content-length: 0\r\ncontent-length: %d" % len(HIDDEN), HIDDEN),
    Form("a list of lengths", b"content-length: 0, %d" % len(HIDDEN), HIDDEN),
    Form("a signed length", b"content-length: +0", HIDDEN),
    Form("a negative length", b"content-length: -1", HIDDEN),
    Form("a hexadecimal length", b"content-length: 0x0", HIDDEN),
    Form("a length with a space within", b"content-length: 0 0", HIDDEN),
    Form("an endless length", b"content-length: 99999999999999999999999", HIDDEN),
    Form("an unknown coding", b"transfer-encoding: xchunked", CHUNKED),
    Form("chunked, then identity", b"transfer-encoding: chunked, identity", CHUNKED),
    Form("chunked twice", b"transfer-encoding: chunked\r\ntransfer-encoding: identity", CHUNKED),
    Form("a coding with a tab", b"transfer-encoding:\x0bchunked", CHUNKED),
    Form("a space before the colon", b"content-length : 0", HIDDEN),
    Form("a folded header", b"x: y\r\n content-length: 0", HIDDEN),
    Form("a bare line feed", b"x: y\ncontent-length: 0", HIDDEN),
    Form("a bare carriage return", b"x: y\rcontent-length: 0", HIDDEN),
    Form("a header without a name", b": content-length: 0", HIDDEN),
    Form("NUL within a name", b"content\x00-length: 0", HIDDEN),
    Form("a negative chunk", b"transfer-encoding: chunked", b"-1\r\n" + CHUNKED),
    Form("a chunk with 0x", b"transfer-encoding: chunked", b"0x0\r\n\r\n" + HIDDEN),
    Form("an endless chunk", b"transfer-encoding: chunked", b"fffffffffffffffff\r\n" + CHUNKED),
    Form("a chunk that is longer", b"transfer-encoding: chunked", b"1\r\nxyz\r\n" + CHUNKED),
    Form("chunks ended by line feeds", b"transfer-encoding: chunked", b"1\nx\n0\n\n" + HIDDEN),
    Form("HTTP/1.0 with chunks", b"transfer-encoding: chunked", CHUNKED, first=b"POST /live HTTP/1.0"),
    Form("HTTP/0.9", b"", HIDDEN, first=b"GET /live"),
    Form("a later HTTP", b"content-length: 0", HIDDEN, first=b"POST /live HTTP/3.7"),
    Form("a line with two spaces", b"content-length: %d" % len(HIDDEN), HIDDEN, first=b"POST  /live HTTP/1.1"),
    Form("a tunnel", b"content-length: 0", HIDDEN, first=b"CONNECT hidden:80 HTTP/1.1"),
    Form("an upgrade", b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3", b"x" * 3 + HIDDEN),
    Form("a websocket", b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13", HIDDEN),
)


async def test_no_request_is_smuggled(services: System) -> None:
    port = services.services["intake"].port

    # At once, for some are answered only when their time is over.
    answers = await asyncio.gather(*(said(port, form.raw) for form in FORMS))

    statuses = {form.name: [answer.status for answer in of_it] for form, of_it in zip(FORMS, answers, strict=True)}
    assert {name: found for name, found in statuses.items() if found not in ([400], [405], [408])} == {}


@pytest.mark.parametrize("service", SERVICES)
async def test_requests_one_after_another_are_answered_in_their_order(services: System, service: str) -> None:
    first = b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    answers = await said(services.services[service].port, first + first + last)

    assert [answer.status for answer in answers] == [200, 200, 404]
