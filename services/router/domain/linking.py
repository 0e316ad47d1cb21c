"""Cases that belong together: what follows a preservation, and the same letter by another channel.

A prior reference is looked for by who has the records; here is what follows when it is found, in either order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.router.domain import clocking, events
from services.router.domain.clocking import HOLD
from services.router.domain.moving import move
from services.router.domain.rules import Rules
from shared.decisions import Decision, Message
from shared.events import of_case
from shared.ids import Ids
from shared.records import Record
from shared.vocabulary import DESK

KEPT_PHASES = frozenset({"preserved", "extended"})
DECIDED = "decided"


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


@dataclass(frozen=True, slots=True)
class FollowUpDecided:
    """To a preservation that is held: every request that followed it has ended."""


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
        child = CaseHead(message.record, opening.type, "", "", opening.letter.direction)
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
        kept = record.state.get("preservation", {})
        if kept.get("phase") != HOLD:
            return Decision()
        changes: dict[str, Any] = {"preservation": {**kept, "phase": DECIDED}}
        return Decision(
            [events.said_of_case(of_case("follow_up_decided"), record, changes, update="follow_up_decided")]
        )
    same = record.state.get("duplicates", ())
    if body.other in same:
        return Decision()
    changes = {"duplicates": [*same, body.other]}
    said = {"other": body.other}
    update = "duplicate_suspected"
    # Whoever has the case need not know what else was asked: the desk's people hear of it.
    return Decision([events.said_of_case(of_case(update), record, changes, update=update, said=said, to_holder=False)])


def _to_parent(record: Record, parent: CaseHead, now: datetime, rules: Rules) -> Decision:
    state = record.state
    if "awaits" not in state or parent.case in _known(state):
        return Decision()
    changes = {"awaits": None, "links": [*state.get("links", ()), parent.as_link("parent")]}
    linked = events.said_of_case(
        of_case("linked"),
        record,
        changes,
        update="linked",
        said={"other": parent.case, "relation": "parent"},
        to_holder=rules.law.may_hold(state["authority"], parent.type),
    )
    if rules.follows_another(state) and state["status"] == "triage" and parent.authority != DESK:
        after = replace_state(record, changes)
        because = {"rule": state["rule"], "because": "It follows the case that its prior reference names."}
        return Decision(
            [linked, *move(after, parent.authority, "linked", {"other": parent.case}, {}, because, now, rules)]
        )
    return Decision([linked])


def _to_child(record: Record, child: CaseHead, now: datetime, rules: Rules) -> Decision:
    state = record.state
    if child.case in _known(state):
        return Decision()
    changes: dict[str, Any] = {"links": [*state.get("links", ()), child.as_link("child")]}
    kept = state.get("preservation", {})
    holds = rules.law.request_types[child.type].holds_parent
    if holds and kept.get("phase") in KEPT_PHASES:
        changes |= hold(state, kept, now, rules)
    return Decision(
        [
            events.said_of_case(
                of_case("linked"),
                record,
                changes,
                update="linked",
                said={"other": child.case, "relation": "child"},
                to_holder=rules.law.may_hold(state["authority"], child.type),
            )
        ]
    )


def hold(state: Mapping[str, Any], kept: Mapping[str, Any], now: datetime, rules: Rules) -> dict[str, Any]:
    """Data are kept until the request that follows is decided, and lapse no more (UNCC article 42(8))."""
    return {"preservation": {**kept, "phase": HOLD}, "clocks": clocking.without_lapse(state, now, rules)}


def is_followed(state: Mapping[str, Any], rules: Rules) -> bool:
    """Whether a request is linked that keeps what is preserved."""
    return any(
        link["relation"] == "child" and rules.law.request_types[link["type"]].holds_parent
        for link in state.get("links", ())
        if link["type"] in rules.law.request_types
    )


def replace_state(record: Record, changes: Mapping[str, Any]) -> Record:
    """The record as it will stand after changes, for a decision of several events."""
    state = {name: value for name, value in {**record.state, **changes}.items() if value is not None}
    return replace(record, state=state)


def _known(state: Mapping[str, Any]) -> set[str]:
    return {link["case"] for link in state.get("links", ())}
