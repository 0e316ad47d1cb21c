"""What an agency says on a letter of before, as it comes through the door: which message it is, and its fields.

Which messages there are, and what each may say, stands in the life cycle's table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import strict_json
from shared.bad_letter import MOST_ERRORS, BadLetter, FieldError
from shared.failures import BadStart
from shared.letter_model import LONGEST_REFERENCE, MOST
from shared.life_cycle import BadUpdate, LifeCycle, Update
from shared.limits import CONTRACT, Limits
from shared.yaml_file import did_you_mean

ENVELOPE = ("message", "letter", "reference", "measures", "id")
"""What every message has beside its own fields."""

_LETTER = re.compile(r"let_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class LetterMessage:
    """One message on a letter, read and found good; whether the letter is there only its record knows."""

    name: str
    update: Update
    letter: str | None
    reference: str | None
    """The letter's, where it is not named by its id."""
    measures: tuple[int, ...]
    """Which of the letter's measures it is about; empty: all."""
    own_id: str | None
    """What its sender calls it."""
    digest: str


def parse_message(raw: bytes, life: LifeCycle, letter: str | None = None, limits: Limits = CONTRACT) -> LetterMessage:
    """The message in these bytes; raises `BadLetter` with every bad field at once. A null member counts as left out.

    `letter`: the id of the letter on which it was posted; without it the message itself names one.
    """
    most = limits.letter_bytes
    if len(raw) > most:
        raise BadLetter(413, (FieldError("", f"A message has at most {most} bytes; files travel apart."),))
    sent, cleaned, errors, settled = strict_json.read(raw, limits.depth)
    if not isinstance(sent, dict):
        raise BadLetter(422, (*errors, FieldError("", "Must be an object.")))
    if not isinstance(cleaned, dict):
        raise BadLetter(422, tuple(errors))
    found = [*_address_errors(cleaned, letter), *_measure_errors(cleaned.get("measures"))]
    found += _text_errors(cleaned, "id")
    update, misread = _update(cleaned, life)
    errors += [error for error in (*found, *misread) if error.pointer not in settled]
    if errors or update is None:
        raise BadLetter(422, tuple(dict.fromkeys(errors))[:MOST_ERRORS])
    reference = cleaned.get("reference")
    return LetterMessage(
        name=cleaned["message"],
        update=update,
        letter=letter or cleaned.get("letter"),
        reference=reference.strip() if reference else None,
        measures=tuple(cleaned.get("measures", ())),
        own_id=cleaned.get("id"),
        digest=strict_json.digest(sent),
    )


def check_messages(life: LifeCycle) -> None:
    """Stop the start where a message has a field that every message has already."""
    for name, update in life.messages.items():
        for field in life.updates[update].text.fields:
            if field in ENVELOPE:
                raise BadStart(
                    f"the life cycle's message '{name}' has a field '{field}', which all messages have already"
                )


def schema_of_messages(life: LifeCycle) -> dict[str, Any]:
    """The JSON Schema of all messages, made from the table."""
    defs: dict[str, Any] = {}
    kinds = []
    for name, update in life.messages.items():
        schema = life.updates[update].model.model_json_schema(ref_template="#/components/schemas/{model}")
        defs |= schema.pop("$defs", {})
        schema["title"] = name
        schema["description"] = life.updates[update].text.says
        schema["properties"] = {"message": {"const": name}, **_ENVELOPE_SCHEMA, **schema.get("properties", {})}
        schema["required"] = ["message", *schema.get("required", ())]
        kinds.append(schema)
    return {"oneOf": kinds, "discriminator": {"propertyName": "message"}, "$defs": defs}


_ENVELOPE_SCHEMA: Mapping[str, Any] = {
    "id": {"type": "string", "minLength": 1, "maxLength": LONGEST_REFERENCE, "description": "the sender's own id"},
    "measures": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": MOST["measures"]},
        "minItems": 1,
        "uniqueItems": True,
        "description": "which measures of the letter it is about, from 1; without it all",
    },
}


def _update(cleaned: Mapping[str, Any], life: LifeCycle) -> tuple[Update | None, list[FieldError]]:
    name = cleaned.get("message")
    if name is None:
        return None, [FieldError("/message", "This field is required.")]
    if not isinstance(name, str) or name not in life.messages:
        # What was sent is never repeated: a hint names only what the table has.
        hint = did_you_mean(name, life.messages) if isinstance(name, str) and name.isascii() else ""
        known = f"; known are {', '.join(life.messages)}."
        return None, [FieldError("/message", f"Is not a known message{hint or known}")]
    fields = {field: value for field, value in cleaned.items() if field not in ENVELOPE}
    try:
        return life.read(life.messages[name], fields), []
    except BadUpdate as bad:
        return None, list(bad.errors)


def _address_errors(cleaned: Mapping[str, Any], letter: str | None) -> list[FieldError]:
    """What is wrong with how a message names its letter."""
    said = cleaned.get("letter")
    if letter is not None:
        errors = (
            [] if said in (None, letter) else [FieldError("/letter", "Is another letter than that of the address.")]
        )
        if "reference" in cleaned:
            errors.append(FieldError("/reference", "The address names the letter already."))
        return errors
    if said is None and "reference" not in cleaned:
        return [FieldError("/letter", "The letter's id, or your reference, is required.")]
    if said is not None and "reference" in cleaned:
        return [FieldError("/reference", "Send the letter's id or your reference, not both.")]
    if said is not None and not (isinstance(said, str) and _LETTER.fullmatch(said)):
        return [FieldError("/letter", "Must be the id of a letter.")]
    return _text_errors(cleaned, "reference")


def _text_errors(cleaned: Mapping[str, Any], name: str) -> list[FieldError]:
    value = cleaned.get(name)
    if value is None:
        return []
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_REFERENCE or not value.isprintable():
        return [FieldError(f"/{name}", f"Must be text of at most {LONGEST_REFERENCE} characters.")]
    return []


def _measure_errors(measures: Any) -> list[FieldError]:
    if measures is None:
        return []
    if not isinstance(measures, list) or not 0 < len(measures) <= MOST["measures"]:
        return [FieldError("/measures", f"Must be a list of 1 to {MOST['measures']} numbers of measures.")]
    errors = []
    for place, number in enumerate(measures):
        if type(number) is not int or number < 1:
            errors.append(FieldError(f"/measures/{place}", "Must be the number of a measure, from 1."))
        elif number in measures[:place]:
            errors.append(FieldError(f"/measures/{place}", "This measure stands in the list already."))
    return errors
