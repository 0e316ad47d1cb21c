"""A notice as those see it whom it concerns: what was said, how its sending went, who took it, whether it is over."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel

from services.notifier.acknowledgement.links import NOTICE
from shared.events import NOTICE_FAILED, NOTICE_RAISED
from shared.mongo import Store

PAGE = 100
"""Notices at once."""
STATUSES = (
    "waiting",
    "attempting",
    "delivered",
    "published",
    "failed",
    "handing_on",
    "handed_on",
    "silenced",
    "acknowledged",
)
"""How far the sending of a notice can have come; `acknowledged`: before it was sent."""
INDEXES: tuple[Mapping[str, Any], ...] = (
    {"keys": [("state.subscriber", 1), ("state.raised_at", 1), ("_id", 1)], "name": "recipient"},
    {"keys": [("state.raised_at", 1), ("_id", 1)], "name": "raised"},
    {
        # Few among many: those that are still to be sent.
        "keys": [("state.raised_at", 1), ("_id", 1)],
        "name": "unsent_raised",
        "partialFilterExpression": {"next_due": {"$exists": True}},
    },
    {
        # Fewer still: those that reached nobody.
        "keys": [("state.raised_at", 1), ("_id", 1), ("state.subscriber", 1)],
        "name": "failed",
        "partialFilterExpression": {"state.status": "failed"},
    },
)
_LADDER = "ladder"


class Told(BaseModel):
    """One event of a notice's own history."""

    event: str
    at: str
    by: str
    said: dict[str, Any]


class NoticeView(BaseModel):
    """A notice."""

    notice: str
    alert: str
    rule: str
    about: str
    """The case, or the alert of a service."""
    subscriber: str
    """Whose it is."""
    channel: str
    status: str
    says: Any
    facts: dict[str, Any]
    due: str | None
    """When the clock ends that it is about."""
    raised_at: str
    attempts: int
    next_attempt_at: str | None
    """While it waits: when it is tried next."""
    last_reason: str | None
    """Why its last failed attempt failed: a code of ours, never what the other side wrote."""
    delivered_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    taken_at: str | None
    """When somebody acknowledged the alert, whoever's notice that was."""
    taken_by: str | None
    ended: str | None
    """Why there is nothing to be done any more."""
    story: list[Told] | None = None
    """Everything that happened to it; with one notice, not in lists."""


class NoticePage(BaseModel):
    """Some notices, and where the next begin."""

    notices: list[NoticeView]
    next: str | None


class Notices:
    """Notices, read from their store, each with how its alert stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def one(self, notice: str, recipient: str | None, *, sure: bool = False) -> NoticeView | None:
        """A notice with its story; None where there is none, or it is not this recipient's (None: anybody's).

        `sure`: for who acknowledges it, as `Store.find` has it.
        """
        if not NOTICE.fullmatch(notice):
            return None
        query = {"_id": notice, **_of(recipient)}
        found = await self._seen(await self._store.find(query, None, limit=1, sure=sure))
        return found[0] if found else None

    async def page(
        self,
        recipient: str | None,
        *,
        status: str | None,
        about: str | None,
        acknowledged: bool | None,
        unsent: bool | None,
        after: str | None,
    ) -> NoticePage:
        """A recipient's notices (None: everybody's), in the order in which they were raised, at most `PAGE`.

        `unsent`: those that wait to be sent, or that are being sent.
        """
        query: dict[str, Any] = _of(recipient)
        query |= {f"state.{name}": value for name, value in (("status", status), ("about", about)) if value}
        if acknowledged is not None:
            query["state.acknowledged_at"] = {"$exists": acknowledged}
        if unsent is not None:
            query["next_due"] = {"$exists": unsent}
        if after is not None:
            raised_at, _, notice = after.partition("~")
            query["state.raised_at"] = {"$gte": raised_at}
            later = {"state.raised_at": {"$gt": raised_at}}
            query["$or"] = [later, {"state.raised_at": raised_at, "_id": {"$gt": notice}}]
        found = await self._store.find(query, None, limit=PAGE + 1, sort=("state.raised_at", "_id"))
        last = found[PAGE - 1] if len(found) > PAGE else None
        shown = await self._seen(found[:PAGE])
        return NoticePage(
            notices=[one.model_copy(update={"story": None}) for one in shown],
            next=f"{last['state']['raised_at']}~{last['_id']}" if last else None,
        )

    async def _seen(self, documents: Sequence[Mapping[str, Any]]) -> list[NoticeView]:
        alerts = sorted({one["state"]["alert"] for one in documents})
        ladders = await self._store.find({"_id": {"$in": alerts}}, {"state": 1}, limit=len(alerts))
        state_of = {ladder["_id"]: ladder["state"] for ladder in ladders}
        return [_view(one, state_of.get(one["state"]["alert"], {})) for one in documents]


def _of(recipient: str | None) -> dict[str, Any]:
    """The notices of a recipient; ladders lie in the same collection and were never raised."""
    query: dict[str, Any] = {"state.record": {"$ne": _LADDER}, "state.raised_at": {"$gte": ""}}
    return query if recipient is None else query | {"state.subscriber": recipient}


def _view(document: Mapping[str, Any], ladder: Mapping[str, Any]) -> NoticeView:
    state = document["state"]
    story = [
        Told(event=form["type"], at=form["at"], by=form["by"], said=orjson.loads(form["data"]))
        for form in document["history"]
    ]
    raised = story[0].said
    return NoticeView(
        notice=document["_id"],
        alert=state["alert"],
        rule=state["rule"],
        about=state["about"],
        subscriber=state["subscriber"],
        channel=state["channel"],
        status=state["status"],
        says=raised["says"],
        facts=raised["facts"],
        due=raised.get("due"),
        raised_at=state["raised_at"],
        attempts=state.get("attempts", 0),
        # Of an attempt that is under way, `next_due` is when its process is taken for dead.
        next_attempt_at=state.get("next_due") if state["status"] == "waiting" else None,
        last_reason=next((told.said["reason"] for told in reversed(story) if told.event == NOTICE_FAILED), None),
        delivered_at=state.get("delivered_at"),
        acknowledged_at=state.get("acknowledged_at"),
        acknowledged_by=state.get("acknowledged_by"),
        taken_at=state.get("acknowledged_at") or ladder.get("acknowledged_at"),
        taken_by=state.get("acknowledged_by") or ladder.get("acknowledged_by"),
        ended=ladder.get("reason") or state.get("resolved_why"),
        story=[one if one.event != NOTICE_RAISED else one.model_copy(update={"said": {}}) for one in story],
    )
