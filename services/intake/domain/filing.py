"""What becomes of a letter at the door: accepted, again, in conflict, refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from shared import topics
from shared.decisions import Decision, Message, history_of
from shared.events import ANSWER_RECEIPT, ANSWER_REFUSED, LETTER_RECEIVED, Draft
from shared.ids import Ids
from shared.law.competence import Law
from shared.letter import FieldError, Letter, content_of, differing_fields, digest_of
from shared.records import Record
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
    """An agency sent what is no letter, or no message on one, that we can take."""

    agency: str
    errors: tuple[FieldError, ...]
    event: AgencyEvent
    reference: str | None
    """Where it can be read."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The reply to a letter whose reference stands for another letter already: what differs, as JSON pointers."""

    pointers: tuple[str, ...]


def filing(agency: str, letter: Letter, ids: Ids) -> Message:
    """The message of a letter that comes by HTTP; a post is known by its content, so that a repeated one is known."""
    record = ids.letter(agency, letter.reference)
    cause = f"http/{agency}/{record}/{digest_of(letter)}"
    return Message(record, cause, agency, Filing(agency, letter, None), context={"agency": agency})


def decide(record: Record, filed: Filing, now: datetime, law: Law) -> Decision:
    """A letter that is new is accepted; one whose reference is known is the same again, or in conflict."""
    return _again(record, filed) if record.version else Decision(_acceptance(record.id, filed, law, now))


def decide_refusal(record: Record, refusal: Refusal) -> Decision:
    """Who sent what we cannot take is told so, once."""
    return Decision() if record.version else Decision([_refusal(record.id, refusal)])


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


def _again(record: Record, filed: Filing) -> Decision:
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
