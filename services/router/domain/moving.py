"""A case goes to another authority in one decision: the last event for the one, a snapshot for the other."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import orjson

from services.router.domain import clocking, events
from services.router.domain.rules import Rules
from shared import completeness
from shared.decisions import history_of
from shared.events import CASE_ASSIGNED, Draft, of_case
from shared.records import Record
from shared.vocabulary import DESK


def move(
    record: Record,
    authority: str,
    update: str,
    said: Mapping[str, Any],
    sealed: Mapping[str, Any],
    because: Mapping[str, Any],
    now: datetime,
    rules: Rules,
) -> list[Draft]:
    """The two events of a move; needs the record's history, for the snapshot holds what is sealed."""
    state, content = record.state, content_of(record, rules)
    changes: dict[str, Any] = {
        **dict.fromkeys(_OF_ONE_HOLDER & state.keys()),
        **clocking.waited(state, now),
        **because,
        "authority": authority,
        "status": "triage" if authority == DESK and update != "triage_decided" else "received",
    }
    if update == "triage_decided":
        changes["triaged"] = True
    on, type = rules.day(state), because.get("type", state["type"])
    if type != state["type"]:
        content = {**content, "measure": {**content["measure"], "type": type}}
        changes |= of_type(type, content, on, rules)
    changes["clocks"] = clocking.after_move({**state, **changes}, state, now, on, rules)
    return [
        events.left(record, state["authority"], changes, update, said, sealed),
        events.snapshot(record, changes, content, _related(state, authority, rules)),
    ]


_OF_ONE_HOLDER = frozenset({"before", "executing_body", "consulted", "offered"})
"""What an authority did that does not count for the next one."""


def of_type(type: str, content: Mapping[str, Any], on: date, rules: Rules) -> dict[str, Any]:
    """What changes when a case turns out to ask for something else."""
    return {"type": type, "cycle": rules.law.request_types[type].cycle, **judged(type, content, on, rules)}


def judged(type: str, content: Mapping[str, Any], on: date, rules: Rules) -> dict[str, Any]:
    """What a letter's share lacks for a type, and what in it leads to nobody."""
    return {
        "missing": completeness.missing(rules.law, type, on, content),
        "defects": completeness.known_defects(rules.law, type, on, content),
    }


def competence_of(record: Record, type: str, rules: Rules, parent: str | None = None) -> dict[str, Any]:
    """Whom the law names for a case as it stands, and why; needs its history, for the treaties that were cited."""
    state, treaties = record.state, tuple(content_of(record, rules).get("treaty_basis") or ())
    found = rules.law.decide(
        type, state["direction"], rules.day(state), party=state["party"], treaty_basis=treaties, parent=parent
    )
    return {
        "authority": found.authority,
        "type": type,
        "rule": found.rule,
        "basis": list(found.basis),
        "because": found.because,
        "certainty": found.certainty,
        "gate": found.gate,
        "treaty": found.treaty,
        "lean": found.lean,
    }


def conditions_of(record: Record) -> list[str]:
    """The conditions that were offered to the other State and accepted, in its history; they bind."""
    offered: list[str] = []
    accepted: list[str] = []
    for event in history_of(record):
        if event.type == of_case("condition_offered"):
            offered.append(orjson.loads(event.content or b"{}")["text"])
        elif event.type == of_case("condition_accepted"):
            accepted += offered
            offered = []
    return accepted


def content_of(record: Record, rules: Rules, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The measure as it stands now: as it was sent, with what was added since (and `more`, which is added now)."""
    content: dict[str, Any] = {}
    for event in history_of(record):
        if event.content is None:
            continue
        if event.type == CASE_ASSIGNED:
            content = orjson.loads(event.content)
        elif event.type == of_case("supplement_received"):
            content = _with(content, orjson.loads(event.content).get("contents", {}), record, rules)
    return _with(content, more, record, rules) if more else content


def _with(content: Mapping[str, Any], added: Mapping[str, Any], record: Record, rules: Rules) -> dict[str, Any]:
    """A supplement put where its words stand by the law: in the measure's contents, or elsewhere in the letter."""
    required = rules.law.required(record.state["type"], rules.day(record.state))
    places = {one.word: one.pointer for one in required if one.pointer}
    measure = content["measure"]
    inside = {word: value for word, value in added.items() if word not in places}
    whole = {**content, "measure": {**measure, "contents": {**measure["contents"], **inside}}}
    for word in added.keys() & places.keys():
        *path, last = str(places[word]).split("/")[1:]
        at = whole
        for name in path:
            at[name] = dict(at.get(name) or {})
            at = at[name]
        at[last] = added[word]
    return whole


def _related(state: Mapping[str, Any], authority: str, rules: Rules) -> list[dict[str, str]]:
    """Which of the linked cases the new authority may know of (need to know)."""
    return [link for link in state.get("links", ()) if rules.law.may_hold(authority, link["type"])]
