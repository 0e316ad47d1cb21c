"""Sending: one attempt with what was claimed, and what became of it."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from services.notifier.channels import Channel, Destination, Parcel, Shown
from services.notifier.destinations import Destinations
from services.notifier.domain.bodies import Delivered, Failed
from services.notifier.domain.notices import BY
from services.notifier.lists.directory import Subscription
from services.notifier.recipients import SAID_FOR, Claimed, Recipient
from shared import times
from shared.decisions import Message
from shared.events import ALERT_RAISED, Event
from shared.failures import TryAgain
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.posts import AT_ONCE, Posts, QueueFull
from shared.times import read

TEST = "test"
TEST_SAYS = {
    "en": "A test: nothing has happened.",
    "az": "Sınaq: heç nə baş verməyib.",
    "ru": "Проверка: ничего не произошло.",
    "fr": "Un essai : il ne s'est rien passé.",
}
NO_CHANNEL = "this deployment does not have the channel"
NO_RECIPIENT = "no longer a recipient"
Says = Callable[[Event], Mapping[str, str]]
"""A notice's sentence in every language that its rule has."""
Link = Callable[[str], str | None]


class Sending:
    """Makes attempts, and keeps their outcomes: those that come together are kept together."""

    def __init__(
        self,
        notices: Loop,
        channels: Mapping[NoticeChannel, Channel],
        destinations: Destinations,
        metrics: Metrics,
        says: Says,
        link: Link,
        gone: Callable[[Destination], Awaitable[None]],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        """`gone`: told of a recipient whose system says that it is gone.

        `refresh`: looks anew who the recipients are, before one is given up.
        """
        self._notices, self.channels, self._destinations = notices, channels, destinations
        self._metrics, self._says, self._link, self._gone = metrics, says, link, gone
        self._refresh = refresh
        self._log = logger(part="delivery")
        self._keeping = Posts(notices, "clock")

    async def keep(self) -> None:
        """Keep outcomes until cancelled."""
        await self._keeping.run()

    async def send(self, claimed: Claimed, go_on: Callable[[], None] = lambda: None) -> bool:
        """One attempt; whether it was taken.

        `go_on`: called when the recipient has taken it, before that is kept.
        """
        recipient, attempt = claimed.recipient, claimed.attempt()
        destination = self._destinations.find(recipient.name, recipient.channel) or await self._anew(recipient)
        outcome: Delivered | Failed = Failed(attempt, NO_RECIPIENT, for_good=True)
        if destination is not None:
            began = asyncio.get_running_loop().time()
            outcome = await self._post(destination, claimed)
            recipient.took(asyncio.get_running_loop().time() - began)
            if isinstance(outcome, Failed) and outcome.gone:
                now_at = await self._anew(recipient)
                if now_at is not None and now_at.address != destination.address:
                    # It was gone from where it is no longer.
                    outcome = Failed(attempt, outcome.reason)
        is_taken = isinstance(outcome, Delivered)
        recipient.answered(outcome)
        self._count(claimed, is_taken=is_taken)
        if is_taken:
            recipient.was_taken(claimed.about)
            go_on()
        if isinstance(outcome, Failed):
            self._log.warning(
                "not delivered",
                notice=claimed.records[0].id,
                recipient=recipient.name,
                channel=recipient.channel,
                attempt=attempt,
                reason=outcome.reason,
            )
        # If MongoDB stays away the claim runs out, and the notice is sent once more with the same id.
        with contextlib.suppress(TryAgain):
            await self._keep(claimed, outcome)
            recipient.was_kept(claimed)
            if destination is not None and isinstance(outcome, Failed) and outcome.gone:
                await self._gone(destination)
        return is_taken

    async def send_test(self, subscription: Subscription) -> Delivered | Failed:
        """One test notice, now; it is no record."""
        data: dict[str, Any] = {"notice": TEST, "rule": TEST, "says": TEST_SAYS["en"], "about": TEST, "facts": {}}
        data |= {
            "subscriber": subscription.recipient,
            "channel": subscription.channel,
            "raised_at": times.text_of(times.now()),
        }
        destination = self._destinations.find(subscription.recipient, subscription.channel)
        if destination is None:
            return Failed(1, NO_RECIPIENT, for_good=True)
        shown = Shown(TEST, TEST_SAYS, data, data["raised_at"], None)
        name = f"{TEST}_{secrets.token_hex(16)}"
        return await self._by_channel(Parcel(name, destination, (shown,), 1))

    async def put(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keep what became of notices; raises `TryAgain`."""
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), AT_ONCE):
            # A digest may be many: in parts, so that the rest of the process goes on.
            outcomes += await self._put(messages[at : at + AT_ONCE])
        return outcomes

    async def _put(self, messages: Sequence[Message]) -> list[Outcome]:
        while True:
            try:
                return await self._keeping.put(messages, 0)
            except QueueFull:
                await asyncio.sleep(0.1)  # MongoDB is slow: what was taken is worth waiting for

    async def _keep(self, claimed: Claimed, outcome: Delivered | Failed) -> None:
        recipient, moment = claimed.recipient, asyncio.get_running_loop().time()
        is_known = moment - recipient.given_up < SAID_FOR or (isinstance(outcome, Failed) and outcome.is_known)
        kept = await self.put(
            [_ended(claimed, n, outcome, is_known=is_known or n > 0) for n in range(len(claimed.records))]
        )
        if any(event.type == ALERT_RAISED for one in kept if one.fresh for event in one.record.fresh):
            recipient.given_up = moment

    async def _anew(self, recipient: Recipient) -> Destination | None:
        """Where a recipient is by the newest look: another process may have been told a second ago."""
        with contextlib.suppress(TryAgain):  # MongoDB is away: what was known last holds
            await self._refresh()
        return self._destinations.find(recipient.name, recipient.channel)

    async def _post(self, destination: Destination, claimed: Claimed) -> Delivered | Failed:
        shown = tuple(
            Shown(record.id, self._says(raised), raised.data, raised.at, self._link(record.id))
            for record, raised in zip(claimed.records, claimed.raised, strict=True)
        )
        return await self._by_channel(Parcel(claimed.records[0].id, destination, shown, claimed.attempt()))

    async def _by_channel(self, parcel: Parcel) -> Delivered | Failed:
        channel = self.channels.get(parcel.to.channel)
        if channel is None:
            return Failed(parcel.attempt, NO_CHANNEL, for_good=True)
        return await channel.send(parcel, times.now())

    def _count(self, claimed: Claimed, *, is_taken: bool) -> None:
        channel = claimed.recipient.channel
        self._metrics.deliveries.labels(channel, "delivered" if is_taken else "failed").inc()
        if is_taken:
            now = self._notices.now()
            for raised in claimed.raised:
                since = read(raised.data.get("happened_at") or raised.at)
                self._metrics.notice_seconds.labels(channel).observe(max(0.0, (now - since).total_seconds()))

    async def close(self) -> None:
        """Close every channel."""
        for channel in {id(one): one for one in self.channels.values()}.values():
            await channel.close()


def _ended(claimed: Claimed, number: int, outcome: Delivered | Failed, *, is_known: bool) -> Message:
    """How the attempt ended for one of its notices."""
    record, attempt = claimed.records[number], claimed.attempt(number)
    body: Delivered | Failed = Delivered(attempt)
    if isinstance(outcome, Failed):
        body = Failed(attempt, outcome.reason, outcome.retry_after, outcome.for_good, outcome.gone, is_known=is_known)
    return Message(record.id, f"delivery/{record.id}/{attempt}", BY, body, seen=record)
