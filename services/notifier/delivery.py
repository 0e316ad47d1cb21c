"""Delivery: claims as many due notices as can be sent at once, sends them, keeps what became of each; at least once.

What people read goes as one message where several wait for the same recipient. One recipient that is slow or dead
takes its own few places and nobody else's.
"""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.notifier.channels import Channel, Destination, Parcel, Shown
from services.notifier.destinations import Destinations
from services.notifier.domain.notices import Attempt, Delivered, Failed
from services.notifier.lists.directory import Subscription
from services.notifier.recipients import SAID_FOR, Recipient
from shared import times
from shared.decisions import Message
from shared.events import ALERT_RAISED, Event
from shared.failures import TryAgain
from shared.log import Away, logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.posts import Posts, QueueFull
from shared.records import event_of
from shared.times import read

LOOK_AT = 500
"""Due notices that are looked at together."""
DIGEST = 10_000
"""Notices in one message at most."""
EVERY = 0.25
"""Seconds between looks for what is due."""
CLAIM_PATIENCE = 5.0
"""Seconds for which claiming is tried while MongoDB is away: a claim must be young when its request begins."""
BY = "notifier"
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
INDEX = {
    "keys": [("next_due", 1), ("state.subscriber", 1)],
    "name": "due",
    "partialFilterExpression": {"next_due": {"$exists": True}},
}
FIRST_INDEX = {
    "keys": [("next_due", 1)],
    "name": "due_never_held",
    "partialFilterExpression": {"state.never_held": True, "next_due": {"$exists": True}},
}
_WANTED = {
    "next_due": 1,
    "state.about": 1,
    "state.subscriber": 1,
    "state.channel": 1,
    "state.in_digest": 1,
    "state.rate": 1,
    "state.never_held": 1,
    "history": {"$slice": 1},
}
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
        self._keeping = Posts(notices)
        """Outcomes that come together are kept together."""
        self._recipients: dict[tuple[str, str], Recipient] = {}
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
        chosen = self._choose(await self._due())
        for of_it in [of_it for of_it in chosen if of_it[0]["state"].get("in_digest")]:
            of_it += await self._more(of_it)
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

    async def _due(self) -> list[dict[str, Any]]:
        """Due notices, the earliest first, without those that cannot be sent now: they must not hide the others."""
        query: dict[str, Any] = {"next_due": {"$lte": times.text_of(self._notices.now())}}
        known = list(self._recipients.values())
        # What nothing may hold back goes before everything else, and has a place of its own.
        first = await self._find({**query, "state.never_held": True}, known, never_held=True)
        return first + await self._find({**query, "state.never_held": {"$exists": False}}, known, never_held=False)

    async def _find(
        self, query: dict[str, Any], known: Sequence[Recipient], *, never_held: bool
    ) -> list[dict[str, Any]]:
        with_room = {one.name for one in known if one.room_for(never_held=never_held)}
        if full := sorted({one.name for one in known} - with_room):
            query["state.subscriber"] = {"$nin": full}
        cannot = [
            not_now for one in known if one.name in with_room for not_now in self._cannot(one, never_held=never_held)
        ]
        if cannot:
            query["$nor"] = cannot
        return await self._notices.store.find(query, _WANTED, limit=LOOK_AT, sort=["next_due"])

    def _cannot(self, recipient: Recipient, *, never_held: bool) -> list[dict[str, Any]]:
        """The notices that a recipient cannot get now: all of this channel; about what is in flight; too many."""
        of_it: dict[str, Any] = {"state.subscriber": recipient.name, "state.channel": recipient.channel}
        if not recipient.room_for(never_held=never_held):
            return [of_it]
        cannot = [{**of_it, "state.about": {"$in": sorted(recipient.busy)}}] if recipient.busy else []
        if recipient.has_rate and not never_held:
            sent = recipient.count(asyncio.get_running_loop().time())
            cannot.append({**of_it, "state.rate": {"$lte": sent}})
        return cannot

    def _choose(self, due: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """What is sent now: per recipient as much as it has room for, one about each case, digests together."""
        chosen: list[list[dict[str, Any]]] = []
        digests: dict[int, list[dict[str, Any]]] = {}
        taken: dict[int, set[str]] = defaultdict(set)
        moment = asyncio.get_running_loop().time()
        for one in due:
            state = one["state"]
            recipient = self._recipient(state["subscriber"], state["channel"])
            if state.get("in_digest") and id(recipient) in digests:
                digests[id(recipient)].append(one)
                continue
            about, mine = state["about"], taken[id(recipient)]
            never_held = bool(state.get("never_held"))
            rate = None if never_held else state.get("rate")
            if len(mine) >= recipient.room_for(never_held=never_held) or about in mine or about in recipient.busy:
                continue
            if not recipient.may_have(rate, moment):
                continue
            mine.add(about)
            if not never_held:
                recipient.sent.append(moment)
            chosen.append([one])
            if state.get("in_digest"):
                digests[id(recipient)] = chosen[-1]
        if len(due) >= LOOK_AT and chosen:
            self._awake.set()  # there may be more
        return chosen

    async def _more(self, digest: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What else is due for the recipient of a digest."""
        state = digest[0]["state"]
        query = {
            "next_due": {"$lte": times.text_of(self._notices.now())},
            "state.subscriber": state["subscriber"],
            "state.channel": state["channel"],
            "state.in_digest": True,
            "_id": {"$nin": [one["_id"] for one in digest]},
        }
        return await self._notices.store.find(query, _WANTED, limit=DIGEST - len(digest), sort=["next_due"])

    def _recipient(self, name: str, channel: str) -> Recipient:
        found = self._recipients.get((name, channel))
        if found is None:
            found = Recipient(name, channel, Away(f"the {channel} of {name}", self._log))
            self._recipients[name, channel] = found
        return found

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
            self._recipient(state["subscriber"], state["channel"]),
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
