"""What the router hears: accepted letters and what is said on them, and what authorities do with their cases."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.router.domain import opening
from services.router.domain.updating import Heard
from shared.arrivals import Read
from shared.decisions import Message
from shared.envelope import Envelope, read_envelope
from shared.events import LETTER_MESSAGE, LETTER_RECEIVED
from shared.failures import NeverWill
from shared.ids import Ids
from shared.life_cycle import BadUpdate, LifeCycle, Update
from shared.own_events import read_event
from shared.payloads import LetterMessage, LetterReceived

_KNOWN = frozenset({LETTER_RECEIVED, LETTER_MESSAGE})
_UPDATE = "update."
_CASE = re.compile(r"cas_[0-9a-f]{32}")
_VERSION_1 = re.compile(r"(^|[:/.])v1($|[:/.])")


def on_letter(ids: Ids) -> Read:
    """`letter.received` opens one case per measure; `letter.message` is said to the cases that it concerns."""

    def read(record: ConsumerRecord[Any, Any]) -> Sequence[Message]:
        event = read_event(record, _KNOWN)
        try:
            if event.type == LETTER_MESSAGE:
                return _messages(LetterMessage.model_validate_json(event.data), event, ids)
            letter = LetterReceived.model_validate_json(event.data)
            return opening.split(letter, f"intake{event.source}#{event.id}", ids)
        except (ValidationError, AttributeError, LookupError, TypeError):  # also content that is no letter's
            raise NeverWill("not a letter") from None

    return read


def _messages(said: LetterMessage, event: Envelope, ids: Ids) -> list[Message]:
    update = Update(said.update, said.said, said.content or {})
    heard = Heard(update, said.agency, said.role, said.id)
    cause = f"intake{event.source}#{event.id}"
    return [Message(ids.case(said.letter, n), cause, said.agency, heard) for n in said.measures]


def on_update(life: LifeCycle, ids: Ids) -> Read:
    """An authority's topic: `update.<name>` about one of its cases. The topic names the actor."""

    def read(record: ConsumerRecord[Any, Any]) -> Sequence[Message]:
        actor = record.topic.split(".")[0]
        event = read_envelope(record.headers or (), record.value)
        if not event.type.startswith(_UPDATE):
            raise NeverWill("unknown event type")
        if not _VERSION_1.search(event.attributes.get("dataschema", "v1")):
            raise NeverWill("unknown event version")
        fields = _fields(event.data)
        case = fields.pop("case", None)
        if not isinstance(case, str) or not _CASE.fullmatch(case):
            raise NeverWill("not an update")
        heard = heard_from(actor, event.type.removeprefix(_UPDATE), fields, life)
        return [Message(case, ids.cause(f"{actor} {event.source}", event.id), actor, heard)]

    return read


def heard_from(actor: str, name: str, fields: Mapping[str, Any], life: LifeCycle) -> Heard:
    """What an authority says; one with bad fields is answered, not set aside."""
    try:
        return Heard(life.read(name, fields), actor, "authority")
    except BadUpdate as bad:
        known = name if name in life.updates else "unknown"
        return Heard(Update(known, {}, {}), actor, "authority", errors=bad.errors)


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise NeverWill("not an update")
    return {name: value for name, value in fields.items() if value is not None}
