"""The letter of request as it comes through the door: reading it, its digest, one measure's share of it."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError

from shared import strict_json
from shared.bad_letter import MOST_ERRORS, BadLetter, FieldError, in_our_words, pointer
from shared.letter_model import MOST, Attachment, Contact, Letter, Measure, RequestedDeadline
from shared.limits import CONTRACT, Limits

__all__ = [
    "MAX_LETTER_BYTES",
    "Attachment",
    "BadLetter",
    "Contact",
    "FieldError",
    "Letter",
    "Measure",
    "RequestedDeadline",
    "content_of",
    "differing_fields",
    "digest_of",
    "parse_letter",
    "split_content",
]

MAX_LETTER_BYTES = CONTRACT.letter_bytes
"""The largest letter; files travel as digest and link."""


def parse_letter(raw: bytes, known_types: Collection[str], limits: Limits = CONTRACT) -> Letter:
    """The letter in these bytes; raises `BadLetter` with every bad field at once. A null member counts as left out.

    `known_types`: the law's request types, best a set.
    """
    most = limits.letter_bytes
    if len(raw) > most:
        raise BadLetter(413, (FieldError("", f"A letter has at most {most} bytes; files travel apart."),))
    return _parse_quickly(raw, known_types, limits) or _parse_exactly(raw, known_types, limits)


def content_of(letter: Letter) -> dict[str, Any]:
    """The letter as the JSON that was sent; not to be changed, for it is no copy."""
    sent: dict[str, Any] | None = getattr(letter, "_sent", None)
    return letter.model_dump(mode="json", exclude_unset=True) if sent is None else sent


def digest_of(raw_or_letter: bytes | Letter) -> str:
    """SHA-256 of the RFC 8785 form in hexadecimal: white space, order and escapes make no difference.

    Costs nothing for a letter that was parsed. Raises `BadLetter` for bytes that have no canonical form.
    """
    if not isinstance(raw_or_letter, bytes):
        return getattr(raw_or_letter, "_digest", None) or strict_json.digest(content_of(raw_or_letter))
    sent, _, errors, _ = strict_json.read(raw_or_letter)
    if errors:
        raise BadLetter(422, tuple(errors))
    return strict_json.digest(sent)


def differing_fields(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The JSON pointers of what differs between two letters as `content_of` gives them, never a value."""
    return list(dict.fromkeys(strict_json.differing(a, b)))


_FOR_EVERYBODY = (
    "reference",
    "party",
    "language",
    "sent_at",
    "urgency",
    "urgency_reason",
    "requested_deadline",
    "treaty_basis",
    "prior_reference",
    "contact",
    "translation",
    "confidential",
)
"""What of a letter each authority sees that has one of its measures."""


def split_content(sent: Mapping[str, Any], n: int) -> dict[str, Any]:
    """What the authority of measure `n` (from 1) may see: nothing of the others, not even how many there are.

    `sent`: a letter that was accepted, as `content_of` gives it. Attachments that no measure names go along only where
    the letter has one measure.
    """
    measures = sent["measures"]
    if not 1 <= n <= len(measures):
        raise IndexError("The letter has no such measure.")
    measure = measures[n - 1]
    share = {name: sent[name] for name in _FOR_EVERYBODY if sent.get(name) is not None}
    share["reference"] = share["reference"].strip()
    contents = {name: value for name, value in (measure.get("contents") or {}).items() if value is not None}
    share["measure"] = {"type": measure["type"], "contents": contents}
    files = _attachments_for(sent, n) if sent.get("attachments") else []
    return share | ({"attachments": files} if files else {})


def _attachments_for(sent: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    lists = [measure.get("attachments") or () for measure in sent["measures"]]
    named = {name for names in lists for name in names}
    files = [{name: value for name, value in file.items() if value is not None} for file in sent["attachments"]]
    return [f for f in files if f.get("name") in lists[n - 1] or (len(lists) == 1 and f.get("name") not in named)]


def _parse_quickly(raw: bytes, known_types: Collection[str], limits: Limits) -> Letter | None:
    """The letter if it is plainly good; None where it must be read exactly.

    A name that stands twice is lost in reading, so it shows as a colon too few when written again; only an escaped
    colon (U+003A) could hide that.
    """
    if rb"\u003" in raw or rb"\u0000" in raw:
        return None
    try:
        sent = orjson.loads(raw)
        letter = Letter.model_validate(sent)
    except (orjson.JSONDecodeError, ValidationError):
        return None
    if len(letter.measures) > limits.measures or len(letter.attachments) > limits.attachments:
        return None
    written = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    if written.count(b":") != raw.count(b":") or not _is_plain(letter) or any(_misfits(sent, known_types)):
        return None
    # The names of a good letter are ASCII and it has no floats, so this is the canonical form already.
    return _remember(letter, sent, hashlib.sha256(written).hexdigest())


def _is_plain(letter: Letter) -> bool:
    """Whether no number could be one that must be read exactly: floats, and integers that are too long."""
    for measure in letter.measures:
        values = measure.contents.values()
        if not {*map(type, values)} <= _PLAIN and any(map(_needs_a_look, values)):
            return False
    return True


_PLAIN = {str, bool}


def _needs_a_look(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_needs_a_look, value))
    return isinstance(value, float) or (type(value) is int and abs(value) > strict_json.LARGEST)


def _parse_exactly(raw: bytes, known_types: Collection[str], limits: Limits) -> Letter:
    sent, cleaned, errors, settled = strict_json.read(raw, limits.depth)
    if not isinstance(sent, dict):
        raise BadLetter(422, (*errors, FieldError("", "Must be an object.")))
    if cleaned is not None:
        errors += _too_many(cleaned, limits)
        cleaned |= {
            name: cleaned[name][: most + 1] for name, most in MOST.items() if isinstance(cleaned.get(name), list)
        }
        misfits = islice(_misfits(cleaned, known_types), MOST_ERRORS + 1)
        errors += [error for error in misfits if error.pointer not in settled]
    try:
        letter = Letter.model_validate(cleaned)
    except ValidationError as error:
        found = in_our_words(error.errors(include_url=False, include_input=False))
        errors += [one for one in found if one.pointer not in settled]
    if errors:
        raise BadLetter(422, _at_most(list(dict.fromkeys(errors))))
    return _remember(letter, sent, strict_json.digest(sent))


def _remember(letter: Letter, sent: dict[str, Any], digest: str) -> Letter:
    """The letter, which also knows from now on what was sent."""
    object.__setattr__(letter, "_sent", sent)
    object.__setattr__(letter, "_digest", digest)
    return letter


def _at_most(errors: list[FieldError]) -> tuple[FieldError, ...]:
    if len(errors) <= MOST_ERRORS:
        return tuple(errors)
    return (*errors[:MOST_ERRORS], FieldError("", f"More is wrong than these {MOST_ERRORS} places."))


def _too_many(sent: Mapping[str, Any], limits: Limits) -> Iterator[FieldError]:
    """What the contract allows and this deployment does not."""
    for name, most in (("measures", limits.measures), ("attachments", limits.attachments)):
        found = sent.get(name)
        if isinstance(found, list) and most < len(found) <= MOST[name]:
            yield FieldError(f"/{name}", f"Must have at most {most} entries here.")


def _misfits(sent: dict[str, Any], known_types: Collection[str]) -> Iterator[FieldError]:
    """What only the whole letter shows: unknown types, attachments that are not there or stand twice."""
    names: set[str] = set()
    for n, file in enumerate(_objects(sent.get("attachments"))):
        name = file.get("name")
        if isinstance(name, str) and name in names:
            yield FieldError(pointer(("attachments", n, "name")), "Another attachment has this name.")
        elif isinstance(name, str):
            names.add(name)
    for n, measure in enumerate(_objects(sent.get("measures"))):
        kind = measure.get("type")
        if isinstance(kind, str) and kind not in known_types:
            known = ", ".join(sorted(known_types))
            yield FieldError(pointer(("measures", n, "type")), f"Is not a known request type; known are {known}.")
        listed = measure.get("attachments")
        for m, name in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(name, str) and name not in names:
                yield FieldError(pointer(("measures", n, "attachments", m)), "The letter has no such attachment.")


def _objects(value: Any) -> list[dict[str, Any]]:
    """The entries of a list, an empty object for each that is none, so that places are kept."""
    return [entry if isinstance(entry, dict) else {} for entry in value] if isinstance(value, list) else []
