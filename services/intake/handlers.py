"""What intake hears by Kafka: letters from agencies, and what becomes of their cases."""

import re
from collections.abc import Collection
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.intake.domain import HEARD, CaseNews, Filing, Refusal
from shared.decisions import Message
from shared.envelope import Envelope, read_envelope
from shared.events import LETTER_RECEIVED
from shared.failures import NeverWill
from shared.ids import Ids
from shared.kafka import Read, read_event
from shared.letter import MAX_LETTER_BYTES, BadLetter, parse_letter
from shared.payloads import CaseAssigned

_VERSION_1 = re.compile(r"(^|[:/.])v1($|[:/.])")
_NAMES = re.compile(r"[a-z][a-z0-9-]*")


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
            told = Message(
                ids.refused_letter(agency, event.source, event.id), cause, agency, Refusal(agency, bad.errors)
            )
            raise NeverWill("not a letter", also=[told]) from None
        if letter.agency not in (None, agency):
            raise NeverWill("another agency's name")
        record_id = ids.letter(agency, letter.reference)
        return [Message(record_id, cause, agency, Filing(agency, letter, "kafka"), context={"agency": agency})]

    return read


def _refuse_foreign(agency: str, agencies: Collection[str], event: Envelope) -> None:
    """An agency's topic carries what that agency says, and nobody else's name."""
    said = event.attributes.get("agency", agency)
    others = {*_NAMES.findall(event.source)} & {*agencies} - {agency}
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
