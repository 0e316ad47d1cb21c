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
    state, content = record.state, content_of(record)
    changes: dict[str, Any] = {
        **dict.fromkeys(_OF_ONE_HOLDER & state.keys()),
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
    law = rules.law
    return {
        "type": type,
        "cycle": law.request_types[type].cycle,
        "missing": completeness.missing(law, type, on, content),
    }


def competence_of(record: Record, type: str, rules: Rules, parent: str | None = None) -> dict[str, Any]:
    """Whom the law names for a case as it stands, and why; needs its history, for the treaties that were cited."""
    state, treaties = record.state, tuple(content_of(record).get("treaty_basis") or ())
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


def content_of(record: Record) -> dict[str, Any]:
    """The measure as it stands now: as it was sent, with what was added since."""
    content: dict[str, Any] = {}
    for event in history_of(record):
        if event.content is None:
            continue
        if event.type == CASE_ASSIGNED:
            content = orjson.loads(event.content)
        elif event.type == of_case("supplement_received"):
            added = orjson.loads(event.content).get("contents", {})
            measure = content["measure"]
            content = {**content, "measure": {**measure, "contents": {**measure["contents"], **added}}}
    return content


def _related(state: Mapping[str, Any], authority: str, rules: Rules) -> list[dict[str, str]]:
    """Which of the linked cases the new authority may know of (need to know)."""
    return [link for link in state.get("links", ()) if rules.law.may_hold(authority, link["type"])]
