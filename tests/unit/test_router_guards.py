"""Every invariant of a case's life, each with an attempt to break it."""

from datetime import timedelta
from typing import Any

import pytest

from services.router.domain.clocking import Tick, elapsed
from services.router.domain.guards import GUARDS
from services.router.domain.linking import CaseHead, FollowUpDecided, LinkedBy, SameElsewhere
from services.router.domain.updating import MOST_MESSAGES, Heard
from services.router.views import view
from shared.bad_letter import FieldError
from shared.clocks import is_running
from shared.failures import NeverWill
from shared.life_cycle import BadUpdate, Update
from shared.times import text_of
from tests.unit.cases import DESK, IDS, MINISTRY, SERVICE, START, Case, rules

FOLLOW_UP = CaseHead("cas_" + "1" * 32, "stored_data_access", SERVICE, "received", "incoming")


def at(**span: float) -> str:
    return text_of(START + timedelta(**span))


def consulted(type: str = "stored_data_access", about: str = "refusal") -> Case:
    return Case.open(type).told("consultation_opened", about=[about], text="said")


def ground(type: str, *, alone: bool = True) -> str:
    return next(code for code, one in rules().law.grounds(type).items() if one.alone is alone)


def foreign_ground(type: str) -> str:
    return next(code for code in rules().law.text.refusal_grounds if code not in rules().law.grounds(type))


def preserved(**fields: Any) -> Case:
    return Case.open("data_preservation").told("preserved", preserved_from=at(), **fields)


def rule_of(case: Case) -> str | None:
    return case.rejection["rule"] if case.rejection else None


def test_every_guard_of_the_table_is_there_and_every_guard_is_in_the_table() -> None:
    used = {guard for rule in rules().life.updates.values() for row in rule.rows.values() for guard in row.guards}

    assert used == set(GUARDS) == set(rules().life.guards)


# Refusals


@pytest.mark.parametrize("type", ["data_preservation", "preserved_traffic_disclosure", "stored_data_access"])
def test_a_refusal_names_only_grounds_allowed_for_its_type(type: str) -> None:
    case = consulted(type).told("refused", grounds=[ground(type), foreign_ground(type)], reasons="said")

    assert rule_of(case) == "allowed-ground"
    assert consulted(type).told("refused", grounds=[ground(type)], reasons="said").status == "refused"


def test_lack_of_dual_criminality_never_refuses_a_preservation() -> None:
    assert "no_dual_criminality" in rules().law.text.refusal_grounds
    assert "no_dual_criminality" not in rules().law.grounds("data_preservation")
    case = consulted("data_preservation").told("refused", grounds=["no_dual_criminality"], reasons="said")

    assert rule_of(case) == "allowed-ground"


def test_fiscal_nature_or_bank_secrecy_alone_refuses_nothing() -> None:
    never_alone = [code for code, one in rules().law.grounds("records_copies").items() if not one.alone]
    assert never_alone

    for code in never_alone:
        assert rule_of(consulted("records_copies").told("refused", grounds=[code], reasons="said")) == "not-alone"
    assert rule_of(consulted("records_copies").told("refused", grounds=never_alone, reasons="said")) == "not-alone"


def test_neither_refusal_nor_postponement_without_a_consultation_before() -> None:
    refused = Case.open().told("refused", grounds=[ground("stored_data_access")], reasons="said")
    postponed = Case.open().told("postponed", ground="ongoing-case", reasons="said", review_on=at(days=30))

    assert (rule_of(refused), rule_of(postponed)) == ("consulted-first", "consulted-first")
    after = consulted(about="postponement").told(
        "postponed", ground="ongoing-case", reasons="said", review_on=at(days=30)
    )
    assert after.status == "postponed"


@pytest.mark.parametrize("reasons", ["", " \n"])
def test_a_refusal_without_reasons_is_none(reasons: str) -> None:
    with pytest.raises(BadUpdate, match="/reasons"):
        consulted().told("refused", grounds=[ground("stored_data_access")], reasons=reasons)


def test_a_consultation_goes_back_to_where_it_came_from() -> None:
    case = Case.open().told("acknowledged").told("begun").told("consultation_opened", about=["costs"], text="said")

    assert case.told("resumed").status == "in_execution"


def test_a_review_lies_ahead() -> None:
    case = consulted(about="postponement")
    case.told("postponed", ground="ongoing-case", reasons="said", review_on=at(days=-1))

    assert rule_of(case) == "lies-ahead"


# Preservation


def test_data_stay_preserved_for_sixty_days_at_least() -> None:
    assert rule_of(preserved(until=at(days=59))) == "long-enough"
    assert preserved(until=at(days=61)).status == "in_execution"
    assert preserved().state["preservation"]["phase"] == "preserved"


def test_a_preservation_does_not_begin_in_the_future() -> None:
    case = Case.open("data_preservation").told("preserved", preserved_from=at(days=1))

    assert rule_of(case) == "not-in-the-future"


def test_a_follow_up_holds_what_is_preserved_and_nothing_lets_it_go_before_it_is_decided() -> None:
    case = preserved().hear(LinkedBy(FOLLOW_UP))
    assert case.state["preservation"]["phase"] == "hold"

    assert rule_of(case.told("released", text="said")) == "decided-first"
    assert rule_of(case.told("executed")) == "decided-first"
    case.passes(days=70).hear(FollowUpDecided((FOLLOW_UP.case,)))
    assert case.told("released", text="said").status == "executed"


def test_a_follow_up_that_came_first_holds_what_is_preserved_later() -> None:
    case = Case.open("data_preservation").hear(LinkedBy(FOLLOW_UP)).told("preserved", preserved_from=at())

    assert case.state["preservation"]["phase"] == "hold"
    assert case.passes(days=200).status == "in_execution"


def test_without_a_follow_up_a_preservation_is_warned_of_and_lapses() -> None:
    case = preserved()

    case.passes(days=54)
    said = [event.data["said"] for event in case.history if event.type == "case.clock_warned"]
    warned = [one["step"] for one in said if one["kind"] == "statutory"]
    assert warned == ["30 days", "14 days", "7 days"]
    case.passes(days=10)
    assert case.status == "lapsed"
    assert not [clock for clock in case.state["clocks"] if is_running(clock)]


def test_an_extension_moves_the_end_and_one_that_comes_too_late_is_rejected() -> None:
    case = preserved().passes(days=55)
    case.told("extension_requested", "contact-point", role="agency", until=at(days=120), reason="said")
    assert case.rejection is None
    case.told("extended", until=at(days=120))
    assert case.state["preservation"] == {"phase": "extended", "from": at(), "until": at(days=120)}
    assert case.passes(days=30).status == "in_execution"

    case.passes(days=40)
    case.told("extended", until=at(days=200))

    assert (case.status, rule_of(case)) == ("lapsed", "table")


def test_an_extension_ends_later_than_what_it_extends() -> None:
    case = preserved(until=at(days=90))

    assert rule_of(case.told("extended", until=at(days=80))) == "later-end"


def test_only_preservations_are_preserved_and_only_arrests_arrest() -> None:
    assert rule_of(Case.open().told("preserved", preserved_from=at())) == "kind"
    assert rule_of(Case.open("data_preservation").told("arrested", arrested_at=at())) == "kind"


@pytest.mark.parametrize("update", [("released", {"text": "said"}), ("executed", {})])
def test_nothing_ends_a_preservation_before_its_time_but_the_sender(update: tuple[str, dict[str, Any]]) -> None:
    name, fields = update

    assert rule_of(preserved().passes(days=1).told(name, **fields)) == "kept-long-enough"
    assert preserved().passes(days=60, hours=1).told(name, **fields).status == "executed"
    promised = preserved(until=at(days=90)).passes(days=61).told(name, **fields)
    assert rule_of(promised) == "kept-long-enough"
    assert preserved().passes(days=1).told("withdrawn", "contact-point", role="agency").status == "withdrawn"


def test_a_preservation_is_not_refused_once_it_is_made() -> None:
    case = preserved().told("consultation_opened", about=["refusal"], text="said")

    assert rule_of(case.told("refused", grounds=[ground("data_preservation")], reasons="said")) == "kept-long-enough"


def test_its_holder_withdraws_nothing_and_nobody_while_a_follow_up_is_open() -> None:
    assert rule_of(Case.open().told("withdrawn")) == "by"
    held = preserved().hear(LinkedBy(FOLLOW_UP)).told("withdrawn", "contact-point", role="agency")
    assert rule_of(held) == "decided-first"


def test_a_second_follow_up_holds_again_and_its_end_lets_the_time_run_on() -> None:
    second = CaseHead("cas_" + "5" * 32, "records_copies", SERVICE, "received", "incoming")
    case = preserved().hear(LinkedBy(FOLLOW_UP)).passes(days=20).hear(FollowUpDecided((FOLLOW_UP.case,)))
    assert case.state["preservation"]["phase"] == "decided"

    case.hear(LinkedBy(second))
    assert case.state["preservation"]["phase"] == "hold"
    assert case.hear(FollowUpDecided((FOLLOW_UP.case,))).said == ()
    case.hear(FollowUpDecided((second.case,)))
    assert case.passes(days=60).status == "lapsed"


def test_every_request_for_assistance_holds_what_was_preserved_for_it() -> None:
    types = rules().law.request_types
    asking = [code for code, one in types.items() if "assistance" in one.field_sets]

    assert len(asking) > 10
    assert [code for code in asking if not types[code].holds_parent] == []


def test_what_is_preserved_can_be_extended_whatever_else_happens_to_the_case() -> None:
    for update, fields in (
        ("supplement_requested", {"words": ["facts"]}),
        ("consultation_opened", {"about": ["costs"], "text": "said"}),
        ("forwarded", {"executing_body": next(iter(rules().law.executing_bodies))}),
    ):
        case = preserved().told(update, **fields)
        assert case.told("extended", until=at(days=100)).rejection is None
        assert case.passes(days=99).status != "lapsed"


def test_preserving_anew_never_shortens_and_never_ends_at_once() -> None:
    case = preserved().told("extended", until=at(days=120))

    assert rule_of(case.told("preserved", preserved_from=at())) == "never-shorter"
    assert rule_of(Case.open("data_preservation").told("preserved", preserved_from=at(days=-100))) == "never-shorter"
    assert case.passes(days=119).status == "in_execution"


def test_that_a_sender_asks_for_a_longer_time_moves_nothing_until_it_is_granted() -> None:
    case = preserved()
    before = case.state["clocks"]

    case.told("extension_requested", "contact-point", role="agency", until=at(days=120), reason="said")

    assert case.state["clocks"] == before
    assert case.passes(days=61).status == "lapsed"


def test_an_end_that_was_not_said_counts_too_when_it_is_extended() -> None:
    assert rule_of(preserved().told("extended", until=at(days=10))) == "later-end"
    short = preserved().told("extension_requested", "contact-point", role="agency", until=at(days=10), reason="said")
    assert rule_of(short) == "later-end"


def test_a_follow_up_that_came_in_time_and_is_heard_late_undoes_the_lapse() -> None:
    case = preserved().passes(days=65)
    assert case.status == "lapsed"
    late = CaseHead("cas_" + "6" * 32, "stored_data_access", SERVICE, "received", "incoming", received_at=at(days=64))
    in_time = CaseHead(
        "cas_" + "7" * 32, "stored_data_access", SERVICE, "received", "incoming", received_at=at(days=50)
    )

    assert case.hear(LinkedBy(late)).status == "lapsed"
    assert case.hear(LinkedBy(in_time)).status == "in_execution"
    assert case.state["preservation"]["phase"] == "hold"


# A person


def arrested() -> Case:
    case = Case.open("provisional_arrest", content={"treaty_basis": ["ece"]})
    return case.told("arrested", arrested_at=at())


def test_who_is_held_is_let_go_before_the_case_ends_and_the_laws_limit_outlives_a_withdrawal() -> None:
    assert rule_of(arrested().told("executed")) == "nobody-held"

    case = arrested().told("withdrawn", "contact-point", role="agency")
    running = {clock["clock"] for clock in case.state["clocks"] if is_running(clock)}
    assert {"arrest-18-days", "arrest-40-days"} <= running
    assert rule_of(case.told("closed")) == "nobody-held"
    case.told("released", text="said")
    assert "released_at" in case.state["arrest"]
    assert case.told("closed").status == "closed"


def test_an_arrest_is_not_made_again_to_win_time() -> None:
    case = arrested().passes(days=5)

    assert rule_of(case.told("arrested", arrested_at=at(days=4))) == "arrested-once"
    assert case.told("arrested", arrested_at=at(hours=-2)).rejection is None


def test_a_case_that_holds_something_does_not_become_another() -> None:
    for case in (preserved(), arrested()):
        case.record.state = {**case.state, "status": "assigned"}
        assert rule_of(case.told("misdirected", type="joint_investigation", reason="said")) == "nothing-kept"


def test_nothing_is_released_that_was_not_held() -> None:
    case = Case.open("data_preservation").told("begun")

    assert rule_of(case.told("released", text="said")) == "is-kept"


# Completeness


def test_documents_are_served_without_a_statement_of_facts() -> None:
    contents = {one.word: "said" for one in rules().law.required("service_of_documents", START.date())}

    assert "facts" not in contents
    assert Case.open("service_of_documents", contents=contents).state["missing"] == []


def test_what_is_missing_is_asked_for_with_its_article_and_is_no_longer_missing_when_it_came() -> None:
    case = Case.open("data_preservation", contents={"facts": "said"})
    missing = {one["field"] for one in case.state["missing"]}
    assert "necessity" in missing

    case.told("supplement_requested")
    (_, told) = case.said
    assert {one["field"] for one in told.data["said"]["missing"]} == missing
    assert all(one["basis"] for one in told.data["said"]["missing"])
    assert case.status == "returned_for_supplement"

    case.told("supplement_received", "contact-point", role="agency", contents=dict.fromkeys(missing, "said"))
    assert (case.status, case.state["missing"]) == ("completeness_check", [])


def test_only_words_of_the_type_are_asked_for() -> None:
    assert rule_of(Case.open().told("supplement_requested", words=["favourite_colour"])) == "known-words"


def test_nothing_incomplete_goes_abroad() -> None:
    case = Case.open("extradition", direction="outgoing", contents={"facts": "said"})
    assert case.state["authority"] == MINISTRY

    assert rule_of(case.told("dispatched")) == "complete-before-sending"
    assert Case.open("extradition", direction="outgoing").told("dispatched").status == "dispatched"


# Oral requests, secrecy, conditions of use


def test_an_oral_request_waits_for_its_written_confirmation() -> None:
    case = Case.open("emergency_data", channel="phone", urgency="emergency")
    assert "oral-written-confirmation-pending" in case.state["marks"]

    case.told("confirmed_in_writing", "contact-point", role="agency")
    assert case.state["marks"] == []
    assert rule_of(case.told("confirmed_in_writing", "contact-point", role="agency")) == "is-awaited"


def test_where_secrecy_cannot_be_kept_the_sender_is_told_before_anything_is_disclosed() -> None:
    case = Case.open().told("begun").told("executed", secrecy_cannot_be_kept=True)
    assert rule_of(case) == "sender-told-first"

    case.told("confidentiality_breached", text="said")
    assert case.types == ["case.confidentiality_breached", "answer.breach"]
    assert case.told("executed", secrecy_cannot_be_kept=True).status == "executed"


def test_conditions_of_use_travel_with_the_result_and_another_use_needs_consent() -> None:
    case = Case.open().told("begun").told("executed", conditions="Only for this case.")
    (_, told) = case.said
    assert told.content == {"conditions": "Only for this case."}

    assert rule_of(case.told("reuse_recorded", purpose="said")) == "consent-first"
    case.told("consented", "contact-point", role="agency", text="said")
    assert case.told("reuse_recorded", purpose="said").rejection is None


def test_a_deadline_without_a_reason_is_kept_and_marked() -> None:
    deadline = {"requested_deadline": {"at": "2026-05-01T12:00:00+02:00"}}
    case = Case.open(content=deadline)

    assert "deadline-without-reason" in case.state["marks"]
    assert case.state["requested_deadline"] == "2026-05-01T10:00:00.000000Z"
    assert [c["due"] for c in case.state["clocks"] if c["kind"] == "requested"] == ["2026-05-01T10:00:00.000000Z"]


def test_an_outcome_is_one_of_its_type() -> None:
    other = next(code for code in rules().law.text.outcomes if code not in rules().law.outcomes("stored_data_access"))

    assert rule_of(Case.open().told("begun").told("executed", outcome=other)) == "known-outcome"


# Need to know


DATA = ["data_preservation", "stored_data_access", "subscriber_information", "realtime_traffic_data"]


@pytest.mark.parametrize("type", DATA)
@pytest.mark.parametrize("direction", ["incoming", "outgoing"])
def test_the_ministry_never_gets_a_data_measure_whoever_decides(type: str, direction: str) -> None:
    case = Case.open(type, direction=direction)
    case.held_by(DESK, "triage")

    case.told("triage_decided", authority=MINISTRY, decided_by="A. Person", reason="said")

    assert rule_of(case) == "right-authority"


@pytest.mark.parametrize("type", ["extradition", "provisional_arrest"])
def test_the_service_never_gets_an_extradition_whoever_decides(type: str) -> None:
    case = Case.open(type)
    case.held_by(DESK, "triage")

    case.told("triage_decided", authority=SERVICE, decided_by="A. Person", reason="said")

    assert rule_of(case) == "right-authority"


def test_a_link_to_what_an_authority_need_not_know_is_not_said_to_it() -> None:
    child = CaseHead("cas_" + "2" * 32, "data_preservation", SERVICE, "received", "incoming")
    case = Case.open("extradition").hear(LinkedBy(child))

    (draft,) = case.said
    assert draft.to == ("cases.events.v1",)


def test_the_desk_decides_nothing_that_the_law_has_decided() -> None:
    case = Case.open().told("triage_decided", DESK, authority=DESK, decided_by="A. Person", reason="said")

    assert rule_of(case) == "was-triaged"


def test_a_decision_that_changes_nothing_is_none() -> None:
    case = Case.open("joint_investigation").told("triage_decided", authority=SERVICE, decided_by="P", reason="r")

    assert rule_of(case.told("triage_decided", DESK, authority=SERVICE, decided_by="P", reason="r")) == "moves"


# Consultation and conditions


def test_a_consultation_about_something_else_opens_no_refusal() -> None:
    case = consulted(about="costs").told("refused", grounds=[ground("stored_data_access")], reasons="said")

    assert rule_of(case) == "consulted-first"


def test_what_an_earlier_holder_consulted_about_does_not_count_for_the_next() -> None:
    case = Case.open("joint_investigation").told("triage_decided", authority=SERVICE, decided_by="P", reason="r")
    case.told("consultation_opened", about=["refusal"], text="said").told("resumed")
    case.told("triage_decided", DESK, authority=MINISTRY, decided_by="P", reason="r")

    case.told("refused", grounds=[ground("joint_investigation")], reasons="said")

    assert rule_of(case) == "consulted-first"


def test_only_what_was_offered_is_accepted_and_it_binds() -> None:
    case = consulted(about="conditions")
    assert rule_of(case.told("condition_accepted", "contact-point", role="agency")) == "was-offered"

    case.told("condition_offered", text="Not in the press.")
    case.told("condition_accepted", "contact-point", role="agency").told("executed")

    (_, result) = case.said
    assert isinstance(result.content, dict)
    assert result.content["accepted_conditions"] == ["Not in the press."]
    assert rule_of(case.told("reuse_recorded", purpose="said")) == "consent-first"


def test_a_sender_does_not_end_a_postponement() -> None:
    case = consulted(about="postponement")
    case.told("postponed", ground="ongoing-case", reasons="said", review_on=at(days=30))

    assert rule_of(case.told("condition_accepted", "contact-point", role="agency")) == "table"
    assert case.told("consultation_opened", about=["costs"], text="said").status == "consultation"
    assert case.told("resumed").status == "received"


def test_the_senders_own_conditions_bind_from_the_beginning_and_consent_comes_after_them() -> None:
    case = Case.open("spontaneous_information", contents={"information": "said", "conditions": "Not in court."})
    case.told("triage_decided", authority=SERVICE, decided_by="P", reason="r")

    assert rule_of(case.told("reuse_recorded", purpose="said")) == "consent-first"


# What is said once, and by whom


def test_an_acknowledgement_tells_the_sender_whom_to_ask_and_comes_once_also_late() -> None:
    case = Case.open().told("begun").told("acknowledged", number="N 1", officer="A. Person", call_back="+0")
    (_, told) = case.said
    assert (told.type, told.content) == (
        "answer.acknowledgement",
        {"number": "N 1", "officer": "A. Person", "call_back": "+0"},
    )

    assert rule_of(case.told("acknowledged")) == "once"
    assert not [c for c in case.state["clocks"] if c["clock"].startswith("acknowledge-") and is_running(c)]


def test_a_holder_makes_its_case_more_urgent_and_not_less() -> None:
    case = Case.open(urgency="urgent")

    assert rule_of(case.told("urgency_changed", urgency="normal", reason="said")) == "never-lowered"
    assert case.told("urgency_changed", urgency="emergency", reason="said").state["urgency"] == "emergency"
    lowered = case.told("urgency_changed", "contact-point", role="agency", urgency="normal", reason="said")
    assert lowered.state["urgency"] == "normal"


def test_the_desk_keeps_a_case_as_what_it_really_is() -> None:
    case = Case.open("joint_investigation")

    case.told("triage_decided", authority=DESK, type="police_cooperation", decided_by="P", reason="r")

    assert (case.status, case.state["type"], case.state["authority"]) == ("received", "police_cooperation", DESK)


def test_a_dash_is_no_supplement_and_a_supplement_mends_a_defect() -> None:
    case = Case.open("data_preservation", contents={"facts": "Login from 203.0.113.9"})
    missing = {one["field"] for one in case.state["missing"]}
    assert case.state["defects"]

    case.told("supplement_received", "contact-point", role="agency", contents=dict.fromkeys(missing, "-"))
    assert {one["field"] for one in case.state["missing"]} == missing
    exact = {"facts": "Login from 203.0.113.9:51822 at 2026-03-05T07:14:09Z"}
    case.told("supplement_received", "contact-point", role="agency", contents=exact)
    assert case.state["defects"] == []


def test_a_name_that_the_sender_made_up_is_not_repeated() -> None:
    case = Case.open("data_preservation", contents={"ivan_petrov_mail": "Login from 203.0.113.9"})

    assert "ivan" not in str(case.state)


def test_links_that_an_authority_need_not_know_do_not_come_with_the_next_one() -> None:
    hidden = CaseHead("cas_" + "2" * 32, "data_preservation", SERVICE, "received", "incoming")
    seen = CaseHead("cas_" + "4" * 32, "testimony", SERVICE, "received", "incoming")
    case = Case.open("extradition").hear(LinkedBy(hidden)).hear(LinkedBy(seen))

    (draft,) = case.said
    assert "justice-ministry.cases.v1" in draft.to
    assert hidden.case not in str(draft.data)
    assert len(case.state["links"]) == 2


def test_the_desk_confirms_only_what_was_suggested_to_it() -> None:
    other = "cas_" + "8" * 32
    case = Case.open().told("linked", DESK, other=other, decided_by="P", reason="r")
    assert rule_of(case) == "was-suspected"

    case.hear(SameElsewhere(other, "data_preservation")).told("linked", DESK, other=other, decided_by="P", reason="r")

    assert case.state["links"] == [{"case": other, "type": "data_preservation", "relation": "same"}]
    assert case.state["duplicates"] == []


def test_an_agency_cannot_fill_a_case_so_that_its_holder_has_no_room() -> None:
    case = Case.open()
    for _ in range(MOST_MESSAGES):
        case.told("status_inquired", "contact-point", role="agency")

    with pytest.raises(NeverWill, match="too many messages"):
        case.told("status_inquired", "contact-point", role="agency")
    assert case.told("begun").told("executed").status == "executed"


def test_pointers_of_a_rejected_update_are_sealed() -> None:
    case = Case.open()
    bad = Heard(Update("refused", {}, {}), SERVICE, "authority", errors=(FieldError("/ivan_petrov", "Unknown."),))

    case.hear(bad)

    (draft,) = case.said
    assert "ivan" not in str(draft.data)
    assert draft.content == {"errors": [{"pointer": "/ivan_petrov", "detail": "Unknown."}]}


def test_what_stands_elsewhere_in_the_letter_can_be_supplied_too() -> None:
    case = Case.open("extradition", direction="outgoing", content={"contact": {"authority": "said"}})
    missing = {one["field"] for one in case.state["missing"]}
    assert missing

    case.told("supplement_received", contents=dict.fromkeys(missing, "said"))

    assert case.state["missing"] == []
    assert case.told("dispatched").status == "dispatched"
    (_, carried) = case.said
    assert isinstance(carried.content, dict)
    assert carried.content["contact"]["authority"] == "said"


def test_a_prior_reference_that_is_supplied_is_looked_for() -> None:
    case = Case.open("preservation_extension", contents={"reason": "said", "new_end": "2026-08-01"})
    assert "awaits" not in case.state

    case.told("supplement_received", "contact-point", role="agency", contents={"parent": "FR-J9-1"})

    assert case.state["awaits"] == IDS.reference("FR", "FR-J9-1")


def test_data_are_preserved_and_a_person_arrested_whatever_the_case_waits_for() -> None:
    for case in (Case.open("data_preservation"), Case.open("provisional_arrest")):
        case.told("supplement_requested", words=["offence"])
        fields: dict[str, Any] = (
            {"preserved_from": at()} if case.state["cycle"] == "preservation" else {"arrested_at": at()}
        )
        case.told("preserved" if "preserved_from" in fields else "arrested", **fields)
        assert (case.rejection, case.status) == (None, "returned_for_supplement")
    case.told("consultation_opened", about=["conditions"], text="said")
    assert case.told("documents_received").rejection is None


def test_no_outcome_claims_what_did_not_happen() -> None:
    assert rule_of(Case.open("data_preservation").told("executed", outcome="preserved")) == "borne-out"
    assert rule_of(Case.open("provisional_arrest").told("executed", outcome="arrested")) == "borne-out"
    assert Case.open("data_preservation").told("executed", outcome="not_held").status == "executed"


def test_what_was_held_beyond_its_time_is_asked_for_when_the_follow_up_is_decided() -> None:
    case = preserved().hear(LinkedBy(FOLLOW_UP)).passes(days=120).hear(FollowUpDecided((FOLLOW_UP.case,)))

    assert "next_due" in case.state
    case.passes(days=30)
    assert "release-5-days" in {c["clock"] for c in case.state["clocks"] if "missed_at" in c}


def test_a_wrong_type_is_corrected_where_it_is() -> None:
    case = Case.open("other_mla").held_by(DESK, "triage")
    case.told("triage_decided", authority=DESK, type="joint_investigation", decided_by="P", reason="r")
    assert (case.status, case.state["type"]) == ("received", "joint_investigation")

    case.told("acknowledged").told("begun")
    case.passes(days=20)
    assert not [c for c in case.state["clocks"] if "missed_at" in c and c["clock"].startswith("acknowledge")]


def test_without_a_treaty_the_desk_may_choose_but_never_who_must_not_know() -> None:
    case = Case.open("testimony", content={"treaty_basis": ["unknown-treaty"]})
    assert case.state["authority"] == DESK

    case.told("triage_decided", authority=MINISTRY, decided_by="P", reason="r")

    never = rules().law.authorities[MINISTRY].never
    assert never is not None
    assert rule_of(case) == ("right-authority" if "testimony" in never.types else None)


def test_what_the_other_state_said_goes_along_to_the_next_authority() -> None:
    case = Case.open("joint_investigation").told("consented", "contact-point", role="agency", text="said")
    case.told("triage_decided", authority=SERVICE, decided_by="P", reason="r")

    assert set(case.state["did"]) >= {"consented"}


def test_a_wait_for_the_sender_ends_with_a_move() -> None:
    case = Case.open("joint_investigation", contents={}).told("supplement_requested").passes(days=1)
    case.told("triage_decided", authority=SERVICE, decided_by="P", reason="r").passes(days=20)

    assert elapsed(case.state, case.now) == (21 * 86400, 20 * 86400)


def test_a_request_can_be_kept_at_home_with_reasons() -> None:
    case = Case.open("extradition", direction="outgoing").told("not_sent", reasons="said")

    assert (case.status, case.types) == ("refused", ["case.not_sent", "answer.refusal"])


def test_the_rest_of_what_is_suspected_is_never_told_with_a_link() -> None:
    one, other = "cas_" + "8" * 32, "cas_" + "9" * 32
    case = Case.open().hear(SameElsewhere(one, "data_preservation")).hear(SameElsewhere(other, "extradition"))

    case.told("linked", DESK, other=one, decided_by="P", reason="r")

    assert other not in str([draft.data for draft in case.said])
    assert case.state["duplicates"] == [{"case": other, "type": "extradition"}]


def test_the_desk_sees_what_is_suspected_and_the_holder_does_not() -> None:
    case = Case.open().hear(SameElsewhere("cas_" + "8" * 32, "data_preservation"))

    seen = {who: view(case.record.id, case.state, who, START, rules()).duplicates for who in (DESK, SERVICE)}

    assert seen == {DESK: [{"case": "cas_" + "8" * 32, "type": "data_preservation"}], SERVICE: []}


# Abroad and back


def test_what_comes_back_from_abroad_can_be_said_and_a_withdrawal_goes_there() -> None:
    case = Case.open("extradition", direction="outgoing").told("dispatched")
    case.told("transmitted", "foreign-ministry", role="gateway")

    case.told("asked_abroad", "foreign-ministry", role="gateway", text="said")
    assert case.status == "returned_for_supplement"
    case.told("supplement_received", contents={"facts": "more"}).told("dispatched")
    case.told("withdrawn", "contact-point", role="agency")

    assert case.types == ["case.withdrawn", "answer.outgoing"]
    assert Case.open("extradition", direction="outgoing").told("dispatched").told(
        "refused_abroad", reasons="said"
    ).types == ["case.refused_abroad", "answer.refusal"]


# Clocks: three kinds, never one for another


def test_our_own_targets_begin_anew_for_another_authority_and_the_laws_go_on() -> None:
    case = Case.open(content={"requested_deadline": {"at": at(days=30), "reason": "said"}}).passes(hours=2)
    before = {c["clock"]: c for c in case.state["clocks"]}

    case.told("misdirected", reason="said")

    after = {c["clock"]: c for c in case.state["clocks"] if "stopped_at" not in c}
    assert all(c["started_at"] == at(hours=2) for c in after.values() if c["kind"] == "policy")
    requested = [name for name, c in before.items() if c["kind"] == "requested"]
    assert requested
    assert all(after[name] == before[name] for name in requested)


def test_a_change_of_urgency_changes_our_targets_and_never_the_lane() -> None:
    case = Case.open().passes(minutes=10)
    lane = case.state["lane"]
    names = {c["clock"] for c in case.state["clocks"]}

    case.told("urgency_changed", "contact-point", role="agency", urgency="emergency", reason="said")

    running = {c["clock"] for c in case.state["clocks"] if "stopped_at" not in c}
    assert running != names
    assert case.state["lane"] == lane


def test_a_clock_rings_each_step_once_and_not_after_it_was_stopped() -> None:
    case = Case.open()
    clock = next(c for c in case.state["clocks"] if c["kind"] == "policy")
    tick = Tick(clock["clock"], clock["steps"][-1][0])
    case.now = START + timedelta(days=60)

    assert case.hear(tick).types == ["case.clock_missed"]
    assert case.hear(tick).said == ()


def test_there_and_back_stops_no_clock_of_ours() -> None:
    case = Case.open(urgency="emergency")
    before = {c["clock"] for c in case.state["clocks"] if is_running(c)}

    for urgency in ("normal", "emergency"):
        case.told("urgency_changed", "contact-point", role="agency", urgency=urgency, reason="said")

    assert {c["clock"] for c in case.state["clocks"] if is_running(c)} == before


def test_asking_again_moves_no_deadline() -> None:
    case = Case.open().told("status_inquired", "contact-point", role="agency")
    due = [c["due"] for c in case.state["clocks"] if c["clock"] == "answer-inquiry"]

    case.passes(days=1).told("status_inquired", "contact-point", role="agency")

    assert [c["due"] for c in case.state["clocks"] if c["clock"] == "answer-inquiry"] == due


def test_a_deadline_that_was_missed_is_not_missed_again_by_another_authority() -> None:
    case = Case.open(content={"requested_deadline": {"at": at(days=1), "reason": "said"}}).passes(days=2)
    missed = [c for c in case.state["clocks"] if c["kind"] == "requested"]
    assert "missed_at" in missed[0]

    case.told("misdirected", reason="said")

    assert [c for c in case.state["clocks"] if c["kind"] == "requested"] == missed


def test_an_unanswered_inquiry_goes_along_to_the_next_authority() -> None:
    case = Case.open().told("status_inquired", "contact-point", role="agency").told("misdirected", reason="said")

    assert [c["clock"] for c in case.state["clocks"] if c["clock"] == "answer-inquiry" and is_running(c)]


def test_safe_conduct_runs_on_after_the_result_and_is_not_counted_twice() -> None:
    case = Case.open("testimony").told("begun").told("executed").told("dismissed", told_at=at())

    assert [c["clock"] for c in case.state["clocks"] if is_running(c)] == ["safe-conduct-15-days"]
    assert rule_of(case.told("dismissed", told_at=at())) == "once"


def test_time_in_which_the_sender_was_asked_is_shown_apart() -> None:
    case = Case.open("data_preservation", contents={"facts": "said"}).passes(days=1).told("supplement_requested")
    case.passes(days=3).told("supplement_received", "contact-point", role="agency", contents={"necessity": "said"})
    case.passes(days=1)

    assert elapsed(case.state, case.now) == (5 * 86400, 2 * 86400)
