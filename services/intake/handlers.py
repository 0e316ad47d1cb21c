"""What intake hears by Kafka: letters from agencies, and what becomes of their cases."""

import re
from collections.abc import Collection
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.intake.domain import HEARD, AgencyEvent, CaseNews, Filing, Refusal
from shared.decisions import Message
from shared.envelope import Envelope, read_envelope
from shared.events import LETTER_RECEIVED
from shared.failures import NeverWill
from shared.ids import Ids
from shared.kafka import Read, read_event
from shared.letter import MAX_LETTER_BYTES, BadLetter, parse_letter
from shared.letter_model import LONGEST_REFERENCE
from shared.payloads import CaseAssigned

_VERSION_1 = re.compile(r"(^|[:/.])v1($|[:/.])")
_PARTS = re.compile(r"[/:]")


def on_letter(agencies: Collection[str], known_types: Collection[str], ids: Ids) -> Read:
    """An agency's topic: `letter.received` with the letter as its data. The topic names the agency."""

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        agency = record.topic.split(".")[1]
        event = read_envelope(record.headers or (), record.value)
        if event.type != LETTER_RECEIVED:
            raise NeverWill("unknown event type")
        if not _VERSION_1.search(event.attributes.get("dataschema", "v1")):
            raise NeverWill("unknown event version")
        _refuse_foreign(agency, agencies, event)
        if len(event.data) > MAX_LETTER_BYTES:
            raise NeverWill("too large")
        cause = ids.cause(f"{agency} {event.source}", event.id)
        try:
            letter = parse_letter(event.data, known_types)
        except BadLetter as bad:
            refusal = Refusal(agency, bad.errors, AgencyEvent(event.source, event.id), _reference_in(event.data))
            told = Message(ids.refused_letter(agency, event.source, event.id), cause, agency, refusal)
            raise NeverWill("not a letter", also=[told]) from None
        if letter.agency not in (None, agency):
            raise NeverWill("another agency's name")
        record_id = ids.letter(agency, letter.reference)
        filing = Filing(agency, letter, AgencyEvent(event.source, event.id))
        return [Message(record_id, cause, agency, filing, context={"agency": agency})]

    return read


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


def on_case(record: ConsumerRecord[Any, Any]) -> list[Message]:
    """`cases.events.v1`: what happened to a case becomes news for its letter and an answer to its agency."""
    event = read_event(record, HEARD)
    try:
        case = CaseAssigned.model_validate_json(event.data)
        letter, agency = event.attributes["letterid"], event.attributes["agency"]
        measure = int(event.attributes["measure"])
    except (ValidationError, KeyError, ValueError):
        raise NeverWill("not a case event") from None
    return [Message(letter, f"router{event.source}#{event.id}", "router", CaseNews(agency, measure, case))]
