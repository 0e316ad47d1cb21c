"""`rogatory alerts` says who would hear of an event by the function that decides; wrong use is one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.alerts import alerts, run_test
from services.notifier.domain.facts import FACTS
from shared.failures import BadStart
from tests.unit.alerts import ROOT, rules

NIGHT, DAY = "2027-03-10 23:30", "2027-03-10 11:00"
"""Wednesday, on the clocks of Baku."""


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("ALERTS", "ROSTER", "LAW", "LAW_ASSUMPTIONS", "PARTNERS", "LIFE_CYCLE"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)


def ask(*words: str) -> Result:
    return CliRunner().invoke(alerts, list(words))


def about(event: str, *words: str, at: str = NIGHT) -> dict[str, Any]:
    said = ask("test", "--event", event, *words, "--at", at, "--json")
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


def refused(*words: str) -> str:
    said = ask(*words)
    assert isinstance(said.exception, BadStart)  # `main` makes one sentence and exit code 2 of it
    return str(said.exception)


# test


def test_an_emergency_wakes_whoever_is_on_duty_and_climbs_to_the_deputies() -> None:
    answer = about("case.assigned", "--urgency", "emergency", "--type", "extradition", "--party", "FR")

    (fires,) = answer["fires"]
    assert (fires["rule"], fires["because"]) == ("emergency", ["event is case.assigned", "urgency is emergency"])
    assert fires["says"]["fr"].startswith("Vie en danger : extradition (FR)")
    assert [(one["name"], one["is"], one["wakes"]) for one in fires["tells"]] == [
        ("desk", "audience", True),
        ("operations", "subscriber", False),
    ]
    steps = fires["ladder"]["steps"]
    assert [(step["after"], step["at"][11:16]) for step in steps] == [(0, "19:30"), (600, "19:40"), (1200, "19:50")]
    assert [(one["tells"][0]["rota"], one["tells"][0]["by"]) for one in steps] == [
        ("desk", ["apprise", "email"]),
        ("heads", ["apprise", "email"]),
        ("deputies", ["apprise", "email"]),
    ]
    assert answer["never_held"] == ["an emergency"]
    assert answer["not_looked_at"] == ["subscriptions in MongoDB", "silences in MongoDB"]


def test_each_step_tells_whoever_is_on_duty_when_it_comes() -> None:
    def first(at: str) -> str:
        (fires,) = about("case.assigned", "--urgency", "emergency", at=at)["fires"]
        recipient: str = fires["ladder"]["steps"][0]["tells"][0]["recipient"]
        return recipient

    at_night, by_day, in_the_evening = (first(f"2027-03-10 {time}") for time in ("07:59", "08:00", "20:00"))
    assert at_night != by_day != in_the_evening
    before = about("case.assigned", "--urgency", "emergency", at="2027-03-08 08:55")["fires"][0]["ladder"]["steps"]
    assert before[1]["tells"][0]["until"] == "2027-03-15T05:00:00.000000Z"  # by then the next head is on


def test_what_can_wait_is_grouped_and_waits_for_the_morning() -> None:
    words = ("--clock", "kept-60-days", "--left", "20 hours")
    (_, desk, head) = about("case.clock_warned", *words)["fires"][0]["tells"][0]["members"]

    assert (desk["by"], desk["patience"], desk["holds"]) == (["email", "apprise"], 600, {})
    assert head["holds"] == {"quiet_until": "2027-03-11T03:00:00.000000Z", "group": 3600}
    (_, _, head) = about("case.clock_warned", *words, at=DAY)["fires"][0]["tells"][0]["members"]
    assert head["holds"] == {"group": 3600}


def test_what_nothing_holds_back_is_neither_grouped_nor_waits() -> None:
    words = ("--clock-kind", "statutory", "--left", "20 hours", "--urgency", "emergency")
    members = about("case.clock_warned", *words)["fires"][0]["tells"][0]["members"]

    assert [member.get("holds", {}) for member in members] == [{}, {}, {}]


def test_a_rule_that_was_passed_over_says_in_what_the_event_first_differs() -> None:
    answer = about("case.clock_warned", "--clock", "requested-deadline", "--party", "FR")

    why = {one["rule"]: one["why"] for one in answer["passed_over"]}
    assert [fires["rule"] for fires in answer["fires"]] == ["senders-deadline"]
    assert why["emergency"] == "event is case.clock_warned, not case.assigned"
    assert why["legal-deadline-near"] == "clock_kind is requested, not statutory"
    assert why["senders-deadline-within-a-day"] == "it asks how much time the clock has left, and nobody says"
    assert answer["not_reached"] == len(rules().rules) - len(why) - 1

    later = about("case.clock_warned", "--clock", "requested-deadline", "--left", "7 days")
    why = {one["rule"]: one["why"] for one in later["passed_over"]}
    assert why["senders-deadline-within-a-day"] == "the clock has more time left than it asks for"
    assert later["left"] == 7 * 86_400

    over = about("case.clock_warned", "--clock", "requested-deadline", "--left", "0 minutes")
    assert (over["left"], over["fires"][0]["rule"]) == (0, "senders-deadline-within-a-day")


def test_a_fact_that_the_event_does_not_have_is_said_too() -> None:
    answer = about("case.assigned")

    why = {one["rule"]: one["why"] for one in answer["passed_over"]}
    assert why["emergency"] == "there is no urgency; it asks for emergency"
    assert why["preservation"] == "there is no type; it asks for data_preservation or preservation_extension"


def test_a_fact_that_was_not_given_is_shown_by_its_name_in_the_sentences() -> None:
    [fired] = about("case.assigned", "--type", "extradition")["fires"]

    assert fired["says"]["en"] == "extradition (<direction>, <party>) is with <authority>."


def test_people_read_who_is_told_and_by_which_channel_first() -> None:
    said = ask("test", "--event", "case.assigned", "--lane", "urgent", "--authority", "desk", "--at", NIGHT)

    assert said.exit_code == 0
    text = " ".join(said.stdout.split())
    assert "authority desk, lane urgent; on Wed 2027-03-10 23:30 in Asia/Baku urgent-on-the-desk fires" in text
    assert "- duty-officers (Duty officers of the contact point), by kafka and webhook" in text
    assert "- at once (Wed 2027-03-10 23:30): person." in text
    assert "by apprise; not taken within 2 min, by email" in text
    assert "- then the last step again every 30 min, 20 times at most" in text
    assert "never held an urgent case that waits on the desk: no silence, pause, group, quiet hours or rate" in text
    assert "not looked at subscriptions in MongoDB, silences in MongoDB" in text


def test_nobody_who_hears_is_a_no() -> None:
    said = ask("test", "--event", "case.closed")

    assert said.exit_code == 1
    assert "  tells         nobody" in said.stdout.splitlines()


def test_every_fact_that_rules_look_at_can_be_given() -> None:
    asked = {
        name for name in run_test.__annotations__ if name not in ("context", "file", "left", "at", "as_json", "return")
    }

    assert asked == {*FACTS}


WRONG = {
    ("--event", "case.closd"): "--event: 'case.closd' is no event that there can be; did you mean 'case.closed'?",
    ("--event", "case.assigned", "--lane", "fast"): "--lane: 'fast' is no lane that there can be",
    ("--event", "alert.raised", "--alertname", "a b"): "--alertname: 'a b' is no alertname that there can be",
    ("--event", "case.clock_missed", "--clock", "kept-60-days", "--clock-kind", "policy"): (
        "--clock-kind: the clock 'kept-60-days' is statutory"
    ),
    ("--event", "case.clock_warned", "--left", "3h"): "--left takes a time span such as 3 hours, not '3h'",
    ("--event", "case.assigned", "--at", "noon"): "--at takes a time such as 2026-12-31 20:00, not 'noon'",
    ("nowhere.yaml", "--event", "case.assigned"): "nowhere.yaml: there is no such file",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_use_is_one_sentence(words: tuple[str, ...]) -> None:
    assert refused("test", *words) == WRONG[words]


# check


def test_our_own_file_is_sound_without_a_warning() -> None:
    said = ask("check")

    assert (said.exit_code, said.stdout) == (0, "alerts.yaml: sound\n")


def alerts_with(folder: Path, old: str, new: str) -> Path:
    text = (ROOT / "alerts.yaml").read_text()
    assert old in text
    path = folder / "alerts.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_an_audience_that_wakes_nobody_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    path = alerts_with(tmp_path, "{duty: desk, by: [apprise, email]}", "{duty: desk, by: [email]}")

    said = ask("check", str(path))
    answer = json.loads(ask("check", str(path), "--json").stdout)

    assert said.exit_code == 0
    assert "'desk' is to wake somebody, and tells nobody at once by apprise" in said.stdout
    assert "'desk' is told by email on the step before too: tell somebody else, or in another way" in said.stdout
    assert said.stdout.endswith(f"{path}: sound, 2 to note\n")
    assert (answer["sound"], answer["defects"], len(answer["warnings"])) == (True, [], 2)
    assert "desk-news" in answer["audiences"]


def test_a_fault_is_said_with_its_line_and_is_a_no(tmp_path: Path) -> None:
    path = alerts_with(tmp_path, "tell: [desk-news]", "tell: [desk-new]")

    said = ask("check", str(path))
    answer = json.loads(ask("check", str(path), "--json").stdout)

    assert said.exit_code == 1
    assert "'desk-new' is no audience of this file" in said.stdout
    assert said.stdout.endswith(f"{path}: not sound\n")
    assert (answer["sound"], len(answer["defects"])) == (False, 1)


def test_a_file_that_is_not_there_is_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert refused("check", "nowhere.yaml") == "nowhere.yaml: there is no such file"
    monkeypatch.setenv("ROGATORY_ALERTS", "elsewhere.yaml")
    assert refused("check") == "elsewhere.yaml: there is no such file"
    monkeypatch.delenv("ROGATORY_ALERTS")
    monkeypatch.chdir(tmp_path)
    assert refused("check") == "alerts.yaml not found: run it in the project's folder or set ROGATORY_ALERTS"
