"""`rogatory law`: what its commands print, and their exit codes: 0 yes, 1 no, 2 wrong use."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.__main__ import main
from cli.law.schema import law_schema, law_schema_text
from tests.unit.utopia import utopia, with_cases

ROOT = Path(__file__).parents[2]
AZERBAIJAN = ROOT / "laws" / "azerbaijan.yaml"
LAW_FILES = sorted(path for path in (ROOT / "laws").glob("*.yaml") if not path.name.endswith(".cases.yaml"))
REPEALED = ("to: nobody, because: It was repealed., lean: police", "to: police")


class Told:
    """What a command came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        """Its exit code, standard output and standard error."""
        self.code, self.out, self.err = code, out, err


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("LAW", "LAW_ASSUMPTIONS", "PARTNERS"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)


@pytest.fixture
def law(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rogatory law ...` as the shell would."""

    def run(*words: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["rogatory", "law", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        return Told(int(left.value.code or 0), told.out, told.err)

    return run


def test_the_laws_of_the_project_are_sound(law: Any) -> None:
    for path in LAW_FILES:
        assert law("check", path).code == 0, path


def test_without_a_file_the_law_of_the_partners_file_is_meant(law: Any) -> None:
    assert "azerbaijan.yaml: sound" in law("check").out


def test_the_environment_names_another_law(law: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROGATORY_LAW", str(with_cases(tmp_path)))
    assert "utopia.yaml: sound" in law("check").out

    monkeypatch.setenv("ROGATORY_LAW", "")
    assert "azerbaijan.yaml: sound" in law("check").out


def test_a_warning_is_told_and_does_not_make_a_law_unsound(law: Any, tmp_path: Path) -> None:
    told = law("check", with_cases(tmp_path))

    assert told.code == 0
    assert told.out.splitlines()[0] == "note: it is not recorded when 'uncc' enters into force for XU"
    assert told.out.splitlines()[-1].endswith("utopia.yaml: sound, 1 to note")


UNSOUND = {
    "a defect of the file": ((("zone:", "zoone:"),), (), "utopia.yaml:4: 'zoone' is not a key here; did you mean"),
    "a row without a case": (
        (),
        (("direction: outgoing", "direction: incoming"),),
        "no worked case is answered by the",
    ),
    "a date with one side": ((), (("2025-12-31", "2025-12-30"),), "no worked case was received on the day before"),
    "a case that fails": ((), (("certainty: press", "certainty: inference"),), "a worked case fails: The first day"),
    "a misspelt case": ((), (("to: police", "to: polise"),), "utopia.cases.yaml:6: there is no authority 'polise'"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_an_unsound_law_is_exit_code_1(what: str, law: Any, tmp_path: Path) -> None:
    changes, cases, sentence = UNSOUND[what]
    path = with_cases(tmp_path, *cases, law=changes)

    told, as_json = law("check", path), law("check", path, "--json")

    assert (told.code, as_json.code) == (1, 1)
    assert sentence in told.out
    answer = json.loads(as_json.out)
    assert answer["sound"] is False
    assert any(sentence in defect for defect in answer["defects"])


@pytest.mark.parametrize("text", [None, "[]\n"])
def test_without_worked_cases_a_law_is_not_sound(text: str | None, law: Any, tmp_path: Path) -> None:
    path = with_cases(tmp_path)
    cases = tmp_path / "utopia.cases.yaml"
    cases.unlink() if text is None else cases.write_text(text)

    assert law("check", path).code == 1
    assert law("test", path).code == 2


def test_check_says_in_json_what_was_checked(law: Any, tmp_path: Path) -> None:
    answer = json.loads(law("check", with_cases(tmp_path), "--json").out)

    assert answer["sound"] is True
    assert (answer["rows"], answer["cases"], answer["version"]) == (3, 5, "2026-11-24.1")


def test_the_worked_cases_are_a_table(law: Any, tmp_path: Path) -> None:
    told = law("test", with_cases(tmp_path))

    assert told.code == 0
    assert sum(line.startswith("passed") for line in told.out.splitlines()) == 5
    assert told.out.splitlines()[-1] == "5 worked cases, 0 failed; 3 rows, 0 untouched."


def test_a_failed_case_shows_what_was_expected_and_what_came(law: Any, tmp_path: Path) -> None:
    path = with_cases(tmp_path, ('ask_for: ["uncc 42"]', "ask_for: []"))

    told, answer = law("test", path), json.loads(law("test", path, "--json").out)

    assert told.code == 1
    assert "FAILED" in told.out
    assert "ask_for: expected [], got [uncc 42]" in told.out
    (failed,) = [case for case in answer["cases"] if not case["passed"]]
    assert failed["wrong"] == {"ask_for": {"expected": [], "got": ["uncc 42"]}}


def test_an_untouched_row_fails_the_test(law: Any, tmp_path: Path) -> None:
    told = law("test", with_cases(tmp_path, ("direction: outgoing", "direction: incoming")))

    assert told.code == 1
    assert told.out.endswith("no worked case is answered by the row data_preservation/outgoing/2026-01-01\n")


def test_diff_says_what_changes_and_that_the_version_was_not_raised(law: Any, tmp_path: Path) -> None:
    old, new = utopia(tmp_path, name="old"), utopia(tmp_path, REPEALED, name="new")

    told, answer = law("diff", old, new), json.loads(law("diff", old, new, "--json").out)

    assert told.code == 1
    assert told.out.splitlines() == [
        "utopia 2026-11-24.1 -> utopia 2026-11-24.1",
        "From 2027-01-01 incoming data_preservation: nobody -> police (statute 2, press). Lean: police -> none.",
        "Both call themselves 2026-11-24.1; whoever edits a law file raises its version.",
        "Wording only: 0.",
    ]
    assert answer["changes"] == [
        {
            "from": "2027-01-01",
            "through": None,
            "subjects": ["incoming data_preservation"],
            "says": ["nobody -> police (statute 2, press)", "Lean: police -> none"],
        }
    ]


def test_diff_of_equal_answers_is_exit_code_0(law: Any, tmp_path: Path) -> None:
    told = law("diff", utopia(tmp_path, name="old"), utopia(tmp_path, ("Kept.", "Held."), name="new"))

    assert told.code == 0
    assert "No answer differs.\n" in told.out
    assert "Wording only: 1.\n" in told.out


@pytest.mark.parametrize("words", [("--replay",), ("--replay", "samples"), ("samples",)])
def test_diff_runs_the_samples_under_both_laws(words: tuple[str, ...], law: Any, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(AZERBAIJAN.read_text().replace("urgent_when: [urgent, emergency]", "urgent_when: [emergency]"))

    told = law("diff", AZERBAIJAN, changed, *words, "--assume", "laws/assumptions/in-force.yaml")

    assert told.code == 1
    assert "Samples changed: 4 of 15.\n" in told.out
    assert "  S04, measure 1, realtime_traffic_data: Lane: urgent -> normal\n" in told.out


def test_diff_counts_the_letters_in_json(law: Any) -> None:
    answer = json.loads(law("diff", AZERBAIJAN, AZERBAIJAN, "--replay", "--json").out)

    assert (answer["changes"], answer["letters"]) == ([], {"replayed": 15, "changed": {}})


WRONG_USE = {
    "a law that is not there": (("show", "nowhere.yaml"), "nowhere.yaml: there is no such file\n"),
    "checking what is not there": (("check", "nowhere.yaml"), "nowhere.yaml: there is no such file\n"),
    "checking a folder": (("check", "laws"), "laws: this is no file\n"),
    "showing a folder": (("show", "laws"), "laws: the file cannot be read (Is a directory)\n"),
    "testing what is not there": (("test", "nowhere.yaml"), "nowhere.yaml: there is no such file\n"),
    "comparing with nothing": (("diff", AZERBAIJAN, "nowhere.yaml"), "nowhere.yaml: there is no such file\n"),
    "no letters": (
        ("diff", AZERBAIJAN, AZERBAIJAN, "--replay", "nowhere"),
        "nowhere: there is no such folder of letters\n",
    ),
    "an assumption that is not there": (
        ("show", AZERBAIJAN, "--assume", "nowhere.yaml"),
        "nowhere.yaml: there is no such file\n",
    ),
    "two forms at once": (("show", AZERBAIJAN, "--html", "--json"), "a page is HTML or JSON, not both\n"),
    "a place that cannot be written": (
        ("show", AZERBAIJAN, "-o", "nowhere/page.md"),
        "nowhere/page.md: the page cannot be written (No such file or directory)\n",
    ),
}


@pytest.mark.parametrize("what", WRONG_USE)
def test_wrong_use_is_one_sentence_and_exit_code_2(what: str, law: Any) -> None:
    words, sentence = WRONG_USE[what]

    told = law(*words)

    assert (told.code, told.out, told.err) == (2, "", sentence)


def test_the_page_says_all_that_a_lawyer_asks(law: Any) -> None:
    page = law("show", AZERBAIJAN).out

    for heading in (
        "## Open points",
        "### Nobody is named",
        "## Article 42, UN Convention against Cybercrime",
        "### Expedited preservation of stored electronic data",
        "### Statutory: set by law",
        "### Requested: set by the sender, with a reason",
        "### Policy: set by the authorities for themselves, never a legal deadline",
        "## Grounds of refusal",
        "## Treaties",
        "## Sources",
    ):
        assert f"\n{heading}" in page
    assert "**State Security Service**" in page
    assert "- It is not recorded when 'uncc' enters into force for AZ." in page


def test_the_page_names_every_type_ground_clock_and_treaty(law: Any) -> None:
    read = yaml.load(AZERBAIJAN.read_text(), yaml.BaseLoader)
    page = law("show", AZERBAIJAN).out

    for part in (
        "request_types",
        "refusal_grounds",
        "clocks",
        "treaties",
        "authorities",
        "executing_bodies",
        "sources",
    ):
        for name in read[part]:
            assert f"`{name}`" in page, name


class Tags(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self) -> None:
        """With nothing read yet."""
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_html_is_one_whole_file_without_scripts_or_anything_to_fetch(law: Any, tmp_path: Path) -> None:
    out = tmp_path / "law.html"

    assert law("show", AZERBAIJAN, "--html", "-o", out).code == 0

    page = out.read_text(encoding="utf-8")
    read = Tags()
    read.feed(page)
    assert read.open == []
    assert not read.tags & {"script", "img", "link", "iframe"}
    assert "http" not in page.replace("http-equiv", "")
    assert "State Security Service" in read.text
    assert page.count('class="statutory"') >= 1


def test_no_word_of_a_law_file_becomes_markup(law: Any, tmp_path: Path) -> None:
    words = "a <script>alert(1)</script> | **b** `c` [d](javascript:e) &lt; _f_ \\\\ 1. # !"
    path = utopia(tmp_path, ("It was repealed.", f'"{words}"'), ("name: Police", 'name: "<b>Police</b> | `x"'))

    read = Tags()
    read.feed(law("show", path, "--html").out)

    assert not read.tags & {"script", "b", "em", "a href"}
    assert words.replace("\\\\", "\\") in read.text
    assert "<b>Police</b> | `x" in read.text


def test_the_file_as_it_was_read_is_json(law: Any) -> None:
    read = json.loads(law("show", AZERBAIJAN, "--json").out)

    assert (read["law"], read["zone"]) == ("azerbaijan", "Asia/Baku")
    assert read["request_types"]["extradition"]["incoming"][0]["from"] == "2026-02-23"


class EditorsLoader(yaml.SafeLoader):
    """Reads YAML as an editor does (the core schema of YAML 1.2): days are text, and only true and false are truth."""


EditorsLoader.yaml_implicit_resolvers = {}
for tag, form, firsts in (
    ("bool", "true|false", "tf"),
    ("int", "[-+]?[0-9]+", "-+0123456789"),
    ("null", "null|~|", "n~"),
):
    EditorsLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^({form})$"), list(firsts))


def as_an_editor_reads(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), EditorsLoader)


def test_the_published_schema_is_the_generated_one(law: Any) -> None:
    assert (ROOT / "docs" / "law.schema.json").read_text(encoding="utf-8") == law_schema_text()
    assert law("schema").out == law_schema_text()


@pytest.mark.parametrize("path", LAW_FILES, ids=lambda path: path.stem)
def test_every_law_file_fits_the_published_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(law_schema())
    validator = jsonschema.Draft202012Validator(law_schema())

    assert [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(as_an_editor_reads(path))] == []


SPOILED = {
    "an unknown key": ("zone:", "zoone:"),
    "an unknown certainty": ("certainty: press", "certainty: pres"),
    "a day that is none": ("{from: 2026-01-01, to: police", "{from: January 2026, to: police"),
    "a name that no topic can have": ("police: {name", "State Police: {name"),
    "a row without basis": (", basis: [statute 2]", ""),
    "a direction forgotten": ("    outgoing:", "    outgoin:"),
    "null where nothing may be left open": ("{from: 2026-01-01, to: police", "{from: null, to: police"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_an_editor_shows_by_the_schema_what_loading_would_refuse(what: str, tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(law_schema())

    assert validator.is_valid(as_an_editor_reads(utopia(tmp_path)))
    assert not validator.is_valid(as_an_editor_reads(utopia(tmp_path, SPOILED[what])))
