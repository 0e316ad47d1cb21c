"""Letters run under two law files: which of them would be answered differently, and how."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.law.subjects import changed, sentences
from shared.completeness import missing
from shared.failures import BadStart
from shared.law.competence import Law
from shared.letter import BadLetter, Letter, content_of, parse_letter, split_content


@dataclass(frozen=True)
class Replayed:
    """A letter, and per measure what the new law answers differently: empty where it answers the same."""

    letter: str
    says: tuple[str, ...]


def letters_in(folder: Path) -> Mapping[str, bytes]:
    """The letters (`*.json`) of a folder, by their names."""
    if not folder.is_dir():
        raise BadStart(f"{folder}: there is no such folder of letters")
    try:
        letters = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}
    except OSError as failure:
        raise BadStart(f"{folder}: a letter cannot be read ({failure.strerror})") from None
    if not letters:
        raise BadStart(f"{folder}: there is no letter (*.json) in it")
    return letters


def replay(letters: Mapping[str, bytes], old: Law, new: Law) -> Sequence[Replayed]:
    """Each letter under both laws, as if it had been received when it was sent."""
    known = {*old.request_types, *new.request_types}
    return [Replayed(name, tuple(_differs(_read(name, raw, known), old, new))) for name, raw in letters.items()]


def _read(name: str, raw: bytes, known: set[str]) -> Letter:
    try:
        return parse_letter(raw, known)
    except BadLetter as wrong:
        raise BadStart(f"{name} is no letter of request: {wrong}") from None


def _differs(letter: Letter, old: Law, new: Law) -> Iterator[str]:
    for number, measure in enumerate(letter.measures, 1):
        share = split_content(content_of(letter), number)
        before, after = (_answers(law, letter, measure.type, share) for law in (old, new))
        for sentence in sentences(changed(before, after)):
            yield f"measure {number}, {measure.type}: {sentence}"


def _answers(law: Law, letter: Letter, type: str, share: Mapping[str, Any]) -> dict[str, object]:
    """What becomes of one measure under one law; nothing but codes of the law file, never the letter's own words."""
    if type not in law.request_types:
        return dict.fromkeys(("competent", "basis", "certainty", "legal basis", "lane", "lacks"), "not known")
    on = law.day_of(letter.sent_at)
    answer = law.decide(type, letter.direction, on, party=letter.party, treaty_basis=letter.treaty_basis)
    return {
        "competent": answer.authority,
        "basis": ", ".join(answer.basis),
        "certainty": answer.certainty,
        "legal basis": answer.gate,
        "lane": str(law.lane(type, letter.urgency, on)),
        "lacks": ", ".join(one["field"] for one in missing(law, type, on, share)) or "nothing",
    }
