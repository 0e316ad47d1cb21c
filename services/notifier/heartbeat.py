"""The heartbeat: an outside monitor hears from us while we are well, and tells people when it does not.

A dead man's switch: a notifier that has died, hangs or finds its own gaps cannot be trusted to say so itself.
"""

import asyncio
from collections.abc import Callable

import aiohttp

from shared.log import Away, logger

EVERY = 60.0
"""Seconds between beats."""
TIMEOUT = aiohttp.ClientTimeout(total=10.0)


class Heartbeat:
    """Beats until cancelled."""

    def __init__(self, url: str, is_well: Callable[[], bool], instance: str, every: float = EVERY) -> None:
        """`url`: it may hold the monitor's token, so nothing of it is ever logged."""
        self._url, self._is_well, self._instance, self._every = url, is_well, instance, every
        self._log = logger(part="heartbeat")
        self._away = Away("the outside monitor", self._log)
        self._was_well = True

    async def run(self) -> None:
        """Beat at once and every so often, until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                if self._looks_well():
                    await self._beat(session)
                await asyncio.sleep(self._every)

    def _looks_well(self) -> bool:
        """Said once when it changes."""
        well = self._is_well()
        if self._was_well and not well:
            self._log.error("not well", doing="the outside monitor hears nothing until this is over")
        if well and not self._was_well:
            self._log.info("well again")
        self._was_well = well
        return well

    async def _beat(self, session: aiohttp.ClientSession) -> None:
        said = {"service": "notifier", "instance": self._instance}
        try:
            async with session.post(self._url, json=said, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._away.lost(type(error).__name__)  # its text may hold the address
            return
        if 200 <= status < 300:
            self._away.back()
        else:
            self._away.lost(f"HTTP {status}")
