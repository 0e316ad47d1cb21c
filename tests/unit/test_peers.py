"""The peers of the benchmark: they get the same letters and the same routes, and what they leave is counted."""

import json
from pathlib import Path

import pytest

from benchmarks.letters import AUTHORITY, SIZE, bodies
from benchmarks.peers import environments
from benchmarks.peers.feeds import Lines, letter_in_its_words
from benchmarks.peers.intelmq import sieve
from benchmarks.peers.routes import routes
from shared.vocabulary import DESK

REQUIREMENTS = sorted(environments.HERE.glob("*.in"))


def test_every_type_has_one_place_and_the_measured_letters_go_to_their_authority() -> None:
    wanted = routes()

    assert wanted["stored_data_access"] == AUTHORITY
    assert wanted["extradition"] == "justice-ministry"
    assert wanted["police_cooperation"] == DESK


def test_intelmqs_letters_are_as_long_as_ours_and_lose_only_facts() -> None:
    for body in bodies("run", 3):
        letter = json.loads(body)

        event = json.loads(written := letter_in_its_words(body))

        assert len(written) == SIZE
        [measure] = letter["measures"]
        assert event["classification.identifier"] == measure["type"]
        assert event["extra.reference"] == letter["reference"]
        kept = event["extra.letter"]
        assert measure["contents"].pop("facts").startswith(kept["contents"].pop("facts"))
        assert kept["contents"] == measure["contents"]
        assert {name: kept[name] for name in ("party", "contact", "sent_at")} == {
            name: letter[name] for name in ("party", "contact", "sent_at")
        }


def test_the_sieve_names_every_type_once_under_its_authority() -> None:
    rules = sieve({"extradition": "justice-ministry", "stored_data_access": AUTHORITY, "search_seizure": AUTHORITY})

    first, *others = rules.splitlines()
    assert first == "remove raw"
    assert others == [
        "if extra.direction == 'incoming' && classification.identifier :in ['extradition'] { path 'justice-ministry' }",
        "if extra.direction == 'incoming' && classification.identifier :in ['stored_data_access', 'search_seizure']"
        f" {{ path '{AUTHORITY}' }}",
    ]


async def test_lines_are_counted_as_they_come_and_one_that_is_missing_or_there_twice_spoils_the_round(
    tmp_path: Path,
) -> None:
    letters = [letter_in_its_words(body) for body in bodies("run", 2)]
    lines = Lines(tmp_path / "events.txt")
    (tmp_path / "events.txt").write_bytes(letters[0] + b"\n" + letters[1] + b"\n")

    await lines.until(2)

    assert lines.count == 2
    lines.check(letters)
    for wrong in ([letters[0]], [letters[0], letters[0]], [*letters, letters[1]]):
        with pytest.raises(AssertionError, match="instead of"):
            lines.check(wrong)


@pytest.mark.parametrize("named", REQUIREMENTS, ids=lambda path: path.stem)
def test_every_requirement_of_a_peer_has_hashes_and_no_address(named: Path) -> None:
    text = named.with_suffix(".txt").read_text()

    assert "://" not in text
    packages = [block for block in text.split("\n") if block and not block.startswith((" ", "#"))]
    assert packages
    assert all(block.endswith("\\") for block in packages)
    locked = {block.split("==")[0] for block in packages}
    asked = {line for line in named.read_text().splitlines() if line and not line.startswith("#")}
    assert {line.split("<")[0].split("=")[0].lower() for line in asked} <= locked
