"""The kinds of fields that updates and messages have, as pydantic types made from the table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from shared.letter_model import Contents
from shared.moment import Moment
from shared.strict_json import LARGEST
from shared.times import text_of
from shared.words import WORDS, LongName

Kind = Literal["text", "name", "moment", "code", "codes", "words", "flag", "case", "files", "contents"]
SEALED = frozenset({"text", "name", "files", "contents"})
"""What may hold personal data: sealed at rest, and only for those entitled."""

MOST_FILES, MOST_CODES = 200, 50

_Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=WORDS)]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Case = Annotated[str, StringConstraints(pattern=r"^cas_[0-9a-f]{32}$")]


class File(BaseModel):
    """A file that travels beside: its digest, and where it can be fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    link: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    size: Annotated[StrictInt, Field(ge=0, le=LARGEST)] | None = None


def _one_of(codes: Sequence[str]) -> Any:
    known = frozenset(codes)

    def check(value: object) -> object:
        if not isinstance(value, str) or value not in known:
            raise PydanticCustomError("ours", "Must be one of {known}.", {"known": ", ".join(codes) or "none"})
        return value

    return Annotated[str, BeforeValidator(check), WithJsonSchema({"type": "string", "enum": list(codes)})]


def _type_of(kind: Kind, codes: Sequence[str]) -> Any:
    many = Field(min_length=1, max_length=MOST_CODES)
    return {
        "text": _Text,
        "name": LongName,
        "moment": Moment,
        "code": _one_of(codes),
        "codes": Annotated[tuple[_one_of(codes), ...], many],  # type: ignore[misc]  # made at the start, from data
        "words": Annotated[tuple[_Word, ...], many],
        "flag": StrictBool,
        "case": _Case,
        "files": Annotated[tuple[File, ...], Field(min_length=1, max_length=MOST_FILES)],
        "contents": Annotated[Contents, Field(min_length=1)],
    }[kind]


def model_of(name: str, fields: Mapping[str, tuple[Kind, bool, Sequence[str], str]]) -> type[BaseModel]:
    """The model of one update's fields: kind, whether it is required, its codes, and what it says."""
    members: dict[str, Any] = {}
    for field, (kind, required, codes, says) in fields.items():
        found = _type_of(kind, codes)
        members[field] = (found, Field(description=says)) if required else (found | None, Field(None, description=says))
    config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, title=name)
    return create_model(name, __config__=config, **members)


def open_value(value: Any) -> Any:
    """An open field as JSON."""
    if isinstance(value, datetime):
        return text_of(value)
    return list(dict.fromkeys(value)) if isinstance(value, tuple) else value
