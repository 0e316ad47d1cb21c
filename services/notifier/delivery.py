"""Delivery: claims as many due notices as can be sent at once, sends them, keeps what became of each; at least once.

What people read goes as one message where several wait for the same recipient. One recipient that is slow or dead
takes its own few places and nobody else's.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.notifier.channels import Channel, Destination, Parcel, Shown
from services.notifier.choosing import DIGEST, LOOK_AT, Choosing
from services.notifier.destinations import Destinations
from services.notifier.domain.bodies import Attempt, Delivered, Failed
from services.notifier.domain.notices import BY
from services.notifier.lists.directory import Subscription
from services.notifier.recipients import SAID_FOR, Recipient
from shared import times
from shared.decisions import Message
from shared.events import ALERT_RAISED, Event
from shared.failures import TryAgain
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.posts import Posts, QueueFull
from shared.records import event_of
from shared.times import read

EVERY = 0.25
"""Seconds between looks for what is due."""
CLAIM_PATIENCE = 5.0
"""Seconds for which claiming is tried while MongoDB is away: a claim must be young when its request begins."""
TEST = "test"
TEST_SAYS = {
    "en": "A test: nothing has happened.",
    "az": "Sınaq: heç nə baş verməyib.",
    "ru": "Проверка: ничего не произошло.",
    "fr": "Un essai : il ne s'est rien passé.",
}
INTERRUPTED = "interrupted"
NO_CHANNEL = "this deployment does not have the channel"
NO_RECIPIENT = "no longer a recipient"
Says = Callable[[Event], Mapping[str, str]]
"""A notice's sentence in every language that its rule has."""
Link = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What this process won for one attempt: a notice, or several that go as one message."""

    recipient: Recipient
    notices: tuple[str, ...]
    attempts: tuple[int, ...]
    about: str
    raised: tuple[Event, ...]


class Delivery:
    """Sends what is due on every channel that needs a sender of its own."""

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
        instance: str = "",
    ) -> None:
        """`gone`: told of a recipient whose system says that it is gone; `instance`: this process, over restarts.

        `refresh`: looks anew who the recipients are, before one is given up.
        """
        self._notices, self._channels, self._destinations = notices, channels, destinations
        self._metrics, self._says, self._link, self._gone = metrics, says, link, gone
        self._refresh, self._instance = refresh, instance
        self._log = logger(part="delivery")
        self._keeping = Posts(notices, "clock")
        """Outcomes that come together are kept together."""
        self._choosing = Choosing(notices)
        self._running: set[asyncio.Task[bool]] = set()
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There is something to send."""
        self._awake.set()

    async def run(self) -> None:
        """Deliver until cancelled; an attempt that is cut off is taken up again when its claim ends."""
        keeping = asyncio.create_task(self._keeping.run())
        try:
            await self._take_back()
            while True:
                with contextlib.suppress(TryAgain):
                    for claimed in await self._claim():
                        self._begin(claimed)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._awake.wait()
                self._awake.clear()
        finally:
            if self._running:
                _, late = await asyncio.wait(self._running, timeout=5)
                for task in late:
                    task.cancel()
            keeping.cancel()
            for channel in {id(one): one for one in self._channels.values()}.values():
                await channel.close()

    async def _take_back(self) -> None:
        """What this process was sending when it died need not wait for the end of its claim."""
        query = {"next_due": {"$exists": True}, "state.status": "attempting", "state.claimant": self._instance}
        while self._instance:
            try:
                found = await self._notices.store.find(query, {"state.attempts": 1}, limit=DIGEST, sort=["next_due"])
                await self._handle([_interrupted(one["_id"], one["state"]["attempts"]) for one in found])
                return
            except TryAgain:
                await asyncio.sleep(1)

    def _begin(self, claimed: _Claimed) -> None:
        claimed.recipient.busy.add(claimed.about)
        task = asyncio.create_task(self._deliver(claimed))
        self._running.add(task)
        task.add_done_callback(partial(self._ended, claimed))

    def _ended(self, claimed: _Claimed, task: asyncio.Task[bool]) -> None:
        self._running.discard(task)
        claimed.recipient.busy.discard(claimed.about)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            # The claim runs out and the notice is tried again, a bounded number of times.
            self._notices.bug(error, "delivery")
        elif error is None and task.result():
            self._awake.set()

    async def _claim(self) -> list[_Claimed]:
        """The due notices that this process won; two that try for one are told apart by the guarded write."""
        due = await self._choosing.due()
        chosen = self._choosing.choose(due)
        if len(due) >= LOOK_AT and chosen:
            self._awake.set()  # there may be more
        for of_it in [of_it for of_it in chosen if of_it[0]["state"].get("in_digest")]:
            of_it += await self._choosing.more(of_it)
        claims = [
            Message(one["_id"], f"clock/deliver/{one['next_due']}", BY, Attempt(one["next_due"], self._instance))
            for of_it in chosen
            for one in of_it
        ]
        outcomes = iter(await self._handle(claims))
        won = [self._claimed([(one, next(outcomes)) for one in of_it]) for of_it in chosen]
        return [claimed for claimed in won if claimed is not None]

    async def _handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """A digest may be many: in parts, so that the rest of the process goes on."""
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), LOOK_AT):
            outcomes += await self._notices.handle(messages[at : at + LOOK_AT], "clock", CLAIM_PATIENCE)
        return outcomes

    def _claimed(self, of_it: Sequence[tuple[Mapping[str, Any], Outcome]]) -> _Claimed | None:
        """What was won: the last clock of a notice fails it instead."""
        won = []
        for one, outcome in of_it:
            state = outcome.record.state
            if outcome.fresh and state["status"] == "attempting":
                won.append((one, state))
            elif outcome.fresh:
                attempt = state["attempts"]
                self._log.warning("not delivered", notice=one["_id"], attempt=attempt, reason="no outcome")
        if not won:
            return None
        state = won[0][1]
        return _Claimed(
            self._choosing.recipient(state["subscriber"], state["channel"]),
            tuple(one["_id"] for one, _ in won),
            tuple(state["attempts"] for _, state in won),
            state["about"],
            tuple(event_of(one["_id"], one["history"][0]) for one, _ in won),
        )

    async def _deliver(self, claimed: _Claimed) -> bool:
        """One attempt; whether it was taken."""
        recipient, attempt = claimed.recipient, claimed.attempts[0]
        destination = self._destinations.find(recipient.name, recipient.channel) or await self._anew(recipient)
        outcome: Delivered | Failed = Failed(attempt, NO_RECIPIENT, for_good=True)
        if destination is not None:
            outcome = await self._send(destination, claimed)
            if isinstance(outcome, Failed) and outcome.gone:
                now_at = await self._anew(recipient)
                if now_at is not None and now_at.address != destination.address:
                    # It was gone from where it is no longer.
                    outcome = Failed(attempt, outcome.reason)
        is_taken = isinstance(outcome, Delivered)
        recipient.answered(outcome)
        self._count(claimed, is_taken=is_taken)
        if isinstance(outcome, Failed):
            self._log.warning(
                "not delivered",
                notice=claimed.notices[0],
                recipient=recipient.name,
                channel=recipient.channel,
                attempt=attempt,
                reason=outcome.reason,
            )
        # If MongoDB stays away the claim runs out, and the notice is sent once more with the same id.
        with contextlib.suppress(TryAgain, QueueFull):
            moment = asyncio.get_running_loop().time()
            is_known = moment - recipient.given_up < SAID_FOR
            ended = [_ended(claimed, n, outcome, is_known=is_known or n > 0) for n in range(len(claimed.notices))]
            kept = await (self._keeping.put(ended, 0) if len(ended) == 1 else self._handle(ended))
            if any(event.type == ALERT_RAISED for one in kept if one.fresh for event in one.record.fresh):
                recipient.given_up = moment
            if destination is not None and isinstance(outcome, Failed) and outcome.gone:
                await self._gone(destination)
        return is_taken

    async def _anew(self, recipient: Recipient) -> Destination | None:
        """Where a recipient is by the newest look: another process may have been told a second ago."""
        with contextlib.suppress(TryAgain):
            await self._refresh()
        return self._destinations.find(recipient.name, recipient.channel)

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

    async def _send(self, destination: Destination, claimed: _Claimed) -> Delivered | Failed:
        shown = tuple(
            Shown(notice, self._says(raised), raised.data, raised.at, self._link(notice))
            for notice, raised in zip(claimed.notices, claimed.raised, strict=True)
        )
        parcel = Parcel(claimed.notices[0], destination, shown, claimed.attempts[0])
        return await self._by_channel(parcel)

    async def _by_channel(self, parcel: Parcel) -> Delivered | Failed:
        channel = self._channels.get(parcel.to.channel)
        if channel is None:
            return Failed(parcel.attempt, NO_CHANNEL, for_good=True)
        return await channel.send(parcel, times.now())

    def _count(self, claimed: _Claimed, *, is_taken: bool) -> None:
        channel = claimed.recipient.channel
        self._metrics.deliveries.labels(channel, "delivered" if is_taken else "failed").inc()
        if is_taken:
            now = self._notices.now()
            for raised in claimed.raised:
                since = read(raised.data.get("happened_at") or raised.at)
                self._metrics.notice_seconds.labels(channel).observe(max(0.0, (now - since).total_seconds()))


def _ended(claimed: _Claimed, number: int, outcome: Delivered | Failed, *, is_known: bool) -> Message:
    """How the attempt ended for one of its notices."""
    notice, attempt = claimed.notices[number], claimed.attempts[number]
    body: Delivered | Failed = Delivered(attempt)
    if isinstance(outcome, Failed):
        body = Failed(attempt, outcome.reason, outcome.retry_after, outcome.for_good, outcome.gone, is_known=is_known)
    return Message(notice, f"delivery/{notice}/{attempt}", BY, body)


def _interrupted(notice: str, attempt: int) -> Message:
    """The attempt ended with the process that made it."""
    return Message(notice, f"interrupted/{attempt}", BY, Failed(attempt, INTERRUPTED, at_once=True))
