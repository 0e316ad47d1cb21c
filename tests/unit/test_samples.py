"""The fifteen sample letters: all are good letters, and what must be missing is missing."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.completeness import missing
from shared.law import load_law
from shared.letter import Letter, content_of, digest_of, parse_letter, split_content
from shared.states import STATES
from shared.vocabulary import Lane

SAMPLES = Path(__file__).parents[2] / "samples"
EXPECTED: dict[str, Any] = yaml.safe_load((SAMPLES / "expected.yaml").read_text())
LAW = load_law(SAMPLES.parent / "laws" / "azerbaijan.yaml")
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
        assert measure.keys() - {"goes_to"} == {"type", "authority", "lane", "alert", "missing", "end", "why"}
        assert measure["authority"] in {"security-service", "justice-ministry", "desk"}
        assert measure["lane"] in set(Lane)
        assert isinstance(measure["alert"], bool)


def test_both_doors_are_used_by_several_agencies() -> None:
    by_kafka = [sample["agency"] for sample in EXPECTED.values() if sample["door"] == "kafka"]

    assert len(by_kafka) >= 6
    assert len(set(by_kafka)) >= 4


@pytest.mark.parametrize("sample", EXPECTED)
def test_the_law_asks_for_what_is_missing_and_for_nothing_else(sample: str) -> None:
    read = letter(sample)

    for n, expected in enumerate(EXPECTED[sample]["measures"], 1):
        content = split_content(content_of(read), n)
        found = missing(LAW, expected["type"], LAW.day_of(read.sent_at), content)
        assert [one["field"] for one in found] == expected["missing"]
        assert all(one["basis"] for one in found)


@pytest.mark.parametrize("sample", EXPECTED)
def test_every_word_of_a_sample_is_one_that_the_law_lists(sample: str) -> None:
    read = letter(sample)

    for measure in read.measures:
        listed = {one.word for one in LAW.required(measure.type, LAW.day_of(read.sent_at)) if one.pointer is None}
        assert measure.contents.keys() <= listed


def test_service_of_documents_is_complete_without_facts() -> None:
    assert "facts" not in letter("S07").measures[0].contents
    assert EXPECTED["S07"]["measures"][0]["missing"] == []


def test_they_come_in_many_languages_from_many_states() -> None:
    letters = [letter(sample) for sample in EXPECTED]

    assert {read.language for read in letters} == {"fr", "en", "ru", "es", "ar", "zh", "az"}
    assert len({read.party for read in letters}) == 14


def test_the_states_are_those_of_the_time_zone_database() -> None:
    lines = (files("tzdata.zoneinfo") / "iso3166.tab").read_text(encoding="utf-8").splitlines()

    assert {line.split("\t")[0] for line in lines if not line.startswith("#")} == STATES
