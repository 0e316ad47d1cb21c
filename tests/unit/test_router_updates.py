"""The table of the life cycle, walked row by row: what is allowed leads where it says, all else is rejected."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.router.domain.linking import LinkedBy
from services.router.domain.updating import MOST_REJECTIONS
from shared.events import TYPES, UPDATE_REJECTED, of_answer, of_case
from shared.failures import NeverWill
from shared.life_cycle import BEFORE, SAME, UpdateRule
from shared.times import text_of
from shared.topics import carries_content
from tests.unit.cases import DESK, MINISTRY, SERVICE, START, Case, rules

LIFE = rules().life
ROWS = [(name, status) for name, rule in LIFE.updates.items() for status in rule.rows]
HOLES = [(name, status) for name, rule in LIFE.updates.items() for status in LIFE.statuses if status not in rule.rows]


def type_for(rule: UpdateRule) -> str:
    """A request type whose cases know the update."""
    wanted = {"preservation": "data_preservation", "arrest": "provisional_arrest", "appearance": "testimony"}
    return wanted[rule.text.cycle[0]] if rule.text.cycle else "stored_data_access"


def fields_for(name: str, type: str) -> dict[str, Any]:
    """Fields that every guard lets pass, for one update."""
    law = rules().law
    ahead, ago = text_of(START + timedelta(days=90)), text_of(START)
    given: dict[str, Any] = {
        "supplement_received": {"contents": {"facts": "said"}},
        "forwarded": {"executing_body": next(iter(law.executing_bodies))},
        "preserved": {"preserved_from": ago},
        "extended": {"until": ahead},
        "asked_abroad": {"text": "said"},
        "endangered": {"text": "said"},
        "not_sent": {"reasons": "said"},
        "refused_abroad": {"reasons": "said"},
        "released": {"text": "said"},
        "arrested": {"arrested_at": ago},
        "dismissed": {"told_at": ago},
        "consultation_opened": {"about": ["refusal"], "text": "said"},
        "condition_offered": {"text": "said"},
        "postponed": {"ground": "ongoing-case", "reasons": "said", "review_on": ahead},
        "refused": {"grounds": [next(code for code, one in law.grounds(type).items() if one.alone)], "reasons": "said"},
        "status_answered": {"text": "said"},
        "urgency_changed": {"urgency": "urgent", "reason": "said"},
        "confidentiality_breached": {"text": "said"},
        "misdirected": {"reason": "said"},
        "triage_decided": {"authority": DESK, "decided_by": "A. Person", "reason": "said"},
        "extension_requested": {"until": ahead, "reason": "said"},
        "consented": {"text": "said"},
        "reuse_recorded": {"purpose": "said"},
        "linked": {"other": "cas_" + "0" * 32, "decided_by": "A. Person", "reason": "said"},
    }
    return given.get(name, {}) if isinstance(given.get(name, {}), dict) else {}


def standing(name: str, status: str) -> tuple[Case, str, str]:
    """A case in this status that everything but the table is right for, who speaks, and in which role."""
    rule = LIFE.updates[name]
    direction = str(rule.text.direction or "incoming")
    case = Case.open(type_for(rule), direction=direction)
    holder = DESK if status == "triage" or direction == "outgoing" else case.state["authority"]
    kept = {"phase": "preserved", "from": text_of(START), "until": text_of(START + timedelta(days=60))}
    long_ago = {"from": text_of(START - timedelta(days=80)), "until": text_of(START)}
    case.record.state = {
        **case.state,
        "status": status,
        "authority": holder,
        "before": "assigned",
        "triaged": True,
        "marks": ["oral-written-confirmation-pending"],
        "did": {"confidentiality_breached": text_of(START)},
        "consulted": ["postponement", "refusal"],
        "offered": True,
        "duplicates": [{"case": "cas_" + "0" * 32, "type": "stored_data_access"}],
        "preservation": kept if name in ("preserved", "extended", "extension_requested") else kept | long_ago,
        "arrest": {"at": text_of(START + timedelta(days=1)), "documents_at": text_of(START)},
    }
    case.held_by(SERVICE if name == "triage_decided" and status != "triage" else holder, status)
    role = "authority" if {"holder", "desk"} & set(rule.text.by) else rule.text.by[0]
    speaker = holder if "holder" in rule.text.by else DESK
    return case, speaker, role


@pytest.mark.parametrize(("name", "status"), ROWS)
def test_every_row_leads_where_it_says(name: str, status: str) -> None:
    case, speaker, role = standing(name, status)
    if case.state["authority"] == DESK and name == "misdirected":
        case.record.state["authority"] = speaker = SERVICE
    before = case.record.version

    case.told(name, speaker, role=role, **fields_for(name, case.state["type"]))  # type: ignore[arg-type]

    assert case.rejection is None
    rule = LIFE.updates[name]
    row = rule.rows[status]
    if rule.text.reassigns:
        assert case.state["authority"] == DESK
        return
    assert case.status == {SAME: status, BEFORE: "assigned"}.get(row.to, row.to)
    assert case.types[0] == of_case(name)
    tells = row.tells or rule.text.tells
    assert case.types[1:] == ([of_answer(tells)] if tells else [])
    assert case.record.version == before + len(case.said)


@pytest.mark.parametrize(("name", "status"), HOLES)
def test_what_has_no_row_is_rejected_and_changes_nothing(name: str, status: str) -> None:
    case, speaker, role = standing(name, status)
    before = dict(case.state)

    case.told(name, speaker, role=role, **fields_for(name, case.state["type"]))  # type: ignore[arg-type]

    assert case.types in ([UPDATE_REJECTED], [])
    assert case.rejection is not None
    assert case.rejection["rule"] == "table"
    assert name not in case.rejection["allowed"]
    counted = {"rejections", "rejected"}
    assert {name: value for name, value in case.state.items() if name not in counted} == before


def test_every_status_can_be_left_but_the_last() -> None:
    left = {
        status for rule in LIFE.updates.values() for status, row in rule.rows.items() if row.to not in (SAME, status)
    }

    assert set(LIFE.statuses) - left == {"closed"}


def test_every_status_can_be_reached() -> None:
    reached = {row.to for rule in LIFE.updates.values() for row in rule.rows.values()}

    assert set(LIFE.statuses) - reached == {"triage", "lapsed"}  # the one opens a case, the other is the clock's


# Who says it


def test_a_rejection_is_for_its_sender_alone() -> None:
    case = Case.open().told("resumed")

    (draft,) = case.said
    assert draft.to == ("security-service.cases.v1",)
    assert draft.content is None


def test_who_never_had_the_case_is_not_answered_but_set_aside() -> None:
    with pytest.raises(NeverWill, match="not this authority's case"):
        Case.open().told("acknowledged", MINISTRY)


def test_a_late_answer_that_crosses_a_reassignment_is_told_so() -> None:
    case = Case.open().told("misdirected", reason="said")
    assert case.state["authority"] == DESK

    case.told("acknowledged", SERVICE)

    assert case.rejection is not None
    assert (case.rejection["rule"], case.rejection["allowed"]) == ("holder", [])
    assert case.said[0].to == ("security-service.cases.v1",)


def test_an_agencys_forbidden_message_is_answered_to_the_agency() -> None:
    case = Case.open().told("extension_requested", "contact-point", role="agency", until=text_of(START), reason="said")

    assert case.said[0].to == ("answers.due.v1",)


def test_the_desk_may_withdraw_what_another_has_but_not_refuse_it() -> None:
    grounds = fields_for("refused", "stored_data_access")["grounds"]

    case = Case.open().told("refused", DESK, grounds=grounds, reasons="said")

    assert case.rejection is not None
    assert case.rejection["rule"] == "by"
    assert case.said == ()  # its topic would begin with a rejection
    assert Case.open().told("withdrawn", DESK).status == "withdrawn"


def test_after_too_many_rejections_an_update_is_set_aside_and_the_case_lives_on() -> None:
    case = Case.open()
    for _ in range(MOST_REJECTIONS):
        case.told("resumed")

    with pytest.raises(NeverWill, match="too many"):
        case.told("resumed")
    assert case.told("acknowledged").status == "acknowledged"


# What is sealed


def marked() -> Iterator[tuple[str, str]]:
    yield from ROWS


@pytest.mark.parametrize("name", LIFE.updates)
def test_free_text_and_names_reach_only_those_entitled(name: str) -> None:
    """What an update says in words stands in the content, which no watching topic carries, and in no state."""
    rule = LIFE.updates[name]
    status = next(iter(rule.rows))
    case, speaker, role = standing(name, status)
    if name == "misdirected":
        case.record.state["authority"] = speaker = SERVICE
    fields = fields_for(name, case.state["type"])
    secret = {f: "MARKED" for f, one in rule.text.fields.items() if one.kind in ("text", "name")}

    case.told(name, speaker, role=role, **{**fields, **secret})  # type: ignore[arg-type]

    assert case.rejection is None
    assert "MARKED" not in str(case.state)
    for draft in case.said:
        assert "MARKED" not in orjson.dumps(draft.data).decode()
    assert not carries_content("cases.events.v1")


def test_all_that_the_table_can_lead_to_has_a_type() -> None:
    for name, rule in LIFE.updates.items():
        assert of_case(name) in TYPES
        assert rule.text.tells is None or of_answer(rule.text.tells) in TYPES


# Reassignment


def test_a_reassignment_is_the_last_event_for_the_one_and_a_whole_snapshot_for_the_other() -> None:
    case = Case.open(contents={"facts": "F"}).told("supplement_requested", words=["purpose"])
    case.told("supplement_received", "contact-point", role="agency", contents={"purpose": "P"})

    case.told("misdirected", type="extradition", reason="said")

    left, given, told = case.said
    assert (left.type, left.to[0]) == ("case.reassigned", "security-service.cases.v1")
    assert (given.type, given.to[0]) == ("case.assigned", "justice-ministry.cases.v1")
    assert (told.type, told.to) == ("answer.misdirected", ("answers.due.v1",))
    assert case.state["authority"] == MINISTRY
    assert case.status == "received"
    assert isinstance(given.content, dict)
    assert given.content["measure"] == {"type": "extradition", "contents": {"facts": "F", "purpose": "P"}}
    assert told.content is None


def test_the_desk_decides_what_the_law_gives_to_nobody_and_corrects_itself() -> None:
    case = Case.open("joint_investigation")
    assert (case.status, case.state["authority"]) == ("triage", DESK)

    case.told("triage_decided", authority=SERVICE, decided_by="A. Person", reason="said")
    assert (case.status, case.state["authority"]) == ("received", SERVICE)

    case.told("triage_decided", DESK, authority=MINISTRY, decided_by="A. Person", reason="wrong before")
    assert (case.status, case.state["authority"]) == ("received", MINISTRY)
    assert case.types == ["case.reassigned", "case.assigned"]


# Linked


def test_a_follow_up_is_noted_once() -> None:
    from services.router.domain.linking import CaseHead

    child = CaseHead("cas_" + "1" * 32, "stored_data_access", SERVICE, "received", "incoming")
    case = Case.open("data_preservation").hear(LinkedBy(child)).hear(LinkedBy(child))

    assert [link["case"] for link in case.state["links"]] == [child.case]
    assert case.said == ()
