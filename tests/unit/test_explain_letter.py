"""`rogatory explain FILE` says what would become of a letter, as the router's own function decides it."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.explain import explain
from tests.unit.cases import Case, letter

ROOT = Path(__file__).parents[2]
IN_FORCE = ("--assume", "laws/assumptions/in-force.yaml")
DAY = ("--on", "2026-03-10")
KEYS = {"type", "authority", "rule", "basis", "certainty", "because", "rejected", "gate", "lane"} | {
    *("missing", "defects", "marks", "clocks")
}
CLOCK = {"clock", "kind", "due", "basis"}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("LAW", "LAW_ASSUMPTIONS", "PARTNERS", "LIFE_CYCLE"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)


def ask(*words: str, stdin: str | bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(explain)
    return CliRunner().invoke(app, list(words), input=stdin)


def sent(type: str = "stored_data_access", **changed: Any) -> dict[str, Any]:
    """A letter as it is sent."""
    content: dict[str, Any] = {**letter(type, **changed).content}
    return content


def asked(body: dict[str, Any], *words: str) -> dict[str, Any]:
    said = ask("-", "--json", *IN_FORCE, *DAY, *words, stdin=json.dumps(body))
    assert said.exit_code == 0, said.stderr
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


@pytest.mark.parametrize("sample", sorted(path.name for path in (ROOT / "samples").glob("S*.json")))
def test_every_sample_is_explained_to_people_and_programs(sample: str) -> None:
    file = f"samples/{sample}"
    whole = json.loads((ROOT / file).read_text())

    for_people, for_programs = ask(file, *IN_FORCE, *DAY), ask(file, *IN_FORCE, *DAY, "--json")

    measures = json.loads(for_programs.stdout)["measures"]
    assert [one["type"] for one in measures] == [measure["type"] for measure in whole["measures"]]
    assert all(one.keys() >= KEYS for one in measures)
    assert all(clock.keys() == CLOCK for one in measures for clock in one["clocks"])
    for one in measures:
        assert f"{one['measure']}. {one['type'].replace('_', ' ')}: {one['authority']} (" in for_people.stdout


@pytest.mark.parametrize("type", ["data_preservation", "extradition", "asset_freeze"])
@pytest.mark.parametrize("contents", [None, {"facts": "On 3 May at 10:00 from 203.0.113.7"}])
def test_it_answers_as_the_router_decides(type: str, contents: dict[str, Any] | None) -> None:
    state = Case.open(type, contents=contents, urgency="urgent").state

    [one] = asked(sent(type, contents=contents, urgency="urgent"))["measures"]

    for name in ("authority", "rule", "basis", "because", "certainty", "gate", "lane", "missing", "defects", "marks"):
        assert one[name] == state[name], name
    assert [(clock["clock"], clock["kind"]) for clock in one["clocks"]] == [
        (clock["clock"], clock["kind"]) for clock in state["clocks"]
    ]


def test_a_mixed_letter_is_explained_measure_by_measure() -> None:
    body = sent()
    body["measures"].append({"type": "extradition", "contents": {}})

    said = ask("-", *IN_FORCE, *DAY, stdin=json.dumps(body)).stdout

    assert "2 measures, each a case of its own." in said
    assert "1. stored data access: security-service (State Security Service)" in said
    assert "2. extradition: justice-ministry (Ministry of Justice)" in said
    assert said.count("  law          ") == 1


def test_what_is_missing_and_what_is_of_no_use_is_said_with_its_article() -> None:
    said = " ".join(
        ask("-", *IN_FORCE, *DAY, stdin=json.dumps(sent(contents={"facts": "From 203.0.113.7"}))).stdout.split()
    )

    [one] = asked(sent(contents={"facts": "From 203.0.113.7"}))["measures"]
    lacking = one["missing"][0]
    assert f"missing {lacking['field'].replace('_', ' ')}: {lacking['says']} ({', '.join(lacking['basis'])})" in said
    assert "defect facts: an IP address without" in said
    assert "203.0.113.7" not in said


def test_clocks_stand_under_their_own_kinds() -> None:
    deadline = {"requested_deadline": {"at": "2026-03-12T08:00:00Z"}}
    said = ask("-", *IN_FORCE, *DAY, stdin=json.dumps(sent(content=deadline))).stdout

    assert "clock        requested, the sender's wish: requested deadline: due 2026-03-12 08:00:00Z" in said
    assert "clock        policy, ours, not the law's: acknowledge normal: due " in said
    assert "mark         deadline without reason" in said


def test_rows_that_did_not_match_say_why() -> None:
    [one] = asked(sent("extradition"))["measures"]

    assert one["rejected"] == [
        {"rule": "extradition/outgoing/2026-02-23", "why": "it is for outgoing letters"},
    ]


def test_the_day_is_that_of_receipt() -> None:
    assert asked(sent())["received_at"] == "2026-03-09T20:00:00.000000Z", "where the law is in force the day began then"
    before = asked(sent("extradition"), "--on", "2026-01-01")["measures"][0]
    assert before["because"] == "The law names nobody before 2026-02-23."


def test_a_prior_reference_is_said_and_never_guessed() -> None:
    [one] = asked(sent(content={"prior_reference": "FR-0"}))["measures"]

    assert one["follows_a_prior_reference"] is True


def test_where_only_the_conventions_force_is_missing_people_are_told_once_how_to_assume_it() -> None:
    body = sent()
    body["measures"] *= 2

    said = ask("-", *DAY, stdin=json.dumps(body)).stdout

    assert said.count("--assume") == 1


def test_what_the_door_would_not_take_is_named_as_at_the_door() -> None:
    body = {**sent(), "party": "France", "colour": 1}
    body["measures"][0]["type"] = "unheard_of"

    said = ask("-", stdin=json.dumps(body))
    problem = json.loads(ask("-", "--json", stdin=json.dumps(body)).stdout)

    assert (said.exit_code, said.stdout) == (1, "")
    lines = said.stderr.splitlines()
    assert lines[0] == "The letter has bad fields: 3 fields are wrong."
    assert {line.strip().partition(":")[0] for line in lines[1:]} == {"/party", "/colour", "/measures/0/type"}
    assert (problem["status"], len(problem["errors"])) == (422, 3)
    assert "France" not in said.stderr


@pytest.mark.parametrize("raw", [b"{", b"\xff", b""])
def test_what_is_no_json_is_said_so(raw: bytes) -> None:
    said = ask("-", stdin=raw)

    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("Not JSON: ")


WRONG_USE = {
    "no such file": (("nowhere.json",), "nowhere.json: cannot be read (No such file or directory)\n"),
    "a letter and a type": (
        ("samples/S01.json", "--type", "extradition"),
        "a letter says itself what it asks for: FILE goes with --on, --law, --assume and --json alone\n",
    ),
    "nothing": ((), "say a letter's FILE, or --type and --direction\n"),
    "a type alone": (("--type", "extradition"), "say a letter's FILE, or --type and --direction\n"),
    "an impossible day": (
        ("samples/S01.json", "--on", "2026-02-30"),
        "--on takes a day such as 2026-02-23, not '2026-02-30'\n",
    ),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_one_sentence_and_exit_code_2(case: str) -> None:
    arguments, sentence = WRONG_USE[case]

    said = ask(*arguments)

    assert (said.exit_code, said.stderr, said.stdout) == (2, sentence, "")
