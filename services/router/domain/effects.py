"""What an accepted update changes beside the status, and what its sender's State is told."""

from collections.abc import Callable, Mapping
from typing import Any

from services.router.domain.clocking import HOLD
from services.router.domain.guards import ORAL, Situation
from services.router.domain.linking import is_followed
from services.router.domain.moving import content_of
from shared.life_cycle import Update
from shared.records import Record
from shared.times import text_of

Changes = dict[str, Any]


def of(situation: Situation) -> Changes:
    """The changes of an update; most change the status only."""
    effect = EFFECTS.get(situation.update.name)
    return effect(situation) if effect else {}


def _acknowledged(at: Situation) -> Changes:
    """The holder's own number is one more reference by which the other State may name the case later."""
    number = at.update.sealed.get("number")
    if number is None:
        return {}
    own = at.rules.ids.reference(at.state["party"], number)
    return {"refs": list(dict.fromkeys([*at.state["refs"], own]))}


def _supplement_requested(at: Situation) -> Changes:
    waits = at.state.get("waits", [])
    return {} if waits and waits[-1][1] is None else {"waits": [*waits, [text_of(at.now), None]]}


def _supplement_received(at: Situation) -> Changes:
    given = {word for word, value in at.update.sealed.get("contents", {}).items() if value not in ("", [])}
    changes: Changes = {"missing": [one for one in at.state.get("missing", ()) if one["field"] not in given]}
    waits = at.state.get("waits", [])
    if waits and waits[-1][1] is None:
        changes["waits"] = [*waits[:-1], [waits[-1][0], text_of(at.now)]]
    return changes


def _preserved(at: Situation) -> Changes:
    kept: Changes = {**at.state.get("preservation", {}), "phase": "preserved", "from": at.said["preserved_from"]}
    if "until" in at.said:
        kept["until"] = at.said["until"]
    return {"preservation": {**kept, "phase": HOLD} if is_followed(at.state, at.rules) else kept}


def _extended(at: Situation) -> Changes:
    kept = at.state["preservation"]
    phase = kept["phase"] if kept["phase"] == HOLD else "extended"
    return {"preservation": {**kept, "phase": phase, "until": at.said["until"]}}


def _let_go(at: Situation) -> Changes:
    if kept := at.state.get("preservation"):
        return {"preservation": {**kept, "phase": "released"}}
    if held := at.state.get("arrest"):
        return {"arrest": {**held, "released_at": text_of(at.now)}}
    return {}


def _arrested(at: Situation) -> Changes:
    return {"arrest": {"at": at.said["arrested_at"]}}


def _documents_received(at: Situation) -> Changes:
    return {"arrest": {**at.state["arrest"], "documents_at": text_of(at.now)}}


def _set_aside(at: Situation) -> Changes:
    """Remembers the status to which a consultation or a postponement goes back."""
    aside = at.state["status"] in ("consultation", "postponed")
    return {} if aside else {"before": at.state["status"]}


def _taken_up(_at: Situation) -> Changes:
    return {"before": None}


def _executed(at: Situation) -> Changes:
    changes: Changes = {"restricted": True} if at.said.get("restricted") or "conditions" in at.update.sealed else {}
    kept = at.state.get("preservation")
    return changes | ({"preservation": {**kept, "phase": "disclosed"}} if kept and at.update.name == "executed" else {})


def _confirmed(at: Situation) -> Changes:
    return {"marks": [mark for mark in at.state["marks"] if mark != ORAL]}


def _linked(at: Situation) -> Changes:
    """The desk confirms what was only suspected: the two stay two cases."""
    other = at.said["other"]
    rest = [one for one in at.state.get("duplicates", ()) if one != other]
    known = [link for link in at.state.get("links", ()) if link["case"] != other]
    link = {"case": other, "type": at.state["type"], "relation": "same"}
    return {"duplicates": rest, "links": [*known, link]}


EFFECTS: Mapping[str, Callable[[Situation], Changes]] = {
    "acknowledged": _acknowledged,
    "supplement_requested": _supplement_requested,
    "supplement_received": _supplement_received,
    "forwarded": lambda at: {"executing_body": at.said["executing_body"]},
    "preserved": _preserved,
    "extended": _extended,
    "released": _let_go,
    "withdrawn": _let_go,
    "arrested": _arrested,
    "documents_received": _documents_received,
    "consultation_opened": _set_aside,
    "postponed": _set_aside,
    "condition_accepted": _taken_up,
    "resumed": _taken_up,
    "partially_executed": _executed,
    "executed": _executed,
    "urgency_changed": lambda at: {"urgency": at.said["urgency"]},
    "confirmed_in_writing": _confirmed,
    "linked": _linked,
    "triage_decided": lambda at: {"triaged": True},
}


def told(kind: str, at: Situation, after: Mapping[str, Any]) -> Changes:
    """What an answer says beside the open fields of its update."""
    if kind == "supplement":
        wanted = set(at.said.get("words") or (one["field"] for one in at.state.get("missing", ())))
        required = {one.word: one for one in at.rules.law.required(at.state["type"], at.on)}
        asked = [
            {"field": w, "says": required[w].says, "basis": list(required[w].basis)} for w in required if w in wanted
        ]
        return {"missing": asked, "defects": after.get("defects", [])}
    if kind == "inquiry":
        return {name: after[name] for name in _HOW_IT_STANDS if name in after}
    if kind == "refusal":
        grounds = at.rules.law.text.refusal_grounds
        return {
            "grounds": [
                {"ground": g, "says": grounds[g].says, "basis": list(grounds[g].basis)} for g in at.said["grounds"]
            ]
        }
    if kind == "extension" and "preservation" in after:
        return {"preservation": after["preservation"]}
    return {}


_HOW_IT_STANDS = ("received_at", "changed_at", "missing", "preservation", "arrest")
"""What the sender is told of a case when it asks."""


def content_for(kind: str, record: Record, update: Update) -> Mapping[str, Any] | None:
    """What of the sealed part goes to the sender: what was written to it; to a gateway also what it carries abroad."""
    if kind == "outgoing":
        return {**content_of(record), **update.sealed}
    if kind == "inquiry" and update.name == "status_inquired":
        return None  # its own question
    return update.sealed
