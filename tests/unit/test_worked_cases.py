"""Worked cases: what they compare, what they refuse, and what they leave untouched."""

from pathlib import Path

import pytest

from cli.law.coverage import coverage
from cli.law.worked_cases import cases_file, run_cases
from shared.failures import BadStart
from shared.law import load_law
from tests.unit.utopia import Replace, with_cases

LAWS = Path(__file__).parents[2] / "laws"
LAW_FILES = sorted(path for path in LAWS.glob("*.yaml") if not path.name.endswith(".cases.yaml"))


@pytest.mark.parametrize("path", LAW_FILES, ids=lambda path: path.stem)
def test_every_law_file_answers_its_cases_and_leaves_no_row_untouched(path: Path) -> None:
    ran = run_cases(path)

    assert [(one.case.case, one.wrong) for one in ran if not one.passed] == []
    assert list(coverage(load_law(path), ran).sentences()) == []


def test_the_small_law_passes(tmp_path: Path) -> None:
    path = with_cases(tmp_path)

    assert [one.wrong for one in run_cases(path)] == [{}] * 5
    assert coverage(load_law(path), run_cases(path)).whole


WRONG = {
    "authority": (("expect: {to: police, certainty", "expect: {to: nobody, certainty"), {"to": ("nobody", "police")}),
    "certainty": (("certainty: press", "certainty: verified"), {"certainty": ("verified", "press")}),
    "lane": (("lane: urgent", "lane: normal"), {"lane": ("normal", "urgent")}),
    "what is asked for": (('ask_for: ["uncc 42"]', "ask_for: []"), {"ask_for": ((), ("uncc 42",))}),
    "clocks": (("clocks: [kept]", "clocks: []"), {"clocks": ((), ("kept",))}),
    "treaty": (("treaty: uncc", "treaty: pact"), {"treaty": ("pact", "uncc")}),
    "lean": (("to: nobody, lean: police", "to: nobody, lean: court"), {"lean": ("court", "police")}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_expectation_is_told_with_what_came(what: str, tmp_path: Path) -> None:
    change, wrong = WRONG[what]

    failed = [one.wrong for one in run_cases(with_cases(tmp_path, change)) if not one.passed]

    assert failed == [wrong]


WITH_GROUNDS = (
    (
        "request_types:\n",
        "refusal_grounds: {security: {says: s, basis: [statute]}, other: {says: o, basis: [statute]},\n"
        "  fiscal: {says: f, basis: [statute], alone: false}}\n"
        "ground_sets: {ours: [security, fiscal], others: [other]}\nrequest_types:\n",
    ),
    ("    clocks: [kept]\n", "    clocks: [kept]\n    grounds: [ours]\n"),
)


@pytest.mark.parametrize(
    ("grounds", "refusal"),
    [("[security]", "allowed"), ("[security, fiscal]", "allowed"), ("[fiscal]", "forbidden"), ("[other]", "forbidden")],
)
def test_a_refusal_needs_an_allowed_ground_that_stands_alone(grounds: str, refusal: str, tmp_path: Path) -> None:
    path = with_cases(
        tmp_path,
        (
            "received: 2026-03-01}\n  expect: {",
            f"received: 2026-03-01, grounds: {grounds}}}\n  expect: {{refusal: {refusal}, ",
        ),
        law=WITH_GROUNDS,
    )

    assert [one.wrong for one in run_cases(path)] == [{}] * 5


REFUSED: dict[str, tuple[Replace, str]] = {
    "an unknown type": (
        ("type: data_preservation", "type: data_preservatio"),
        ":2: there is no request type 'data_preservatio'; did you mean 'data_preservation'?",
    ),
    "an unknown authority": (
        ("expect: {to: police", "expect: {to: polise"),
        ":6: there is no authority 'polise'; did you mean 'police'?",
    ),
    "an unknown clock": (("[kept]", "[kep]"), ":6: there is no clock 'kep'; did you mean 'kept'?"),
    "a word that nobody asks for": (
        ("[necessity]", "[necesity]"),
        ":5: data_preservation is not asked for 'necesity' on 2026-01-01; did you mean 'necessity'?",
    ),
    "an assumption without a file": (("[friends]", "[foes]"), ":8: there is no file of assumptions 'foes'"),
    "an unknown key": (
        ("received: 2025", "recieved: 2025"),
        ":2: 'recieved' is not a key here; did you mean 'received'?",
    ),
    "an impossible day": (("2025-12-31", "2025-12-32"), ":2: '2025-12-32' is no day of the calendar"),
    "a name that stands twice": (
        ("case: Abroad", "case: The day of the repeal"),
        ":13: another case is called 'The day of the repeal' too",
    ),
    "a refusal without grounds": (
        ("to: nobody, lean", "to: nobody, refusal: allowed, lean"),
        ":12: a refusal needs its grounds (given: grounds)",
    ),
    "an unknown ground": (
        ("direction: outgoing", "grounds: [security], direction: outgoing"),
        ":14: there is no ground of refusal 'security'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_case_with_a_misspelt_word_is_refused_rather_than_failed(what: str, tmp_path: Path) -> None:
    change, sentence = REFUSED[what]

    with pytest.raises(BadStart) as refusal:
        run_cases(with_cases(tmp_path, change))

    assert str(refusal.value).startswith(f"{tmp_path / 'utopia.cases.yaml'}{sentence}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ":1: the file is empty"),
        ("# nothing but a remark\n", ":1: the file is empty"),
        ("[]\n", ":1: there is no worked case in it"),
        ("case: x\n", ":1: worked cases are a list, each with case, given and expect"),
        ("- x\n", ":1: 'cases' must be a table of keys and values"),
    ],
)
def test_an_empty_or_shapeless_file_of_cases_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = with_cases(tmp_path)
    cases_file(path).write_text(text)

    with pytest.raises(BadStart) as refusal:
        run_cases(path)

    assert str(refusal.value) == f"{cases_file(path)}{sentence}"


def test_a_missing_file_of_cases_is_refused(tmp_path: Path) -> None:
    path = with_cases(tmp_path)
    cases_file(path).unlink()

    with pytest.raises(BadStart, match=r"utopia\.cases\.yaml: there is no such file"):
        run_cases(path)


UNTOUCHED: dict[str, tuple[Replace, list[str]]] = {
    "a row": (
        ("direction: outgoing, received: 2026-03-01", "direction: incoming, received: 2026-03-01"),
        ["no worked case is answered by the row data_preservation/outgoing/2026-01-01"],
    ),
    "the first day of a row": (
        ("received: 2027-01-01", "received: 2027-01-02"),
        ["something changes on 2027-01-01, and no worked case was received on that day"],
    ),
    "the day before the first": (
        ("received: 2025-12-31", "received: 2025-12-30"),
        ["something changes on 2026-01-01, and no worked case was received on the day before"],
    ),
    "the day before a change": (
        ("received: 2026-12-31", "received: 2026-12-30"),
        ["something changes on 2027-01-01, and no worked case was received on the day before"],
    ),
}


@pytest.mark.parametrize("what", UNTOUCHED)
def test_what_no_case_touches_is_named(what: str, tmp_path: Path) -> None:
    change, sentences = UNTOUCHED[what]
    path = with_cases(tmp_path, change)

    assert list(coverage(load_law(path), run_cases(path)).sentences()) == sentences
