"""What the acknowledgement page and the API say, in every language that we have, from one checked file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.notifier.acknowledgement.acknowledging import Acknowledged
from shared.yaml_file import Strict, Words, read_yaml

FILE = Path(__file__).parent / "page" / "words.yaml"
DEFAULT = "en"
MOVED_ON, OTHER = "moved_on", "other"


class Facts(Strict):
    """What stands before each fact of a notice."""

    reference: Words
    type: Words
    authority: Words
    clock: Words
    due: Words
    raised_at: Words
    recipient: Words
    acknowledged: Words
    ended: Words


class ClockKinds(Strict):
    """Whose deadline it is: one must never be taken for another."""

    statutory: Words
    requested: Words
    policy: Words


class Said(Strict):
    """The words of one language; `words.yaml` says what each is for."""

    language: Words
    languages: Words
    title: Words
    acknowledge: Words
    explains: Words
    others_take: Words
    facts: Facts
    not_yet: Words
    still_open: Words
    by_at: Words
    clock_kinds: ClockKinds
    done: Words
    already: Words
    too_late: Words
    too_late_already: Words
    over: Words
    ended: Mapping[str, Words]
    not_found: Words
    from_elsewhere: Words
    busy: Words

    def why(self, reason: str) -> str:
        """Why an alert has ended; a reason without words of its own is shown as it is."""
        other = MOVED_ON if reason.startswith("case.") else OTHER
        return self.ended.get(reason) or f"{self.ended[other]} ({reason})"

    def whose_clock(self, kind: str) -> str:
        """Whose deadline a kind of clock is."""
        return str(getattr(self.clock_kinds, kind, kind))

    def outcome(self, said: Acknowledged, at: str) -> str:
        """What an acknowledgement came to, in one sentence; `at`: when it was acknowledged, as people read it."""
        why = self.why(said.ended) if said.ended else ""
        if said.already:
            sentence = self.too_late_already if said.ended else self.already
        else:
            sentence = self.too_late if said.ended else self.done
        return sentence.format(by=said.by, at=at, why=why)


class _Text(Strict):
    en: Said
    az: Said
    ru: Said
    fr: Said


def load_words(path: Path = FILE) -> Mapping[str, Said]:
    """The words by language; raises `BadStart`."""
    text = read_yaml(path).typed(_Text)
    return {name: getattr(text, name) for name in _Text.model_fields}


def in_language(says: Any, language: str) -> tuple[str, str]:
    """A notice's sentence in this language, or else in the one that there is; with the language that it is in."""
    if isinstance(says, str):
        return says, DEFAULT
    found = language if language in says else DEFAULT
    return says[found], found
