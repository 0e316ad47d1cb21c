"""What an authority, the desk, the sender or a gateway did with a case: the table decides, then the guards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.router.domain import clocking, effects, events
from services.router.domain.guards import GUARDS, Situation
from services.router.domain.moving import competence_of, content_of, move, of_type
from services.router.domain.rules import Rules
from shared import topics
from shared.bad_letter import FieldError
from shared.decisions import Decision, Message
from shared.events import Draft, of_case
from shared.failures import NeverWill
from shared.life_cycle import BEFORE, SAME, Row, Update
from shared.records import Record
from shared.vocabulary import DESK

MOST_ERRORS = 20
"""So many bad fields are named in a rejection."""
MOST_MESSAGES, MOST_MESSAGE_BYTES = 200, 2_000_000
"""What senders may say on one case, in number and until its record has so many bytes: the holder needs the rest."""
MOST_REJECTIONS = 200
"""So many rejected updates of a case are answered; what comes after is set aside, or it would fill the record."""
NOT_THE_HOLDER = "not this authority's case"


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody says what was done with a case."""

    update: Update
    actor: str
    """An authority, the desk, or an agency, by its id."""
    role: Literal["authority", "agency", "gateway"]
    message: str | None = None
    """For an agency's message: its id, to which an answer refers."""
    errors: tuple[FieldError, ...] = ()
    """What is wrong with its fields: then it is rejected, whatever the table says."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The reply to an update that the life cycle forbids."""

    data: Mapping[str, Any]


class Unanswerable(NeverWill):
    """A rejection for who never had the case: its topic begins with a case, never with a rejection."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """`data`: what the rejection would have said; a caller by HTTP is told it."""
        super().__init__("rejected, and its sender never had the case")
        self.data = data


@dataclass(frozen=True, slots=True)
class _Forbidden(Exception):
    rule: str
    says: str
    basis: tuple[str, ...] = ()


def decide(record: Record, message: Message, now: datetime, rules: Rules) -> Decision:
    """The events of an update, or its rejection; raises `NeverWill` for one of who never had the case."""
    heard: Heard = message.body
    actors = _actors(record, heard)
    try:
        row = _row(record, heard, actors, rules)
        target, because = _target(record, heard.update, rules)
        situation = Situation(record, heard.update, now, rules, frozenset(actors), target)
        for name in row.guards:
            if not GUARDS[name](situation):
                guard = rules.life.guards[name]
                raise _Forbidden(name, guard.says, guard.basis)
    except _Forbidden as forbidden:
        return _rejected(record, heard, forbidden, actors, rules)
    if target is not None and target != record.state["authority"]:
        return Decision(_moved(record, heard.update, target, because, now, rules))
    return Decision(_accepted(heard, row, situation, because))


def _actors(record: Record, heard: Heard) -> set[str]:
    if heard.role != "authority":
        if record.state.get("heard", 0) >= MOST_MESSAGES or record.size > MOST_MESSAGE_BYTES:
            raise NeverWill("too many messages")
        return {heard.role}
    state = record.state
    actors = {"holder"} if heard.actor == state["authority"] else set()
    actors |= {"desk"} if heard.actor == DESK else set()
    if not actors and topics.cases_of(heard.actor, state["lane"]) not in record.sent:
        raise NeverWill(NOT_THE_HOLDER)
    return actors


def _row(record: Record, heard: Heard, actors: set[str], rules: Rules) -> Row:
    """The row of the table, or the reason why there is none."""
    state, name = record.state, heard.update.name
    if not actors:
        raise _Forbidden("holder", f"The case is with {state['authority']} now.")
    if heard.errors:
        raise _Forbidden("fields", "The update has bad fields.")
    rule = rules.life.updates[name]
    if actors.isdisjoint(rule.text.by):
        raise _Forbidden("by", f"This is for the {' or the '.join(rule.text.by)} to say.")
    if not rule.is_for(state["direction"], state.get("cycle")):
        raise _Forbidden("kind", "Cases of this type and direction do not know this update.")
    if (row := rule.rows.get(state["status"])) is None:
        raise _Forbidden("table", f"Not now, for the case is {state['status']}: {rules.life.statuses[state['status']]}")
    return row


def _target(record: Record, update: Update, rules: Rules) -> tuple[str | None, Mapping[str, Any]]:
    """To whom an update moves the case, and why; None for one that moves nothing."""
    if not rules.life.updates[update.name].text.reassigns:
        return None, {}
    state, said = record.state, update.open
    type = said.get("type", state["type"])
    if "authority" in said:
        because = {
            "type": type,
            "rule": update.name,
            "basis": [],
            "because": "A named human of the desk decided.",
            "lean": None,
        }
        return said["authority"], because
    if "type" not in said:
        return DESK, {"because": "The authority that had it says that it is not for it.", "lean": None}
    found = competence_of(record, type, rules)
    return found["authority"], found


def _accepted(heard: Heard, row: Row, situation: Situation, because: Mapping[str, Any]) -> list[Draft]:
    record, state, rules, update = situation.record, situation.state, situation.rules, heard.update
    status = {SAME: state["status"], BEFORE: state.get("before", "received")}.get(row.to, row.to)
    changes: dict[str, Any] = {"status": status} | effects.of(situation, status, rules.life.ends)
    if (type := update.open.get("type", state["type"])) != state["type"]:
        content = content_of(record, rules)
        changes |= {**because, **of_type(type, content, situation.on, rules)}
    after = {**state, **changes}
    if update.name == "urgency_changed":
        changes["clocks"] = clocking.after_change_of_urgency(after, situation.now, rules)
    elif type != state["type"]:
        changes["clocks"] = clocking.after_move(after, state, situation.now, situation.on, rules)
    else:
        # An end that was not said but follows, such as the least that the law asks for, counts like one that was.
        ends = _ends(changes)
        said = {**update.open, **ends}
        if (ringing := clocking.after_update(after, update.name, said, situation.now, rules, ends)) is not None:
            changes["clocks"] = ringing
    drafts = [
        events.said_of_case(
            of_case(update.name),
            record,
            changes,
            update=update.name,
            said=update.open,
            content=update.sealed,
            link=effects.link_of(situation),
            heard_from=None if heard.role == "authority" else heard.role,
            to_holder=_may_hear(situation),
        )
    ]
    if (kind := row.tells or rules.life.updates[update.name].text.tells) is not None:
        told = dict(update.open) | effects.told(kind, situation, after)
        drafts.append(events.answer(kind, record, changes, told, effects.content_for(kind, situation)))
    return drafts


def _ends(changes: Mapping[str, Any]) -> dict[str, str]:
    kept = changes.get("preservation") or {}
    return {"until": kept["until"]} if "until" in kept and "phase" in kept else {}


def _may_hear(situation: Situation) -> bool:
    """Whether the holder hears of an update: not of a link to what it need not know."""
    link = effects.link_of(situation)
    return link is None or situation.rules.law.may_hold(situation.state["authority"], link["type"])


def _moved(
    record: Record, update: Update, target: str, because: Mapping[str, Any], now: datetime, rules: Rules
) -> list[Draft]:
    drafts = move(record, target, update.name, update.open, update.sealed, because, now, rules)
    if (kind := rules.life.updates[update.name].text.tells) is not None:
        drafts.append(events.answer(kind, record, {**because, "authority": target}, {"authority": target}, None))
    return drafts


def _rejected(record: Record, heard: Heard, forbidden: _Forbidden, actors: set[str], rules: Rules) -> Decision:
    state, by = record.state, heard.actor if heard.role == "authority" else heard.role
    if state.get("rejected", {}).get(by, 0) >= MOST_REJECTIONS:
        raise NeverWill("too many rejected updates")
    data: dict[str, Any] = {
        "by": by,
        "update": heard.update.name,
        "rule": forbidden.rule,
        "says": forbidden.says,
        "basis": list(forbidden.basis),
        "status": state["status"],
        "allowed": rules.life.allowed(state["status"], actors, state["direction"], state.get("cycle")),
    }
    if heard.message is not None:
        data["message"] = heard.message
    # Sealed: a pointer may hold a name that the sender chose.
    errors = [{"pointer": error.pointer, "detail": error.detail} for error in heard.errors[:MOST_ERRORS]]
    content = {"errors": errors} if errors else None
    topic = topics.answers_due(state["lane"])
    if heard.role == "authority":
        topic = topics.cases_of(heard.actor, state["lane"])
        if topic not in record.sent:
            raise Unanswerable({**data, **(content or {})})
    return Decision([events.rejection(record, data, topic, content)], Rejection({**data, **(content or {})}))
