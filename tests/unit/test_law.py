"""What the law file answers: its worked cases, the legal basis, lanes and days."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest
from pydantic import Field

from shared.failures import NeverWill
from shared.law import NOT_CHECKED, Competence, Law, load_law
from shared.vocabulary import Direction, Lane, Urgency
from shared.yaml_file import Day, Strict, read_yaml

LAWS = Path(__file__).parents[2] / "laws"
AZERBAIJAN = LAWS / "azerbaijan.yaml"
IN_FORCE = LAWS / "assumptions" / "in-force.yaml"
DAY = date(2026, 3, 10)


class Given(Strict):
    """What a worked case asks."""

    type: str
    direction: Direction
    received: Day
    party: str | None = None
    treaty_basis: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()


class Expect(Strict):
    """What it must be answered."""

    to: str
    certainty: str | None = None
    gate: str | None = None
    lean: str | None = None


class Case(Strict):
    """A worked case."""

    case: str
    given: Given
    expect: Expect


class Cases(Strict):
    """The list under a name, as the schema reads tables."""

    cases: tuple[Case, ...] = Field(min_length=1)


@cache
def law(*assumptions: str) -> Law:
    return load_law(AZERBAIJAN, [LAWS / "assumptions" / f"{name}.yaml" for name in assumptions])


@cache
def worked_cases() -> Mapping[str, Case]:
    tree = read_yaml(LAWS / "azerbaijan.cases.yaml").tree
    return {case.case: case for case in Cases.model_validate({"cases": tree}).cases}


def answer(case: Case) -> Competence:
    given = case.given
    return law(*given.assume).decide(
        given.type, given.direction, given.received, party=given.party, treaty_basis=given.treaty_basis
    )


@pytest.mark.parametrize("name", worked_cases())
def test_a_worked_case_is_answered_as_its_writer_says(name: str) -> None:
    case = worked_cases()[name]

    decided = answer(case)

    assert decided.authority == ("desk" if case.expect.to == "nobody" else case.expect.to)
    for field in ("certainty", "gate", "lean"):
        if (expected := getattr(case.expect, field)) is not None:
            assert getattr(decided, field) == expected


def test_the_worked_cases_hit_every_row() -> None:
    hit = {answer(case).rule for case in worked_cases().values()}

    rows = {
        f"{code}/{direction}/{row.since}"
        for code, request_type in law().request_types.items()
        for direction in Direction
        for row in request_type.rows(direction)
    }
    assert rows - hit == set()


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
