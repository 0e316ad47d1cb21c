"""What the desk says of a subscription, each wrong field of it in plain words."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, LiteralString, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from services.notifier.domain.facts import FACTS
from services.notifier.domain.subscriptions import Hears
from services.notifier.lists.addresses import LONGEST
from services.notifier.rules.alert_rules import LANGUAGES
from services.notifier.rules.members import SomeSpan
from shared.moment import Moment
from shared.words import Person, Reason
from shared.yaml_file import Id

LONGEST_GROUP = timedelta(days=1)
_ID = TypeAdapter(Id)
_SPAN = TypeAdapter(SomeSpan)


class Way(StrEnum):
    """How a subscription can be told."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    ALERTMANAGER = "alertmanager"


class Signs(StrEnum):
    """How its webhooks are signed."""

    V1 = "v1"
    V1A = "v1a"


def _id(read: object) -> object:
    try:
        return _ID.validate_python(read)
    except ValidationError:
        says = "Must be a name like ministry-duty: small letters, digits and hyphens, at most 40."
        raise PydanticCustomError("ours", says) from None


def _span(read: object) -> object:
    try:
        span = _SPAN.validate_python(read)
    except ValidationError:
        span = None
    if span is None or span > LONGEST_GROUP:
        raise PydanticCustomError("ours", "Must be a time span such as 10 minutes, at most 1 day.")
    return span


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _language(read: object) -> object:
    if read not in LANGUAGES:
        raise PydanticCustomError("ours", "Must be one of {known}.", {"known": ", ".join(LANGUAGES)})
    return read


Language = Annotated[str, BeforeValidator(_language), WithJsonSchema({"type": "string", "enum": [*LANGUAGES]})]
Name = Annotated[str, BeforeValidator(_id), WithJsonSchema(_ID.json_schema())]
Group = Annotated[
    timedelta,
    BeforeValidator(_span),
    WithJsonSchema(
        {"type": "string", "pattern": "^[1-9][0-9]{0,4} (second|minute|hour|day)s?$", "examples": ["10 minutes"]}
    ),
]
Value = Annotated[str, StringConstraints(min_length=1, max_length=100)]
When = Annotated[
    Mapping[
        Annotated[str, StringConstraints(max_length=40)],
        Annotated[tuple[Value, ...], Field(min_length=1, max_length=100)],
    ],
    Field(json_schema_extra={"propertyNames": {"enum": [*FACTS]}}),
]
"""Facts and the values that match."""
Until = Annotated[Moment, AfterValidator(_in_utc)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


_ONE_OF_TWO: JsonDict = {
    "oneOf": [
        {"properties": {"audience": {"type": "string"}, "when": {"type": "null"}}, "required": ["audience"]},
        {"properties": {"audience": {"type": "null"}, "when": {"type": "object"}}, "required": ["when"]},
    ]
}
"""For the document."""


class HearsWhat(_Said):
    """Either what an audience of the alerts file is told, or what matches."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_TWO)

    audience: Name | None = None
    when: When | None = None

    @model_validator(mode="after")
    def is_one_of_two(self) -> Self:
        if (self.audience is None) == (self.when is None):
            raise PydanticCustomError(
                "ours", "Must have either 'audience' (its name) or 'when' (facts and their values)."
            )
        return self

    @property
    def kept(self) -> Hears:
        """As the record has it: the same for the same."""
        if self.when is None:
            return {"audience": self.audience}
        return {"when": {fact: sorted({*values}) for fact, values in sorted(self.when.items())}}


_ONLY_FOR: Mapping[str, tuple[Way, LiteralString]] = {
    "group": (Way.EMAIL, "Is for what people read: leave it out, or choose the channel email."),
    "signs": (Way.WEBHOOK, "Is for a webhook: leave it out, for nothing else is signed."),
}


class NewSubscription(_Said):
    """A recipient to be added."""

    name: Name
    channel: Way
    address: Address
    hears: HearsWhat
    language: Language = LANGUAGES[0]
    group: Group | None = None
    """What comes within this time goes as one e-mail."""
    rate: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Messages a minute at most."""
    signs: Signs | None = None
    """`v1` (HMAC-SHA256) unless told otherwise; for a webhook only."""

    @field_validator("group", "signs")
    @classmethod
    def fits_its_channel(cls, read: Any, info: ValidationInfo) -> Any:
        """The channel stands before them, and is missing here where it is wrong itself."""
        way, says = _ONLY_FOR[str(info.field_name)]
        if read is not None and info.data.get("channel", way) is not way:
            raise PydanticCustomError("ours", says)
        return read

    @property
    def kind_of_key(self) -> str | None:
        """What its key must be."""
        return str(self.signs or Signs.V1) if self.channel is Way.WEBHOOK else None


class Pausing(_Said):
    """What is said with `pause`."""

    author: Person | None = None
    """Who answers for it; whose token it is unless told."""
    reason: Reason
    until: Until | None = None
    """When it ends by itself; until it is resumed unless told."""


class Resumption(_Said):
    """What may be said with `resume`."""

    address: Address | None = None
