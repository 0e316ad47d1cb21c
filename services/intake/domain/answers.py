"""What the router has for an agency or a gateway: it is kept with the letter, and said on its topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.intake.domain.news import NO_SUCH_LETTER
from shared import topics
from shared.decisions import Decision, history_of
from shared.events import ANSWER_REFUSED, LETTER_RECEIVED, UPDATE_REJECTED, Draft, of_answer
from shared.failures import NeverWill
from shared.letter import split_content
from shared.records import Record

OUTGOING = of_answer("outgoing")
_OUR_OWN = "policy"


@dataclass(frozen=True, slots=True)
class Due:
    """An answer about one measure of a letter."""

    type: str
    measure: int
    data: Mapping[str, Any]
    content: Mapping[str, Any] | None
    gateways: Mapping[str, str]
    """Who carries letters abroad, by channel."""
    messages: Mapping[str, str]
    """How agencies call an update."""


def decide(record: Record, due: Due) -> Decision:
    """The answer goes to the agency that filed the letter; what is to be carried abroad, to the channel's gateway."""
    if record.state.get("status") != "received":
        raise NeverWill(NO_SUCH_LETTER)
    if due.type == UPDATE_REJECTED:
        return Decision([_refused(record, due)])
    if due.data.get("said", {}).get("kind") == _OUR_OWN:
        return Decision()  # our own deadlines are shown to nobody
    data = {"letter": record.id, "measure": due.measure, **due.data}
    if due.type == OUTGOING:
        return Decision([_outgoing(record, due, data)])
    return Decision([Draft(due.type, (topics.answers_to(record.context["agency"]),), data, due.content)])


def _refused(record: Record, due: Due) -> Draft:
    """To who said it: the life cycle forbids it now, by which rule, and what could be said."""
    rejected = dict(due.data)
    about, _ = rejected.pop("message", None), rejected.pop("by", None)
    errors = rejected.pop("errors", None)
    known = record.state.get("messages", {}).get(about)
    said = {
        "letter": record.id,
        "measure": due.measure,
        **rejected,
        "allowed": [due.messages[update] for update in rejected.get("allowed", ()) if update in due.messages],
    }
    if known is not None:
        said |= {"id": about, "message": known["message"]}
    to = known["by"] if known is not None else record.context["agency"]
    # Sealed, as at the door: a pointer may hold a name that the sender chose.
    content = dict(due.content or {}) | ({"errors": errors} if errors else {})
    return Draft(ANSWER_REFUSED, (topics.answers_to(to),), said, content or None)


def _outgoing(record: Record, due: Due, data: Mapping[str, Any]) -> Draft:
    content = dict(due.content or {})
    if "measure" not in content:
        received = next(event for event in history_of(record) if event.type == LETTER_RECEIVED)
        content = split_content(orjson.loads(received.content or b"{}"), due.measure) | content
    channel, filer = record.state["channel"], record.context["agency"]
    gateway = due.gateways.get(channel)
    told = {**data, "channel": channel, "gateway": gateway}
    if gateway is None:
        told["because"] = "No agency here is the gateway for this channel: please carry it abroad yourself."
    return Draft(due.type, (topics.answers_to(gateway or filer),), told, content)
