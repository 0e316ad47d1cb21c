"""`rogatory explain` answers by the function that decides, and refuses wrong use in one sentence."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.explain import explain

ROOT = Path(__file__).parents[2]
IN_FORCE = "laws/assumptions/in-force.yaml"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("LAW", "LAW_ASSUMPTIONS", "PARTNERS"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)


def ask(*words: str) -> Result:
    app = typer.Typer()
    app.command()(explain)
    return CliRunner().invoke(app, list(words))


def about(type: str, direction: str = "incoming", *words: str) -> Result:
    return ask("--type", type, "--direction", direction, *words)


def test_the_json_has_the_keys_of_the_contract() -> None:
    answer = json.loads(about("data_preservation", "incoming", "--on", "2026-03-10", "--json").stdout)

    assert answer["authority"] == "security-service"
    assert answer["rule"] == "data_preservation/incoming/2026-02-23"
    assert answer["basis"] == ["az-law 24/7 limb", "uncc 41(3)(b)"]
    assert answer["certainty"] == "inference"
    assert answer["gate"] == "not checked"
    assert {"because", "rejected", "law", "version", "sha256", "lean"} <= answer.keys()


def test_people_read_the_authority_by_its_name_first() -> None:
    lines = about("extradition", "incoming", "--on", "2026-03-10").stdout.splitlines()

    assert lines[0] == "justice-ministry (Ministry of Justice)"
    assert any(line.startswith("  rejected     extradition/outgoing/2026-02-23: ") for line in lines)


def test_what_the_law_gives_to_nobody_is_for_the_desk_with_a_hint() -> None:
    said = about("asset_freeze", "incoming", "--on", "2026-03-10")

    assert said.exit_code == 0
    assert said.stdout.startswith("desk (the 24/7 desk)\n")
    assert "  lean         security-service (a hint for the desk, never a route)" in said.stdout


def test_with_a_party_the_law_file_is_taken_as_it_stands() -> None:
    answer = json.loads(about("data_preservation", "incoming", "--party", "FR", "--json").stdout)

    assert (answer["authority"], answer["lean"]) == ("desk", "security-service")
    assert answer["gate"] == "no basis: uncc is not recorded as in force for AZ"


def test_an_assumption_is_used_and_said() -> None:
    said = about("data_preservation", "incoming", "--party", "FR", "--assume", IN_FORCE)

    assert said.stdout.startswith("security-service (State Security Service)")
    assert "  assumed      in-force\n" in said.stdout


def test_a_cited_treaty_is_checked() -> None:
    answer = json.loads(about("extradition", "outgoing", "--party", "KZ", "--treaty", "cis", "--json").stdout)

    assert (answer["authority"], answer["gate"]) == ("justice-ministry", "passed: cis")


def test_the_environment_names_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROGATORY_LAW", "laws/nowhere.yaml")

    assert about("extradition").stderr == "laws/nowhere.yaml: there is no such file\n"


def test_the_environment_names_the_assumptions_and_an_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROGATORY_LAW_ASSUMPTIONS", IN_FORCE)
    assert "  assumed      in-force\n" in about("data_preservation", "incoming", "--party", "FR").stdout

    monkeypatch.setenv("ROGATORY_LAW_ASSUMPTIONS", "nowhere.yaml")
    assert about("extradition").stderr == "nowhere.yaml: there is no such file\n"
    assert about("extradition", "incoming", "--assume", IN_FORCE).exit_code == 0


def test_the_environment_names_the_partners_and_so_their_law(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROGATORY_PARTNERS", str(ROOT / "partners.yaml"))
    monkeypatch.chdir(tmp_path)
    assert about("extradition").exit_code == 0

    monkeypatch.setenv("ROGATORY_PARTNERS", "elsewhere.yaml")
    assert about("extradition").stderr == "elsewhere.yaml: there is no such file\n"
    assert about("extradition", "incoming", "--law", str(ROOT / "laws" / "azerbaijan.yaml")).exit_code == 0


def test_outside_the_project_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    said = about("extradition")

    wanted = "partners.yaml not found: run it in the project's folder or set ROGATORY_PARTNERS\n"
    assert (said.exit_code, said.stderr, said.stdout) == (2, wanted, "")


def hints(*words: str) -> list[str]:
    said = about("data_preservation", "incoming", *words)
    assert said.exit_code == 0
    return [line for line in said.stdout.splitlines() if "--assume" in line]


def test_where_only_the_conventions_force_is_missing_people_are_told_how_to_assume_it() -> None:
    assert hints("--party", "FR") == [f"  hint         `--assume {IN_FORCE}` answers as the samples do"]
    assert hints("--party", "FR", "--json") == []
    assert hints("--party", "FR", "--assume", IN_FORCE) == []
    assert hints("--party", "FR", "--treaty", "cis") == []
    assert hints() == []


WRONG_USE = {
    "an unknown type": (
        ("--type", "data_preservatio", "--direction", "incoming"),
        "the law file has no request type 'data_preservatio'; did you mean 'data_preservation'?\n",
    ),
    "an impossible day": (
        ("--type", "extradition", "--direction", "incoming", "--on", "2026-02-30"),
        "--on takes a day such as 2026-02-23, not '2026-02-30'\n",
    ),
    "a country by its name": (
        ("--type", "extradition", "--direction", "incoming", "--party", "France"),
        "--party takes the two capital letters of a State such as FR, not 'France'\n",
    ),
    "a State that there is not": (
        ("--type", "extradition", "--direction", "incoming", "--party", "ZZ"),
        "--party takes the two capital letters of a State such as FR, not 'ZZ'\n",
    ),
    "a law that is not there": (
        ("--type", "extradition", "--direction", "incoming", "--law", "nowhere.yaml"),
        "nowhere.yaml: there is no such file\n",
    ),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_one_sentence_and_exit_code_2(case: str) -> None:
    words, sentence = WRONG_USE[case]

    said = ask(*words)

    assert (said.exit_code, said.stderr, said.stdout) == (2, sentence, "")


def test_an_unknown_direction_is_wrong_use() -> None:
    assert about("extradition", "sideways").exit_code == 2
