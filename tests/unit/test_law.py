"""What the law file answers: its worked cases, the legal basis, lanes and days."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from cli.law.worked_cases import Ran, run_cases
from shared import clocks
from shared.failures import NeverWill
from shared.law import NOT_CHECKED, ClockRule, Law, load_law
from shared.life_cycle import BESIDE_UPDATES
from shared.times import read
from shared.vocabulary import Direction, Lane, Urgency
from shared.yaml_file import read_yaml

LAWS = Path(__file__).parents[2] / "laws"
AZERBAIJAN = LAWS / "azerbaijan.yaml"
IN_FORCE = LAWS / "assumptions" / "in-force.yaml"
DAY = date(2026, 3, 10)


@cache
def law(*assumptions: str) -> Law:
    return load_law(AZERBAIJAN, [LAWS / "assumptions" / f"{name}.yaml" for name in assumptions])


@cache
def ran() -> Mapping[str, Ran]:
    return {one.case.case: one for one in run_cases(AZERBAIJAN)}


@pytest.mark.parametrize("name", ran())
def test_a_worked_case_is_answered_as_its_writer_says(name: str) -> None:
    assert dict(ran()[name].wrong) == {}


def test_the_worked_cases_hit_every_row() -> None:
    hit = {one.answer.rule for one in ran().values()}

    rows = {
        f"{code}/{direction}/{row.since}"
        for code, request_type in law().request_types.items()
        for direction in Direction
        for row in request_type.rows(direction)
    }
    assert rows - hit == set()


def test_the_worked_cases_name_every_clock() -> None:
    named = {clock for one in ran().values() for clock in one.case.expect.clocks or ()}

    assert law().text.clocks.keys() - named == set()


def test_the_desk_is_no_authority_of_the_law() -> None:
    assert set(law().authorities) == {"security-service", "justice-ministry"}


def test_a_day_begins_at_midnight_in_the_zone_of_the_law() -> None:
    assert law().day_of(datetime(2026, 2, 22, 19, 59, 59, tzinfo=UTC)) == date(2026, 2, 22)
    assert law().day_of(datetime(2026, 2, 22, 20, 0, tzinfo=UTC)) == date(2026, 2, 23)


def test_a_moment_without_a_zone_falls_on_no_certain_day() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        law().day_of(datetime(2026, 2, 22))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("type", "urgency", "lane"),
    [
        ("data_preservation", Urgency.NORMAL, Lane.URGENT),
        ("emergency_data", Urgency.NORMAL, Lane.URGENT),
        ("provisional_arrest", Urgency.NORMAL, Lane.URGENT),
        ("extradition", Urgency.NORMAL, Lane.NORMAL),
        ("extradition", Urgency.URGENT, Lane.URGENT),
        ("testimony", Urgency.EMERGENCY, Lane.URGENT),
    ],
)
def test_the_lane_follows_from_type_and_urgency(type: str, urgency: Urgency, lane: Lane) -> None:
    assert law().lane(type, urgency, DAY) is lane
    assert law().lane(type, urgency, date(2020, 1, 1)) is lane


def test_without_a_party_the_legal_basis_changes_nothing() -> None:
    decided = law().decide("data_preservation", Direction.INCOMING, DAY)

    assert (decided.authority, decided.gate, decided.assumptions) == ("security-service", NOT_CHECKED, ())


def test_a_letter_without_legal_basis_goes_to_the_desk_with_the_reason_and_the_hint() -> None:
    decided = law("in-force").decide("realtime_traffic_data", Direction.INCOMING, DAY, party="GE")

    assert (decided.authority, decided.lean) == ("desk", "security-service")
    assert decided.gate == "no basis: GE is not recorded as a party to uncc"
    assert decided.because.startswith("No legal basis is known between AZ and GE on 2026-03-10: ")
    assert "cpc 488.1" in decided.basis


def test_a_cited_basis_that_the_law_file_does_not_have_is_not_repeated() -> None:
    decided = law().decide("extradition", Direction.INCOMING, DAY, party="FR", treaty_basis=["Mr. Example"])

    assert "Example" not in decided.because + decided.gate


def test_the_rows_that_did_not_match_are_told_with_their_reason() -> None:
    decided = law().decide("extradition", Direction.INCOMING, date(2026, 2, 22))

    assert [(row.rule, row.why) for row in decided.rejected] == [
        ("extradition/incoming/2026-02-23", "it holds from 2026-02-23 only"),
        ("extradition/outgoing/2026-02-23", "it is for outgoing letters"),
    ]
    assert decided.rule == "extradition/incoming/before-2026-02-23"


def test_the_same_question_is_answered_by_the_same_object() -> None:
    first = law().decide("extradition", Direction.INCOMING, DAY, party="FR", treaty_basis=["ece"])

    assert law().decide("extradition", Direction.INCOMING, DAY, party="FR", treaty_basis=("ece",)) is first


def test_what_is_asked_and_what_runs_is_remembered_too() -> None:
    asked = law().required("extradition", DAY)
    runs = clocks_of("extradition")

    assert law().required("extradition", DAY) is asked
    assert clocks_of("extradition") is runs


def test_a_type_that_the_law_does_not_have_can_never_be_decided() -> None:
    with pytest.raises(NeverWill, match="does not have"):
        law().decide("no_such_type", Direction.INCOMING, DAY)


def test_the_digest_is_that_of_the_bytes_in_order() -> None:
    text, assumed = AZERBAIJAN.read_bytes(), IN_FORCE.read_bytes()

    assert law().sha256 == hashlib.sha256(text).hexdigest()
    assert law("in-force").sha256 == hashlib.sha256(text + assumed).hexdigest()


def test_a_treaty_of_unknown_force_and_an_old_check_are_warnings() -> None:
    assert list(law().warnings(date(2026, 11, 24))) == ["it is not recorded when 'uncc' enters into force for AZ"]
    assert "the source 'ece' was last checked on 2026-11-24" in law().warnings(date(2028, 1, 1))
    assert list(law("in-force").warnings(date(2026, 11, 24))) == []


def test_the_end_of_the_recorded_holidays_is_told_in_time() -> None:
    told = "the holidays are recorded until 2027-12-31 only"

    assert told not in law().warnings(date(2027, 10, 2))
    assert told in law().warnings(date(2027, 10, 3))


def clocks_of(type: str, direction: Direction = Direction.INCOMING, treaty: str = "uncc") -> tuple[ClockRule, ...]:
    return law().clocks_for(type, direction, Urgency.NORMAL, treaty, DAY)


def clock(name: str, type: str, direction: Direction = Direction.INCOMING, treaty: str = "uncc") -> ClockRule:
    return next(rule for rule in clocks_of(type, direction, treaty) if rule.name == name)


def test_a_preservation_is_warned_of_after_53_days_and_lapses_after_60() -> None:
    rule = clock("kept-60-days", "data_preservation")

    kept = clocks.started(rule, datetime(2026, 3, 10, 9, 30, tzinfo=UTC), law().calendar)

    ends = [read(at).astimezone(law().zone).strftime("%Y-%m-%d %H:%M") for at, _ in kept["steps"]]
    # The 60th day after 10 March is 9 May; 30, 14 and 7 days before its end, then the day before.
    assert ends == ["2026-04-10 00:00", "2026-04-26 00:00", "2026-05-03 00:00", "2026-05-09 00:00", "2026-05-10 00:00"]
    assert rule.span.at_end == "lapse"


def test_a_preservation_with_a_later_end_runs_until_then() -> None:
    rule = clock("kept-60-days", "data_preservation")
    until = datetime(2026, 6, 30, 20, 0, tzinfo=UTC)

    kept = clocks.started(rule, datetime(2026, 3, 10, 9, 30, tzinfo=UTC), law().calendar, ends=until)

    assert read(kept["due"]) == until


@pytest.mark.parametrize(("name", "last_day"), [("arrest-18-days", "2026-05-19"), ("arrest-40-days", "2026-06-10")])
def test_an_arrest_on_the_european_convention_has_its_two_limits(name: str, last_day: str) -> None:
    rule = clock(name, "provisional_arrest", treaty="ece")

    due = read(clocks.started(rule, datetime(2026, 5, 1, 12, 0, tzinfo=UTC), law().calendar)["due"])

    assert (due - timedelta(seconds=1)).astimezone(law().zone).date().isoformat() == last_day
    assert set(rule.span.stops) == {"documents_received", "released"}


def test_a_request_that_is_not_acknowledged_abroad_is_followed_up_after_ten_working_days() -> None:
    rule = clock("follow-up-abroad", "extradition", Direction.OUTGOING, "cis")

    # S12 is sent on Monday 11 May 2026, which is a day off; the tenth working day after it is Monday the 25th.
    due = read(clocks.started(rule, datetime(2026, 5, 11, 12, 0, tzinfo=UTC), law().calendar)["due"])

    assert due.astimezone(law().zone).isoformat() == "2026-05-26T00:00:00+04:00"
    assert rule.span.stops == ("acknowledged_abroad",)


@pytest.mark.parametrize("day", ["2026-03-20", "2026-03-24", "2026-05-28", "2026-05-23", "2026-05-24", "2027-01-01"])
def test_nobody_is_expected_at_work_on_holidays_and_at_the_weekend(day: str) -> None:
    assert not law().calendar.is_working(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2026-03-19", "2026-03-31", "2026-05-25", "2027-01-05"])
def test_other_days_are_working_days(day: str) -> None:
    assert law().calendar.is_working(date.fromisoformat(day))


def test_only_what_the_law_or_a_treaty_says_is_called_statutory() -> None:
    kinds = {name: clock.kind for name, clock in law().text.clocks.items()}

    assert {name for name, kind in kinds.items() if kind == "statutory"} == {
        "kept-60-days",
        "safe-conduct-15-days",
        "arrest-18-days",
        "arrest-40-days",
        "order-valid",
    }
    assert [name for name, kind in kinds.items() if kind == "requested"] == ["requested-deadline"]


def test_the_clocks_start_and_stop_with_updates_of_the_life_cycle() -> None:
    tree = read_yaml(LAWS.parent / "life-cycle.yaml").tree
    assert isinstance(tree, dict)
    updates = tree["updates"]
    assert isinstance(updates, dict)

    for text in law().text.clocks.values():
        for span in text.versions:
            assert {span.starts, *span.stops} <= {*BESIDE_UPDATES, *updates}


def test_missing_facts_never_make_service_of_documents_incomplete() -> None:
    words = {one.word for one in law().required("service_of_documents", DAY)}

    assert "facts" not in words
    assert "facts" in {one.word for one in law().required("testimony", DAY)}


def test_only_a_judgment_makes_a_warrant_unnecessary() -> None:
    needs = {one.word: one.unless for one in law().required("extradition", DAY)}

    assert {word: unless for word, unless in needs.items() if unless} == {"arrest_warrant": "final_judgment"}


@pytest.mark.parametrize("type", ["data_preservation", "preservation_extension", "preserved_traffic_disclosure"])
def test_what_concerns_preservation_is_refused_on_three_grounds_only(type: str) -> None:
    bases = {ground.basis for ground in law().grounds(type).values()}

    assert bases == {("uncc 40(21)(b)",), ("uncc 40(21)(c)",), ("uncc 40(22)",)}
    assert all(ground.alone for ground in law().grounds(type).values())


def test_fiscal_matters_and_bank_secrecy_never_stand_alone() -> None:
    dependent = {code for code, ground in law().text.refusal_grounds.items() if not ground.alone}

    assert dependent == {"fiscal_matter", "bank_secrecy", "extradition_fiscal_matter"}


def test_every_type_says_how_it_ends_and_only_unasked_information_has_no_refusal() -> None:
    assert all(law().outcomes(type) for type in law().request_types)
    assert [type for type in law().request_types if not law().grounds(type)] == ["spontaneous_information"]


def test_data_measures_are_never_for_the_ministry_nor_extradition_for_the_service() -> None:
    assert not law().may_hold("justice-ministry", "stored_data_access")
    assert not law().may_hold("security-service", "extradition")
    assert law().may_hold("security-service", "stored_data_access")
    assert law().may_hold("desk", "extradition")


def test_the_law_itself_names_somebody_only_from_its_first_day_on() -> None:
    named = law().named

    assert named("data_preservation", Direction.INCOMING, date(2026, 2, 23)) == "security-service"
    assert named("data_preservation", Direction.INCOMING, date(2026, 2, 22)) is None
    assert named("data_preservation", Direction.OUTGOING, DAY) is None
    assert named("preservation_extension", Direction.INCOMING, DAY) is None


def test_a_follow_up_holds_the_preservation_that_it_follows() -> None:
    holding = {type for type, text in law().request_types.items() if text.holds_parent}
    asking = {type for type, text in law().request_types.items() if "assistance" in text.field_sets}

    assert holding == asking
    assert {"stored_data_access", "subscriber_information", "search_seizure", "records_copies"} < holding
    assert all(law().request_types[type].follows == ("data_preservation",) for type in holding)


def test_some_types_have_a_cycle_of_their_own() -> None:
    cycles = {type: text.cycle for type, text in law().request_types.items() if text.cycle}

    appear = ("testimony", "voluntary_appearance", "detained_witness_transfer")
    assert cycles == {
        "data_preservation": "preservation",
        "provisional_arrest": "arrest",
        **dict.fromkeys(appear, "appearance"),
    }
