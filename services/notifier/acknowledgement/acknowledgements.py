"""Acknowledgements by Kafka: a subscriber says on its own topic which of its notices it has seen."""

import re
from typing import Annotated, Any

from aiokafka import ConsumerRecord
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from services.notifier.acknowledgement.acknowledging import KAFKA, WHO, who
from services.notifier.acknowledgement.links import NOTICE
from services.notifier.domain.bodies import Ack
from shared.arrivals import Read
from shared.decisions import Message
from shared.envelope import read_envelope
from shared.events import NOTICE_ACKNOWLEDGED
from shared.failures import NeverWill
from shared.ids import Ids

NOT_ONE = "not an acknowledgement"

_VERSION_1 = re.compile(r"(^|[:/.])v1($|[:/.])")


class Said(BaseModel):
    """The data of a subscriber's `notice.acknowledged`; it may say more, which nobody here reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    notice: Annotated[str, StringConstraints(pattern=f"^{NOTICE.pattern}$")]
    by: Annotated[str, StringConstraints(pattern=f"^{WHO.pattern}$")] | None = None


def on_acknowledgement(ids: Ids) -> Read:
    """A subscriber's topic, which names the subscriber; whether the notice is its own is decided on the notice."""

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        subscriber = record.topic.split(".")[1]
        event = read_envelope(record.headers or (), record.value)
        if event.type != NOTICE_ACKNOWLEDGED:
            raise NeverWill("unknown event type")
        if not _VERSION_1.search(event.attributes.get("dataschema", "v1")):
            raise NeverWill("unknown event version")
        try:
            said = Said.model_validate_json(event.data)
        except ValidationError:
            raise NeverWill(NOT_ONE) from None
        cause = ids.cause(f"{subscriber} {event.source}", event.id)
        return [Message(said.notice, cause, subscriber, Ack(who(subscriber, said.by), KAFKA, only=subscriber))]

    return read
