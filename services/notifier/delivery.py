"""Delivery: claims notices and sends them; at least once.

A notice that can be sent soon is claimed as it is raised. What was not is found when it is due: what waits for its
time, what failed, what is more than its recipient can take now, what another process left. What people read goes as
one message where several wait for the same recipient. One recipient that is slow or dead takes its own few places and
nobody else's.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from services.notifier.choosing import DIGEST, LOOK_AT, Choosing
from services.notifier.claiming import Claiming
from services.notifier.domain.bodies import Attempt, Failed, Overdue
from services.notifier.domain.notices import BY, CLAIM
from services.notifier.recipients import GATHERING, Claimed, Recipient
from services.notifier.sending import Sending
from shared.decisions import Message
from shared.events import Event
from shared.failures import Bug, TryAgain
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.records import Record, event_of
from shared.times import read

EVERY = 0.25
"""Seconds between looks for what is due."""
OVERDUE_EVERY = 5.0
"""Seconds between looks for what has no time left on its channel, and no place."""
FORGOTTEN_EVERY = 10.0
"""Seconds between looks for claims of which this process does not know."""
CLAIM_PATIENCE = 5.0
"""Seconds for which claiming is tried while MongoDB is away: a claim must be young when its request begins."""
FRESH = 8.0
"""Seconds after which a claim that waits is given back: a request must end before its claim does, and a mail may take
50 seconds with its wait for a connection."""
INTERRUPTED = "interrupted"


class Delivery:
    """Sees to it that what is due is sent, on every channel that needs a sender of its own."""

    def __init__(self, notices: Loop, sending: Sending, instance: str) -> None:
        """`instance`: this process, over restarts."""
        self._notices, self._sending, self._instance = notices, sending, instance
        self._log = logger(part="delivery")
        self._choosing = Choosing(notices)
        self._running: set[asyncio.Task[bool]] = set()
        self._gathering: set[asyncio.Task[None]] = set()
        self._awake = asyncio.Event()
        self._claiming = Claiming(self._choosing, instance)
        self._is_open = False
        """Whether it may claim what is raised: not before it has looked at what is due, not while it ends."""
        self._is_ending = False

    def claiming(self, messages: Sequence[Message]) -> Sequence[Message]:
        """A batch before it is decided: what can be sent soon is claimed as it is raised."""
        return self._claiming.claim(messages) if self._is_open else messages

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """A batch is in MongoDB: what was claimed with it is sent, without waiting for a look."""
        heard = self._claiming.heard(messages, outcomes)
        for record in heard.claimed:
            claimed = self._claimed([(record, record.fresh[0])])
            if not claimed.never_held:
                claimed.recipient.was_sent(claimed.at)
            self._queue(claimed)
        if heard.forgotten:
            self._later(self._give_back(heard.forgotten))
        if heard.is_more:
            self._awake.set()

    async def run(self) -> None:
        """Deliver until cancelled; an attempt that is cut off is taken up again when its claim ends."""
        works = (self._sending.keep(), self._hand_on_overdue(), self._give_back_forgotten())
        more = [asyncio.create_task(work) for work in works]
        try:
            await self._take_back()
            while True:
                for task in more:
                    if task.done():
                        task.result()  # a bug of ours: the service stops, and does not go on without it
                with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so
                    await self._look()
                    self._is_open = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._awake.wait()
                self._awake.clear()
        finally:
            self._is_open, self._is_ending = False, True
            await self._end()
            for task in more:
                task.cancel()

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

    async def _end(self) -> None:
        """Give back what waits, and let what is on its way end."""
        waiting = [claimed for recipient in self._choosing.recipients() for claimed in recipient.empty()]
        giving_back = asyncio.create_task(self._give_back(_records(waiting)))
        _, late = await asyncio.wait([giving_back, *self._running], timeout=5)
        for task in [*late, *self._gathering]:
            task.cancel()
        await self._sending.close()

    async def _look(self) -> None:
        """Claim what is due and can be sent now; two that try for one notice are told apart by the guarded write."""
        oldest = asyncio.get_running_loop().time() - FRESH
        # What waits too long, or for somebody who does not answer, need not wait here.
        late = [one for recipient in self._choosing.recipients() for one in recipient.too_late(oldest)]
        await self._give_back(_records(late))
        due = await self._choosing.due()
        chosen = self._choosing.choose(due)
        if len(due) >= LOOK_AT and chosen:
            self._awake.set()  # there may be more
        for digest in [of_it for of_it in chosen if of_it[0]["state"].get("in_digest")]:
            recipient = self._choosing.recipient_of(digest[0])
            recipient.busy.add(GATHERING)
            self._later(self._gather(recipient, digest))
        alone = [of_it[0] for of_it in chosen if not of_it[0]["state"].get("in_digest")]
        self._claiming.sought = {one["_id"] for one in alone}
        for one, won in zip(alone, await self._claim(alone), strict=True):
            if won is not None:
                self._queue(self._claimed([(won, _raised(one))]))
        self._claiming.sought = set()
        await self._choosing.catch_up(due)

    async def _gather(self, recipient: Recipient, digest: list[dict[str, Any]]) -> None:
        """A digest may be many: the rest goes on meanwhile."""
        try:
            digest += await self._choosing.more(digest)
            claims = zip(digest, await self._claim(digest), strict=True)
            won = [(record, _raised(one)) for one, record in claims if record is not None]
        except TryAgain:
            won = []
        finally:
            recipient.busy.discard(GATHERING)
        if won:
            self._queue(self._claimed(won))

    async def _claim(self, notices: Sequence[Mapping[str, Any]]) -> list[Record | None]:
        """The notices that this process won, each as it stands now; the last clock of one fails it instead."""
        claims = [
            Message(one["_id"], f"clock/deliver/{one['next_due']}", BY, Attempt(one["next_due"], self._instance))
            for one in notices
        ]
        won: list[Record | None] = []
        began = asyncio.get_running_loop().time()
        for at in range(0, len(claims), LOOK_AT):
            part = claims[at : at + LOOK_AT]
            if at and asyncio.get_running_loop().time() - began > FRESH - CLAIM_PATIENCE:
                # What is won must be young when it is sent, all of a digest together: the rest is due still.
                won += [None] * (len(claims) - at)
                break
            try:
                won += [self._won(outcome) for outcome in await self._handle(part)]
            except TryAgain:
                won += [None] * len(part)  # the parts before it are won all the same
        return won

    def _won(self, outcome: Outcome) -> Record | None:
        state = outcome.record.state
        if not outcome.fresh:
            return None
        if state["status"] == "attempting":
            return outcome.record
        self._log.warning("not delivered", notice=outcome.record.id, attempt=state["attempts"], reason="no outcome")
        return None

    async def _handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """In parts, so that the rest of the process goes on."""
        outcomes: list[Outcome] = []
        for at in range(0, len(messages), LOOK_AT):
            outcomes += await self._notices.handle(messages[at : at + LOOK_AT], "clock", CLAIM_PATIENCE)
        return outcomes

    def _claimed(self, won: Sequence[tuple[Record, Event]]) -> Claimed:
        state = won[0][0].state
        left = read(state["next_due"]) - self._notices.now()
        return Claimed(
            self._choosing.recipient(state["subscriber"], state["channel"]),
            tuple(record.kept() for record, _ in won),
            tuple(raised for _, raised in won),
            state["about"],
            bool(state.get("never_held")),
            # Its claim counts from when its batch began, which may have waited for MongoDB.
            asyncio.get_running_loop().time() - (CLAIM - left).total_seconds(),
        )

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._gathering.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._gathering.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._notices.bug(error, "delivery")

    def _queue(self, claimed: Claimed) -> None:
        if self._is_ending:
            self._later(self._give_back(claimed.records))
            return
        claimed.recipient.queue(claimed)
        self._begin(claimed.recipient)

    def _begin(self, recipient: Recipient) -> None:
        """Send what there is room for."""
        oldest = asyncio.get_running_loop().time() - FRESH
        while (claimed := recipient.next(oldest)) is not None:
            sending = asyncio.create_task(self._sending.send(claimed, partial(self._go_on, recipient)))
            self._running.add(sending)
            sending.add_done_callback(partial(self._sent, claimed))

    def _go_on(self, recipient: Recipient) -> None:
        if not self._is_ending:
            self._begin(recipient)

    def _sent(self, claimed: Claimed, task: asyncio.Task[bool]) -> None:
        self._running.discard(task)
        claimed.recipient.is_over(claimed)
        if not claimed.recipient.sending.isdisjoint(record.id for record in claimed.records):
            # What became of it is not kept: until its claim ends it is not sent again. Forgotten just before that, for
            # the next attempt is known by the same id.
            loop = asyncio.get_running_loop()
            left = claimed.at + CLAIM.total_seconds() - 1 - loop.time()
            loop.call_later(max(0, left), claimed.recipient.was_kept, claimed)
        self._claiming.ended()
        if task.cancelled():
            return
        if claimed.recipient.away.is_away and claimed.recipient.ahead:
            self._awake.set()
        error = task.exception()
        if isinstance(error, Exception) and not isinstance(error, Bug):  # that was counted, once for its whole batch
            # The claim runs out and the notice is tried again, a bounded number of times.
            self._notices.bug(error, "delivery")
        self._go_on(claimed.recipient)
        if error is None and task.result() and claimed.recipient.may_look:
            self._awake.set()

    async def _give_back(self, waiting: Sequence[Record]) -> None:
        """What was claimed and is not sent here is due again at once; if that fails, when its claim ends."""
        if not waiting:
            return
        with contextlib.suppress(TryAgain):  # it is forgotten then
            await self._handle([_interrupted(one.id, one.state["attempts"]) for one in waiting])
        self._awake.set()

    async def _give_back_forgotten(self) -> None:
        """A claim that landed though nobody heard of it is never sent from here: it need not wait for its end."""
        while self._instance:
            await asyncio.sleep(FORGOTTEN_EVERY)
            with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so, and the next look comes
                forgotten = await self._choosing.forgotten(self._instance, timedelta(seconds=FRESH))
                if forgotten:
                    await self._handle([_interrupted(one["_id"], one["state"]["attempts"]) for one in forgotten])
                    self._awake.set()

    async def _hand_on_overdue(self) -> None:
        """What has no time left on its channel, and whose recipient has no room for it, goes on without an attempt."""
        while True:
            await asyncio.sleep(OVERDUE_EVERY)
            with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so, and the next look comes
                overdue = await self._choosing.overdue()
                await self._handle(
                    [Message(one["_id"], f"overdue/{one['next_due']}", BY, Overdue(one["next_due"])) for one in overdue]
                )


def _raised(one: Mapping[str, Any]) -> Event:
    return event_of(one["_id"], one["history"][0])


def _records(waiting: Iterable[Claimed]) -> list[Record]:
    return [record for claimed in waiting for record in claimed.records]


def _interrupted(notice: str, attempt: int) -> Message:
    """The attempt ended before it began, or with the process that made it."""
    return Message(notice, f"interrupted/{attempt}", BY, Failed(attempt, INTERRUPTED, at_once=True))
