"""What a letter of request is made of, as models that refuse what is not in the contract."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema

from shared.limits import CONTRACT
from shared.moment import Moment
from shared.states import STATES
from shared.strict_json import LARGEST
from shared.vocabulary import Channel, Direction, Urgency

LONGEST_REFERENCE = 200
"""Characters."""

MOST = {"measures": CONTRACT.measures, "attachments": CONTRACT.attachments}
"""How many of each a letter may have; what comes after the first too many is not looked at."""


def _state(value: object) -> str:
    if not isinstance(value, str) or value not in STATES:
        raise PydanticCustomError("ours", "Must be the code of a State in two capital letters (ISO 3166-1).")
    return value


def _content_schema(*_: object) -> core_schema.CoreSchema:
    """What may stand under a name of `contents`: one union with one sentence, decided outside Python."""
    scalars: list[core_schema.CoreSchema | tuple[core_schema.CoreSchema, str]] = [
        core_schema.str_schema(strict=True),
        core_schema.bool_schema(strict=True),
        core_schema.int_schema(strict=True),
        core_schema.float_schema(strict=True, allow_inf_nan=False),
    ]
    listed = core_schema.list_schema(core_schema.union_schema(scalars, mode="left_to_right"), strict=True)
    return core_schema.union_schema(
        [*scalars, listed],
        mode="left_to_right",
        custom_error_type="value",
        custom_error_message="Must be text, a number, true or false, or a list of these.",
    )


_State = Annotated[str, BeforeValidator(_state), WithJsonSchema({"type": "string", "enum": sorted(STATES)})]
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""No control characters, in words that every dialect of patterns knows: it stands in `/openapi.json`."""
_Reference = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REFERENCE, pattern=_NO_CONTROLS),
]
_Agency = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
_Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$")]
_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_FileName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Content = Annotated[Any, GetPydanticSchema(_content_schema)]
Contents = Annotated[dict[_Word, _Content], Field(max_length=200, json_schema_extra={"additionalProperties": False})]
"""What a measure says, flat; its names are words."""


class _Part(BaseModel):
    """What all parts of a letter have in common; they print nothing of what they hold, for logs would keep it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class Contact(_Part):
    """Who can be asked abroad."""

    authority: str | None = None
    officer: str | None = None
    phone: str | None = None


class RequestedDeadline(_Part):
    """The sender's own deadline; without a reason it is kept and marked so (UNCC article 40(26))."""

    at: Moment | None = None
    reason: str | None = None


class Attachment(_Part):
    """A file that travels beside the letter; one without a name can belong to no measure by name."""

    name: _FileName | None = None
    sha256: _Sha256 | None = None
    size: Annotated[StrictInt, Field(ge=0, le=LARGEST)] | None = None
    """Bytes."""


class Measure(_Part):
    """One thing asked for; times in `contents` are the sender's facts and stay as they came."""

    type: str
    contents: Contents = Field(default_factory=dict)
    attachments: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    """The names of the letter's attachments that belong to this measure."""


class Letter(_Part):
    """One letter of request: one sender, one reference, one or more measures."""

    agency: _Agency | None = None
    """Who files it; if it is said at all, it is who the token or the topic says."""
    reference: _Reference
    party: _State
    direction: Direction
    channel: Channel
    sent_at: Moment
    measures: Annotated[tuple[Measure, ...], Field(min_length=1, max_length=MOST["measures"])]
    language: _Language | None = None
    urgency: Urgency = Urgency.NORMAL
    urgency_reason: str | None = None
    requested_deadline: RequestedDeadline | None = None
    treaty_basis: Annotated[tuple[_Slug, ...], Field(max_length=20)] = ()
    prior_reference: _Reference | None = None
    contact: Contact | None = None
    translation: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The language of the translation that came along, in the sender's words."""
    confidential: StrictBool | None = None
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=MOST["attachments"])] = ()

    # Slots, not private attributes: those cost 5 microseconds per letter and would survive a `model_copy` with changes.
    __slots__ = ("_digest", "_sent")
