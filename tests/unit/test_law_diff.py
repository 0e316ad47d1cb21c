"""What two law files answer differently: sentences over ranges of days, never lines of text."""

from datetime import date
from pathlib import Path

import pytest

from cli.law.days import Range, ranges
from cli.law.diff import Difference, diff
from cli.law.replay import letters_in, replay
from shared.failures import BadStart
from shared.law import Law, load_law
from tests.unit.utopia import Replace, utopia

ROOT = Path(__file__).parents[2]
AZERBAIJAN = ROOT / "laws" / "azerbaijan.yaml"
IN_FORCE = ROOT / "laws" / "assumptions" / "in-force.yaml"

TYPE = "data_preservation"
POLICE = '      - {from: 2026-01-01, to: police, basis: [statute 1, "uncc 42"]}\n'
REPEAL = "      - {from: 2027-01-01, to: nobody, because: It was repealed., lean: police, basis: [statute 2]}\n"
NECESSITY = "necessity: {says: why, from: 2026-01-01, basis: [uncc 42]}"
SPAN = (
    "{from: 2026-01-01, starts: preserved, lasts: 60 days, counted: calendar, rounding: to the second, basis: [uncc]}"
)


def difference(folder: Path, *changes: Replace, before: tuple[Replace, ...] = ()) -> Difference:
    old = load_law(utopia(folder, *before, name="old"))
    return diff(old, load_law(utopia(folder, *before, *changes, name="new")))


def said(folder: Path, *changes: Replace, before: tuple[Replace, ...] = ()) -> list[str]:
    return [str(change) for change in difference(folder, *changes, before=before).changes]


def test_the_same_law_answers_the_same(tmp_path: Path) -> None:
    found = difference(tmp_path)

    assert (found.changes, found.wording, found.differs) == ((), 0, False)


def test_remarks_and_layout_are_no_answers(tmp_path: Path) -> None:
    assert said(tmp_path, ("zone: Asia/Baku", "zone:    'Asia/Baku'    # whose midnight begins a day")) == []


def test_words_for_people_are_counted_and_change_no_answer(tmp_path: Path) -> None:
    found = difference(
        tmp_path, ("says: Kept.", "says: Kept well."), ("It was repealed.", "Repealed."), ("Police}", "P}")
    )

    assert (found.changes, found.wording) == ((), 3)


def test_a_new_row_before_others_makes_no_wording_of_them(tmp_path: Path) -> None:
    row = "{from: 2026-01-01, to: nobody, because: Not said., basis: [statute]}"

    assert difference(tmp_path, (row, f"{row.replace('2026', '2025')}, {row}")).wording == 0


SENTENCES: dict[str, tuple[tuple[Replace, ...], list[str]]] = {
    "another authority from a day on": (
        ((REPEAL, REPEAL.replace("to: nobody, because: It was repealed., lean: police", "to: police")),),
        [f"From 2027-01-01 incoming {TYPE}: nobody -> police (statute 2, press). Lean: police -> none."],
    ),
    "a repeal that comes earlier": (
        ((REPEAL, REPEAL.replace("2027-01-01", "2026-07-01")),),
        [
            f"From 2026-07-01 through 2026-12-31 incoming {TYPE}: police -> nobody (statute 2, press). "
            "Lean: none -> police.",
        ],
    ),
    "a repeal that is gone": (
        ((REPEAL, ""),),
        [f"From 2027-01-01 incoming {TYPE}: nobody -> police (statute 1, uncc 42, press). Lean: police -> none."],
    ),
    "a law that began earlier": (
        ((POLICE, POLICE.replace("2026-01-01", "2025-12-31")),),
        [f"On 2025-12-31 only incoming {TYPE}: nobody -> police (statute 1, uncc 42, press)."],
    ),
    "another basis": (
        (("[statute 2]", "[statute 3]"),),
        [f"From 2027-01-01 incoming {TYPE}: Basis: statute 2 -> statute 3."],
    ),
    "less certain": (
        ((", lean: police, basis", ", lean: police, certainty: inference, basis"),),
        [f"From 2027-01-01 incoming {TYPE}: Certainty: press -> inference."],
    ),
    "a word no longer required": (
        ((NECESSITY, NECESSITY.replace("2026-01-01", "2026-01-01, through: 2026-12-31")),),
        [f"From 2027-01-01 incoming and outgoing {TYPE}: No longer required: necessity."],
    ),
    "a word newly required": (
        ((NECESSITY, f"{NECESSITY}, offence: {{says: which, from: 2026-06-01, basis: [statute 9]}}"),),
        [f"From 2026-06-01 incoming and outgoing {TYPE}: Newly required: offence (statute 9)."],
    ),
    "a word only where it applies": (
        ((NECESSITY, NECESSITY.replace("[uncc 42]", "[uncc 42], need: where applicable")),),
        [
            f"From 2026-01-01 incoming and outgoing {TYPE}: "
            "Required otherwise necessity: (uncc 42) -> where applicable (uncc 42)."
        ],
    ),
    "a longer clock from a day on": (
        ((SPAN, f"{SPAN}\n      - {SPAN.replace('2026-01-01', '2026-09-01').replace('60 days', '90 days')}"),),
        [
            f"From 2026-09-01 incoming and outgoing {TYPE}: "
            "The clock kept: 60 days from “preserved” -> 90 days from “preserved”."
        ],
    ),
    "a clock of another kind": (
        (("kind: statutory", "kind: policy"),),
        [f"From 2026-01-01 incoming and outgoing {TYPE}: The clock kept: (statutory) -> (policy)."],
    ),
    "a clock taken away": (
        (("    clocks: [kept]\n", ""),),
        [f"From 2026-01-01 incoming and outgoing {TYPE}: No longer runs: kept."],
    ),
    "another lane": (
        (("urgent_types: [data_preservation]", "urgent_types: []"),),
        [
            f"On every day incoming and outgoing {TYPE}: "
            "Lane of normal letters: urgent -> normal. Lane of emergency letters: urgent -> normal."
        ],
    ),
    "a treaty that enters into force": (
        (
            (
                "in_force: [{from: null}]",
                "in_force: [{from: 2026-05-01}], parties: [{from: 2026-06-01, states: [FR, ES]}]",
            ),
        ),
        ["From 2026-06-01 the treaty uncc: Now binds: XU and ES, XU and FR."],
    ),
    "another calendar": (
        (("zone: Asia/Baku", "zone: Europe/Paris\nweekend: [saturday, sunday]"),),
        ["every case: Zone: Asia/Baku -> Europe/Paris. Weekend: none -> saturday, sunday."],
    ),
    "a new authority": (
        (("police: {name: Police}", "police: {name: Police}\n  court: {name: Court}"),),
        ["the authority court: It is new."],
    ),
}


@pytest.mark.parametrize("what", SENTENCES)
def test_a_difference_is_a_sentence_over_days(what: str, tmp_path: Path) -> None:
    changes, sentences = SENTENCES[what]

    assert said(tmp_path, *changes) == sentences


@pytest.mark.parametrize("what", SENTENCES)
def test_there_is_a_difference_in_both_directions(what: str, tmp_path: Path) -> None:
    old, new = load_law(utopia(tmp_path, name="old")), load_law(utopia(tmp_path, *SENTENCES[what][0], name="new"))

    assert diff(new, old).differs


def test_a_type_that_is_there_no_longer_is_told_once(tmp_path: Path) -> None:
    old, new = load_law(AZERBAIJAN), load_law(utopia(tmp_path))

    told = [str(change) for change in diff(old, new).changes]

    assert "the request type extradition: It is no longer there." in told
    assert not any("extradition" in line for line in told if not line.startswith("the request type"))


def test_two_states_laws_can_be_compared() -> None:
    assert diff(load_law(AZERBAIJAN), load_law(ROOT / "laws" / "zedland.yaml")).differs


def test_ranges_cut_all_days_where_something_changes() -> None:
    first, second = date(2026, 1, 1), date(2026, 1, 2)

    assert [str(days) for days in ranges([second, first, first])] == [
        "Before 2026-01-01",
        "On 2026-01-01 only",
        "From 2026-01-02",
    ]
    assert ranges([]) == [Range(None, None)]


def changed_law(folder: Path, *changes: Replace) -> Law:
    text = AZERBAIJAN.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "changed.yaml"
    path.write_text(text)
    return load_law(path, [IN_FORCE])


def test_letters_are_run_under_both_laws(tmp_path: Path) -> None:
    old = load_law(AZERBAIJAN, [IN_FORCE])
    new = changed_law(tmp_path, ("urgent_when: [urgent, emergency]", "urgent_when: [emergency]"))

    ran = replay(letters_in(ROOT / "samples"), old, new)

    changed = {one.letter: one.says for one in ran if one.says}
    assert len(ran) == 15
    assert changed
    assert all(says == tuple(dict.fromkeys(says)) for says in changed.values())
    assert all("Lane: urgent -> normal" in sentence for says in changed.values() for sentence in says)
    assert [one.says for one in replay(letters_in(ROOT / "samples"), old, old)] == [()] * 15


def test_a_type_that_only_one_law_knows_is_an_answer_too(tmp_path: Path) -> None:
    old = load_law(AZERBAIJAN, [IN_FORCE])

    ran = {one.letter: one.says for one in replay(letters_in(ROOT / "samples"), old, load_law(utopia(tmp_path)))}

    assert ran["S02"][0].startswith("measure 1, emergency_data: security-service -> not known")


def test_nothing_of_a_letters_own_words_is_told(tmp_path: Path) -> None:
    ran = replay(letters_in(ROOT / "samples"), load_law(AZERBAIJAN, [IN_FORCE]), load_law(utopia(tmp_path)))

    told = " ".join(sentence for one in ran for sentence in one.says)
    assert "Vernier" not in told
    assert "203.0.113.45" not in told


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bad.json", "{", "bad is no letter of request: the letter: "),
        ("bad.json", '{"party": "FR"}', "bad is no letter of request: /reference: "),
        ("bad.txt", "{}", "there is no letter (*.json) in it"),
    ],
)
def test_what_is_no_letter_is_refused(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    old = load_law(utopia(tmp_path))
    (tmp_path / name).write_text(content)

    with pytest.raises(BadStart) as refusal:
        replay(letters_in(tmp_path), old, old)

    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
