"""What intake hears by Kafka: letters and messages from agencies, what becomes of their cases, answers that are due."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.intake.domain import AgencyEvent, CaseNews, Due, Filing, Refusal, Said
from services.intake.domain.messages import message_id
from shared.arrivals import Read
from shared.decisions import Message
from shared.envelope import Envelope, read_envelope
from shared.events import (
    ANSWERS,
    CASE_REASSIGNED,
    CASE_TYPES,
    LETTER_MESSAGE,
    LETTER_RECEIVED,
    UPDATE_REJECTED,
    of_answer,
)
from shared.failures import NeverWill
from shared.ids import Ids
from shared.letter import BadLetter, parse_letter
from shared.letter_message import parse_message
from shared.letter_model import LONGEST_REFERENCE
from shared.life_cycle import LifeCycle
from shared.limits import CONTRACT, Limits
from shared.own_events import read_event
from shared.partners import Agency
from shared.payloads import CaseEvent
from shared.strict_json import refuse_many

_VERSION_1 = re.compile(r"(^|[:/.])v1($|[:/.])")
_PARTS = re.compile(r"[/:]")


def on_letter(
    agencies: Mapping[str, Agency],
    known_types: Collection[str],
    ids: Ids,
    life: LifeCycle,
    limits: Limits = CONTRACT,
) -> Read:
    """An agency's topic: a letter, or a message on one of before. The topic names the agency."""

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        agency = record.topic.split(".")[1]
        event = read_envelope(record.headers or (), record.value)
        if event.type not in (LETTER_RECEIVED, LETTER_MESSAGE):
            raise NeverWill("unknown event type")
        if not _VERSION_1.search(event.attributes.get("dataschema", "v1")):
            raise NeverWill("unknown event version")
        _refuse_foreign(agency, agencies, event)
        if len(event.data) > limits.letter_bytes:
            raise NeverWill("too large")
        cause = ids.cause(f"{agency} {event.source}", event.id)
        what = "not a letter" if event.type == LETTER_RECEIVED else "not a message"
        try:
            if event.type == LETTER_RECEIVED:
                return [_filing(agency, event, cause, known_types, ids, limits)]
            return [_said(agency, event, cause, agencies[agency], ids, life, limits)]
        except BadLetter as bad:
            refusal = Refusal(agency, bad.errors, AgencyEvent(event.source, event.id), _reference_in(event.data))
            told = Message(ids.refused_letter(agency, event.source, event.id), cause, agency, refusal)
            raise NeverWill(what, also=[told]) from None

    return read


def _filing(
    agency: str, event: Envelope, cause: str, known_types: Collection[str], ids: Ids, limits: Limits
) -> Message:
    refuse_many(event.data)
    letter = parse_letter(event.data, known_types, limits)
    if letter.agency not in (None, agency):
        raise NeverWill("another agency's name")
    filing = Filing(agency, letter, AgencyEvent(event.source, event.id))
    return Message(ids.letter(agency, letter.reference), cause, agency, filing, context={"agency": agency})


def _said(
    agency: str, event: Envelope, cause: str, sender: Agency, ids: Ids, life: LifeCycle, limits: Limits
) -> Message:
    message = parse_message(event.data, life, limits=limits)
    letter = message.letter or ids.letter(agency, message.reference or "")
    known_as = (letter, message.own_id) if message.own_id else (event.source, event.id)
    said = Said(
        agency,
        sender.gateway,
        message,
        frozenset(life.updates[message.update.name].text.by),
        message_id(agency, *known_as, ids),
        AgencyEvent(event.source, event.id),
        ids.refused_letter(agency, event.source, event.id),
    )
    return Message(letter, cause, agency, said, context={"agency": agency})


def _reference_in(data: bytes) -> str | None:
    """The reference of what is no good letter, where it is plainly there."""
    try:
        letter = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    found = letter.get("reference") if isinstance(letter, dict) else None
    found = found.strip() if isinstance(found, str) else ""
    return found if 0 < len(found) <= LONGEST_REFERENCE and found.isprintable() else None


def _refuse_foreign(agency: str, agencies: Collection[str], event: Envelope) -> None:
    """An agency's topic carries what that agency says, and nobody else's name."""
    said = event.attributes.get("agency", agency)
    # Whole parts only: a host such as central-authority.example is nobody's name.
    others = {*_PARTS.split(event.source)} & {*agencies} - {agency}
    if said != agency or others:
        raise NeverWill("another agency's name")


CASES_HEARD = frozenset({*CASE_TYPES, UPDATE_REJECTED})
"""What `cases.events` can carry."""
ANSWERS_HEARD = frozenset({*map(of_answer, ANSWERS), UPDATE_REJECTED})
"""What `answers.due` can carry."""
_NO_NEWS = (UPDATE_REJECTED, CASE_REASSIGNED)
"""What tells an agency nothing: a rejection is its sender's alone, and a reassignment is followed by a snapshot."""


def on_case(record: ConsumerRecord[Any, Any]) -> list[Message]:
    """`cases.events.v1`: what happened to a case becomes news for its letter and an answer to its agency."""
    event = read_event(record, CASES_HEARD)
    if event.type in _NO_NEWS:
        return []
    try:
        case = CaseEvent.model_validate_json(event.data)
        letter, agency = event.attributes["letterid"], event.attributes["agency"]
        measure, sequence = int(event.attributes["measure"]), int(event.attributes["sequence"])
    except (ValidationError, KeyError, ValueError):
        raise NeverWill("not a case event") from None
    return [Message(letter, _router_s(event), "router", CaseNews(agency, measure, case, sequence))]


def on_answer_due(agencies: Mapping[str, Agency], life: LifeCycle) -> Read:
    """`answers.due.v1`: what the router has for the agency of a letter, or for the gateway of its channel."""
    gateways: dict[str, str] = {agency.gateway: name for name, agency in agencies.items() if agency.gateway}
    messages = {update: name for name, update in life.messages.items()}

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        event = read_event(record, ANSWERS_HEARD)
        try:
            data = orjson.loads(event.data)
            content = data.pop("content", None)
            letter, measure = event.attributes["letterid"], int(event.attributes["measure"])
            due = Due(event.type, measure, {"case": data.pop("case"), **data}, content, gateways, messages)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise NeverWill("not an answer") from None
        return [Message(letter, _router_s(event), "router", due)]

    return read


def _router_s(event: Envelope) -> str:
    """The cause of what follows from an event of the router's."""
    return f"router{event.source}#{event.id}"
