"""Delivery: claims notices that are due, sends them, and keeps what became of each; at least once."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from services.notifier.domain import Attempt, Delivered, Failed, body_of
from services.notifier.webhook import Webhooks
from shared import times
from shared.decisions import Message
from shared.events import NOTICE_GIVEN_UP
from shared.failures import TryAgain
from shared.log import logger
from shared.loop import Loop
from shared.metrics import Metrics
from shared.partners import NoticeChannel
from shared.quarantine import Quarantine
from shared.records import event_of

AT_ONCE = 100
IN_FLIGHT = 4
"""Requests to one recipient at a time."""
EVERY = 0.25
"""Seconds between looks for what is due."""
INDEX = {
    "keys": [("next_due", 1)],
    "name": "due",
    "partialFilterExpression": {"next_due": {"$exists": True}},
}


class Delivery:
    """Sends what is due on the channels that need a sender of their own."""

    def __init__(self, notices: Loop, webhooks: Webhooks, quarantine: Quarantine, metrics: Metrics) -> None:
        self._notices, self._webhooks, self._quarantine, self._metrics = notices, webhooks, quarantine, metrics
        self._slots: Mapping[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(IN_FLIGHT))
        self._running: set[asyncio.Task[None]] = set()
        self._log = logger(part="delivery")

    async def run(self) -> None:
        """Deliver until cancelled; an attempt that is cut off is taken up again when its claim ends."""
        try:
            while True:
                with contextlib.suppress(TryAgain):
                    for notice in await self._claim():
                        task = asyncio.create_task(self._deliver(notice))
                        self._running.add(task)
                        task.add_done_callback(self._ended)
                await asyncio.sleep(EVERY)
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=5)
            await self._webhooks.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) and isinstance(error, Exception):
            # The claim runs out and the notice is tried again, a bounded number of times.
            self._notices.bug(error, "delivery")

    async def _claim(self) -> list[dict[str, Any]]:
        """The due notices that this process won; two that try for one are told apart by the guarded write."""
        room = AT_ONCE - len(self._running)
        query = {"next_due": {"$lte": times.text_of(times.now())}}
        due = await self._notices.store.find(query, {"next_due": 1}, limit=max(room, 0), sort=["next_due"])
        claims = [Message(d["_id"], f"clock/deliver/{d['next_due']}", "notifier", Attempt(d["next_due"])) for d in due]
        outcomes = await self._notices.handle(claims, "clock")
        return await self._notices.store.histories([o.record.id for o in outcomes if o.fresh])

    async def _deliver(self, notice: Mapping[str, Any]) -> None:
        state, raised = notice["state"], event_of(notice["_id"], notice["history"][0])
        async with self._slots[state["subscriber"]]:
            outcome = await self._webhooks.send(
                state["subscriber"], notice["_id"], body_of(raised), state["attempts"], times.now()
            )
        self._metrics.deliveries.labels(
            NoticeChannel.WEBHOOK, "delivered" if isinstance(outcome, Delivered) else "failed"
        ).inc()
        cause = f"delivery/{notice['_id']}/{state['attempts']}"
        # If MongoDB stays away the claim runs out, and the notice is sent once more with the same id.
        with contextlib.suppress(TryAgain):
            (kept,) = await self._notices.handle([Message(notice["_id"], cause, "notifier", outcome)], "clock")
            if isinstance(outcome, Failed):
                await self._failed(kept.record.state, notice["_id"], outcome)

    async def _failed(self, state: Mapping[str, Any], notice: str, outcome: Failed) -> None:
        self._log.warning("not delivered", notice=notice, attempt=outcome.attempt, reason=outcome.reason)
        if state["status"] == "failed":
            facts = {"notice": notice, "subscriber": state["subscriber"], "reason": outcome.reason}
            await self._quarantine.alarm(NOTICE_GIVEN_UP, notice, facts)
