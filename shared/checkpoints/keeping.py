"""A checkpoint is a record of one event: it leaves by the same outbox and survives what every record survives."""

from datetime import datetime

from shared import topics
from shared.checkpoints.checkpoint import Checkpoint, Head
from shared.decisions import Decision, Message
from shared.events import AUDIT_CHECKPOINT, Draft, Event
from shared.records import Record, State

INDEX = {"keys": [("state.instance", 1), ("state.number", -1)], "name": "newest"}


def decide(record: Record, message: Message, _now: datetime) -> Decision:
    """Publish a checkpoint under its number; the answer is what holds the number, if another does."""
    if record.version:
        return Decision(reply=record.state["digest"])
    checkpoint: Checkpoint = message.body
    return Decision([Draft(AUDIT_CHECKPOINT, (topics.CHECKPOINTS,), checkpoint.data)], checkpoint.head.digest)


def evolve(state: State, event: Event) -> State:
    """What the next one must know: its leaves stand in the event alone."""
    head = Head.of(event.data)
    known = {"instance": head.instance, "number": head.number, "size": head.size, "digest": head.digest}
    return {**state, **known}
