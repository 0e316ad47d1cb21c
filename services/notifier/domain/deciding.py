"""One collection, two kinds of records: notices, and the ladders of alerts."""

from datetime import datetime

from services.notifier.domain import ladders, notices
from shared.decisions import Decision, Message
from shared.events import Event
from shared.records import Record, State

_OF_LADDERS = (ladders.Begin, ladders.Step, ladders.Told, ladders.NobodyCame)
_BEGINS = "ladder."


def decide(record: Record, message: Message, now: datetime) -> Decision:
    """What follows from a message to a notice or to a ladder."""
    if isinstance(message.body, _OF_LADDERS) or record.state.get("record") == ladders.LADDER:
        return ladders.decide(record, message.body, now)
    return notices.decide(record, message.body, now)


def evolve(state: State, event: Event) -> State:
    """The state of a notice or of a ladder after an event."""
    if event.type.startswith(_BEGINS):
        return ladders.evolve(state, event)
    return notices.evolve(state, event)
