"""Which due notices are sent now: what nothing may hold back first, and nobody's notices hidden by another's."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.notifier.domain.notices import CLAIM
from services.notifier.recipients import GATHERING, Recipient
from shared import times
from shared.log import Away, logger
from shared.loop import Loop

LOOK_AT = 500
"""Due notices that are looked at together."""
DIGEST = 10_000
"""Notices in one message at most."""
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


class Choosing:
    """Looks for what is due and chooses among it, by what each recipient has room for."""

    def __init__(self, notices: Loop) -> None:
        self._notices = notices
        self._recipients: dict[tuple[str, str], Recipient] = {}
        self._log = logger(part="delivery")

    async def due(self) -> list[dict[str, Any]]:
        """Due notices, the earliest first, without those that cannot be sent now: they must not hide the others."""
        query: dict[str, Any] = {"next_due": {"$lte": times.text_of(self._notices.now())}}
        known = list(self._recipients.values())
        for one in known:
            one.passed_over = bool(one.busy or one.ahead or one.has_rate)
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
        waiting = recipient.busy | {one.about for one in recipient.ahead}
        cannot = [{**of_it, "state.about": {"$in": sorted(waiting)}}] if waiting else []
        if GATHERING in recipient.busy:
            cannot.append({**of_it, "state.in_digest": True})  # its next one is gathered once this one is
        if recipient.has_rate and not never_held:
            sent = recipient.count(asyncio.get_running_loop().time())
            cannot.append({**of_it, "state.rate": {"$lte": sent}})
        return cannot

    def choose(self, due: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """What is sent now: per recipient as much as it has room for, one about each case, digests together."""
        chosen: list[list[dict[str, Any]]] = []
        digests: dict[int, list[dict[str, Any]]] = {}
        taken: dict[int, set[str]] = defaultdict(set)
        moment = asyncio.get_running_loop().time()
        for one in due:
            state = one["state"]
            recipient = self.recipient_of(one)
            if state.get("in_digest") and (id(recipient) in digests or GATHERING in recipient.busy):
                digests.get(id(recipient), []).append(one)
                continue
            about, mine = state["about"], taken[id(recipient)]
            never_held = bool(state.get("never_held"))
            rate = None if never_held else state.get("rate")
            if len(mine) >= recipient.room_for(never_held=never_held) or about in mine or recipient.is_busy_with(about):
                recipient.passed_over = recipient.line(never_held=never_held).behind = True
                continue
            if not recipient.may_have(rate, moment):
                recipient.line(never_held=never_held).behind = True
                continue
            mine.add(about)
            if not never_held:
                recipient.was_sent(moment)
            chosen.append([one])
            if state.get("in_digest"):
                digests[id(recipient)] = chosen[-1]
        return chosen

    async def more(self, digest: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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

    async def catch_up(self, due: Sequence[Mapping[str, Any]]) -> None:
        """Recipients for whom nothing is due any more are no longer behind: what comes now can be claimed at once."""
        for never_held in (True, False):
            await self._catch_up(due, never_held=never_held)

    async def _catch_up(self, due: Sequence[Mapping[str, Any]], *, never_held: bool) -> None:
        found = {
            (one["state"]["subscriber"], one["state"]["channel"])
            for one in due
            if bool(one["state"].get("never_held")) == never_held
        }
        # Who has no room stays behind without being asked about: what is due for it would hide everybody else.
        behind = [
            (one, line)
            for one in self._recipients.values()
            if (line := one.line(never_held=never_held)).behind
            and (one.name, one.channel) not in found
            and one.room_for(never_held=never_held)
        ]
        if not behind:
            return
        for _, line in behind:
            line.raised = False
        still = await self._still_due({one.name for one, _ in behind}, never_held=never_held)
        for one, line in behind:
            line.behind = line.raised or one.name in still

    async def _still_due(self, names: set[str], *, never_held: bool) -> set[str]:
        """For whom of these something is due."""
        still: set[str] = set()
        query: dict[str, Any] = {
            "next_due": {"$lte": times.text_of(self._notices.now())},
            "state.never_held": True if never_held else {"$exists": False},
        }
        while names > still:
            query["state.subscriber"] = {"$in": sorted(names - still)}
            left = await self._notices.store.find(query, {"state.subscriber": 1}, limit=LOOK_AT, sort=["next_due"])
            still |= {one["state"]["subscriber"] for one in left}
            if len(left) < LOOK_AT:
                break  # otherwise one who has much that is due may hide the others
        return still

    async def forgotten(self, instance: str, age: timedelta) -> list[dict[str, Any]]:
        """What this process claimed so long ago and knows nothing of: the claim was kept, its answer never came."""
        now = self._notices.now()
        query = {
            "next_due": {"$gt": times.text_of(now), "$lt": times.text_of(now + CLAIM - age)},
            "state.status": "attempting",
            "state.claimant": instance,
        }
        wanted = {"state.attempts": 1, "state.subscriber": 1, "state.channel": 1}
        found = await self._notices.store.find(query, wanted, limit=LOOK_AT, sort=["next_due"])
        return [one for one in found if not self.recipient_of(one).has(one["_id"])]

    async def overdue(self) -> list[dict[str, Any]]:
        """What waits for a recipient without room until its time on this channel is over."""
        full = sorted({one.name for one in self._recipients.values() if not one.room_for(never_held=False)})
        if not full:
            return []
        now = times.text_of(self._notices.now())
        query = {
            "next_due": {"$lte": now},
            "state.subscriber": {"$in": full},
            "state.status": "waiting",
            "state.give_up_at": {"$lte": now},
        }
        wanted = {"next_due": 1, "state.subscriber": 1, "state.channel": 1, "state.never_held": 1}
        found = await self._notices.store.find(query, wanted, limit=LOOK_AT, sort=["next_due"])
        return [one for one in found if not self._has_room(one)]

    def _has_room(self, notice: Mapping[str, Any]) -> bool:
        never_held = bool(notice["state"].get("never_held"))
        return self.recipient_of(notice).room_for(never_held=never_held) > 0

    def recipient_of(self, notice: Mapping[str, Any]) -> Recipient:
        """The recipient of a stored notice."""
        return self.recipient(notice["state"]["subscriber"], notice["state"]["channel"])

    def recipients(self) -> Iterable[Recipient]:
        """Everybody who was told anything by this process."""
        return self._recipients.values()

    def recipient(self, name: str, channel: str) -> Recipient:
        found = self._recipients.get((name, channel))
        if found is None:
            found = Recipient(name, channel, Away(f"the {channel} of {name}", self._log))
            self._recipients[name, channel] = found
        return found
