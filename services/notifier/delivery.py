"""Delivery: claims as many due notices as can be sent at once, sends them, keeps what became of each; at least once."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from services.notifier.domain import Attempt, Delivered, Failed, body_of
from services.notifier.webhook import Webhooks
from shared import times
from shared.decisions import Message
from shared.events import Event
from shared.failures import TryAgain
from shared.log import Away, logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.records import event_of

IN_FLIGHT = 4
"""Requests to one recipient at a time."""
TRUST = 5
"""After so many failed attempts in a row a recipient gets one request at a time, until one succeeds."""
LOOK_AT = 20
"""Due notices of one recipient that are looked at together."""
EVERY = 0.25
"""Seconds between looks for what is due."""
CLAIM_PATIENCE = 5.0
"""Seconds for which claiming is tried while MongoDB is away: a claim must be young when its request begins."""
INDEX = {
    "keys": [("state.subscriber", 1), ("next_due", 1)],
    "name": "due_to_subscriber",
    "partialFilterExpression": {"next_due": {"$exists": True}},
}


@dataclass(slots=True)
class _Recipient:
    """One subscriber's system, as this process knows it."""

    name: str
    away: Away
    busy: set[str] = field(default_factory=set)
    """What the notices in flight are about: a later one about the same waits for its end."""
    failures: int = 0

    @property
    def room(self) -> int:
        """How many more requests it may get now."""
        return max(0, (1 if self.away.is_away else IN_FLIGHT) - len(self.busy))

    def answered(self, outcome: Delivered | Failed) -> None:
        """Note how an attempt ended."""
        if isinstance(outcome, Delivered):
            self.failures = 0
            self.away.back()
        else:
            self.failures += 1
            if self.failures >= TRUST:
                self.away.lost(outcome.reason)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A notice that this process won for one attempt."""

    recipient: _Recipient
    notice: str
    about: str
    attempt: int
    raised: Event


class Delivery:
    """Sends what is due on the channels that need a sender of their own."""

    def __init__(self, notices: Loop, webhooks: Webhooks, subscribers: Iterable[str], metrics: Metrics) -> None:
        """`subscribers`: who hears by webhook."""
        self._notices, self._webhooks, self._metrics = notices, webhooks, metrics
        self._log = logger(part="delivery")
        self._recipients = [_Recipient(name, Away(f"the webhook of {name}", self._log)) for name in subscribers]
        self._running: set[asyncio.Task[bool]] = set()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; an attempt that is cut off is taken up again when its claim ends."""
        try:
            while True:
                with contextlib.suppress(TryAgain):
                    for claimed in await self._claim():
                        self._begin(claimed)
                await self._pause()
        finally:
            if self._running:
                _, late = await asyncio.wait(self._running, timeout=5)
                for task in late:
                    task.cancel()
            await self._webhooks.close()

    async def _pause(self) -> None:
        """Wait a moment, a shorter one where a success has made room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY):
                await self._freed.wait()
        self._freed.clear()

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
            self._freed.set()

    async def _claim(self) -> list[_Claimed]:
        """The due notices that this process won; two that try for one are told apart by the guarded write."""
        due = [(recipient, notice) for recipient in self._recipients for notice in await self._due(recipient)]
        claims = [
            Message(d["_id"], f"clock/deliver/{d['next_due']}", "notifier", Attempt(d["next_due"])) for _, d in due
        ]
        outcomes = await self._notices.handle(claims, "clock", CLAIM_PATIENCE)
        return [
            self._claimed(recipient, notice, outcome)
            for (recipient, notice), outcome in zip(due, outcomes, strict=True)
            if self._is_won(outcome)
        ]

    async def _due(self, recipient: _Recipient) -> list[dict[str, Any]]:
        """As many of a recipient's due notices as it has room for, the earliest first, one about each case."""
        if not recipient.room:
            return []
        query = {
            "state.subscriber": recipient.name,
            "next_due": {"$lte": times.text_of(self._notices.now())},
            "state.about": {"$nin": sorted(recipient.busy)},
        }
        wanted = {"next_due": 1, "state.about": 1, "history": {"$slice": 1}}
        first: dict[str, dict[str, Any]] = {}
        for notice in await self._notices.store.find(query, wanted, limit=LOOK_AT, sort=["next_due"]):
            first.setdefault(notice["state"]["about"], notice)
        return list(first.values())[: recipient.room]

    def _is_won(self, outcome: Outcome) -> bool:
        """Whether there is something to send: the last clock of a notice fails it instead."""
        state = outcome.record.state
        if outcome.fresh and state["status"] == "failed":
            self._log.warning("not delivered", notice=outcome.record.id, attempt=state["attempts"], reason="no outcome")
        return outcome.fresh and state["status"] == "attempting"

    def _claimed(self, recipient: _Recipient, notice: Mapping[str, Any], outcome: Outcome) -> _Claimed:
        state, raised = outcome.record.state, event_of(notice["_id"], notice["history"][0])
        return _Claimed(recipient, notice["_id"], state["about"], state["attempts"], raised)

    async def _deliver(self, claimed: _Claimed) -> bool:
        """One attempt; whether it was taken."""
        notice, attempt = claimed.notice, claimed.attempt
        outcome = await self._webhooks.send(
            claimed.recipient.name, notice, body_of(claimed.raised), attempt, times.now()
        )
        is_taken = isinstance(outcome, Delivered)
        claimed.recipient.answered(outcome)
        self._metrics.deliveries.labels(NoticeChannel.WEBHOOK, "delivered" if is_taken else "failed").inc()
        if isinstance(outcome, Failed):
            self._log.warning("not delivered", notice=notice, attempt=attempt, reason=outcome.reason)
        # If MongoDB stays away the claim runs out, and the notice is sent once more with the same id.
        with contextlib.suppress(TryAgain):
            await self._notices.handle([Message(notice, f"delivery/{notice}/{attempt}", "notifier", outcome)], "clock")
        return is_taken
