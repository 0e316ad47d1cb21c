"""Which case follows which, and which were asked twice: told from references, letters and types alone."""

from typing import Any

from services.router.domain.linking import CaseHead, SameElsewhere
from services.router.linking import head_of, parent_of, same_elsewhere


def case(name: str, letter: str, kind: str = "data_preservation", at: str = "1", *refs: str) -> dict[str, Any]:
    state = {
        "type": kind,
        "authority": "security-service",
        "status": "received",
        "direction": "incoming",
        "received_at": at,
        "refs": list(refs) or ["ref_1"],
    }
    return {"_id": name, "context": {"letterid": letter}, "state": state}


CHILD = case("cas_9", "let_9", "stored_data_access", "9", "ref_9")


def test_a_case_follows_one_of_a_type_that_its_own_can_follow() -> None:
    others = [case("cas_1", "let_1", "extradition"), case("cas_2", "let_1", "data_preservation")]

    found = parent_of(CHILD, others, ["data_preservation"])

    assert found is others[1]


def test_where_none_is_of_such_a_type_it_follows_whatever_its_reference_names() -> None:
    others = [case("cas_1", "let_1", "extradition")]

    assert parent_of(CHILD, others, ["data_preservation"]) is others[0]
    assert parent_of(CHILD, others, []) is others[0]
    assert parent_of(CHILD, [], ["data_preservation"]) is None


def test_it_never_follows_a_case_of_its_own_letter() -> None:
    assert parent_of(CHILD, [case("cas_8", "let_9")], []) is None


def test_of_several_it_follows_the_type_that_the_law_names_first_and_then_the_one_that_came_first() -> None:
    others = [
        case("cas_1", "let_1", "b", "3"),
        case("cas_2", "let_2", "a", "2"),
        case("cas_3", "let_3", "a", "1"),
    ]

    for order in (others, others[::-1]):
        assert parent_of(CHILD, order, ["a", "b"]) is others[2]


def test_what_one_case_may_know_of_another_is_its_head() -> None:
    kept = case("cas_1", "let_1")
    kept["state"]["preservation"] = {"phase": "preserved"}

    assert head_of(kept) == CaseHead(
        "cas_1", "data_preservation", "security-service", "received", "incoming", "preserved", "1"
    )
    assert head_of(CHILD).phase is None


# The same reference elsewhere


def told(*cases: dict[str, Any], opened: int = -1) -> list[tuple[str, SameElsewhere]]:
    return [(m.record, m.body) for m in same_elsewhere([cases[opened]], cases)]


def test_the_newer_of_two_cases_hears_of_the_older_whichever_was_opened_last() -> None:
    older, newer = case("cas_1", "let_1", at="1"), case("cas_2", "let_2", at="2")

    assert told(older, newer) == [("cas_2", SameElsewhere("cas_1", "data_preservation"))]
    assert told(older, newer, opened=0) == [("cas_2", SameElsewhere("cas_1", "data_preservation"))]


def test_measures_of_one_letter_are_no_duplicates() -> None:
    assert told(case("cas_1", "let_1"), case("cas_2", "let_1")) == []


def test_a_number_given_later_is_no_reference_of_its_own() -> None:
    assert told(case("cas_1", "let_1", "x", "1", "ref_0", "ref_1"), case("cas_2", "let_2", "x", "2", "ref_1")) == []


def test_it_hears_of_the_case_that_asks_for_the_same_and_of_one_per_letter() -> None:
    cases = [
        case("cas_1", "let_1", "extradition", "1"),
        case("cas_2", "let_1", "data_preservation", "1"),
        case("cas_3", "let_2", "extradition", "2"),
        case("cas_4", "let_3", "data_preservation", "3"),
    ]

    assert sorted(told(*cases), key=lambda one: one[1].other) == [
        ("cas_4", SameElsewhere("cas_2", "data_preservation")),
        ("cas_4", SameElsewhere("cas_3", "extradition")),
    ]
    causes = {message.cause for message in same_elsewhere([cases[3]], cases)}
    assert causes == {"same/cas_2", "same/cas_3"}
