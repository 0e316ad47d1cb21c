"""`rogatory roster`: what its commands print, and their exit codes: 0 yes, 1 no, 2 wrong use."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import main
from cli.roster_picture import CELLS, picture
from services.notifier.duty.roster import load_roster
from tests.unit.test_law_command import Told
from tests.unit.test_roster import GOOD, at, roster_file

ROOT = Path(__file__).parents[2]
DAY = "2026-05-04"
"""A day of `GOOD` on which a holiday, two shifts and a swap meet."""


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("ROGATORY_ROSTER", raising=False)


@pytest.fixture
def roster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rogatory roster ...` as the shell would."""

    def run(*words: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["rogatory", "roster", *map(str, words)])
        code: Any = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
        told = capsys.readouterr()
        return Told(int(code or 0), told.out, told.err)

    return run


def test_the_roster_of_the_project_is_sound_and_without_a_gap(roster: Any) -> None:
    told = roster("check", "--from", "2027-01-01", "--days", 365)

    assert told.code == 0
    assert told.out.splitlines()[-1] == "roster.yaml: sound, no gap in the 365 days from 2027-01-01"


def test_check_counts_the_hours_that_each_person_holds(roster: Any, tmp_path: Path) -> None:
    path = roster_file(tmp_path)

    told = json.loads(roster("check", path, "--from", DAY, "--days", 1, "--json").out)

    assert (told["sound"], told["faults"], told["gaps"]) == (True, [], [])
    # bela has the end of the night; the night after it belongs to the holiday.
    assert told["hours"]["desk"] == {
        "bela": {"hours": 11.0, "turns": 2, "longest": 10.0},
        "cem": {"hours": 5.0, "turns": 2, "longest": 4.0},
        "anna": {"hours": 8.0, "turns": 1, "longest": 8.0},
    }


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_has_as_many_hours_as_the_clocks_give_it(day: str, hours: int, roster: Any, tmp_path: Path) -> None:
    told = json.loads(roster("check", roster_file(tmp_path), "--from", day, "--days", 1, "--json").out)

    assert sum(one["hours"] for one in told["hours"]["desk"].values()) == hours


def test_a_gap_is_told_with_who_stands_in_and_is_exit_code_1(roster: Any, tmp_path: Path) -> None:
    path = roster_file(tmp_path, GOOD.replace("    until: 2027-12-31 20:00\n", "    until: 2026-06-01 20:00\n"))

    told = roster("check", path, "--from", "2026-05-30", "--days", 7)
    as_json = roster("check", path, "--from", "2026-05-30", "--days", 7, "--json")

    assert (told.code, as_json.code) == (1, 1)
    assert "gap: desk: nobody from Mon 2026-06-01 20:00 for good; cem stands in" in told.out
    assert told.out.splitlines()[-1] == f"{path}: sound, 1 gap in the 7 days from 2026-05-30"
    assert json.loads(as_json.out)["gaps"] == [
        {"rota": "desk", "since": "2026-06-01T18:00:00.000000Z", "until": None, "stands_in": "cem"}
    ]


def test_every_fault_is_told_and_is_exit_code_1(roster: Any, tmp_path: Path) -> None:
    path = roster_file(tmp_path, GOOD.replace("[anna, bela]", "[x, y]"))

    told, as_json = roster("check", path), roster("check", path, "--json")

    assert (told.code, as_json.code) == (1, 1)
    assert told.out.splitlines() == [
        f"{path}:15: there is no person 'x' in this roster",
        f"{path}:15: there is no person 'y' in this roster",
        f"{path}: not sound, 2 to correct",
    ]
    answer = json.loads(as_json.out)
    assert (answer["sound"], answer["faults"]) == (False, told.out.splitlines()[:2])


def test_who_is_on_duty_is_a_hand_over_note(roster: Any, tmp_path: Path) -> None:
    told = roster("who", "desk", "--at", f"{DAY} 10:30", "--file", roster_file(tmp_path))

    assert told.code == 0
    assert told.out.splitlines()[0] == "Mon 2026-05-04 10:30 in Europe/Paris"
    row = " ".join(told.out.splitlines()[-1].split())
    assert row == (
        "desk Cem Secret (cem) Mon 2026-05-04 10:00 Mon 2026-05-04 11:00 Bela Secret (bela) apprise instead: a swap"
    )
    assert "secret/cem" not in told.out


def test_a_time_with_its_zone_is_the_same_moment(roster: Any, tmp_path: Path) -> None:
    path = roster_file(tmp_path)

    answers = [
        json.loads(roster("who", "--at", time, "--file", path, "--json").out)
        for time in (f"{DAY} 10:30", f"{DAY}T08:30Z", f"{DAY}T12:30:00+04:00")
    ]

    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["rotas"]["desk"] == {
        "person": "cem",
        "name": "Cem Secret",
        "language": "az",
        "channels": ["apprise"],
        "since": "2026-05-04T08:00:00.000000Z",
        "until": "2026-05-04T09:00:00.000000Z",
        "next": "bela",
        "stands_in": False,
        "why": "instead",
        "reason": "a swap",
    }


def test_who_stands_in_is_exit_code_1(roster: Any, tmp_path: Path) -> None:
    told = roster("who", "--at", "2028-01-01 00:00", "--file", roster_file(tmp_path))

    assert told.code == 1
    assert "stands in: nobody is on by the roster" in told.out


def test_the_environment_names_another_roster(roster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROGATORY_ROSTER", str(roster_file(tmp_path)))

    assert list(json.loads(roster("who", "--at", DAY + " 12:00", "--json").out)["rotas"]) == ["desk", "heads"]


WRONG_USE = {
    "no such file": (("check", "missing.yaml"), "missing.yaml: there is no such file"),
    "a folder": (("check", "docs"), "docs: this is no file"),
    "an unknown rota": (("who", "desc"), "the roster has no rota 'desc'; did you mean 'desk'?"),
    "no time": (("who", "--at", "soon"), "--at takes a time such as 2026-12-31 20:00, not 'soon'"),
    "a day and no time": (("who", "--at", DAY), "--at takes a time such as 2026-12-31 20:00, not '2026-05-04'"),
    "no day": (("check", "--from", "2027-02-30"), "--from takes a day such as 2026-02-23, not '2027-02-30'"),
    "the last of days": (("show", "--from", "9999-12-31"), "--from takes a day that has days after it"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use_is_one_sentence_and_exit_code_2(case: str, roster: Any) -> None:
    words, sentence = WRONG_USE[case]

    told = roster(*words)

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(sentence)
    assert len(told.err.splitlines()) == 1


def test_without_a_roster_the_sentence_says_what_to_do(
    roster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    told = roster("show")

    assert (told.code, "set ROGATORY_ROSTER" in told.err) == (2, True)


def test_the_calendar_shows_each_turn_as_long_as_it_lasts(roster: Any, tmp_path: Path) -> None:
    told = roster("show", "--from", DAY, "--days", 8, "--file", roster_file(tmp_path))

    assert told.code == 0
    days, desk, heads, *rest = told.out.splitlines()
    assert days.rstrip() == (
        "      ▏Mon 04 May ▏Tue 05 May ▏Wed 06 May ▏Thu 07 May ▏Fri 08 May ▏Sat 09 May ▏Sun 10 May"
    )
    # Two hours a column: the night, the shifts, a holiday into Wednesday; the swap is too short and is told below.
    assert desk.startswith("desk  ▏belab▏ann▏*cem             ▏anna ▏bela ")
    assert "⇄ desk: cem, from Mon 2026-05-04 10:00 until Mon 2026-05-04 11:00: instead: a swap" in rest
    assert heads.startswith("heads ▏cem▏bela   ")
    assert rest[1].strip() == "▏Mon 11 May"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_the_calendar_keeps_to_the_width_that_there_is(width: int, tmp_path: Path) -> None:
    loaded = load_roster(roster_file(tmp_path))
    rotas = list(loaded.rotas)

    lines = list(picture(loaded, rotas, date(2026, 3, 27), 9, at("2026-03-29 12:00"), width))

    most = max(width, 6 + 7 * CELLS[-1])
    assert all(line.cell_len <= most for line in lines[:-1])
    bands = [line for line in lines if line.plain.startswith(("desk", "heads"))]
    assert len(bands) == 4
    assert len({line.cell_len for line in bands[:2]}) == 1


def test_the_calendar_marks_the_moment_and_where_nobody_is_on(tmp_path: Path) -> None:
    loaded = load_roster(roster_file(tmp_path))
    now = at("2027-12-30 12:00")

    lines = [line.plain for line in picture(loaded, ["desk"], date(2027, 12, 30), 7, now, 100)]

    assert lines[1] == "           ▼ now"
    assert "▏!cem!!!!!!!" in lines[2]
    assert lines[-1].endswith("! nobody, so this one stands in")


def test_the_calendar_as_json_holds_whole_turns(roster: Any, tmp_path: Path) -> None:
    told = json.loads(roster("show", "desk", "--from", DAY, "--days", 1, "--file", roster_file(tmp_path), "--json").out)

    assert [turn["person"] for turn in told["turns"]["desk"]] == ["bela", "cem", "bela", "anna", "cem"]
    assert told["turns"]["desk"][0]["since"] < told["since"]
    assert told["turns"]["desk"][-1]["until"] > told["until"]
