"""What the router hears: accepted letters."""

from typing import Any

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.router.domain import split
from shared.decisions import Message
from shared.events import LETTER_RECEIVED
from shared.failures import NeverWill
from shared.ids import Ids
from shared.kafka import Read, read_event
from shared.payloads import LetterReceived

_KNOWN = frozenset({LETTER_RECEIVED})


def on_letter(ids: Ids) -> Read:
    """`letter.received`: one message per measure."""

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        event = read_event(record, _KNOWN)
        try:
            letter = LetterReceived.model_validate_json(event.data)
        except ValidationError:
            raise NeverWill("not a letter") from None
        return split(letter, f"intake{event.source}#{event.id}", ids)

    return read
