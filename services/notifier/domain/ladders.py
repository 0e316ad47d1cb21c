"""A ladder: an alert climbs it, step by step, until somebody acknowledges or something is done.

Each step is decided here once, with whom it tells; their notices are raised after that, by whoever comes first, and
raising one twice changes nothing. So no step is missed and none is taken twice, whatever dies in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.notifier.domain import failing
from services.notifier.domain.bodies import Ack, Resolved
from shared.decisions import Decision
from shared.events import (
    LADDER_ACKNOWLEDGED,
    LADDER_BEGUN,
    LADDER_ENDED,
    LADDER_STEPPED,
    LADDER_TOLD,
    NOTICE_GIVEN_UP,
    Draft,
    Event,
)
from shared.records import Record, State
from shared.times import text_of

OWED = timedelta(seconds=1)
"""How long whoever took a step has for raising its notices; after that its process is taken for dead."""
LADDER = "ladder"
Tell = Mapping[str, Any]
"""A recipient of a step: the members of a `Raising` that are its own."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A rule fires whose alert has a ladder; `tells` are of its first step."""

    rule: str
    ladder: str
    says: str
    facts: Mapping[str, str]
    happened_at: str
    tells: Sequence[Tell]
    next_after: timedelta | None
    remind_after: timedelta | None
    due: str | None = None
    never_held: bool = False
    silence: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The next step of a ladder is due."""

    due: str
    """The clock that rang."""
    at: "Place"
    tells: Sequence[Tell]
    next_after: timedelta | None
    """Until the step after; None where there is none."""


@dataclass(frozen=True, slots=True)
class Told:
    """The notices of a step stand."""

    at: "Place"


@dataclass(frozen=True, slots=True)
class NobodyCame:
    """The last step of the last round has had its time, or the ladder is no longer in the file."""

    due: str
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where on its ladder an alert stands: both count from 0."""

    round: int
    step: int

    def __str__(self) -> str:
        return f"{self.round}.{self.step}"


FIRST = Place(0, 0)
Body = Begin | Step | Told | NobodyCame | Ack | Resolved


def place_of(state: Mapping[str, Any]) -> Place:
    """Where the alert stands now."""
    return Place(state["round"], state["step"])


def next_place(state: Mapping[str, Any], steps: int, rounds: int, *, has_again: bool) -> Place | None:
    """Where an alert goes next; None where the ladder is at its end.

    Acknowledged and nothing done since: from the beginning. After the last step: that one again, for some rounds.
    """
    now = place_of(state)
    if state["status"] == "acknowledged":
        return Place(now.round + 1, 0) if now.round < rounds else None
    if now.step + 1 < steps:
        return Place(now.round, now.step + 1)
    return Place(now.round + 1, steps - 1) if has_again and now.round < rounds else None


def decide(record: Record, body: Body, now: datetime) -> Decision:
    """Each step once; an acknowledgement, or that something is done, ends the climbing."""
    state = record.state
    if isinstance(body, Begin):
        return Decision() if record.version else Decision([_begun(record, body, now)])
    if isinstance(body, Step):
        return Decision([_stepped(body, now)] if _is_due(state, body.due) and "owed" not in state else ())
    if isinstance(body, NobodyCame):
        return Decision(_left(record, body) if _is_due(state, body.due) and "owed" not in state else ())
    if isinstance(body, Told):
        is_owed = "owed" in state and place_of(state) == body.at
        return Decision([Draft(LADDER_TOLD, (), {"at": str(body.at)})] if is_owed else ())
    if isinstance(body, Ack):
        return Decision([_acknowledged(state, body, now)] if state.get("status") == "climbing" else ())
    is_open = state.get("status") in ("climbing", "acknowledged") and body.at > state["happened_at"]
    return Decision([Draft(LADDER_ENDED, (), {"reason": body.why})] if is_open else ())


def _is_due(state: State, due: str) -> bool:
    return state.get("status") in ("climbing", "acknowledged") and state.get("follow_at") == due


def _begun(record: Record, begin: Begin, now: datetime) -> Draft:
    data: dict[str, Any] = {
        "alert": record.id,
        "rule": begin.rule,
        "ladder": begin.ladder,
        "says": begin.says,
        "about": record.subject,
        "facts": dict(begin.facts),
        "happened_at": begin.happened_at,
        **_told(FIRST, begin.tells, begin.next_after, now),
    }
    if begin.remind_after is not None:
        data["remind_after"] = int(begin.remind_after.total_seconds())
    for name in ("due", "never_held", "silence"):
        if value := getattr(begin, name):
            data[name] = value
    return Draft(LADDER_BEGUN, (), data)


def _told(at: Place, tells: Sequence[Tell], next_after: timedelta | None, now: datetime) -> dict[str, Any]:
    return {
        "round": at.round,
        "step": at.step,
        "tells": [dict(tell) for tell in tells],
        "owed_until": text_of(now + OWED),
        "next_at": text_of(now + next_after) if next_after is not None else None,
    }


def _stepped(step: Step, now: datetime) -> Draft:
    return Draft(LADDER_STEPPED, (), {"due": step.due, **_told(step.at, step.tells, step.next_after, now)})


def _left(record: Record, left: NobodyCame) -> list[Draft]:
    drafts = [Draft(LADDER_ENDED, (), {"reason": left.why})]
    if record.state["status"] == "climbing" and record.state["facts"].get("kind") != NOTICE_GIVEN_UP:
        drafts.append(failing.given_up_draft(record, f"ladder.{record.state['ladder']}", left.why))
    return drafts


def _acknowledged(state: State, ack: Ack, now: datetime) -> Draft:
    data: dict[str, Any] = {"by": ack.by, "via": ack.via}
    if "remind_after" in state:
        data["remind_at"] = text_of(now + timedelta(seconds=state["remind_after"]))
    return Draft(LADDER_ACKNOWLEDGED, (), data)


_KEPT = ("alert", "rule", "ladder", "says", "about", "facts", "happened_at", "remind_after", "due", "never_held")
_CLIMBING = ("owed", "next_at", "follow_at", "acknowledged_at", "acknowledged_by")


def evolve(state: State, event: Event) -> State:
    """Where an alert stands on its ladder, and what of its step is still owed."""
    data = event.data
    if event.type == LADDER_BEGUN:
        kept: State = {"record": LADDER} | {name: data[name] for name in _KEPT if name in data}
        if "silence" in data:
            return {**kept, "status": "silenced", "silence": data["silence"], "round": 0, "step": 0}
        return _stands({**kept, "began_at": event.at}, data)
    rest = {name: value for name, value in state.items() if name not in _CLIMBING}
    if event.type == LADDER_STEPPED:
        return _stands(rest, data)
    if event.type == LADDER_TOLD:
        next_at = state.get("next_at")
        return rest | ({"next_at": next_at, "follow_at": next_at} if next_at else {})
    if event.type == LADDER_ACKNOWLEDGED:
        rest |= {"status": "acknowledged", "acknowledged_at": event.at, "acknowledged_by": data["by"]}
        return rest | ({"follow_at": data["remind_at"]} if "remind_at" in data else {})
    if event.type == LADDER_ENDED:
        kept_ack: State = {name: state[name] for name in ("acknowledged_at", "acknowledged_by") if name in state}
        return {**rest, **kept_ack, "status": "ended", "reason": data["reason"], "ended_at": event.at}
    return state


def _stands(state: State, data: Mapping[str, Any]) -> State:
    stands = {"status": "climbing", "round": data["round"], "step": data["step"]}
    if data["next_at"]:
        stands["next_at"] = data["next_at"]
    return {**state, **stands, "owed": data["tells"], "follow_at": data["owed_until"]}
