"""What agencies say on letters of before: who may say what, once, and on to the router."""

from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from services.intake.domain import AgencyEvent, NotTaken, Said, Why
from services.intake.domain.messages import receipt_of, saying
from services.intake.handlers import on_letter
from shared.decisions import Decision, Message, NeedsHistory
from shared.events import ANSWER_RECEIPT, ANSWER_REFUSED, LETTER_MESSAGE, LETTER_RECEIVED
from shared.failures import NeverWill
from shared.letter_message import parse_message
from shared.partners import load_partners
from shared.payloads import LetterMessage
from shared.records import Record, value_on
from tests.unit.intake_letters import (
    AGENCY,
    ANSWERS,
    IDS,
    LATER,
    NAME,
    RECEIVED_AT,
    ROOT,
    decided,
    http,
    kept,
    law,
    letter,
    life,
    new,
    with_history,
)

AGENCIES = load_partners(ROOT / "partners.yaml").agencies
STRANGER, BUREAU = "cyber-investigations", "interpol-bureau"
FR_1 = IDS.letter(AGENCY, "FR-1")
LETTERS = f"agency.{AGENCY}.letters.v1"


def on_record(*types: str, agency: str = AGENCY, **changed: Any) -> Record:
    """A letter that was received."""
    record = Record(FR_1, FR_1, {"agency": agency})
    return kept(record, http(letter(*types, **changed)))


def posted(name: str, agency: str = AGENCY, **fields: Any) -> Message:
    message = parse_message(orjson.dumps({"message": name, **fields}), life(), FR_1)
    speakers = frozenset(life().updates[message.update.name].text.by)
    return saying(agency, FR_1, message, speakers, AGENCIES[agency].gateway, IDS)


def put(name: str, agency: str = AGENCY, event: str = "e-1", **fields: Any) -> Message:
    """The same by Kafka; raises what the reader raises."""
    body = {"message": name, **({} if "reference" in fields else {"letter": FR_1}), **fields}
    (message,) = on_letter(AGENCIES, law().request_types, IDS, life())(heard(orjson.dumps(body), agency, event))
    return message


def heard(data: bytes, agency: str = AGENCY, event: str = "e-1") -> "ConsumerRecord[Any, Any]":
    said = {"specversion": "1.0", "id": event, "source": f"/{agency}", "type": LETTER_MESSAGE}
    headers = [(f"ce_{name}", value.encode()) for name, value in said.items()]
    return ConsumerRecord(f"agency.{agency}.letters.v1", 0, 0, 0, 0, None, data, None, 0, len(data), headers)


# On to the router


def test_a_message_goes_on_in_the_lane_of_its_letter_and_what_is_personal_is_sealed() -> None:
    message = posted("extension", until="2026-06-01T00:00:00Z", reason=NAME)

    (said,) = decided(on_record("data_preservation", "extradition"), message).events

    assert (said.type, said.to) == (LETTER_MESSAGE, ("letters.received.urgent.v1",))
    assert said.data == {
        "letter": FR_1,
        "id": message.body.id,
        "agency": AGENCY,
        "role": "agency",
        "message": "extension",
        "update": "extension_requested",
        "measures": [1, 2],
        "said": {"until": "2026-06-01T00:00:00.000000Z"},
    }
    assert said.content == {"reason": NAME}


def test_the_router_reads_what_was_written() -> None:
    record = kept(on_record("extradition", "testimony"), posted("supplement", contents={"facts": NAME}, measures=[2]))

    event = record.fresh[-1]
    read = LetterMessage.model_validate_json(value_on("letters.received.v1", event))

    assert (read.update, read.measures, read.content) == ("supplement_received", (2,), {"contents": {"facts": NAME}})


def test_by_kafka_its_sender_gets_a_receipt() -> None:
    said, receipt = decided(on_record(), put("withdrawal", reference="FR-1", reason="Over.")).events

    assert said.type == LETTER_MESSAGE
    assert (receipt.type, receipt.to) == (ANSWER_RECEIPT, (ANSWERS,))
    assert receipt.data == {
        "letter": FR_1,
        "id": said.data["id"],
        "message": "withdrawal",
        "received_at": RECEIVED_AT,
    }
    assert receipt.content == {"about": {"source": f"/{AGENCY}", "id": "e-1"}}


def test_by_http_the_answer_says_the_same() -> None:
    message = posted("withdrawal")
    record = kept(on_record(), message)

    assert receipt_of(FR_1, message.body, record.state) == {
        "id": message.body.id,
        "letter": FR_1,
        "message": "withdrawal",
        "received_at": RECEIVED_AT,
    }


def test_the_record_keeps_of_a_message_what_is_open() -> None:
    message = posted("supplement", contents={"facts": NAME}, text=NAME)
    record = kept(on_record(), message)

    assert record.state["messages"][message.body.id] == {
        "message": "supplement",
        "update": "supplement_received",
        "measures": [1],
        "by": AGENCY,
        "received_at": RECEIVED_AT,
    }
    assert NAME not in str(record.state)


# Again


def test_the_same_post_has_the_same_cause_and_another_text_another() -> None:
    assert posted("withdrawal").cause == posted("withdrawal").cause
    assert posted("withdrawal").cause != posted("withdrawal", reason="x").cause
    assert posted("withdrawal").body.id != posted("withdrawal", reason="x").body.id


def test_the_senders_own_id_is_the_messages_through_both_doors() -> None:
    assert posted("withdrawal", id="w-1").body.id == put("withdrawal", id="w-1").body.id
    assert posted("withdrawal", id="w-1").body.id != posted("withdrawal", id="w-2").body.id
    assert put("withdrawal", event="e-1").body.id != put("withdrawal", event="e-2").body.id


def test_the_same_message_in_a_new_event_gets_the_first_receipt_again() -> None:
    record = with_history(kept(on_record(), posted("withdrawal", id="w-1")))

    (receipt,) = decided(record, put("withdrawal", id="w-1"), LATER).events

    assert (receipt.type, receipt.data["received_at"]) == (ANSWER_RECEIPT, RECEIVED_AT)


def test_whether_it_is_the_same_needs_the_first_ones_content() -> None:
    record = kept(on_record(), posted("withdrawal", id="w-1"))
    record.fresh = []

    with pytest.raises(NeedsHistory):
        decided(record, posted("withdrawal", id="w-1", reason="x"))


def test_another_message_under_an_id_that_was_used_is_named_by_what_differs_and_never_a_value() -> None:
    record = with_history(kept(on_record("extradition", "testimony"), posted("withdrawal", id="w-1", reason=NAME)))

    decision = decided(record, posted("withdrawal", id="w-1", reason="Else.", measures=[1]))

    assert decision.events == ()
    assert isinstance(decision.reply, NotTaken)
    assert decision.reply.why is Why.ANOTHER
    assert {error.pointer for error in decision.reply.errors} == {"/measures/1", "/reason"}
    assert NAME not in str(decision)


# Who may say what

MAY: dict[str, tuple[str, str, str, str, Why | None]] = {
    # message, sender, filing agency, channel of the letter
    "the filing agency withdraws": ("withdrawal", AGENCY, AGENCY, "24/7", None),
    "a stranger withdraws": ("withdrawal", STRANGER, AGENCY, "24/7", Why.NO_LETTER),
    "a gateway withdraws another's": ("withdrawal", BUREAU, AGENCY, "interpol", Why.NO_LETTER),
    "the gateway of the channel transmits": ("transmitted", BUREAU, AGENCY, "interpol", None),
    "the gateway of the channel is acknowledged": ("acknowledged_abroad", BUREAU, AGENCY, "interpol", None),
    "the gateway transmits its own": ("transmitted", AGENCY, AGENCY, "24/7", None),
    "another channel's gateway transmits": ("transmitted", BUREAU, AGENCY, "24/7", Why.NO_LETTER),
    "the filing agency transmits on another channel": ("transmitted", AGENCY, AGENCY, "interpol", Why.NOT_ITS_WORD),
    "a stranger transmits": ("transmitted", STRANGER, AGENCY, "24/7", Why.NO_LETTER),
}


@pytest.mark.parametrize("case", MAY)
def test_an_agency_speaks_on_its_letters_and_a_gateway_of_what_it_carried(case: str) -> None:
    name, sender, filer, channel, why = MAY[case]
    record = on_record("extradition", agency=filer, channel=channel)

    decision = decided(record, posted(name, sender))

    if why is None:
        (said,) = decision.events
        gateway_s = "agency" not in life().updates[life().messages[name]].text.by
        assert (said.data["agency"], said.data["role"]) == (sender, "gateway" if gateway_s else "agency")
    else:
        assert (decision.events, decision.reply.why) == ((), why)


def test_a_letter_that_is_not_there_or_was_refused_takes_no_message() -> None:
    refused = Record(FR_1, FR_1, {"agency": AGENCY}, version=1, state={"status": "refused"})

    for record in (new(), refused):
        assert decided(record, posted("withdrawal")).reply.why is Why.NO_LETTER


def test_measures_that_the_letter_does_not_have_are_named() -> None:
    decision = decided(on_record("extradition", "testimony"), posted("withdrawal", measures=[1, 3]))

    assert decision.reply.why is Why.BAD_FIELDS
    assert [error.pointer for error in decision.reply.errors] == ["/measures/1"]


# Not taken, by Kafka


def refusal_of(message: Message, record: Record) -> tuple[str, Decision, Message]:
    with pytest.raises(NeverWill) as refused:
        decided(record, message)
    (told,) = refused.value.also
    return str(refused.value), decided(Record(told.record, told.record, {}), told), told


NOT_TAKEN: dict[str, tuple[Message, str, str]] = {
    "an unknown letter": (put("withdrawal", reference="FR-2"), "no such letter of this agency", "/letter"),
    "another's letter": (put("withdrawal", BUREAU), "no such letter of this agency", "/letter"),
    "a measure too many": (put("withdrawal", measures=[9]), "not a message", "/measures/0"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_what_is_not_taken_is_set_aside_and_its_sender_is_told_under_an_id_of_its_own(case: str) -> None:
    message, reason, pointer = NOT_TAKEN[case]
    record = on_record() if message.record == FR_1 else Record(message.record, message.record, message.context)

    said, decision, told = refusal_of(message, record)

    assert said == reason
    assert told.record not in (FR_1, message.record)
    (refusal,) = decision.events
    assert (refusal.type, refusal.to) == (ANSWER_REFUSED, (f"agency.{message.by}.answers.v1",))
    assert isinstance(refusal.content, dict)
    assert [error["pointer"] for error in refusal.content["errors"]] == [pointer]
    assert refusal.content["about"] == {"source": f"/{message.by}", "id": "e-1"}


def test_what_is_no_message_is_set_aside_and_answered_with_every_bad_field() -> None:
    with pytest.raises(NeverWill, match="not a message") as refused:
        put("extension", reference="FR-1")

    (told,) = refused.value.also
    assert {error.pointer for error in told.body.errors} == {"/until", "/reason"}
    assert told.body.reference == "FR-1"


def test_a_message_by_reference_is_the_senders_own_letters() -> None:
    message = put("withdrawal", reference="FR-1")

    assert isinstance(message.body, Said)
    assert (message.record, message.body.event) == (FR_1, AgencyEvent(f"/{AGENCY}", "e-1"))
    assert put("withdrawal", BUREAU, reference="FR-1").record != FR_1


def test_a_letter_and_a_message_on_it_may_come_in_one_batch() -> None:
    record = Record(FR_1, FR_1, {"agency": AGENCY})
    for message in (http(letter()), put("withdrawal", reference="FR-1")):
        kept(record, message)

    assert [event.type for event in record.fresh] == [LETTER_RECEIVED, ANSWER_RECEIPT, LETTER_MESSAGE, ANSWER_RECEIPT]
