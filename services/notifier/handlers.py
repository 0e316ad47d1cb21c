"""What the notifier hears: everything that happens to cases, and what the services themselves must say."""

from collections.abc import Mapping
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import BaseModel, ValidationError

from services.notifier.domain import facts_of, split
from services.notifier.rules import AlertRules
from shared.decisions import Message
from shared.events import ALERT_RAISED, CASE_TYPES
from shared.failures import NeverWill
from shared.ids import Ids
from shared.kafka import Read, read_event
from shared.partners import Subscriber
from shared.payloads import AlertRaised, CaseEvent

_MODELS: Mapping[str, type[BaseModel]] = {**dict.fromkeys(CASE_TYPES, CaseEvent), ALERT_RAISED: AlertRaised}
_ABOUT = {**dict.fromkeys(CASE_TYPES, "case"), ALERT_RAISED: "alert"}


def on_event(rules: AlertRules, subscribers: Mapping[str, Subscriber], ids: Ids) -> Read:
    """A case event or an alert: one message per rule that fires, recipient and channel."""
    known = frozenset(_MODELS)

    def read(record: ConsumerRecord[Any, Any]) -> list[Message]:
        event = read_event(record, known)
        try:
            data = _MODELS[event.type].model_validate_json(event.data).model_dump()
        except ValidationError:
            raise NeverWill("not an event that we know") from None
        return split(
            facts_of(event.type, data), data[_ABOUT[event.type]], f"{event.source}#{event.id}", rules, subscribers, ids
        )

    return read
