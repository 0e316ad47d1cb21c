"""Every fault of a roster is one plain sentence with its line, and names nobody."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.notifier.duty.roster import load_roster
from shared.failures import BadStart
from tests.unit.test_roster import GOOD, roster_file, roster_of

REFUSED: Mapping[str, tuple[str, str, str]] = {
    "an unknown zone": ("Europe/Paris", "Europe/Pariss", ":1: 'Europe/Pariss' is no time zone"),
    "no contact": ("contacts: {email: anna.secret@example.org}", "contacts: {}", ":3: this person has no contact: nob"),
    "no contacts": (", contacts: {email: anna.secret@example.org}", "", ":3: 'contacts' is missing"),
    "an empty contact": ("email: anna.secret@example.org", "email: ", ":3: 'email' must not be empty"),
    "a malformed address": (
        "anna.secret@",
        "anna secret@",
        ":3: the e-mail address is malformed (write one, such as na",
    ),
    "an address without a host": ("bela.secret@example.org", "bela.secret@", ":4: the e-mail address is malformed"),
    "two addresses": (
        "email: anna.secret@example.org",
        'email: "anna.secret@example.org, x@example.org"',
        ":3: the e-mail address is malformed",
    ),
    "a header in an address": (
        "anna.secret@example.org}",
        '"anna.secret@example.org\\nBcc: x@example.org"}',
        ":3: the e-mail address is malformed",
    ),
    "an address for Apprise that is none": ("jsons://secret/cem", "secret/cem", ":5: the Apprise address is malformed"),
    "an address without its kind": (
        "email: anna.secret@",
        "anna.secret@",
        ":3: a contact is one of email, apprise, wit",
    ),
    "an unknown language": ("language: fr", "language: de", ":4: 'language' cannot be 'de'; use az, en, ru, fr"),
    "a rota without who stands in": ("    stand_in: anna\n", "", ":24: 'stand_in' is missing"),
    "nobody known stands in": (
        "stand_in: anna",
        "stand_in: ana",
        ":26: there is no person 'ana' in this roster; did you",
    ),
    "an unknown person in turns": (
        "[anna, bela]",
        "[anna, bella]",
        ":15: there is no person 'bella' in this roster; di",
    ),
    "an unknown person in a shift": ("12:00, on: bela", "12:00, on: x", ":17: there is no person 'x' in this roster"),
    "an unknown person on a holiday": ("05-01, on: cem", "05-01, on: x", ":20: there is no person 'x' in this roster"),
    "an unknown person instead": ("on: cem, reason", "on: x, reason", ":23: there is no person 'x' in this roster"),
    "a malformed hand-over": ('"20:00"]', '"8 pm"]', ":14: '8 pm' is no hand-over time (write 08:00, or Monday 08:00)"),
    "an hour that there is not": ('"20:00"]', '"24:00"]', ":14: '24:00' is no hand-over time"),
    "a day that there is not": ("Monday 09:00", "Mon 09:00", ":29: 'Mon 09:00' is no hand-over time"),
    "a hand-over twice": ('"08:00", "20:00"', '"08:00", Friday 08:00', ":14: two hand-overs at one time"),
    "nobody in the order": ("[bela, cem]", "[]", ":30: 'order' must not be empty"),
    "shifts that overlap": (
        "from: 2026-05-04 12:00",
        "from: 2026-05-04 11:59",
        ":18: this 'shift' begins before the on",
    ),
    "a shift inside another": ("until: 2026-05-04 12:00", "until: 2026-05-09 12:00", ":18: this 'shift' begins before"),
    "holidays that overlap": (
        "day: 2026-05-01",
        "day: 2026-05-05",
        ":20: this 'holiday' begins before the one on line 21",
    ),
    "a holiday that ends first": (
        "from: 2026-05-04, through: 2026-05-05",
        "from: 2026-05-04, through: 2026-05-03",
        ":21: th",
    ),
    "a holiday without an end": (", through: 2026-05-05", "", ":21: a holiday has a 'day', or 'from' and 'through'"),
    "a holiday twice over": (
        "{day: 2026-05-01,",
        "{day: 2026-05-01, from: 2026-05-01,",
        ":20: a holiday has a 'day', or",
    ),
    "an end before its beginning": (
        "11:00, on: cem",
        "09:00, on: cem",
        ":23: the end of this 'instead' is not after its b",
    ),
    "an end at its beginning": (
        "11:00, on: cem",
        "10:00, on: cem",
        ":23: the end of this 'instead' is not after its b",
    ),
    "a swap without a reason": (", reason: a swap", "", ":23: 'reason' is missing"),
    "a moment without its time": (
        "from: 2026-05-04 10:00",
        "from: 2026-05-04",
        ":23: '2026-05-04' is no moment (write 202",
    ),
    "a moment that there is not": (
        "from: 2026-05-04 10:00",
        "from: 2026-02-30 10:00",
        ":23: '2026-02-30 10:00' is no mom",
    ),
    "a time that clocks leave out": (
        "from: 2026-05-04 10:00",
        "from: 2026-03-29 02:30",
        ":23: there is no 02:30 on 2026-03-29 in Europe/Paris: clocks are put forward",
    ),
    "a time that comes twice": (
        "from: 2026-05-04 10:00",
        "from: 2025-10-26 02:30",
        ":23: 02:30 comes twice on 2025-10-26 in Europe/Paris: clocks are put back",
    ),
    "a rota that ends first": ("2027-12-31 20:00", "2025-12-31 20:00", ":11: 'desk' ends before it begins"),
    "two rotas with one name": ("  heads:", "  desk:", ":24: 'desk' stands here for the second time (first on line 7)"),
    "two rotas with one title": ("The heads", "the Desk", ":25: 'desk' and 'heads' are rotas with one title"),
    "patterns in the wrong order": (
        "        order: [bela, cem]\n",
        "        order: [bela, cem]\n      - {start: 2026-01-01, hand_over: [Monday 09:00], order: [anna]}\n",
        ":31: these turns begin before those above them",
    ),
    "nobody ever": (
        "    turns:\n      - start: 2026-01-07\n        hand_over: [Monday 09:00]\n        order: [bela, cem]\n",
        "",
        ":24: 'heads' has neither turns nor shifts: nobody would ever be on",
    ),
    "no rotas": (GOOD[GOOD.index("rotas:") :], "rotas: {}\n", ":6: 'rotas' must not be empty"),
    "an unknown key": ("stand_in: cem", "standin: cem", ":9: 'standin' is not a key here; did you mean 'stand_in'?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_fault_stops_the_start_with_its_line_and_without_what_is_personal(case: str, tmp_path: Path) -> None:
    old, new, sentence = REFUSED[case]
    assert old in GOOD
    path = roster_file(tmp_path, GOOD.replace(old, new))

    with pytest.raises(BadStart) as refusal:
        load_roster(path)

    assert str(refusal.value).startswith(f"{path}{sentence}"), str(refusal.value)
    assert "secret" not in str(refusal.value).lower().replace(str(path).lower(), "")


def test_every_fault_has_its_own_line(tmp_path: Path) -> None:
    text = GOOD.replace("[anna, bela]", "[x, y]").replace("from: 2026-05-04 12:00", "from: 2026-05-04 11:59")

    with pytest.raises(BadStart) as refusal:
        roster_of(tmp_path, text)

    assert [line.split(":")[1] for line in str(refusal.value).splitlines()] == ["15", "15", "18"]


def test_every_row_that_cannot_be_is_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("stand_in: cem", "standin: cem").replace("zone: ", "zone: X", 1).replace("09:00", "9")

    with pytest.raises(BadStart) as refusal:
        roster_of(tmp_path, text)

    said = str(refusal.value).splitlines()
    assert [line.split(":")[1] for line in said] == ["1", "9", "29"]
    assert "'standin' is not a key here; did you mean 'stand_in'?" in said[1]


def test_a_person_shows_no_name_and_no_address(tmp_path: Path) -> None:
    assert "Secret" not in repr(roster_of(tmp_path).people) + repr(roster_of(tmp_path))
    assert "secret" not in repr(roster_of(tmp_path).people) + repr(roster_of(tmp_path))
