"""What the router has for an agency or a gateway: kept with the letter, sealed, and said on to who is meant."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.api import answers as answers_of
from services.intake.domain.messages import saying
from services.intake.handlers import on_answer_due
from shared.decisions import Decision, Message, NeedsHistory
from shared.events import (
    ANSWER_REFUSED,
    ANSWER_STATUS,
    ANSWERS,
    UPDATE_REJECTED,
    of_answer,
)
from shared.failures import NeverWill
from shared.letter_message import parse_message
from shared.records import Record
from tests.unit.intake_letters import (
    AGENCY,
    IDS,
    NAME,
    RECEIVED_AT,
    decided,
    http,
    kept,
    letter,
    life,
    new,
    with_history,
)
from tests.unit.intake_letters import ANSWERS as TOPIC
from tests.unit.intake_news import AGENCIES, CONTEXT, FACTS, REASONS, heard, news, opened

NO_ANSWER: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "no letter": (orjson.dumps(FACTS), {}),
    "a measure that is no number": (orjson.dumps(FACTS), {**CONTEXT, "measure": "two"}),
    "no case": (b"{}", CONTEXT),
    "no object": (b"[]", CONTEXT),
    "no JSON": (b"{", CONTEXT),
}


@pytest.mark.parametrize("case", NO_ANSWER)
def test_an_answer_that_does_not_say_whose_it_is_is_set_aside(case: str) -> None:
    data, context = NO_ANSWER[case]

    with pytest.raises(NeverWill, match="not an answer"):
        on_answer_due(AGENCIES, life())(heard("answers.due.v1", of_answer("result"), data, **context))


# Answers that are due


def due(kind: str, content: Mapping[str, Any] | None = None, **data: Any) -> Message:
    """An answer as it comes from the router."""
    event_type = kind if kind == UPDATE_REJECTED else of_answer(kind)
    value = orjson.dumps({**FACTS, **data, **({"content": content} if content else {})})
    (message,) = on_answer_due(AGENCIES, life())(heard("answers.due.v1", event_type, value, **CONTEXT))
    return message


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind != "outgoing"])
def test_every_answer_is_said_on_to_the_agency_that_filed_the_letter(kind: str) -> None:
    (said,) = decided(opened(), due(kind, {"text": NAME}, said={"until": RECEIVED_AT})).events

    assert (said.type, said.to) == (of_answer(kind), (TOPIC,))
    assert said.data == {"letter": "let_1", "measure": 1, **FACTS, "said": {"until": RECEIVED_AT}}
    assert said.content == {"text": NAME}


def test_an_answer_changes_nothing_of_what_a_letter_shows() -> None:
    record = opened()
    before = record.state

    assert kept(record, due("result", {"text": NAME})).state == before


def test_our_own_deadlines_are_said_to_nobody() -> None:
    assert decided(opened(), due("warning", said={"clock": "triage", "kind": "policy"})) == Decision()


def test_an_answer_for_a_letter_that_nobody_knows_is_set_aside_and_not_lost() -> None:
    with pytest.raises(NeverWill, match="no such letter"):
        decided(new(), due("result"))


def abroad(channel: str) -> Record:
    return kept(new(), http(letter("extradition", "testimony", direction="outgoing", channel=channel)))


def test_what_is_to_be_carried_abroad_goes_to_the_gateway_of_the_channel() -> None:
    carried = {"reference": "FR-1", "measure": {"type": "extradition", "contents": {}}, "text": NAME}

    (said,) = decided(abroad("interpol"), due("outgoing", carried)).events

    assert (said.type, said.to) == (of_answer("outgoing"), ("agency.interpol-bureau.answers.v1",))
    assert (said.data["channel"], said.data["gateway"]) == ("interpol", "interpol-bureau")
    assert said.content == carried


def test_where_it_is_not_there_intake_adds_the_letters_share_of_the_measure() -> None:
    record = abroad("diplomatic")
    message = due("outgoing", {"text": "Please."})
    record.fresh = []
    with pytest.raises(NeedsHistory):
        decided(record, message)

    (said,) = decided(with_history(abroad("diplomatic")), message).events

    assert isinstance(said.content, dict)
    assert said.content["measure"] == {"type": "extradition", "contents": {"facts": NAME}}
    assert (said.content["reference"], said.content["text"]) == ("FR-1", "Please.")
    assert "testimony" not in str(said)


def test_where_nobody_is_the_gateway_the_filing_agency_gets_it_and_is_told() -> None:
    (said,) = decided(abroad("post"), due("outgoing", {"measure": {}})).events

    assert said.to == (TOPIC,)
    assert said.data["gateway"] is None
    assert "No agency here is the gateway" in said.data["because"]


# Rejected


def spoken(record: Record, name: str, agency: str = AGENCY, **fields: Any) -> str:
    """A message on the letter; its id."""
    message = parse_message(orjson.dumps({"message": name, **fields}), life(), "let_1")
    speakers = frozenset(life().updates[message.update.name].text.by)
    said = saying(agency, "let_1", message, speakers, AGENCIES[agency].gateway, IDS)
    kept(record, said)
    return str(said.body.id)


REJECTED: dict[str, Any] = {
    "update": "withdrawn",
    "rule": "table",
    "says": "Not now, for the case is closed: Nothing more is to be done.",
    "basis": [],
    "status": "closed",
    "allowed": ["status_inquired", "consented", "transmitted", "begun"],
}


def test_a_message_that_the_life_cycle_forbids_is_answered_with_the_rule_and_what_could_be_said() -> None:
    record = opened()
    message = spoken(record, "withdrawal")

    (said,) = decided(record, due(UPDATE_REJECTED, message=message, **REJECTED)).events

    assert (said.type, said.to, said.content) == (ANSWER_REFUSED, (TOPIC,), None)
    assert said.data == {
        **FACTS,
        **REJECTED,
        "letter": "let_1",
        "measure": 1,
        "id": message,
        "message": "withdrawal",
        "allowed": ["status_inquiry", "consent", "transmitted"],
    }


def test_a_rejection_goes_to_who_said_it() -> None:
    record = abroad("interpol")
    message = spoken(record, "transmitted", "interpol-bureau")

    (said,) = decided(record, due(UPDATE_REJECTED, message=message, **REJECTED)).events

    assert said.to == ("agency.interpol-bureau.answers.v1",)


def test_a_rejection_of_what_nobody_remembers_goes_to_the_filing_agency() -> None:
    (said,) = decided(opened(), due(UPDATE_REJECTED, message="msg_0", **REJECTED)).events

    assert said.to == (TOPIC,)
    assert "message" not in said.data


def test_bad_fields_of_a_rejection_are_sealed() -> None:
    errors = [{"pointer": "/until", "detail": "Must be a time."}]

    (said,) = decided(opened(), due(UPDATE_REJECTED, {"errors": errors}, **REJECTED)).events

    assert said.content == {"errors": errors}
    assert "pointer" not in str(said.data)


# Heard by whom


def test_an_agency_and_a_gateway_each_hear_what_was_said_to_them() -> None:
    record = kept(abroad("interpol"), news(1, **REASONS))
    kept(record, Message("let_1", "due/1", "router", due("outgoing", {"measure": {}}).body))
    spoken(record, "transmitted", "interpol-bureau")

    mine, theirs = (answers_of(record.fresh, agency, 0).answers for agency in (AGENCY, "interpol-bureau"))

    assert [answer.type for answer in mine] == ["answer.receipt", ANSWER_STATUS]
    assert [(answer.sequence, answer.type) for answer in theirs] == [(1, of_answer("outgoing"))]


# Nothing personal in the open

MARK = "Sensitive-4711"
SEALED_FIELDS: dict[str, dict[str, Any]] = {
    "withdrawal": {"reason": MARK, "id": MARK},
    "status_inquiry": {"text": MARK},
    "supplement": {
        "contents": {"facts": MARK},
        "text": MARK,
        "files": [{"sha256": "0" * 64, "name": MARK, "link": MARK}],
    },
    "extension": {"until": RECEIVED_AT, "reason": MARK},
    "urgency_change": {"urgency": "urgent", "reason": MARK},
    "written_confirmation": {"text": MARK},
    "consent": {"text": MARK, "id": f"{MARK}-2"},
    "condition_acceptance": {"text": MARK},
    "acknowledged_abroad": {"number": MARK, "text": MARK},
}
_spoken = st.sampled_from(sorted(SEALED_FIELDS))
_due = st.sampled_from([*ANSWERS, UPDATE_REJECTED])


@given(st.lists(st.one_of(_spoken.map(lambda name: (True, name)), _due.map(lambda kind: (False, kind))), max_size=12))
def test_what_is_sealed_shows_in_no_state_no_view_and_no_open_data(said: list[tuple[bool, str]]) -> None:
    record = kept(new(), http(letter(contact={"officer": MARK}, reference=f"R-{MARK}", urgency_reason=MARK)))
    kept(record, news(1, **REASONS))
    record.history = []  # whatever the record needs to look up stands in `fresh`
    for number, (is_message, name) in enumerate(said):
        if is_message:
            spoken(record, name, **SEALED_FIELDS[name])
        else:
            errors = {"errors": [{"pointer": f"/{MARK}", "detail": "Is not known here."}]}
            extra = REJECTED if name == UPDATE_REJECTED else {}
            body = due(name, {"measure": {"contents": MARK}, "text": MARK, **errors}, **extra).body
            kept(record, Message("let_1", f"due/{number}", "router", body))

    assert MARK not in str(record.state)
    assert all(MARK.encode() not in event.data_json and MARK not in event.cause for event in record.fresh)
    assert all(MARK.encode() not in (event.sealed or b"") for event in record.fresh)
