"""Which part of the domain judges which message, and how a letter's state follows from its events."""

from datetime import datetime
from typing import Any

from services.intake.domain import answers, filing, messages, news
from shared.decisions import Decide, Decision, Message
from shared.events import ANSWER_REFUSED, ANSWER_STATUS, LETTER_MESSAGE, LETTER_RECEIVED, Event
from shared.law.competence import Law
from shared.records import Record, State


def decide_by(law: Law) -> Decide:
    """The decisions under one law, which gives each letter its lane."""

    def decide(record: Record, message: Message, now: datetime) -> Decision:
        body = message.body
        if isinstance(body, filing.Filing):
            return filing.decide(record, body, now, law)
        if isinstance(body, news.CaseNews):
            return news.decide(record, body)
        if isinstance(body, answers.Due):
            return answers.decide(record, body)
        if isinstance(body, messages.Said):
            return messages.decide(record, body, now, message.cause)
        return filing.decide_refusal(record, body)

    return decide


def evolve(state: State, event: Event) -> State:
    """A letter is what was received, what was said on it, and the last that was heard of each of its cases."""
    if event.type == LETTER_RECEIVED:
        kept = {**event.data, "status": "received", "cases": []}
        del kept["letter"]
        return kept
    if event.type == ANSWER_STATUS:
        heard: dict[str, Any] = {name: value for name, value in event.data.items() if name != "letter"}
        others = [case for case in state["cases"] if case["measure"] != heard["measure"]]
        return {**state, "cases": sorted([*others, heard], key=lambda case: case["measure"])}
    if event.type == LETTER_MESSAGE:
        said = {name: event.data[name] for name in ("message", "update", "measures")}
        said |= {"by": event.data["agency"], "received_at": event.at}
        return {**state, "messages": {**state.get("messages", {}), event.data["id"]: said}}
    if event.type == ANSWER_REFUSED and not state:
        return {"status": "refused"}
    return state
