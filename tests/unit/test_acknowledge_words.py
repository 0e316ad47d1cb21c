"""The words of the acknowledgement page: every sentence in every language, with its own facts in it."""

import re
from pathlib import Path

import pytest

from services.notifier.acknowledgement.acknowledging import Acknowledged
from services.notifier.acknowledgement.words import FILE, Said, in_language, load_words
from shared.failures import BadStart

WORDS = load_words()


def placeholders(said: Said) -> dict[str, list[str]]:
    """What each sentence asks for."""
    return {name: sorted(re.findall(r"{(\w+)}", str(value))) for name, value in said.model_dump().items()}


def said(*, already: bool = False, ended: str | None = None) -> Acknowledged:
    return Acknowledged("not_1", "alt_1", "operations", "2026-03-10T08:00:00.000000Z", "operations", already, ended)


@pytest.mark.parametrize("language", WORDS)
def test_each_language_asks_for_the_same_facts_and_knows_the_same_reasons(language: str) -> None:
    assert placeholders(WORDS[language]) == placeholders(WORDS["en"])
    assert WORDS[language].ended.keys() == WORDS["en"].ended.keys()


@pytest.mark.parametrize("language", sorted({*WORDS} - {"en"}))
def test_nothing_was_left_in_english(language: str) -> None:
    english, theirs = WORDS["en"].model_dump(), WORDS[language].model_dump()
    same = {name for name in english if english[name] == theirs[name]}

    assert same <= {"by_at"}


@pytest.mark.parametrize(
    ("acknowledged", "sentence"),
    [
        (said(), "Acknowledged. Nobody else is told unless nothing is done."),
        (said(already=True), "Acknowledged before: operations, now. Nothing has changed."),
        (said(ended="case.closed"), "Noted, but this alert was over already: the case is closed."),
        (
            said(already=True, ended="case.begun"),
            "Acknowledged before: operations, now. The alert is over: the case has moved on (case.begun).",
        ),
        (
            said(ended="its ladder is gone"),
            "Noted, but this alert was over already: another reason (its ladder is gone).",
        ),
    ],
)
def test_what_an_acknowledgement_came_to_is_one_sentence(acknowledged: Acknowledged, sentence: str) -> None:
    assert WORDS["en"].outcome(acknowledged, "now") == sentence


def test_a_sentence_that_is_there_in_one_language_only_says_which() -> None:
    both = {"en": "Now", "fr": "Maintenant"}

    assert in_language(both, "fr") == ("Maintenant", "fr")
    assert in_language(both, "az") == ("Now", "en")
    assert in_language("Now", "fr") == ("Now", "en")


def test_a_missing_word_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(FILE.read_text().replace("  acknowledge: Подтвердить\n", ""))

    with pytest.raises(BadStart, match="'acknowledge' is missing"):
        load_words(file)
