"""Alertmanager forgets what is not posted again: everything that still burns is posted every minute, until it is over.

Nothing of this is kept: every notifier posts the same, Alertmanager knows its alerts by their labels, and what nobody
posts any more ends there by itself.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from services.notifier.channels import Destination, Shown
from services.notifier.destinations import Destinations
from services.notifier.domain.bodies import Delivered, Failed
from shared import times
from shared.events import Event
from shared.failures import TryAgain
from shared.log import Away, logger
from shared.loop import Loop
from shared.partners import NoticeChannel
from shared.records import event_of
from shared.times import text_of

EVERY = 60.0
"""Seconds between posts; Alertmanager keeps an alert for five minutes."""
LONGEST = timedelta(days=7)
"""An alert that nothing ends, such as one about no case, burns no longer than that."""
OVER = timedelta(minutes=5)
"""For so long it is posted that an alert is over."""
AT_ONCE = 1_000
INDEX = {
    # What burns has no time of its end and stands together: what is over is not looked at again and again.
    "keys": [("state.resolved_at", 1), ("state.raised_at", -1)],
    "name": "burning",
    "partialFilterExpression": {"state.channel": NoticeChannel.ALERTMANAGER.value},
}
_WANTED = {"state.subscriber": 1, "history": {"$slice": 1}}


class Reposts(Protocol):
    """The Alertmanager channel."""

    async def repost(self, to: Destination, shown: tuple[Shown, ...], now: Any) -> Delivered | Failed:
        """Post alerts that still burn."""
        ...

    async def resolve(self, to: Destination, shown: tuple[Shown, ...], now: Any) -> Delivered | Failed:
        """Post that alerts are over."""
        ...


Post = Callable[[Destination, tuple[Shown, ...], Any], Awaitable[Delivered | Failed]]


class Firing:
    """Posts again until cancelled."""

    def __init__(
        self,
        notices: Loop,
        channel: Reposts,
        destinations: Destinations,
        says: Callable[[Event], Mapping[str, str]],
        link: Callable[[str], str | None],
    ) -> None:
        self._notices, self._channel, self._destinations = notices, channel, destinations
        self._says, self._link = says, link
        self._log = logger(part="firing")
        self._away = Away("Alertmanager", self._log)

    async def run(self) -> None:
        """Post every minute."""
        while True:
            with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so
                await self.post()
            await asyncio.sleep(EVERY)

    async def post(self) -> None:
        """Post once: what burns, and what is over."""
        now = self._notices.now()
        delivered = {
            "state.channel": NoticeChannel.ALERTMANAGER.value,
            "state.raised_at": {"$gt": text_of(now - LONGEST)},
            "state.status": "delivered",
        }
        burning = await self._found(delivered | {"state.resolved_at": None}, "-state.raised_at")
        over = await self._found(delivered | {"state.resolved_at": {"$gt": text_of(now - OVER)}}, "-state.resolved_at")
        # All at once: one that hangs must not let the others' alerts run out.
        await asyncio.gather(
            *(
                self._post(post, recipient, shown)
                for of_it, post in ((burning, self._channel.repost), (over, self._channel.resolve))
                for recipient, shown in of_it.items()
            )
        )

    async def _found(self, query: Mapping[str, Any], order: str) -> Mapping[str, list[Shown]]:
        """What is to be posted, by recipient."""
        found = await self._notices.store.find(query, _WANTED, limit=AT_ONCE, sort=[order])
        if len(found) == AT_ONCE:
            self._log.warning("there is more than is posted again", most=AT_ONCE)
        shown: dict[str, list[Shown]] = defaultdict(list)
        for one in found:
            shown[one["state"]["subscriber"]].append(self._shown(one))
        return shown

    async def _post(self, post: Post, recipient: str, shown: Sequence[Shown]) -> None:
        destination = self._destinations.find(recipient, NoticeChannel.ALERTMANAGER)
        if destination is not None:
            self._note(await post(destination, tuple(shown), times.now()))

    def _shown(self, one: Mapping[str, Any]) -> Shown:
        raised = event_of(one["_id"], one["history"][0])
        return Shown(one["_id"], self._says(raised), raised.data, raised.at, self._link(one["_id"]))

    def _note(self, outcome: Delivered | Failed) -> None:
        if isinstance(outcome, Failed):
            self._away.lost(outcome.reason)
        else:
            self._away.back()
