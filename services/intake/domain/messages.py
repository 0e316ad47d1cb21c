"""What an agency says on a letter of before: who may say what, once, and on to the router."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import orjson

from services.intake.domain.filing import AgencyEvent, Refusal
from shared import topics
from shared.bad_letter import FieldError
from shared.decisions import Decision, Message, history_of
from shared.events import ANSWER_RECEIPT, LETTER_MESSAGE, Draft
from shared.failures import NeverWill
from shared.ids import Ids
from shared.letter import differing_fields
from shared.letter_message import LetterMessage
from shared.records import Record, State
from shared.times import text_of

Role = Literal["agency", "gateway"]


@dataclass(frozen=True, slots=True)
class Said:
    """An agency says something on a letter."""

    agency: str
    gateway: str | None
    """The channel on which the agency carries letters abroad."""
    message: LetterMessage
    speakers: frozenset[str]
    """Whom the life cycle lets say this."""
    id: str
    """The message's, for ever."""
    event: AgencyEvent | None = None
    """None for one that comes by HTTP: its sender has the answer in the response."""
    refused_as: str = ""
    """Under which id one that comes by Kafka is refused: it must not touch a letter that is not its sender's."""


class Why(StrEnum):
    """Why a message on a letter is not taken."""

    NO_LETTER = "no such letter of this agency"
    NOT_ITS_WORD = "not this agency's to say"
    BAD_FIELDS = "not a message"
    ANOTHER = "another message has this id"


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The reply to a message that is not taken."""

    why: Why
    errors: tuple[FieldError, ...] = ()


def message_id(agency: str, source: str, own: str, ids: Ids) -> str:
    """The id of a message: of what its sender calls it, on one letter or in one source of its events."""
    return "msg_" + ids.cause(f"message {agency} {source}", own).removeprefix("ext_")


def saying(
    agency: str, letter: str, message: LetterMessage, speakers: frozenset[str], gateway: str | None, ids: Ids
) -> Message:
    """The message on a letter that comes by HTTP; a post is known by its content, so that a repeated one is known."""
    known_as = message_id(agency, letter, message.own_id or message.digest, ids)
    body = Said(agency, gateway, message, speakers, known_as)
    return Message(letter, f"http/{agency}/{letter}/{message.digest}", agency, body, context={"agency": agency})


def receipt_of(letter: str, said: Said, state: State) -> dict[str, Any]:
    """What the sender of a message has in hand: the same for ever."""
    known = state["messages"][said.id]
    return {"id": said.id, "letter": letter, "message": known["message"], "received_at": known["received_at"]}


def decide(record: Record, said: Said, now: datetime, cause: str) -> Decision:
    """A good message goes on to the router, and by Kafka its sender gets a receipt; again, the same one."""
    role = _role(record, said)
    if isinstance(role, NotTaken):
        return _not_taken(said, role, cause)
    known = record.state.get("messages", {}).get(said.id)
    if known is not None:
        if pointers := _differing(record, said):
            errors = tuple(FieldError(one, "Differs from the message that has this id.") for one in pointers)
            return _not_taken(said, NotTaken(Why.ANOTHER, errors), cause)
        return Decision([_receipt(record.id, said, known["received_at"])] if said.event else ())
    measures = {head["measure"] for head in record.state["measures"]}
    errors = tuple(
        FieldError(f"/measures/{place}", "The letter has no such measure.")
        for place, number in enumerate(said.message.measures)
        if number not in measures
    )
    if len(measures) > 1 and not said.message.measures and _FOR_ONE & said.message.update.sealed.keys():
        errors = (FieldError("/measures", "Say for which measures: each authority sees only its own."),)
    if errors:
        return _not_taken(said, NotTaken(Why.BAD_FIELDS, errors), cause)
    drafts = [_on_to_the_router(record, said, role)]
    if said.event:
        drafts.append(_receipt(record.id, said, text_of(now)))
    return Decision(drafts)


_FOR_ONE = {"contents", "files"}
"""What a message can hold that belongs to one measure of a letter and is not for the others' authorities."""


def _role(record: Record, said: Said) -> Role | NotTaken:
    """As whom the agency may say this on this letter: its own, or one of the channel that it carries abroad."""
    is_known = record.state.get("status") == "received"
    files = is_known and record.context.get("agency") == said.agency
    carries = is_known and said.gateway is not None and said.gateway == record.state["channel"]
    if files and "agency" in said.speakers:
        return "agency"
    if carries and "gateway" in said.speakers:
        return "gateway"
    return NotTaken(Why.NOT_ITS_WORD if files else Why.NO_LETTER, _PLACES[files])


_PLACES = {
    True: (FieldError("/message", "This is not for you to say on this letter."),),
    False: (FieldError("/letter", "There is no such letter of yours."),),
}


def _not_taken(said: Said, reply: NotTaken, cause: str) -> Decision:
    """By HTTP the reply says why; by Kafka the message is set aside and its sender is told."""
    if said.event is None:
        return Decision(reply=reply)
    refusal = Refusal(said.agency, reply.errors, said.event, said.message.reference)
    raise NeverWill(reply.why, also=[Message(said.refused_as, cause, said.agency, refusal)])


def _on_to_the_router(record: Record, said: Said, role: Role) -> Draft:
    message = said.message
    data = {
        "letter": record.id,
        "id": said.id,
        "agency": said.agency,
        "role": role,
        "message": message.name,
        "update": message.update.name,
        "measures": _measures(record, said),
        "said": dict(message.update.open),
    }
    to = (topics.letters_received(record.state["lane"]),)
    return Draft(LETTER_MESSAGE, to, data, dict(message.update.sealed) or None)


def _measures(record: Record, said: Said) -> list[int]:
    return list(said.message.measures) or [head["measure"] for head in record.state["measures"]]


def _receipt(letter: str, said: Said, received_at: str) -> Draft:
    receipt = {"letter": letter, "id": said.id, "message": said.message.name, "received_at": received_at}
    about = {"source": said.event.source, "id": said.event.id} if said.event else {}
    return Draft(ANSWER_RECEIPT, (topics.answers_to(said.agency),), receipt, {"about": about})


def _differing(record: Record, said: Said) -> list[str]:
    """Where a message is another than the one that has its id already, as JSON pointers."""
    first = next(e for e in history_of(record) if e.type == LETTER_MESSAGE and e.data["id"] == said.id)
    update = said.message.update
    again = {"message": said.message.name, "measures": _measures(record, said), **update.open, **update.sealed}
    before = {"message": first.data["message"], "measures": first.data["measures"], **first.data["said"]}
    before |= orjson.loads(first.content or b"{}")
    return differing_fields(before, orjson.loads(orjson.dumps(again)))
