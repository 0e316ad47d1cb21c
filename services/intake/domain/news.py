"""What happened to a letter's cases, as far as its agency may see it: the status, and what it rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared import topics
from shared.decisions import Decision
from shared.events import ANSWER_STATUS, Draft
from shared.failures import NeverWill
from shared.payloads import CaseEvent
from shared.records import Record

SHOWN = ("type", "status", "authority", "because", "basis", "certainty", "missing", "defects", "marks")
"""What an agency sees of a case as it is; of clocks and links it sees a part."""
_THEIRS = frozenset({"parent", "child"})
"""The links that a sender made by its own references; that two letters look the same is for the desk alone."""
NO_SUCH_LETTER = "no such letter"
_OUR_OWN = "policy"
"""The kind of clock that is nobody's business but ours."""
_OF_A_CLOCK = ("clock", "kind", "due", "basis", "stopped_at", "missed_at")


@dataclass(frozen=True, slots=True)
class CaseNews:
    """Something happened to one of a letter's cases."""

    agency: str
    measure: int
    case: CaseEvent
    sequence: int = 0
    """The event's number among those of its case."""


def decide(record: Record, news: CaseNews) -> Decision:
    """The agency hears what has changed for it; what it has heard already, and what came late, changes nothing."""
    if not record.version:
        raise NeverWill(NO_SUCH_LETTER)
    before: Mapping[str, Any] = next(
        (case for case in record.state["cases"] if case["measure"] == news.measure), {"measure": news.measure}
    )
    if news.sequence and news.sequence <= before.get("case_event", 0):
        return Decision()
    after = _seen(before, news.case)
    if after == before:
        return Decision()
    # Events that change nothing for the agency leave no trace here, but each one says the status anew.
    said = {"letter": record.id, **after} | ({"case_event": news.sequence} if news.sequence else {})
    return Decision([Draft(ANSWER_STATUS, (topics.answers_to(news.agency),), said)])


def _seen(before: Mapping[str, Any], case: CaseEvent) -> dict[str, Any]:
    """What the agency sees of a case after an event, which says only what it changes."""
    said = {name: getattr(case, name) for name in SHOWN if name in case.model_fields_set}
    if "clocks" in case.model_fields_set:
        said["clocks"] = _theirs(case.clocks or ())
    seen: dict[str, Any] = {**before, "case": case.case}
    for link in (*(case.links or ()), *([case.link] if case.link else ())):
        if link["relation"] in _THEIRS and link["case"] not in {one["case"] for one in seen.get("links", ())}:
            seen["links"] = [*seen.get("links", ()), {"case": link["case"], "relation": link["relation"]}]
    for name, value in said.items():
        if value in (None, (), []):
            seen.pop(name, None)
        else:
            seen[name] = list(value) if isinstance(value, tuple) else value
    return seen


def _theirs(clocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The law's deadlines and the sender's own, without the steps at which somebody here is warned."""
    return [
        {name: clock[name] for name in _OF_A_CLOCK if name in clock} for clock in clocks if clock["kind"] != _OUR_OWN
    ]
