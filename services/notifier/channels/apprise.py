"""The apprise channel: SMS, voice and pagers by whatever an office has, in a few words.

The address is an apprise URL and holds credentials: neither it nor what apprise says about it is ever logged.
"""

import asyncio
import logging
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.manager_plugins import NotificationManager

from services.notifier.channels import Parcel
from services.notifier.channels.rendering import Rendering, Short
from services.notifier.channels.wording import Wording
from services.notifier.domain.bodies import Delivered, Failed

WHOLE = 20.0
"""Seconds for a call as a whole; well below the claim on its notice."""
AT_ONCE = 64
OF_ONE = 4
"""Calls at a time: all together, and to one address. A call cannot be cut off, so one that hangs keeps its thread.

The threads are our own: the process's common ones look up names, and must stay free."""


class Apprises:
    """Calls people by the services behind their addresses."""

    def __init__(self, wording: Wording, *, whole: float = WHOLE) -> None:
        """`whole`: the longest that a call may take."""
        self._rendering, self._whole = Rendering(wording), whole
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apprise")
        self._calls: Counter[str] = Counter()
        self._asset = _asset(whole)
        logging.getLogger("apprise").disabled = True  # its lines hold addresses
        # Its hundred plugins take seconds to import: at the start, not when the first call is for somebody's life.
        NotificationManager().load_modules()  # type: ignore[no-untyped-call]  # apprise has no types here

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        """One attempt; apprise tells whether it was taken, and no more."""
        address, attempt = parcel.to.address, parcel.attempt
        if self._calls[address] >= OF_ONE:
            return Failed(attempt, "timeout")  # the calls of before hang still
        self._calls[address] += 1
        call = self._threads.submit(self._call, parcel)
        call.add_done_callback(partial(self._ended, asyncio.get_running_loop(), address))
        try:
            async with asyncio.timeout(self._whole):
                reason = await asyncio.wrap_future(call)
        except TimeoutError:
            return Failed(attempt, "timeout")
        if reason is None:
            return Delivered(attempt)
        return Failed(attempt, reason, for_good=reason == UNKNOWN)

    async def close(self) -> None:
        """Begin no more calls."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, parcel: Parcel) -> str | None:
        """In a thread: why it was not taken; None where it was."""
        try:
            service = Apprise.instantiate(parcel.to.address, asset=self._asset)
            if service is None:
                return UNKNOWN
            short = self._rendering.short(parcel)
            is_taken = service.notify(
                title=short.title, body=short.body, notify_type=_type(short), body_format=NotifyFormat.TEXT
            )
        except Exception:  # noqa: BLE001 - a hundred plugins of others: whatever one raises, it was not taken
            return NOT_TAKEN
        return None if is_taken else NOT_TAKEN

    def _ended(self, loop: asyncio.AbstractEventLoop, address: str, _call: Future[str | None]) -> None:
        """In whichever thread a call ended."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._free, address)

    def _free(self, address: str) -> None:
        self._calls[address] -= 1
        if not self._calls[address]:
            del self._calls[address]


UNKNOWN = "unknown address"
NOT_TAKEN = "not taken"


def _type(short: Short) -> NotifyType:
    return NotifyType.FAILURE if short.must_not_wait else NotifyType.INFO


def _asset(whole: float) -> AppriseAsset:
    """Our own name, and nothing that is fetched from elsewhere or kept."""
    return AppriseAsset(
        app_id="Rogatory",
        app_desc="Rogatory",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        image_path_mask=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        allow_templates=False,
        secure_logging=True,
        storage_mode="memory",
        service_timeout=whole,
    )
