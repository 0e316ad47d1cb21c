"""The fifteen sample letters: all are good letters, and what must be missing is missing."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.letter import Letter, content_of, digest_of, parse_letter
from shared.states import STATES
from shared.vocabulary import Lane

SAMPLES = Path(__file__).parents[2] / "samples"
EXPECTED: dict[str, Any] = yaml.safe_load((SAMPLES / "expected.yaml").read_text())
TYPES = frozenset(measure["type"] for sample in EXPECTED.values() for measure in sample["measures"])


def raw(sample: str) -> bytes:
    return SAMPLES.joinpath(EXPECTED[sample]["file"]).read_bytes()


def letter(sample: str) -> Letter:
    return parse_letter(raw(sample), TYPES)


def test_there_are_fifteen_and_each_is_expected_once() -> None:
    assert list(EXPECTED) == [f"S{n:02}" for n in range(1, 16)]
    assert sorted(path.name for path in SAMPLES.glob("*.json")) == [sample["file"] for sample in EXPECTED.values()]


@pytest.mark.parametrize("sample", EXPECTED)
def test_each_is_a_good_letter_with_the_expected_measures(sample: str) -> None:
    read = letter(sample)

    assert [measure.type for measure in read.measures] == [measure["type"] for measure in EXPECTED[sample]["measures"]]
    assert digest_of(read) == digest_of(raw(sample))
    assert content_of(read)["reference"] == read.reference


@pytest.mark.parametrize("sample", EXPECTED)
def test_what_is_expected_is_said_in_our_words(sample: str) -> None:
    expected = EXPECTED[sample]

    assert expected["door"] in {"http", "kafka"}
    for measure in expected["measures"]:
        assert measure.keys() == {"type", "authority", "lane", "alert", "why"}
        assert measure["authority"] in {"security-service", "justice-ministry", "desk"}
        assert measure["lane"] in set(Lane)
        assert isinstance(measure["alert"], bool)


def test_both_doors_are_used_by_several_agencies() -> None:
    by_kafka = [sample["agency"] for sample in EXPECTED.values() if sample["door"] == "kafka"]

    assert len(by_kafka) >= 6
    assert len(set(by_kafka)) >= 4


@pytest.mark.parametrize(
    ("sample", "measure", "missing"),
    [
        ("S03", 0, ["time_period"]),
        ("S04", 0, ["duration_reason"]),
        ("S07", 0, ["facts"]),
        ("S10", 0, ["arrest_warrant", "law_text"]),
        ("S11", 0, ["necessity"]),
    ],
)
def test_what_must_be_missing_is_missing(sample: str, measure: int, missing: list[str]) -> None:
    assert not set(missing) & letter(sample).measures[measure].contents.keys()


def test_they_come_in_many_languages_from_many_states() -> None:
    letters = [letter(sample) for sample in EXPECTED]

    assert {read.language for read in letters} == {"fr", "en", "ru", "es", "ar", "zh", "az"}
    assert len({read.party for read in letters}) == 14


def test_the_states_are_those_of_the_time_zone_database() -> None:
    lines = (files("tzdata.zoneinfo") / "iso3166.tab").read_text(encoding="utf-8").splitlines()

    assert {line.split("\t")[0] for line in lines if not line.startswith("#")} == STATES
