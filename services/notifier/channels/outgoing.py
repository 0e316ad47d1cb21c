"""One POST to somebody else's system: guarded, bounded in time and size, and its outcome in our words.

A reason never holds the address, which may hold a token, nor anything that the other side wrote.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver

from services.notifier.channels.guard import Guard, GuardedNames, Refused, SystemNames
from services.notifier.domain.bodies import Delivered, Failed

WHOLE = 20.0
"""Seconds from the name's look-up to the answer's status, however it drips; Standard Webhooks asks for 15 to 30."""
REST = 1.0
"""Seconds for the rest of an answer: its status decides, the rest is read so that the connection can be used again."""
LONGEST_ANSWER = 64 * 1024
"""Bytes that are read of an answer; after that its connection is dropped."""
KEPT_OPEN = 30.0
"""Seconds for which an idle connection is kept."""


class Outgoing:
    """The connections to other people's systems.

    One that hangs takes no place from another: nothing limits their sum. What goes to one at a time, the delivery says.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        ssl_context: ssl.SSLContext | None = None,
        names: AbstractResolver | None = None,
        whole: float = WHOLE,
    ) -> None:
        """Nothing is opened before the first request; `ssl_context`, `names` and `whole` are for tests."""
        self._guard, self._tls = guard, ssl_context
        self._names = GuardedNames(guard, names or SystemNames())
        self._whole = aiohttp.ClientTimeout(total=whole)
        self._opened: aiohttp.ClientSession | None = None

    async def post(
        self, address: str, body: bytes, headers: Mapping[str, str], attempt: int, now: datetime
    ) -> Delivered | Failed:
        """Post once. 2xx is taken; a redirection is not followed, for nobody checked where it leads."""
        try:
            url = self._guard.url(address)
        except Refused:
            return Failed(attempt, "refused address", for_good=True)
        session = self._opened or self._open()
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                status, retry_after = response.status, response.headers.get("retry-after")
                if not response.content.is_eof():  # mostly it has come with the status
                    await _drain(response)
        except (aiohttp.ClientError, OSError, Refused) as error:
            return Failed(attempt, _reason(error))
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Delivered(attempt)
        gone = status == HTTPStatus.GONE
        return Failed(attempt, f"HTTP {status}", _wait(retry_after, now), for_good=gone, gone=gone)

    async def close(self) -> None:
        """Close every connection; the next request opens anew."""
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()
        await self._names.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=self._names,
            ssl=self._tls or True,
            keepalive_timeout=KEPT_OPEN,
        )
        self._opened = aiohttp.ClientSession(
            connector=connector,
            timeout=self._whole,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "rogatory", "accept-encoding": "identity"},
            read_bufsize=LONGEST_ANSWER // 2,  # twice as much is held
            # A few bytes can unpack to gigabytes; we never look at an answer's text.
            auto_decompress=False,
        )
        return self._opened


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the rest of an answer, within bounds; where it does not end there, leaving it drops its connection."""
    left = LONGEST_ANSWER
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(REST):
            while part := await response.content.read(left):  # reading 0 bytes is an end too
                left -= len(part)
    if not response.content.is_eof():
        response.close()


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return "refused address"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "certificate"
    return "timeout" if isinstance(error, TimeoutError) else "connection"


def _wait(text: str | None, now: datetime) -> timedelta | None:
    """What Retry-After asks for: seconds or a date (RFC 9110 section 10.2.3)."""
    if not text:
        return None
    try:
        return timedelta(seconds=int(text)) if text.isdigit() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return None
