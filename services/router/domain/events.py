"""How an event of a case looks, and how the case's state follows from it.

The state holds open values only: codes, moments, ids. What an event changes stands in its data under the names of the
state, so the state is the merge of all that was said.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared import clocks, topics
from shared.events import CASE_ASSIGNED, CASE_REASSIGNED, UPDATE_REJECTED, Draft, Event, of_answer
from shared.records import Record, State

FACTS = ("case", "type", "party", "direction", "urgency", "lane", "authority", "status")
"""What every event of a case says of it."""

KEPT = frozenset(
    {
        *FACTS,
        "channel",
        "received_at",
        "rule",
        "law",
        "version",
        "basis",
        "because",
        "certainty",
        "gate",
        "treaty",
        "lean",
        "cycle",
        "missing",
        "defects",
        "marks",
        "clocks",
        "refs",
        "awaits",
        "links",
        "preservation",
        "arrest",
        "before",
        "waits",
        "executing_body",
        "requested_deadline",
        "restricted",
        "triaged",
        "duplicates",
        "consulted",
        "offered",
        "bound",
        "ended_at",
        "decided",
    }
) - {"case"}
"""The members of the state that an event can change; null takes one away."""


def evolve(state: State, event: Event) -> State:
    """A case is what its events said of it, one after the other."""
    if event.type == UPDATE_REJECTED:
        told, by = state.get("rejected", {}), event.data["by"]
        return {**state, "rejections": state.get("rejections", 0) + 1, "rejected": {**told, by: told.get(by, 0) + 1}}
    if not event.type.startswith("case."):
        return state  # an answer changes nothing
    new = dict(state)
    for name, value in event.data.items():
        if name not in KEPT:
            continue
        if value is None:
            new.pop(name, None)
        else:
            new[name] = value
    new["changed_at"] = event.at
    if event.type == CASE_ASSIGNED and state:
        # What an earlier authority did does not count for the present one; what the other State said or was told does.
        new["did"] = {name: at for name, at in state.get("did", {}).items() if name in _OF_THE_OTHER_STATE}
    if (update := event.data.get("update")) is not None:
        new["did"] = {**state.get("did", {}), update: event.at}
    if event.data.get("heard_from") is not None:
        new["heard"] = state.get("heard", 0) + 1
    if (link := event.data.get("link")) is not None:
        others = [one for one in state.get("links", ()) if one["case"] != link["case"]]
        new["links"] = [*others, link]
        if "duplicates" in state:  # confirmed, so no longer only suspected; the rest is for the desk alone
            new["duplicates"] = [one for one in state["duplicates"] if one["case"] != link["case"]]
    if "clocks" in event.data:
        new.pop("next_due", None)
        if (due := clocks.next_due(event.data["clocks"])) is not None:
            new["next_due"] = due
    return new


def facts_of(case: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """What every event of a case says of it; nothing personal."""
    return {"case": case} | {name: state[name] for name in FACTS if name in state}


def said_of_case(
    event_type: str,
    record: Record,
    changes: Mapping[str, Any],
    *,
    update: str | None = None,
    said: Mapping[str, Any] | None = None,
    content: Mapping[str, Any] | None = None,
    link: Mapping[str, str] | None = None,
    heard_from: str | None = None,
    to_holder: bool = True,
) -> Draft:
    """One event of a case, to whoever has it and to our own services."""
    state = {**record.state, **changes}
    data = facts_of(record.id, state) | dict(changes)
    if update is not None:
        data["update"] = update
    more = {"said": said, "link": link, "heard_from": heard_from}
    data |= {name: value for name, value in more.items() if value}
    holder = (topics.cases_of(state["authority"], state["lane"]),) if to_holder else ()
    return Draft(event_type, (*holder, topics.case_events(state["lane"])), data, content or None)


def snapshot(
    record: Record, changes: Mapping[str, Any], content: Mapping[str, Any], related: Sequence[Mapping[str, str]] = ()
) -> Draft:
    """A full snapshot for the authority that gets the case; `related`: the linked cases that it may know of."""
    state = {**record.state, **changes}
    before = record.state.items()
    shown = {name: value for name, value in before if name in _SHOWN and name not in changes and value is not None}
    data = {"case": record.id, **shown, **changes}
    if related:
        data["related"] = list(related)
    to = (topics.cases_of(state["authority"], state["lane"]), topics.case_events(state["lane"]))
    return Draft(CASE_ASSIGNED, to, data, content)


def left(
    record: Record,
    holder: str,
    changes: Mapping[str, Any],
    update: str,
    said: Mapping[str, Any],
    content: Mapping[str, Any],
) -> Draft:
    """The last event for an authority that loses a case."""
    state = {**record.state, **changes}
    data = facts_of(record.id, state) | {"update": update, "said": dict(said), "from": holder}
    to = (topics.cases_of(holder, state["lane"]), topics.case_events(state["lane"]))
    return Draft(CASE_REASSIGNED, to, data, dict(content) or None)


def answer(
    kind: str, record: Record, changes: Mapping[str, Any], said: Mapping[str, Any], content: Mapping[str, Any] | None
) -> Draft:
    """What the sender of the letter (or the gateway) is to hear, beside the status; intake says it on."""
    state = {**record.state, **changes}
    data = facts_of(record.id, state) | {"said": dict(said)}
    return Draft(of_answer(kind), (topics.answers_due(state["lane"]),), data, content or None)


def rejection(record: Record, data: Mapping[str, Any], topic: str, content: Mapping[str, Any] | None) -> Draft:
    """To who sent it, alone."""
    return Draft(UPDATE_REJECTED, (topic,), {"case": record.id, **data}, content)


_OF_THE_OTHER_STATE = frozenset({"consented", "confidentiality_breached", "confirmed_in_writing", "condition_accepted"})
_SHOWN = KEPT - {"links", "duplicates"}
"""What a snapshot holds: not the other cases, of which an authority may know only some (need to know)."""
