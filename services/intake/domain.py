"""What becomes of a letter at the door, decided: accepted, again, in conflict, refused; and the news of its cases."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from shared import topics
from shared.competence import Law
from shared.decisions import Decide, Decision, Message, history_of
from shared.events import ANSWER_RECEIPT, ANSWER_REFUSED, ANSWER_STATUS, CASE_ASSIGNED, LETTER_RECEIVED, Draft, Event
from shared.ids import Ids
from shared.letter import FieldError, Letter, content_of, differing_fields, digest_of
from shared.payloads import CaseAssigned
from shared.records import Record, State
from shared.times import text_of
from shared.vocabulary import Lane


@dataclass(frozen=True, slots=True)
class AgencyEvent:
    """The event in which an agency sent something by Kafka, as the agency named it."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Filing:
    """An agency files a letter."""

    agency: str
    letter: Letter
    event: AgencyEvent | None
    """None for one that comes by HTTP: its sender has the answer in the response."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An agency sent what is no letter that we can take."""

    agency: str
    errors: tuple[FieldError, ...]
    event: AgencyEvent
    reference: str | None
    """Where it can be read."""


@dataclass(frozen=True, slots=True)
class CaseNews:
    """Something happened to one of a letter's cases."""

    agency: str
    measure: int
    case: CaseAssigned


@dataclass(frozen=True, slots=True)
class Conflict:
    """The reply to a letter whose reference stands for another letter already: what differs, as JSON pointers."""

    pointers: tuple[str, ...]


def filing(agency: str, letter: Letter, ids: Ids) -> Message:
    """The message of a letter that comes by HTTP; a post is known by its content, so that a repeated one is known."""
    record = ids.letter(agency, letter.reference)
    cause = f"http/{agency}/{record}/{digest_of(letter)}"
    return Message(record, cause, agency, Filing(agency, letter, None), context={"agency": agency})


def decide_by(law: Law) -> Decide:
    """The decisions under one law, which gives each letter its lane."""

    def decide(record: Record, message: Message, now: datetime) -> Decision:
        body = message.body
        if isinstance(body, Filing):
            return _decide_again(record, body) if record.version else Decision(_acceptance(record.id, body, law, now))
        if isinstance(body, Refusal):
            return Decision([_refusal(record.id, body)] if not record.version else ())
        return _decide_news(record, body)

    return decide


def _acceptance(letter_id: str, filed: Filing, law: Law, now: datetime) -> list[Draft]:
    letter, on = filed.letter, law.day_of(now)
    urgent = any(law.lane(measure.type, letter.urgency, on) is Lane.URGENT for measure in letter.measures)
    lane, digest, received_at = Lane.URGENT if urgent else Lane.NORMAL, digest_of(letter), text_of(now)
    received = {
        "letter": letter_id,
        "agency": filed.agency,
        "received_at": received_at,
        "party": letter.party,
        "direction": letter.direction,
        "channel": letter.channel,
        "urgency": letter.urgency,
        "lane": lane,
        "digest": digest,
        "measures": [{"measure": n, "type": measure.type} for n, measure in enumerate(letter.measures, 1)],
    }
    return [
        Draft(LETTER_RECEIVED, (topics.letters_received(lane),), received, orjson.dumps(content_of(letter))),
        _receipt(letter_id, filed, digest, received_at),
    ]


def _receipt(letter_id: str, filed: Filing, digest: str, received_at: str) -> Draft:
    receipt = {"letter": letter_id, "received_at": received_at, "digest": digest}
    to = (topics.answers_to(filed.agency),)
    return Draft(ANSWER_RECEIPT, to, receipt, {"reference": filed.letter.reference})


def _decide_again(record: Record, filed: Filing) -> Decision:
    """The same letter gets the same receipt; another one under its reference is named by what differs."""
    digest = digest_of(filed.letter)
    if record.state["digest"] == digest:
        again = _receipt(record.id, filed, digest, record.state["received_at"])
        return Decision([again] if filed.event else ())
    first = next(event for event in history_of(record) if event.type == LETTER_RECEIVED)
    pointers = tuple(differing_fields(orjson.loads(first.content or b"{}"), content_of(filed.letter)))
    if filed.event is None:
        return Decision(reply=Conflict(pointers))
    errors = tuple(FieldError(pointer, "Differs from the letter that has this reference.") for pointer in pointers)
    refusal = Refusal(filed.agency, errors, filed.event, filed.letter.reference)
    return Decision([_refusal(record.id, refusal)], Conflict(pointers))


def _refusal(letter_id: str, refusal: Refusal) -> Draft:
    # Sealed: a pointer may hold a name that the sender chose, and so may its own event's.
    said: dict[str, Any] = {
        "errors": [{"pointer": error.pointer, "detail": error.detail} for error in refusal.errors],
        "about": {"source": refusal.event.source, "id": refusal.event.id},
    }
    if refusal.reference is not None:
        said["reference"] = refusal.reference
    return Draft(ANSWER_REFUSED, (topics.answers_to(refusal.agency),), {"letter": letter_id}, said)


def _decide_news(record: Record, news: CaseNews) -> Decision:
    if not record.version:
        return Decision()
    case = news.case
    said = {
        "letter": record.id,
        "measure": news.measure,
        "case": case.case,
        "type": case.type,
        "status": case.status,
        "authority": case.authority,
        "because": case.because,
        "basis": list(case.basis),
        "certainty": case.certainty,
    }
    return Decision([Draft(ANSWER_STATUS, (topics.answers_to(news.agency),), said)])


def evolve(state: State, event: Event) -> State:
    """A letter is what was received, and the last that was heard of each of its cases."""
    if event.type == LETTER_RECEIVED:
        kept = {**event.data, "status": "received", "cases": []}
        del kept["letter"]
        return kept
    if event.type == ANSWER_STATUS:
        news: dict[str, Any] = {name: value for name, value in event.data.items() if name != "letter"}
        others = [case for case in state["cases"] if case["measure"] != news["measure"]]
        return {**state, "cases": sorted([*others, news], key=lambda case: case["measure"])}
    if event.type == ANSWER_REFUSED and not state:
        return {"status": "refused"}
    return state


HEARD = frozenset({CASE_ASSIGNED})
"""What intake hears of cases."""
