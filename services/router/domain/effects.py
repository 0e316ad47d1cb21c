"""What an accepted update changes beside the status, and what its sender's State is told."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from services.router.domain.clocking import HOLD, RETURNED, waited, waiting
from services.router.domain.guards import ORAL, Situation, end_of_preservation
from services.router.domain.linking import is_followed
from services.router.domain.moving import conditions_of, content_of, judged
from shared.times import text_of

Changes = dict[str, Any]


def of(situation: Situation, status: str, ends: Collection[str]) -> Changes:
    """The changes of an update that leads to a status; most change the status only."""
    effect, before = EFFECTS.get(situation.update.name), situation.state["status"]
    changes = effect(situation) if effect else {}
    if before == RETURNED and status != before:
        changes = waited(situation.state, situation.now) | changes
    elif status == RETURNED and before != status:
        changes = waiting(situation.state, situation.now) | changes
    if status in ends and before not in ends:
        changes["ended_at"] = text_of(situation.now)
    return changes


def _acknowledged(at: Situation) -> Changes:
    """The holder's own number is one more reference by which the other State may name the case later."""
    number = at.update.sealed.get("number")
    if number is None:
        return {}
    own = at.rules.ids.reference(at.state["party"], number)
    return {"refs": list(dict.fromkeys([*at.state["refs"], own]))}


def _supplement_requested(at: Situation) -> Changes:
    return waiting(at.state, at.now)


def _supplement_received(at: Situation) -> Changes:
    """What is still missing, judged anew on all that has come; a word of nothing is none."""
    whole = content_of(at.record, at.rules, at.update.sealed.get("contents", {}))
    changes: Changes = judged(at.state["type"], whole, at.on, at.rules)
    prior = whole.get("prior_reference")
    if prior and "awaits" not in at.state and not any(one["relation"] == "parent" for one in at.state.get("links", ())):
        changes["awaits"] = at.rules.ids.reference(at.state["party"], prior)
    if at.state.get("before") == RETURNED:
        changes["before"] = "completeness_check"
    return changes | waited(at.state, at.now)


def _preserved(at: Situation) -> Changes:
    until = text_of(end_of_preservation(at))
    phase = HOLD if is_followed(at.state, at.rules) else "preserved"
    return {"preservation": {"phase": phase, "from": at.said["preserved_from"], "until": until}}


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


def _no_longer_kept(at: Situation) -> Changes:
    """The data are let go with the request; a person is not: that is for the holder to do and to say."""
    kept = at.state.get("preservation")
    return {"preservation": {**kept, "phase": "released"}} if kept else {}


def _arrested(at: Situation) -> Changes:
    return {"arrest": {"at": at.said["arrested_at"]}}


def _documents_received(at: Situation) -> Changes:
    return {"arrest": {**at.state["arrest"], "documents_at": text_of(at.now)}}


def _set_aside(at: Situation) -> Changes:
    """Remembers the status to which a consultation or a postponement goes back."""
    aside = at.state["status"] in ("consultation", "postponed")
    return {} if aside else {"before": at.state["status"]}


def _consulted(at: Situation) -> Changes:
    about = sorted({*at.state.get("consulted", ()), *at.said["about"]})
    return {"consulted": about} | _set_aside(at)


def _accepted(at: Situation) -> Changes:
    """An accepted condition binds: it goes with every result (UNCC article 40(28))."""
    return {"before": None, "offered": None, "bound": True, "restricted": at.state.get("restricted", text_of(at.now))}


def _executed(at: Situation) -> Changes:
    restricts = at.said.get("restricted") or "conditions" in at.update.sealed
    changes: Changes = {"restricted": text_of(at.now)} if restricts else {}
    kept = at.state.get("preservation")
    if kept and at.update.name == "executed":
        changes["preservation"] = {**kept, "phase": "released"}
    return changes


def _confirmed(at: Situation) -> Changes:
    return {"marks": [mark for mark in at.state["marks"] if mark != ORAL]}


def link_of(at: Situation) -> dict[str, str] | None:
    """The link that an update makes."""
    if at.update.name != "linked":
        return None
    suspected = next(one for one in at.state["duplicates"] if one["case"] == at.said["other"])
    return {**suspected, "relation": "same"}


EFFECTS: Mapping[str, Callable[[Situation], Changes]] = {
    "acknowledged": _acknowledged,
    "supplement_requested": _supplement_requested,
    "supplement_received": _supplement_received,
    "forwarded": lambda at: {"executing_body": at.said["executing_body"]},
    "preserved": _preserved,
    "extended": _extended,
    "released": _let_go,
    "withdrawn": _no_longer_kept,
    "refused": _no_longer_kept,
    "arrested": _arrested,
    "documents_received": _documents_received,
    "consultation_opened": _consulted,
    "condition_offered": lambda at: {"offered": True},
    "condition_accepted": _accepted,
    "postponed": _set_aside,
    "resumed": lambda at: {"before": None},
    "partially_executed": _executed,
    "executed": _executed,
    "urgency_changed": lambda at: {"urgency": at.said["urgency"]},
    "confirmed_in_writing": _confirmed,
    "triage_decided": lambda at: {"triaged": True},
}


NEEDS: Mapping[str, frozenset[str]] = {
    "forwarded": frozenset({"executing_body"}),
    "preserved": frozenset({"preserved_from"}),
    "extended": frozenset({"until"}),
    "arrested": frozenset({"arrested_at"}),
    "consultation_opened": frozenset({"about"}),
    "urgency_changed": frozenset({"urgency"}),
    "linked": frozenset({"other"}),
    "refused": frozenset({"grounds"}),
}
"""Which fields an update must have so that its effect can follow."""


def told(kind: str, at: Situation, after: Mapping[str, Any]) -> Changes:
    """What an answer says beside the open fields of its update."""
    if kind == "supplement" and at.update.name == "supplement_requested":
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
        named = at.said.get("grounds", ())
        return {"grounds": [{"ground": g, "says": grounds[g].says, "basis": list(grounds[g].basis)} for g in named]}
    if kind == "extension" and "preservation" in after:
        return {"preservation": after["preservation"]}
    return {}


_HOW_IT_STANDS = ("received_at", "changed_at", "missing", "preservation", "arrest")
"""What the sender is told of a case when it asks."""


def content_for(kind: str, at: Situation) -> Mapping[str, Any] | None:
    """What of the sealed part goes to the sender: what was written to it; to a gateway also what it carries abroad."""
    if kind == "outgoing":
        return {**content_of(at.record, at.rules), **at.update.sealed}
    if kind == "inquiry" and at.update.name == "status_inquired":
        return None  # its own question
    if kind == "result" and at.state.get("bound"):
        return {**at.update.sealed, "accepted_conditions": conditions_of(at.record)}
    return at.update.sealed
