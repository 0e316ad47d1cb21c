"""What stops a law file from being loaded, shown on a small law."""

from datetime import date
from pathlib import Path

import pytest

from shared.failures import BadStart
from shared.law import load_law
from shared.law.text import holding
from shared.vocabulary import Direction

SMALL = """\
law: utopia
version: 2026-11-24.1
state: XU
zone: Asia/Baku
sources:
  uncc: {title: Convention, certainty: recalled-high, checked: 2026-11-24, articles: {recalled-high: ["42", 42(8)]}}
  statute: {title: Statute, certainty: press, checked: 2026-11-24}
  house: {title: House rules, certainty: inference, checked: 2026-11-24, kind: policy}
authorities:
  police: {name: Police}
treaties:
  uncc: {source: uncc, in_force: [{from: null}]}
legal_basis: {says: A treaty is needed, basis: [statute], rests_on: [uncc]}
lanes: [{from: 2026-01-01, urgent_types: [data_preservation], urgent_when: [urgent], basis: [house]}]
clocks:
  kept:
    kind: statutory
    says: Kept.
    versions:
      - {from: 2026-01-01, starts: preserved, lasts: 60 days, counted: calendar, rounding: to the second, basis: [uncc]}
field_sets:
  preservation: {necessity: {says: why, from: 2026-01-01, basis: [uncc 42]}}
request_types:
  data_preservation:
    title: Preservation
    article: uncc 42
    field_sets: [preservation]
    clocks: [kept]
    incoming:
      - {from: 2026-01-01, to: police, basis: [statute 1, "uncc 42"]}
      - {from: 2027-01-01, to: nobody, because: It was repealed., lean: police, basis: [statute 2]}
    outgoing: [{from: 2026-01-01, to: nobody, because: Not said., basis: [statute]}]
"""


def small(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in SMALL
    path = folder / "utopia.yaml"
    path.write_text(SMALL.replace(old, new, 1) if old else SMALL)
    return path


def test_a_later_row_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    utopia = load_law(small(tmp_path))

    def on(day: date) -> str:
        return utopia.decide("data_preservation", Direction.INCOMING, day).authority

    assert [on(date(2025, 12, 31)), on(date(2026, 1, 1))] == ["desk", "police"]
    assert [on(date(2026, 12, 31)), on(date(2027, 1, 1))] == ["police", "desk"]


def test_a_checked_law_has_never_two_rows_for_one_day(tmp_path: Path) -> None:
    rows = load_law(small(tmp_path)).request_types["data_preservation"].incoming

    assert {len(holding(rows, date(year, 1, 1))) for year in range(2026, 2030)} == {1}


FIRST = "{from: 2026-01-01, to: police,"
REFUSED = {
    "an unknown key": ("zone:", "zoone:", ":4: 'zoone' is not a key here; did you mean 'zone'?"),
    "an unknown zone": ("Asia/Baku", "Asia/Bakuu", ":4: 'Asia/Bakuu' is no time zone"),
    "a version without a day": ("2026-11-24.1", "1.0", ":2: '1.0' must match "),
    "an unknown source": ("[statute 1", "[statuet 1", ":30: there is no source 'statuet'; did you mean 'statute'?"),
    "an unlisted article": (
        'statute 1, "uncc 42"',
        'statute 1, "uncc 24(8)"',
        ":30: the source 'uncc' lists no article '24(8)'; did you mean '42(8)'?",
    ),
    "an unknown clock": ("clocks: [kept]", "clocks: [kep]", ":28: there is no clock 'kep'; did you mean 'kept'?"),
    "an unknown field set": (
        "field_sets: [preservation]",
        "field_sets: [preservations]",
        ":27: there is no field set 'preservations'; did you mean 'preservation'?",
    ),
    "an unknown authority": ("to: police", "to: polise", ":30: there is no authority 'polise'; did you mean 'police'?"),
    "an unknown lean": (
        "lean: police",
        "lean: court",
        ":31: there is no authority or executing body 'court'",
    ),
    "an unknown treaty": ("rests_on: [uncc]", "rests_on: [unc]", ":13: there is no treaty 'unc'; did you mean 'uncc'?"),
    "an unknown type in a lane": (
        "[data_preservation]",
        "[date_preservation]",
        ":14: there is no request type 'date_p",
    ),
    "an impossible date": (FIRST, "{from: 2026-02-30, to: police,", ":30: '2026-02-30' is no day of the calendar"),
    "two rows from one day": (
        "{from: 2027-01-01",
        "{from: 2026-01-01",
        ":31: two rows for incoming data_preservation both hold on 2026-01-01",
    ),
    "a row that reaches into the next": (
        FIRST,
        "{from: 2026-01-01, through: 2027-01-01, to: police,",
        ":31: two rows for incoming data_preservation both hold on 2027-01-01",
    ),
    "a gap": (
        FIRST,
        "{from: 2026-01-01, through: 2026-12-30, to: police,",
        ":29: no row for incoming data_preservation holds on 2026-12-31, although one held before",
    ),
    "no row at all": (
        "[{from: 2026-01-01, to: nobody, because: Not said., basis: [statute]}]",
        "[]",
        ":32: 'outgoing' must not be empty",
    ),
    "a direction forgotten": (
        "    outgoing:",
        "    outgoin:",
        ":32: 'outgoin' is not a key here; did you mean 'outgoing'",
    ),
    "a row without basis": ("basis: [statute 2]", "basis: []", ":31: 'basis' must not be empty"),
    "a row whose basis is forgotten": (", basis: [statute 2]", "", ":31: 'basis' is missing"),
    "nobody without a reason": ("because: Not said., ", "", ":32: a row that names nobody must say why (because)"),
    "a row surer than its basis": (
        FIRST,
        FIRST + " certainty: verified,",
        ":30: a row cannot be verified when its basis is press",
    ),
    "a source without certainty": ("certainty: press, ", "", ":7: 'certainty' is missing"),
    "a source never checked": ("certainty: press, checked: 2026-11-24", "certainty: press", ":7: 'checked' is missing"),
    "an unknown certainty": (
        "certainty: press",
        "certainty: pres",
        ":7: 'certainty' cannot be 'pres'; did you mean 'press'",
    ),
    "verified without a quote": (
        "certainty: press",
        "certainty: verified",
        ":7: 'statute' is called verified without a quote, its sha256 and who read it",
    ),
    "a quote with another digest": (
        "certainty: press",
        f"certainty: verified, quote: {{text: Police., sha256: {'0' * 64}, read_by: A lawyer}}",
        ":7: the quote of 'statute' has another sha256",
    ),
    "an article surer than its source": (
        "certainty: press",
        "certainty: press, articles: {verified: [x]}",
        ":7: an article of 'statute' cannot be verified when its source is press",
    ),
    "a statutory clock on policy": (
        "basis: [uncc]}\nfield",
        "basis: [house]}\nfield",
        ":20: the statutory clock 'kept' rests on 'house', which is policy",
    ),
    "a clock in months": ("60 days", "2 months", ":20: '2 months' must match ^[1-9][0-9]{0,4} (minutes|hours|days)$"),
    "a clock without rounding": (", rounding: to the second", "", ":20: 'rounding' is missing"),
    "a clock without an end": (
        "lasts: 60 days, ",
        "",
        ":20: the statutory clock 'kept' says neither how long it lasts nor which field ends it",
    ),
    "a requested clock of our own length": (
        "kind: statutory",
        "kind: requested",
        ":20: the requested clock 'kept' must end with a field of the letter (ends) and nothing else",
    ),
    "a clock without versions": (
        "versions:\n      - {from: 2026-01-01, starts: preserved, lasts: 60 days,"
        " counted: calendar, rounding: to the second, basis: [uncc]}",
        "versions: []",
        ":19: 'versions' must not be empty",
    ),
    "a clock started by no word": (
        "starts: preserved",
        "starts: preserved made",
        ":20: 'preserved made' must match ^[a-z_]{1,64}$",
    ),
    "a clock that stops what starts it": (
        "starts: preserved,",
        "starts: preserved, stops: [preserved],",
        ":20: 'kept' is started and stopped by 'preserved'",
    ),
    "a warning as long as the clock": (
        "lasts: 60 days,",
        "lasts: 60 days, warn: [7 days, 60 days],",
        ":20: 'kept' lasts 60 days and cannot warn 60 days before its end",
    ),
    "working days without a weekend": (
        "counted: calendar",
        "counted: working",
        ":20: 'kept' counts working days, but no weekend is named",
    ),
    "working hours": (
        "lasts: 60 days, counted: calendar",
        "lasts: 60 hours, counted: working",
        ":20: 'kept' counts working hours; only days can be working days",
    ),
    "a clock for an unknown treaty": (
        "says: Kept.",
        "says: Kept.\n    for: {treaty: [ece]}",
        ":19: there is no treaty 'ece'",
    ),
    "a clock for an unknown authority": (
        "says: Kept.",
        "says: Kept.\n    for: {holder: [polise]}",
        ":19: there is no authority 'polise'; did you mean 'police'?",
    ),
    "an unknown standard clock": (
        "field_sets:\n",
        "standard_clocks: [kep]\nfield_sets:\n",
        ":21: there is no clock 'kep'; did you mean 'kept'?",
    ),
    "a holiday that ends before it begins": (
        "zone: Asia/Baku\n",
        "zone: Asia/Baku\nholidays: [{from: 2026-03-20, through: 2026-03-19, says: Spring, basis: [statute]}]\n",
        ":5: a holiday ends on 2026-03-19 before it begins on 2026-03-20",
    ),
    "a holiday of a month": (
        "zone: Asia/Baku\n",
        "zone: Asia/Baku\nholidays: [{from: 2026-03-20, through: 2027-03-19, says: Spring, basis: [statute]}]\n",
        ":5: a holiday of 365 days is too long",
    ),
    "a holiday written twice": (
        "zone: Asia/Baku\n",
        "zone: Asia/Baku\nholidays:\n  - {from: 2026-03-20, through: 2026-03-24, says: Spring, basis: [statute]}\n"
        "  - {from: 2026-03-22, says: Fast, basis: [statute]}\n",
        ":7: 2026-03-22 is a holiday already",
    ),
    "a holiday from nowhere": (
        "zone: Asia/Baku\n",
        "zone: Asia/Baku\nholidays: [{from: 2026-03-20, says: Spring, basis: [almanac]}]\n",
        ":5: there is no source 'almanac'",
    ),
    "a day of no week": (
        "zone: Asia/Baku\n",
        "zone: Asia/Baku\nweekend: [saturday, sonday]\n",
        ":5: 'weekend' cannot be 'sonday'; did you mean 'sunday'",
    ),
    "an unknown ground": (
        "field_sets:\n",
        "ground_sets: {all: [sovereignity]}\n"
        "refusal_grounds: {sovereignty: {says: Ours, basis: [uncc]}}\nfield_sets:\n",
        ":21: there is no refusal ground 'sovereignity'; did you mean 'sovereignty'?",
    ),
    "grounds of which none suffices": (
        "field_sets:\n",
        "ground_sets: {all: [fiscal]}\n"
        "refusal_grounds: {fiscal: {says: Tax, alone: false, basis: [uncc]}}\nfield_sets:\n",
        ":21: no ground of 'all' may stand alone",
    ),
    "a ground that is neither true nor false": (
        "field_sets:\n",
        "refusal_grounds: {fiscal: {says: Tax, alone: NO, basis: [uncc]}}\nfield_sets:\n",
        ":21: write true or false here",
    ),
    "an unknown ground set": (
        "    clocks: [kept]\n",
        "    clocks: [kept]\n    grounds: [all]\n",
        ":29: there is no ground set 'all'",
    ),
    "an unknown outcome": (
        "    clocks: [kept]\n",
        "    clocks: [kept]\n    outcomes: [kept_safe]\n",
        ":29: there is no outcome 'kept_safe'",
    ),
    "an unknown parent type": (
        "    clocks: [kept]\n",
        "    clocks: [kept]\n    follows: [date_preservation]\n",
        ":29: there is no request type 'date_preservation'; did you mean 'data_preservation'?",
    ),
    "a hold on no parent": (
        "    clocks: [kept]\n",
        "    clocks: [kept]\n    holds_parent: true\n",
        ":29: 'data_preservation' holds its parent case but follows none (follows)",
    ),
    "a row that follows no parent": (
        FIRST,
        "{from: 2026-01-01, to: parent,",
        ":30: 'data_preservation' follows its parent case, but no type that it follows is named (follows)",
    ),
    "a row for whom it may never be": (
        "police: {name: Police}",
        "police: {name: Police, never: {types: [data_preservation], basis: [statute]}}",
        ":30: 'police' may never have a case of 'data_preservation'",
    ),
    "a need to know about no type": (
        "police: {name: Police}",
        "police: {name: Police, never: {types: [date_preservation], basis: [statute]}}",
        ":10: there is no request type 'date_preservation'; did you mean 'data_preservation'?",
    ),
    "a word unless another that is not asked for": (
        "preservation: {necessity: {says: why,",
        "preservation: {necessity: {says: why, need: unless reason,",
        ":24: 'data_preservation' needs 'necessity' unless 'reason', which it does not ask for",
    ),
    "a need that is no need": (
        "preservation: {necessity: {says: why,",
        "preservation: {necessity: {says: why, need: sometimes,",
        ":22: 'sometimes' must match ",
    ),
    "an authority called parent": (
        "  police: {name: Police}",
        "  parent: {name: Police}",
        ":10: 'parent' is a word of the product's own and cannot name an authority",
    ),
    "an authority called desk": (
        "  police: {name: Police}",
        "  desk: {name: Police}",
        ":10: 'desk' is a word of the product's own and cannot name an authority",
    ),
    "an authority no topic can be named after": (
        "  police: {name: Police}",
        "  State Police: {name: Police}",
        ":10: 'State Police' must match ^[a-z][a-z0-9-]{0,39}$",
    ),
    "one word from two sets": (
        "    clocks: [kept]\n",
        '    must_contain: {necessity: {says: why, from: 2026-01-01, basis: ["uncc 42"]}}\n',
        ":24: 'data_preservation' asks for 'necessity' twice, by two field sets",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_defect_of_a_law_file_stops_the_start_in_one_sentence(case: str, tmp_path: Path) -> None:
    old, new, sentence = REFUSED[case]
    path = small(tmp_path, old, new)

    with pytest.raises(BadStart) as refusal:
        load_law(path)

    assert str(refusal.value).startswith(f"{path}{sentence}")
    assert "\n" not in str(refusal.value)


CHILD = """\
  preservation_extension:
    title: Extension
    article: uncc 42
    follows: [data_preservation]
    incoming: [{from: 2026-01-01, to: parent, lean: police, basis: [statute]}]
    outgoing: [{from: 2026-01-01, to: nobody, because: Not said., basis: [statute]}]
"""


def test_what_follows_a_case_goes_to_whoever_has_that_case(tmp_path: Path) -> None:
    path = small(tmp_path)
    path.write_text(SMALL + CHILD)
    utopia = load_law(path)

    def to(parent: str | None) -> tuple[str, str | None]:
        answer = utopia.decide("preservation_extension", Direction.INCOMING, date(2026, 3, 1), parent=parent)
        return answer.authority, answer.lean

    assert to("police") == ("police", None)
    assert to("desk") == to(None) == to("court") == ("desk", "police")
    assert utopia.named("preservation_extension", Direction.INCOMING, date(2026, 3, 1)) is None


def test_what_follows_a_case_never_goes_where_it_may_not(tmp_path: Path) -> None:
    path = small(tmp_path)
    never = "{name: Police, never: {types: [preservation_extension], basis: [statute]}}"
    path.write_text(SMALL.replace("{name: Police}", never) + CHILD)

    decided = load_law(path).decide("preservation_extension", Direction.INCOMING, date(2026, 3, 1), parent="police")

    assert decided.authority == "desk"


def test_an_assumption_about_no_treaty_of_the_law_is_refused(tmp_path: Path) -> None:
    assumed = tmp_path / "assumed.yaml"
    assumed.write_text("assumption: x\nsays: y\ntreaties:\n  unc: {in_force: [], parties: []}\n")

    with pytest.raises(BadStart, match=r":4: there is no treaty 'unc'; did you mean 'uncc'\?$"):
        load_law(small(tmp_path), [assumed])
