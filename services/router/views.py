"""A case as the one who asks may see it: how it stands, its clocks by kind, and its story from its own history."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel

from services.router.domain.clocking import STATUTORY, elapsed
from services.router.domain.rules import Rules
from shared import clocks, topics
from shared.events import CASE_ASSIGNED, CASE_REASSIGNED, TYPES, UPDATE_REJECTED, Event
from shared.records import Record
from shared.vocabulary import DESK, Lane


class ClockView(BaseModel):
    """One deadline: whose it is (the law's, the sender's, ours), and what is left of it."""

    clock: str
    kind: str
    says: str
    started_at: str
    due: str
    status: str
    left_seconds: int | None
    stopped_at: str | None
    """What it waited for has come: for a missed one, how late."""
    basis: list[str]


class Told(BaseModel):
    """One thing that happened: when, who, what, and what was said with it."""

    at: str
    by: str
    event: str
    what: str
    status: str | None = None
    """How the case stood then."""
    said: dict[str, Any] = {}
    content: dict[str, Any] | None = None
    """Only what was sent to the one who asks."""


class CaseView(BaseModel):
    """A case as it stands; the story and the content only where one case is asked for."""

    case: str
    status: str
    type: str
    party: str
    direction: str
    channel: str
    urgency: str
    lane: str
    authority: str
    received_at: str
    because: str
    rule: str
    basis: list[str]
    certainty: str
    gate: str
    law: str
    version: str
    lean: str | None
    missing: list[dict[str, Any]]
    defects: list[dict[str, Any]]
    marks: list[str]
    clocks: list[ClockView]
    overdue: bool
    """A deadline has passed and what it waited for has not come; in a case that has ended only one of the law."""
    links: list[dict[str, Any]]
    duplicates: list[dict[str, str]]
    preservation: dict[str, Any] | None
    arrest: dict[str, Any] | None
    executing_body: str | None
    ended: bool
    elapsed_seconds: int
    """From receipt to the end of the case, or to now."""
    net_seconds: int
    """Without the time in which the sender was asked for something."""
    allowed: list[str]
    """What the one who asks could say now."""
    story: list[Told] = []
    content: dict[str, Any] | None = None
    """What is asked for, for whoever has the case."""


class CasePage(BaseModel):
    """Cases in the order in which they came; `next` is the `after` of the following page, null on the last."""

    cases: list[CaseView]
    next: str | None


def view(case: str, state: Mapping[str, Any], caller: str, now: datetime, rules: Rules) -> CaseView:
    """How a case stands, for an authority or the desk."""
    whole, net = elapsed(state, now)
    actors = {"holder"} if caller == state["authority"] else set()
    actors |= {"desk"} if caller == DESK else set()
    is_for_desk = caller == DESK
    links = state.get("links", [])
    said = {name: state[name] for name in CaseView.model_fields if name in state and name not in _MADE}
    return CaseView(
        **{"lean": None, "preservation": None, "arrest": None, "executing_body": None, "missing": [], **said},
        case=case,
        defects=state.get("defects", []),
        marks=state.get("marks", []),
        clocks=[clock_view(clock, now, rules) for clock in state.get("clocks", ())],
        overdue=is_overdue(state, rules.life.ends),
        links=[link for link in links if is_for_desk or rules.law.may_hold(caller, link["type"])],
        duplicates=state.get("duplicates", []) if is_for_desk else [],
        ended=state["status"] in rules.life.ends,
        elapsed_seconds=int(whole),
        net_seconds=int(net),
        allowed=rules.life.allowed(state["status"], actors, state["direction"], state.get("cycle")),
    )


def is_overdue(state: Mapping[str, Any], ends: Collection[str]) -> bool:
    """Whether something is late: a wish or a rule of our own is late no more when the case has ended."""
    return any(
        "missed_at" in clock
        and "stopped_at" not in clock
        and (state["status"] not in ends or clock["kind"] == STATUTORY)
        for clock in state.get("clocks", ())
    )


def overdue_query(ends: Collection[str]) -> dict[str, Any]:
    """The same as a query over stored states."""
    missed = {"missed_at": {"$exists": True}, "stopped_at": {"$exists": False}}
    late = {"state.clocks": {"$elemMatch": missed}, "state.status": {"$nin": sorted(ends)}}
    either = {"$or": [late, {"state.clocks": {"$elemMatch": missed | {"kind": STATUTORY}}}]}
    # Said once more for the index over those that have missed a clock: it is tried only where a query is seen to be
    # about these, and about a time.
    return {"state.clocks.missed_at": {"$exists": True}, "state.received_at": {"$gte": ""}, "$and": [either]}


def clock_view(clock: Mapping[str, Any], now: datetime, rules: Rules) -> ClockView:
    """One clock with what is left of it; seconds below zero have passed since."""
    running = clocks.is_running(clock)
    ended = "missed" if "missed_at" in clock else "stopped"
    return ClockView(
        clock=clock["clock"],
        kind=clock["kind"],
        says=rules.law.text.clocks[clock["clock"]].says if clock["clock"] in rules.law.text.clocks else "",
        started_at=clock["started_at"],
        due=clock["due"],
        status="running" if running else ended,
        left_seconds=int(clocks.left(clock, now).total_seconds()) if running or ended == "missed" else None,
        stopped_at=clock.get("stopped_at"),
        basis=clock["basis"],
    )


def story(history: Sequence[Event], caller: str, lane: str) -> list[Told]:
    """What happened: all of it for the desk, for an authority what was said to it; content only where it was sent."""
    topic = topics.cases_of(caller, Lane(lane))
    return [
        Told(
            at=event.at,
            by=event.by,
            event=event.type,
            what=TYPES[event.type],
            status=event.data.get("status"),
            said=_said(event),
            content=orjson.loads(event.content) if event.content is not None and topic in event.to else None,
        )
        for event in history
        if topic in event.to or (caller == DESK and not event.type.startswith("answer."))
    ]


def content_of(history: Sequence[Event], caller: str, record: Record) -> dict[str, Any] | None:
    """The measure as it was sent, for whoever has the case."""
    if record.state["authority"] != caller:
        return None
    topic = topics.cases_of(caller, Lane(record.state["lane"]))
    found = [e for e in history if e.type == CASE_ASSIGNED and topic in e.to and e.content is not None]
    return orjson.loads(found[-1].content or b"{}") if found else None


def _said(event: Event) -> dict[str, Any]:
    more = _SAID_BESIDE.get(event.type, ())
    said: dict[str, Any] = event.data.get("said", {})
    return {name: event.data[name] for name in more if event.data.get(name)} | said


_SAID_BESIDE = {
    CASE_ASSIGNED: ("authority", "because", "rule", "basis", "certainty", "missing"),
    CASE_REASSIGNED: ("from", "authority"),
    UPDATE_REJECTED: ("update", "rule", "says", "basis", "allowed", "errors"),
}
_MADE = {"case", "defects", "marks", "clocks", "overdue", "links", "duplicates", "allowed", "story", "content"}
