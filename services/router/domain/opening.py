"""A case is opened: one per measure, given to the authority that the law names, with the reason and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.router.domain import clocking
from services.router.domain.events import snapshot
from services.router.domain.linking import CaseHead, link_of
from services.router.domain.rules import Rules
from shared import completeness
from shared.decisions import Message
from shared.events import Draft
from shared.ids import Ids
from shared.letter import split_content
from shared.payloads import LetterReceived
from shared.records import Record
from shared.times import text_of
from shared.vocabulary import DESK

CONDITIONS = "conditions"
"""The word under which a letter sets conditions on the use of what it tells (UNCC article 40(5))."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A letter asks for a case: one of its measures, with what the authority of that measure may see."""

    letter: LetterReceived
    type: str
    content: Mapping[str, Any]
    parent: CaseHead | None = None
    """The case that its prior reference names, where that is known already."""


def split(letter: LetterReceived, cause: str, ids: Ids) -> list[Message]:
    """One message per measure: neither authority sees the other's part, and none waits for another."""
    return [
        Message(
            record=ids.case(letter.letter, head.measure),
            cause=cause,
            by="intake",
            body=Opening(letter, head.type, split_content(letter.content, head.measure)),
            context={"letterid": letter.letter, "agency": letter.agency, "measure": str(head.measure)},
        )
        for head in letter.measures
    ]


def assignment(record: Record, opening: Opening, rules: Rules) -> Draft:
    """The first event of a case: who has it and why, what is missing, which clocks run."""
    law, letter, content, parent = rules.law, opening.letter, opening.content, opening.parent
    received_at = letter.received_at.astimezone(UTC)  # Python's own zone: the parser's is slow to reckon with
    on = law.day_of(received_at)
    treaties: Sequence[str] = tuple(letter.content.get("treaty_basis") or ())
    competence = law.decide(
        opening.type,
        letter.direction,
        on,
        party=letter.party,
        treaty_basis=treaties,
        parent=parent.authority if parent else None,
    )
    lane = law.lane(opening.type, letter.urgency, on)
    deadline = _deadline(content)
    changes: dict[str, Any] = {
        "type": opening.type,
        "party": letter.party,
        "direction": letter.direction,
        "channel": letter.channel,
        "urgency": letter.urgency,
        "lane": lane,
        "received_at": text_of(received_at),
        "authority": competence.authority,
        "rule": competence.rule,
        "law": competence.law,
        "version": competence.version,
        "basis": list(competence.basis),
        "because": competence.because,
        "certainty": competence.certainty,
        "gate": competence.gate,
        "treaty": competence.treaty,
        "lean": competence.lean,
        "cycle": law.request_types[opening.type].cycle,
        "status": "triage" if competence.authority == DESK else "received",
        "missing": completeness.missing(law, opening.type, on, content),
        "defects": completeness.known_defects(law, opening.type, on, content),
        "marks": completeness.marks(content, letter.channel),
        "refs": [rules.ids.reference(letter.party, content["reference"])],
    }
    if deadline:
        changes["requested_deadline"] = deadline
    if content["measure"]["contents"].get(CONDITIONS):
        changes["restricted"] = changes["received_at"]
    if parent and not law.may_hold(competence.authority, parent.type):
        parent = None  # it is linked later, without a word to who has no need to know
    changes |= link_of(content.get("prior_reference"), letter.party, parent, rules.ids)
    changes["clocks"] = clocking.at_opening(changes, received_at, on, rules)
    return snapshot(record, changes, content)


def _deadline(content: Mapping[str, Any]) -> str | None:
    at = (content.get("requested_deadline") or {}).get("at")
    return text_of(datetime.fromisoformat(at)) if at else None
