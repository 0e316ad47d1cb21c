"""What the notifier hears: what happens to cases, what the services themselves must say, acknowledgements."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import BaseModel, ValidationError

from services.notifier.domain import Happened, bound_of, due_of, facts_of
from services.notifier.fanout import Fanout
from services.notifier.moving import Moved
from shared import times
from shared.arrivals import Read
from shared.decisions import Message
from shared.events import ALERT_RAISED, CASE_REASSIGNED, CASE_TYPES, of_case
from shared.failures import NeverWill
from shared.life_cycle import LifeCycle
from shared.own_events import read_event
from shared.payloads import AlertRaised, CaseEvent

_MODELS: Mapping[str, type[BaseModel]] = {**dict.fromkeys(CASE_TYPES, CaseEvent), ALERT_RAISED: AlertRaised}
_ABOUT = {**dict.fromkeys(CASE_TYPES, "case"), ALERT_RAISED: "alert"}


def on_event(fanout: Fanout, is_done: Callable[[str, Mapping[str, Any]], bool]) -> Read:
    """A case event or an alert: a message per rule that fires, recipient and channel; and that something was done."""
    known = frozenset(_MODELS)

    def read(record: ConsumerRecord[Any, Any]) -> Sequence[Message]:
        event = read_event(record, known)
        try:
            data = vars(_MODELS[event.type].model_validate_json(event.data))
        except ValidationError:
            raise NeverWill("not an event that we know") from None
        about, cause = data[_ABOUT[event.type]], f"{event.source}#{event.id}"
        at = event.attributes.get("time") or times.text_of(times.now())
        facts, due = facts_of(event.type, data), due_of(event.type, data)
        happened = Happened(facts, about, cause, at, due, bound_of(data))
        messages = fanout.messages(happened)
        if is_done(event.type, data):
            messages.append(Message(about, cause, "notifier", Moved(event.type, at)))
        return messages

    return read


def doing(life: LifeCycle) -> Callable[[str, Mapping[str, Any]], bool]:
    """Whether an event says that somebody has a case in hand, or that there is nothing left to do.

    What its sender or a gateway says is not that; that it ended or went to somebody else is, whoever said it.
    """
    of_holders = {
        of_case(name) for name, update in life.updates.items() if {"holder", "desk"} & set(update.text.by)
    } | {CASE_REASSIGNED}

    def is_done(event_type: str, data: Mapping[str, Any]) -> bool:
        if data.get("status") in life.ends:
            return True
        return event_type in of_holders and data.get("heard_from") is None

    return is_done
