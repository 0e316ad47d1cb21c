"""What becomes of a letter at the door: accepted, again, in conflict, refused."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson
import pytest
from aiokafka import ConsumerRecord

from services.intake.domain import AgencyEvent, Conflict, Filing, Refusal
from services.intake.handlers import on_letter
from shared.decisions import Decision, Message, NeedsHistory
from shared.events import ANSWER_RECEIPT, ANSWER_REFUSED, LETTER_RECEIVED
from shared.failures import NeverWill
from shared.letter import FieldError, Letter, digest_of, parse_letter
from shared.partners import load_partners
from shared.records import Record
from shared.vocabulary import Lane
from tests.unit.intake_letters import (
    AGENCY,
    ANSWERS,
    EVENT,
    IDS,
    LATER,
    NAME,
    RECEIVED_AT,
    ROOT,
    decided,
    http,
    kafka,
    kept,
    law,
    letter,
    life,
    new,
    stored,
    text,
    with_history,
)

# Accepted


def test_a_letter_is_said_to_the_router_and_its_receipt_to_its_agency() -> None:
    received, receipt = decided(new(), http(letter())).events

    assert (received.type, received.to) == (LETTER_RECEIVED, ("letters.received.v1",))
    assert received.data == {
        "letter": "let_1",
        "agency": AGENCY,
        "received_at": RECEIVED_AT,
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "urgency": "normal",
        "lane": "normal",
        "digest": digest_of(text()),
        "measures": [{"measure": 1, "type": "extradition"}],
    }
    assert (receipt.type, receipt.to) == (ANSWER_RECEIPT, (ANSWERS,))
    assert receipt.data == {"letter": "let_1", "received_at": RECEIVED_AT, "digest": digest_of(text())}
    assert receipt.content == {"reference": "FR-1"}


def test_the_letter_itself_is_content_as_it_was_sent_and_nothing_personal_is_not() -> None:
    received, receipt = decided(new(), http(letter())).events

    assert isinstance(received.content, bytes)
    assert orjson.loads(received.content) == orjson.loads(text())
    assert NAME not in f"{received.data}{receipt.data}"
    assert "FR-1" not in f"{received.data}{receipt.data}"


LANES: dict[str, tuple[Letter, Lane]] = {
    "nothing urgent": (letter("extradition"), Lane.NORMAL),
    "an urgent type": (letter("data_preservation"), Lane.URGENT),
    "an urgent letter": (letter("extradition", urgency="urgent"), Lane.URGENT),
    "one urgent type among others": (letter("extradition", "data_preservation"), Lane.URGENT),
}


@pytest.mark.parametrize("case", LANES)
def test_one_urgent_measure_makes_the_letter_urgent(case: str) -> None:
    filed, lane = LANES[case]

    received, _ = decided(new(), http(filed)).events

    assert received.data["lane"] == lane
    assert (received.to == ("letters.received.urgent.v1",)) is (lane is Lane.URGENT)


def test_the_same_letter_means_the_same_events_whoever_decides() -> None:
    assert decided(new(), http(letter())) == decided(new(), http(letter()))


def test_a_letter_by_http_is_known_by_its_content_white_space_apart() -> None:
    spaced = parse_letter(text().replace(b",", b" , "), law().request_types)

    assert http(spaced).cause == http(letter()).cause
    assert http(letter(urgency="urgent")).cause != http(letter()).cause
    assert http(letter(urgency="urgent")).record == http(letter()).record


# Again, and in conflict


@pytest.mark.parametrize(("door", "said"), [("http", 0), ("kafka", 1)])
def test_the_same_letter_again_has_the_first_receipt(door: Literal["http", "kafka"], said: int) -> None:
    record = stored(letter())
    again = http(letter()) if door == "http" else kafka(letter())

    decision = decided(record, again, LATER)

    assert len(decision.events) == said
    assert decision.reply is None
    for receipt in decision.events:
        assert (receipt.type, receipt.data["received_at"]) == (ANSWER_RECEIPT, RECEIVED_AT)


def test_another_letter_under_the_same_reference_needs_the_first_ones_content() -> None:
    with pytest.raises(NeedsHistory):
        decided(stored(letter()), http(letter(party="MA")))


def test_by_http_a_conflict_is_the_reply_and_changes_nothing() -> None:
    record = with_history(stored(letter()))

    decision = decided(record, http(letter(party="MA", urgency="urgent")))

    assert decision == Decision((), Conflict(("/party", "/urgency")))


def test_by_kafka_a_conflict_is_answered_with_what_differs_and_never_a_value() -> None:
    record = with_history(stored(letter()))

    decision = decided(record, kafka(letter(contact={"officer": "Somebody Else"})))

    (refusal,) = decision.events
    assert (refusal.type, refusal.to) == (ANSWER_REFUSED, (ANSWERS,))
    assert isinstance(refusal.content, dict)
    assert [error["pointer"] for error in refusal.content["errors"]] == ["/contact/officer"]
    assert refusal.content["about"] == {"source": "/fr/registry", "id": "event-7"}
    assert refusal.content["reference"] == "FR-1"
    assert "Somebody" not in str(refusal)
    assert decision.reply == Conflict(("/contact/officer",))


def test_two_letters_of_one_reference_in_one_batch_are_in_conflict_too() -> None:
    record = kept(new(), http(letter()))
    record.stored_version = 0

    assert decided(record, http(letter(party="MA"))).reply == Conflict(("/party",))


def test_a_conflict_leaves_the_letter_as_it_was() -> None:
    record = with_history(stored(letter()))
    before = record.state

    assert kept(record, kafka(letter(party="MA"))).state == before


# Refused


def test_what_is_no_letter_is_answered_once_to_who_sent_it() -> None:
    errors = (FieldError("/party", "This field is required."),)
    refusal = Message("let_9", "ext_9", AGENCY, Refusal(AGENCY, errors, EVENT, "FR-1"))
    record = Record("let_9", "let_9", {})

    (said,) = decided(record, refusal).events
    assert (said.type, said.to) == (ANSWER_REFUSED, (ANSWERS,))
    assert said.data == {"letter": "let_9"}  # a pointer may hold a name that the sender chose: it is sealed
    assert said.content == {
        "errors": [{"pointer": "/party", "detail": "This field is required."}],
        "about": {"source": "/fr/registry", "id": "event-7"},
        "reference": "FR-1",
    }

    assert kept(record, refusal).state == {"status": "refused"}
    assert decided(record, refusal).events == ()


# What comes by Kafka


def heard(topic: str, data: bytes, **attributes: str) -> "ConsumerRecord[Any, Any]":
    said = {"specversion": "1.0", "id": "1", "source": "/fr", "type": LETTER_RECEIVED, **attributes}
    headers = [(f"ce_{name}", value.encode()) for name, value in said.items()]
    return ConsumerRecord(topic, 0, 0, 0, 0, None, data, None, 0, len(data), headers)


LETTERS = f"agency.{AGENCY}.letters.v1"


def read(record: "ConsumerRecord[Any, Any]") -> list[Message]:
    agencies = load_partners(ROOT / "partners.yaml").agencies
    return list(on_letter(agencies, law().request_types, IDS, life())(record))


def test_the_topic_names_the_agency_and_the_letters_id_is_the_same_through_both_doors() -> None:
    (message,) = read(heard(LETTERS, text()))

    assert message.record == http(letter()).record
    assert (message.by, message.context) == (AGENCY, {"agency": AGENCY})
    assert message.body == Filing(AGENCY, letter(), AgencyEvent("/fr", "1"))


def test_the_same_event_has_the_same_cause_and_anothers_another() -> None:
    def cause(topic: str = LETTERS, **attributes: str) -> str:
        return read(heard(topic, text(), **attributes))[0].cause

    causes = {cause(), cause(id="2"), cause(source="/ma"), cause("agency.interpol-bureau.letters.v1")}

    assert cause() == cause()
    assert len(causes) == 4


NOT_TAKEN: dict[str, tuple[bytes, Mapping[str, str], str]] = {
    "another type": (text(), {"type": "letter.burned"}, "unknown event type"),
    "another version": (text(), {"dataschema": "urn:rogatory:schema:letter.received:v2"}, "unknown event version"),
    "an attribute with another agency": (text(), {"agency": "foreign-ministry"}, "another agency's name"),
    "a source with another agency": (text(), {"source": "/foreign-ministry/1"}, "another agency's name"),
    "another agency's URN as source": (text(), {"source": "urn:foreign-ministry:x"}, "another agency's name"),
    "a letter with another agency": (text(agency="foreign-ministry"), {}, "another agency's name"),
    "too many bytes": (b" " * 600_000, {}, "too large"),
    "no JSON": (b"{", {}, "not a letter"),
    "no letter": (text(party="France"), {}, "not a letter"),
    "an unknown measure": (text("sorcery"), {}, "not a letter"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_what_is_not_taken_is_set_aside_with_its_reason(case: str) -> None:
    data, attributes, reason = NOT_TAKEN[case]

    with pytest.raises(NeverWill) as refusal:
        read(heard(LETTERS, data, **attributes))

    assert str(refusal.value) == reason


OWN_NAME: dict[str, Mapping[str, str]] = {
    "as an attribute": {"agency": AGENCY},
    "in the source": {"source": f"/{AGENCY}/registry"},
    "beside a host that is called like another agency": {"source": "https://central-authority.example/letters"},
    "beside a word that holds another agency's name": {"source": "urn:registry:not-foreign-ministry"},
    "nowhere, but a schema of version 1": {"dataschema": "https://fr.example/letter/v1.json"},
}


@pytest.mark.parametrize("case", OWN_NAME)
def test_an_agency_may_say_its_own_name(case: str) -> None:
    assert len(read(heard(LETTERS, text(), **OWN_NAME[case]))) == 1


def test_who_sent_what_is_no_letter_is_answered_under_an_id_that_no_good_letter_has() -> None:
    with pytest.raises(NeverWill) as refusal:
        read(heard(LETTERS, text(party="France")))

    (answer,) = refusal.value.also
    assert isinstance(answer.body, Refusal)
    assert answer.body.errors[0].pointer == "/party"
    assert (answer.body.event, answer.body.reference) == (AgencyEvent("/fr", "1"), "FR-1")
    assert answer.record != http(letter()).record


UNREADABLE = {
    "no JSON": b"{",
    "no object": b"[]",
    "no reference": b"{}",
    "a number": text(reference=7),
    "nothing": text(reference=""),
    "too long": text(reference="r" * 201),
    "two lines": text(reference="one\ntwo"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_reference_that_cannot_be_read_is_left_out_of_the_answer(case: str) -> None:
    with pytest.raises(NeverWill) as refusal:
        read(heard(LETTERS, UNREADABLE[case]))

    (answer,) = refusal.value.also
    assert answer.body.reference is None
    (said,) = decided(Record("let_9", "let_9", {}), answer).events
    assert isinstance(said.content, dict)
    assert said.content.keys() == {"errors", "about"}
