"""What is wrong with a letter: each bad field by its pointer, in plain sentences that repeat nothing of the letter."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.failures import NeverWill
from shared.words import WORDS

MOST_ERRORS = 200
"""So many bad fields are named in one answer; a hostile letter could have a hundred thousand."""

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: where it stands (RFC 6901) and what is wrong with it."""

    pointer: str
    detail: str


class BadLetter(NeverWill):
    """A letter that cannot be taken: 400 is no JSON, 413 too large, 422 has bad fields."""

    def __init__(self, status: int, errors: tuple[FieldError, ...]) -> None:
        """`errors`: never empty, never with a value from the letter."""
        self.status = status
        self.errors = errors
        super().__init__("; ".join(f"{error.pointer or 'the letter'}: {error.detail}" for error in errors[:5]))

    def __reduce__(self) -> tuple[type["BadLetter"], tuple[int, tuple[FieldError, ...]]]:
        return BadLetter, (self.status, self.errors)


def pointer(parts: Iterable[str | int], names: Collection[str] = ()) -> str:
    """The JSON pointer of a place; it stops before a name that is not like ours, for that may be personal data.

    `names`: those that are known all the same, such as `groupKey`. Neither they nor names like ours hold `~` or `/`, so
    nothing needs the escapes of RFC 6901.
    """
    found = ""
    for part in parts:
        if isinstance(part, str) and part not in names and not _WORD.fullmatch(part):
            break
        found += f"/{part}"
    return found


TIME = "Must be a time with its zone, such as 2026-11-24T16:00:00+04:00."
SENTENCES: Mapping[str, str] = {
    "missing": "This field is required.",
    "extra_forbidden": "This field is not known here.",
    "string_type": "Must be text.",
    "string_too_short": "Must not be empty.",
    "string_too_long": "Must be at most {max_length} characters long.",
    "string_pattern_mismatch": "Is not in the form that this field has.",
    "string_unicode": "Holds half a character (a lone surrogate).",
    "enum": "Must be one of {expected}.",
    "too_short": "Must have at least {min_length} entry.",
    "too_long": "Must have at most {max_length} entries.",
    "int_type": "Must be a whole number.",
    "int_parsing": "Must be a whole number.",
    "int_from_float": "Must be a whole number.",
    "greater_than_equal": "Must be at least {ge}.",
    "less_than_equal": "Must be at most {le}.",
    "bool_type": "Must be true or false.",
    "bool_parsing": "Must be true or false.",
    "literal_error": "Must be {expected}.",
    "timezone_aware": TIME,
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_object_invalid": TIME,
    "datetime_from_date_parsing": TIME,
    "dict_type": "Must be an object.",
    "model_type": "Must be an object.",
    "model_attributes_type": "Must be an object.",
    "list_type": "Must be a list.",
    "tuple_type": "Must be a list.",
}
"""pydantic's kinds of error in our words; what stands in braces comes from our own models, never from the letter."""

FORMS: Mapping[str, str] = {
    "about": "Must be the id of a case, cas_ and 32 hexadecimal digits in small letters, or of an alert.",
    "after": "Must be the 'next' of the page before, as it stands there.",
    "agency": "Must be the id of an agency.",
    "by": "Must be an id such as officer-7: small letters, digits, dots and hyphens, at most 63; no name of a person.",
    "contents": "Has a name that is not like time_period: small letters, digits and underscores, at most 64.",
    "fingerprint": "Must be hexadecimal digits in small letters, at most 64, as Alertmanager sends it.",
    "language": "Must be a language tag such as fr or az-Latn.",
    "reference": "Must hold no control characters.",
    "party": "Must be the two capital letters of a State, such as FR.",
    "prior_reference": "Must hold no control characters.",
    "sha256": "Must be 64 hexadecimal digits in small letters.",
    "treaty_basis": "Must be short names such as uncc.",
}
"""What a field must look like, where a pattern says it."""


def in_our_words(errors: Iterable[Any], names: Collection[str] = ()) -> list[FieldError]:
    """What pydantic found, as pointers and sentences; it is asked for errors without their input.

    `names`: as in `pointer`.
    It counts only the good entries of a list, so a list of one bad entry is not called too short here.
    """
    found = list(errors)
    within = {error["loc"][:n] for error in found for n in range(len(error["loc"]))}
    return [
        FieldError(pointer(_place(error), names), _sentence(error))
        for error in found
        if error["type"] != "too_short" or error["loc"] not in within
    ]


def _place(error: Any) -> tuple[str | int, ...]:
    place: tuple[str | int, ...] = error["loc"]
    return place[:-2] if place[-1:] == ("[key]",) else place


def _sentence(error: Any) -> str:
    kind = error["type"]
    if kind in {"ours", "value"}:
        return str(error["msg"])
    if kind == "string_pattern_mismatch":
        if error["ctx"]["pattern"] == WORDS:
            return SENTENCES["string_too_short"]
        named = [part for part in _place(error) if part in FORMS]
        return FORMS[str(named[-1])] if named else SENTENCES[kind]
    if kind in {"string_too_long", "string_too_short", "string_type"} and error["loc"][-1:] == ("[key]",):
        return FORMS["contents"]
    return SENTENCES.get(kind, "Is not as it should be.").format_map(error.get("ctx", {}))
