"""Cases that belong together: what follows a preservation, and the same letter by another channel.

A prior reference is looked for by who has the records; here is what follows when it is found, in either order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.router.domain import clocking, events
from services.router.domain.clocking import HOLD
from services.router.domain.moving import competence_of, move
from services.router.domain.rules import Rules
from shared.decisions import Decision, Message
from shared.events import Draft, of_case
from shared.ids import Ids
from shared.records import Record
from shared.times import text_of
from shared.vocabulary import DESK

DECIDED = "decided"
KEPT_PHASES = frozenset({"preserved", "extended", DECIDED})
"""In which the data are preserved and nothing holds them beyond their time."""


@dataclass(frozen=True, slots=True)
class CaseHead:
    """What one case may know of another that belongs to it."""

    case: str
    type: str
    authority: str
    status: str
    direction: str
    phase: str | None = None
    """How far its preservation has come."""
    received_at: str = ""

    def as_link(self, relation: str) -> dict[str, str]:
        """How it stands in the other one's state."""
        return {"case": self.case, "type": self.type, "relation": relation}


@dataclass(frozen=True, slots=True)
class Link:
    """To a case whose prior reference was not known: here is what it named."""

    parent: CaseHead


@dataclass(frozen=True, slots=True)
class LinkedBy:
    """To a case: another one names it as its prior reference."""

    child: CaseHead


@dataclass(frozen=True, slots=True)
class SameElsewhere:
    """To a case: the same State's same reference came by another letter."""

    other: str
    type: str


@dataclass(frozen=True, slots=True)
class FollowUpDecided:
    """To a preservation that is held: every request that followed it has ended."""

    children: tuple[str, ...]


def link_of(prior: str | None, party: str, parent: CaseHead | None, ids: Ids) -> dict[str, Any]:
    """What a new case knows of the one before it: its link, or what it still waits for."""
    if prior is None:
        return {}
    if parent is None:
        return {"awaits": ids.reference(party, prior)}
    return {"links": [parent.as_link("parent")]}


def with_parents(messages: Sequence[Message], parents: Mapping[str, CaseHead]) -> list[Message]:
    """The openings whose parent is known, with it; and a word to each parent."""
    told: list[Message] = []
    for message in messages:
        parent = parents.get(message.record)
        if parent is None:
            told.append(message)
            continue
        told.append(replace(message, body=replace(message.body, parent=parent)))
        opening = message.body
        at = text_of(opening.letter.received_at)
        child = CaseHead(message.record, opening.type, "", "", opening.letter.direction, received_at=at)
        told.append(Message(parent.case, f"link/{message.record}", "router", LinkedBy(child)))
    return told


def decide(record: Record, message: Message, now: datetime, rules: Rules) -> Decision:
    """A link is made once, and merges nothing."""
    body = message.body
    if isinstance(body, Link):
        return _to_parent(record, body.parent, now, rules)
    if isinstance(body, LinkedBy):
        return _to_child(record, body.child, now, rules)
    if isinstance(body, FollowUpDecided):
        return _decided(record, body.children, now, rules)
    same = record.state.get("duplicates", ())
    if body.other in {one["case"] for one in same}:
        return Decision()
    update = "duplicate_suspected"
    changes = {"duplicates": [*same, {"case": body.other, "type": body.type}]}
    # Whoever has the case need not know what else was asked: the desk's people hear of it.
    return Decision([events.said_of_case(of_case(update), record, changes, update=update, to_holder=False)])


def _linked(
    record: Record, other: CaseHead, relation: str, changes: Mapping[str, Any], rules: Rules, note: str = "linked"
) -> Draft:
    """The event of a link, to the holder only where it may know of the other case (need to know)."""
    may_know = rules.law.may_hold(record.state["authority"], other.type)
    link = other.as_link(relation)
    return events.said_of_case(of_case(note), record, changes, update=note, link=link, to_holder=may_know)


def _to_parent(record: Record, parent: CaseHead, now: datetime, rules: Rules) -> Decision:
    state = record.state
    if "awaits" not in state or parent.case in _known(state):
        return Decision()
    linked = _linked(record, parent, "parent", {"awaits": None}, rules)
    if not (rules.follows_another(state) and state["status"] == "triage"):
        return Decision([linked])
    found = competence_of(record, state["type"], rules, parent=parent.authority)
    if found["authority"] in (DESK, state["authority"]):
        return Decision([linked])
    after = replace_state(record, {"awaits": None, "links": [*state.get("links", ()), parent.as_link("parent")]})
    said = {"other": parent.case}
    return Decision([linked, *move(after, found["authority"], "linked", said, {}, found, now, rules)])


def _to_child(record: Record, child: CaseHead, now: datetime, rules: Rules) -> Decision:
    state = record.state
    if child.case in _known(state):
        return Decision()
    changes: dict[str, Any] = {}
    kept = state.get("preservation", {})
    if rules.law.request_types[child.type].holds_parent:
        in_time = child.received_at <= kept.get("lapsed_at", "")
        if kept.get("phase") in KEPT_PHASES:
            changes = hold(state, kept, now, rules)
        elif state["status"] == "lapsed" and in_time:
            # It was there before the end and was only heard of later: nothing has lapsed.
            changes = {**hold(state, kept, now, rules), "status": "in_execution", "ended_at": None}
    return Decision([_linked(record, child, "child", changes, rules)])


def _decided(record: Record, children: Sequence[str], now: datetime, rules: Rules) -> Decision:
    kept = record.state.get("preservation", {})
    ended = {**record.state, "decided": sorted({*record.state.get("decided", ()), *children})}
    if kept.get("phase") != HOLD or is_followed(ended, rules):
        return Decision()
    changes: dict[str, Any] = {"decided": ended["decided"], "preservation": {**kept, "phase": DECIDED}}
    changes["clocks"] = clocking.kept_again({**record.state, **changes}, now, rules)
    return Decision([events.said_of_case(of_case("follow_up_decided"), record, changes, update="follow_up_decided")])


def hold(state: Mapping[str, Any], kept: Mapping[str, Any], now: datetime, rules: Rules) -> dict[str, Any]:
    """Data are kept until the request that follows is decided, and lapse no more (UNCC article 42(8))."""
    return {"preservation": {**kept, "phase": HOLD}, "clocks": clocking.without_lapse(state, now, rules)}


def following(state: Mapping[str, Any], rules: Rules) -> list[str]:
    """The linked requests that keep what is preserved, as far as they are not known to have ended."""
    types, decided = rules.law.request_types, state.get("decided", ())
    return [
        link["case"]
        for link in state.get("links", ())
        if link["relation"] == "child" and link["case"] not in decided
        if link["type"] in types and types[link["type"]].holds_parent
    ]


def is_followed(state: Mapping[str, Any], rules: Rules) -> bool:
    """Whether a request is linked and open that keeps what is preserved."""
    return bool(following(state, rules))


def replace_state(record: Record, changes: Mapping[str, Any]) -> Record:
    """The record as it will stand after changes, for a decision of several events."""
    state = {name: value for name, value in {**record.state, **changes}.items() if value is not None}
    return replace(record, state=state)


def _known(state: Mapping[str, Any]) -> set[str]:
    return {link["case"] for link in state.get("links", ())}
