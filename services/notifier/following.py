"""What follows by itself: the steps of ladders as they come due, and notices handed on to their next channel.

Every notifier looks; the guarded write lets one win, and what the winner still owes when it dies is done by the next
one that looks.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from services.notifier.domain import ladders
from services.notifier.domain.bodies import HandedOn, Raising
from services.notifier.domain.ladders import LADDER, Begin, NobodyCame, Step, Told, next_place
from services.notifier.domain.notices import BY
from services.notifier.fanout import Fanout
from services.notifier.measures import NotifierMetrics
from shared.decisions import Message
from shared.failures import TryAgain
from shared.ids import Ids
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.records import event_of
from shared.times import read, text_of

EVERY = 0.25
"""Seconds between looks."""
AT_ONCE = 200
PATIENCE = 5.0
"""Seconds for which a batch is tried while MongoDB is away; then it is looked for anew."""
INDEX = {
    "keys": [("state.follow_at", 1)],
    "name": "follow",
    "partialFilterExpression": {"state.follow_at": {"$exists": True}},
}
NOBODY = "nobody acknowledged"
NOTHING_DONE = "acknowledged, and nothing was done"
NO_LADDER = "its ladder is no longer in the file"
_WANTED = {"state": 1, "subject": 1, "history": {"$slice": 1}}


class Sends(Protocol):
    """Who sends what is raised; see `Delivery`."""

    def claiming(self, messages: Sequence[Message]) -> Sequence[Message]: ...

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None: ...


class Following:
    """Takes steps until cancelled."""

    def __init__(
        self,
        notices: Loop,
        fanout: Fanout,
        metrics: Metrics,
        measured: NotifierMetrics,
        delivery: Sends,
    ) -> None:
        self.notices, self._fanout, self._metrics, self._measured = notices, fanout, metrics, measured
        self._delivery = delivery
        self._ready = asyncio.Event()

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """A batch is in MongoDB: its ladders are climbed and its notices sent, without waiting for a look."""
        self._measured.heard(messages, outcomes)
        self._delivery.heard(messages, outcomes)
        begins = False
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome.fresh and isinstance(message.body, Begin):
                begins = True
                self._metrics.ladder_steps.inc(message.body.silence is None)
        if begins:
            self._ready.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._ready.wait()
            is_new = self._ready.is_set()
            self._ready.clear()
            try:
                while await self.look(just_begun=is_new):
                    pass
            except TryAgain:
                continue  # MongoDB is away: the loop says so

    async def look(self, *, just_begun: bool = False) -> bool:
        """One page of what is due; whether there may be more. `just_begun`: also what another should still be doing."""
        now = self.notices.now()
        # A ladder that has just begun owes its first notices: they are due at once, not when its claim runs out.
        until = now + ladders.OWED if just_begun else now
        found = await self.notices.store.find(
            {"state.follow_at": {"$lte": text_of(until)}}, _WANTED, limit=AT_ONCE, sort=["state.follow_at"]
        )
        owed = [one for one in found if "owed" in one["state"]]
        due = [one for one in found if "owed" not in one["state"] and one["state"]["follow_at"] <= text_of(now)]
        stepped = await self._step([one for one in due if one["state"].get("record") == LADDER])
        await self._tell([(one["_id"], one["state"]) for one in owed] + stepped)
        await self._hand_on([one for one in due if one["state"].get("record") != LADDER])
        return len(found) == AT_ONCE and bool(owed or due)

    async def _step(self, found: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
        """Take the steps that are due; the ladders that owe notices now."""
        messages = [self._next(one["_id"], one["state"]) for one in found]
        outcomes = await self.notices.handle(messages, "clock", PATIENCE)
        now = self.notices.now()
        owing: list[tuple[str, Mapping[str, Any]]] = []
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome.fresh:
                self._metrics.ladder_steps.inc(isinstance(message.body, Step))
                self._metrics.ladder_lateness.observe(max(0.0, (now - read(message.body.due)).total_seconds()))
                if "owed" in outcome.record.state:
                    owing.append((message.record, outcome.record.state))
        return owing

    def _next(self, alert: str, state: Mapping[str, Any]) -> Message:
        due, rules = state["follow_at"], self._fanout.rules
        ladder = rules.ladders.get(state["ladder"])
        cause = f"clock/{ladders.place_of(state)}/{due}"
        if ladder is None:
            return Message(alert, cause, BY, NobodyCame(due, NO_LADDER))
        at = next_place(state, len(ladder.steps), ladder.rounds, has_again=ladder.again is not None)
        if at is None:
            why = NOBODY if state["status"] == "climbing" else NOTHING_DONE
            return Message(alert, cause, BY, NobodyCame(due, why))
        held = bool(state.get("never_held"))
        tells = self._fanout.tells(ladder.steps[at.step].tell, self.notices.now(), never_held=held)
        return Message(alert, cause, BY, Step(due, at, tells, self._fanout.after(state["ladder"], at.step)))

    async def _tell(self, owing: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Raise the notices of steps, then note that they stand: in one batch, inserts before updates."""
        messages: list[Message] = []
        for alert, state in owing:
            at = ladders.place_of(state)
            messages += self._fanout.raisings(alert, state, at, state["owed"])
            messages.append(Message(alert, f"told/{at}", BY, Told(at)))
        await self._raise(messages)

    async def _hand_on(self, found: Sequence[Mapping[str, Any]]) -> None:
        messages: list[Message] = []
        for one in found:
            raising, channel = self._on_next_channel(one)
            messages += [raising, Message(one["_id"], f"handed on/{channel}", BY, HandedOn(channel))]
        await self._raise(messages)

    async def _raise(self, messages: Sequence[Message]) -> None:
        claiming = self._delivery.claiming(messages)
        outcomes = await self.notices.handle(claiming, "clock", PATIENCE)
        self._measured.heard(claiming, outcomes)
        self._delivery.heard(claiming, outcomes)

    def _on_next_channel(self, one: Mapping[str, Any]) -> tuple[Message, str]:
        data = event_of(one["_id"], one["history"][0]).data
        channel, *then = data["then"]
        # As long as the channel before it had.
        given = read(data["give_up_at"]) - read(data.get("not_before") or data["raised_at"])
        body = Raising(
            data["alert"],
            data["rule"],
            data["says"],
            data["subscriber"],
            channel,
            data["facts"],
            due=data.get("due"),
            then=then,
            give_up_at=text_of(self.notices.now() + max(given, timedelta(seconds=1))) if then else None,
            in_digest=bool(data.get("in_digest")),
            rate=data.get("rate"),
            never_held=bool(data.get("never_held")),
            step=data.get("step"),
        )
        cause = f"handed on/{one['_id']}"
        return Message(
            self._ids.notice(one["_id"], data["subscriber"], channel), cause, BY, body, data["about"]
        ), channel

    @property
    def _ids(self) -> Ids:
        return self._fanout.ids
