"""What an agency hears of the status of its cases: what has changed for it, as far as it may see it."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from services.intake.api import CaseView
from services.intake.domain import CaseNews
from services.intake.handlers import ANSWERS_HEARD, CASES_HEARD, on_case
from shared.decisions import Decision
from shared.events import (
    ANSWER_STATUS,
    ANSWERS,
    CASE_ASSIGNED,
    CASE_REASSIGNED,
    TYPES,
    UPDATE_REJECTED,
    of_answer,
)
from shared.failures import NeverWill
from shared.payloads import CaseEvent
from tests.unit.intake_letters import (
    AGENCY,
    RECEIVED_AT,
    decided,
    kept,
    letter,
    new,
    stored,
)
from tests.unit.intake_letters import ANSWERS as TOPIC
from tests.unit.intake_news import CONTEXT, FACTS, REASONS, heard, news, opened, told

MISSING = [{"field": "warrant", "says": "A certified warrant", "basis": ["cpc 493"]}]


# News of cases


def test_the_news_of_a_case_is_answered_to_the_agency_with_the_reason_and_no_gate() -> None:
    (said,) = decided(stored(letter()), news(1, **REASONS)).events

    assert (said.type, said.to, said.content) == (ANSWER_STATUS, (TOPIC,), None)
    assert said.data == {
        "letter": "let_1",
        "measure": 1,
        "case": "cas_1",
        "type": "extradition",
        "status": "received",
        "authority": "justice-ministry",
        **REASONS,
        "case_event": 1,
    }


def test_what_is_missing_is_said_with_what_asks_for_it_and_no_longer_once_it_has_come() -> None:
    record = opened(missing=MISSING, defects=[{"field": "data", "says": "No zone."}], marks=["no-reason"])
    (case,) = record.state["cases"]
    assert (case["missing"], case["marks"]) == (MISSING, ["no-reason"])

    after = told(record, news(2, missing=[]))

    assert after is not None
    assert "missing" not in after
    assert after["defects"] == [{"field": "data", "says": "No zone."}]


def test_an_event_that_changes_something_keeps_what_was_known() -> None:
    after = told(opened(), news(2, status="in_execution"))

    assert after is not None
    assert {name: after[name] for name in REASONS} == REASONS
    assert (after["status"], after["case_event"]) == ("in_execution", 2)


UNSEEN: dict[str, Mapping[str, Any]] = {
    "the same again": {},
    "an officer": {"update": "officer_assigned", "said": {}},
    "a change of urgency": {"urgency": "urgent"},
    "our own clock": {"clocks": [{"clock": "triage", "kind": "policy", "due": RECEIVED_AT, "steps": []}]},
    "that nothing is missing": {"missing": [], "links": None},
    "what is kept": {"preservation": {"phase": "preserved"}},
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_changes_nothing_for_the_agency_gives_no_answer(case: str) -> None:
    assert decided(opened(), news(2, **UNSEEN[case])) == Decision()


CLOCKS = [
    {
        "clock": "kept",
        "kind": "statutory",
        "due": RECEIVED_AT,
        "basis": ["uncc 42(8)"],
        "steps": [[RECEIVED_AT, "due"]],
    },
    {"clock": "asked", "kind": "requested", "due": RECEIVED_AT, "basis": [], "steps": []},
    {"clock": "ours", "kind": "policy", "due": RECEIVED_AT, "basis": [], "steps": []},
]


def test_the_agency_sees_the_laws_deadlines_and_its_own_and_never_ours() -> None:
    after = told(opened(), news(2, clocks=CLOCKS))

    assert after is not None
    assert [(clock["clock"], clock["kind"]) for clock in after["clocks"]] == [
        ("kept", "statutory"),
        ("asked", "requested"),
    ]
    assert "steps" not in str(after)


def test_of_a_case_that_its_own_reference_named_it_sees_which_it_is_and_why() -> None:
    record = kept(opened(), news(2, link={"case": "cas_7", "type": "asset_freeze", "relation": "child"}))
    kept(record, news(3, link={"case": "cas_8", "type": "asset_freeze", "relation": "same"}))
    after = told(record, news(4, link={"case": "cas_9", "type": "asset_freeze", "relation": "parent"}))

    assert after is not None
    assert after["links"] == [{"case": "cas_7", "relation": "child"}, {"case": "cas_9", "relation": "parent"}]


def test_a_late_older_status_does_not_overwrite_a_newer_one() -> None:
    record = kept(opened(), news(5, status="executed"))

    assert decided(record, news(4, status="in_execution")) == Decision()
    assert decided(record, news(5, status="refused")) == Decision()
    assert record.state["cases"][0]["status"] == "executed"


def test_each_case_counts_for_itself() -> None:
    record = stored(letter("extradition", "testimony"))

    for said in (news(9, 2), news(1, 1), news(10, 2, authority="desk")):
        kept(record, said)

    assert [(case["measure"], case["authority"]) for case in record.state["cases"]] == [
        (1, "justice-ministry"),
        (2, "desk"),
    ]


def test_news_of_a_letter_that_nobody_knows_is_set_aside_and_not_lost() -> None:
    with pytest.raises(NeverWill, match="no such letter"):
        decided(new(), news(1))


def test_what_a_letter_shows_of_a_case_is_what_was_said() -> None:
    (case,) = opened(missing=MISSING, clocks=CLOCKS).state["cases"]

    assert CaseView(**case).model_dump(exclude_unset=True) == case


# What comes by Kafka


def test_a_case_event_becomes_news_for_its_letter() -> None:
    data = orjson.dumps({**FACTS, "status": "assigned", "of_a_newer_build": 1})

    (message,) = on_case(heard("cases.events.v1", "case.officer_assigned", data, **CONTEXT))

    assert message.record == "let_1"
    assert message.body == CaseNews(AGENCY, 1, CaseEvent.model_validate({**FACTS, "status": "assigned"}), 1)


def test_intake_hears_every_case_event_there_is() -> None:
    assert {name for name in TYPES if name.startswith("case.")} <= CASES_HEARD
    assert {of_answer(kind) for kind in ANSWERS} <= ANSWERS_HEARD


@pytest.mark.parametrize("event_type", [CASE_REASSIGNED, UPDATE_REJECTED])
def test_what_is_followed_by_a_snapshot_or_is_somebody_elses_is_no_news(event_type: str) -> None:
    assert on_case(heard("cases.events.v1", event_type, orjson.dumps(FACTS), **CONTEXT)) == []


NO_NEWS: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "no letter": (orjson.dumps(FACTS), {"sequence": "1"}),
    "a measure that is no number": (orjson.dumps(FACTS), {**CONTEXT, "measure": "two"}),
    "no sequence": (orjson.dumps(FACTS), {name: CONTEXT[name] for name in ("letterid", "agency", "measure")}),
    "no case": (b"{}", CONTEXT),
    "no JSON": (b"{", CONTEXT),
}


@pytest.mark.parametrize("case", NO_NEWS)
def test_a_case_event_that_does_not_say_whose_it_is_is_set_aside(case: str) -> None:
    data, context = NO_NEWS[case]

    with pytest.raises(NeverWill, match="not a case event"):
        on_case(heard("cases.events.v1", CASE_ASSIGNED, data, **context))
