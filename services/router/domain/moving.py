"""A case goes to another authority in one decision: the last event for the one, a snapshot for the other."""

from collections.abc import Mapping
from datetime import datetime
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
        **because,
        "authority": authority,
        "status": "triage" if authority == DESK and update != "triage_decided" else "received",
        "before": None,
        "executing_body": None,
    }
    if update == "triage_decided":
        changes["triaged"] = True
    after = {**state, **changes}
    on = rules.day(state)
    if after["type"] != state["type"]:
        content = {**content, "measure": {**content["measure"], "type": after["type"]}}
        changes["cycle"] = after["cycle"] = rules.law.request_types[after["type"]].cycle
        changes["missing"] = completeness.missing(rules.law, after["type"], on, content)
    changes["clocks"] = clocking.after_move(after, state, now, on, rules)
    return [
        events.left(record, state["authority"], changes, update, said, sealed),
        events.snapshot(record, changes, content, _related(after, authority, rules)),
    ]


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
