"""Who gets a case, decided: one case per measure, given to the authority that the law names, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared import topics
from shared.competence import Law
from shared.decisions import Decide, Decision, Message
from shared.events import CASE_ASSIGNED, Draft, Event
from shared.ids import Ids
from shared.letter import split_content
from shared.payloads import LetterReceived
from shared.records import Record, State
from shared.times import text_of


@dataclass(frozen=True, slots=True)
class Opening:
    """A letter asks for a case: one of its measures, with what the authority of that measure may see."""

    letter: LetterReceived
    type: str
    content: Mapping[str, Any]


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


def decide_by(law: Law) -> Decide:
    """The decisions under one law; the law's version of the day on which the letter was received counts."""

    def decide(record: Record, message: Message, _now: datetime) -> Decision:
        if record.version:
            return Decision()
        return Decision([_assignment(record.id, message.body, law)])

    return decide


def _assignment(case: str, opening: Opening, law: Law) -> Draft:
    letter, on = opening.letter, law.day_of(opening.letter.received_at)
    treaties = tuple(letter.content.get("treaty_basis") or ())
    competence = law.decide(opening.type, letter.direction, on, party=letter.party, treaty_basis=treaties)
    lane = law.lane(opening.type, letter.urgency, on)
    data = {
        "case": case,
        "type": opening.type,
        "party": letter.party,
        "direction": letter.direction,
        "channel": letter.channel,
        "urgency": letter.urgency,
        "lane": lane,
        "received_at": text_of(letter.received_at),
        "authority": competence.authority,
        "rule": competence.rule,
        "law": competence.law,
        "version": competence.version,
        "basis": list(competence.basis),
        "because": competence.because,
        "certainty": competence.certainty,
        "gate": competence.gate,
        "lean": competence.lean,
        "status": "assigned",
    }
    to = (topics.cases_of(competence.authority, lane), topics.case_events(lane))
    return Draft(CASE_ASSIGNED, to, data, opening.content)


def evolve(state: State, event: Event) -> State:
    """A case is what its last event says of it; a snapshot says all."""
    said = {name: value for name, value in event.data.items() if name != "case"}
    return {**state, **said, "changed_at": event.at}
