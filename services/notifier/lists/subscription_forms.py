"""What the desk says of a subscription, and what it is shown of one: never a whole address, a key only once."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.notifier.domain.subscriptions import Hears
from services.notifier.lists.addresses import LONGEST, MadeKey, masked
from services.notifier.lists.listed import Subscription
from services.notifier.rules.alert_rules import LANGUAGES
from services.notifier.rules.members import SomeSpan
from services.notifier.rules.never_held import Matcher
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


def _language(read: object) -> object:
    if read not in LANGUAGES:
        raise PydanticCustomError("ours", "Must be one of {known}.", {"known": ", ".join(LANGUAGES)})
    return read


Language = Annotated[str, BeforeValidator(_language)]
Name = Annotated[str, BeforeValidator(_id)]
Group = Annotated[timedelta, BeforeValidator(_span), Field(json_schema_extra={"example": "10 minutes"})]
Value = Annotated[str, StringConstraints(min_length=1, max_length=100)]
When = Mapping[
    Annotated[str, StringConstraints(max_length=40)],
    Annotated[tuple[Value, ...], Field(min_length=1, max_length=100)],
]
Address = Annotated[str, StringConstraints(min_length=3, max_length=LONGEST)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HearsWhat(_Said):
    """Either what an audience of the alerts file is told, or what matches."""

    audience: Name | None = None
    when: When | None = None

    @model_validator(mode="after")
    def is_one_of_two(self) -> Self:
        if (self.audience is None) == (self.when is None):
            raise PydanticCustomError("ours", "Must name either an audience, or facts with 'when'.")
        return self

    @property
    def kept(self) -> Hears:
        """As the record has it: the same for the same."""
        if self.when is None:
            return {"audience": self.audience}
        return {"when": {fact: sorted({*values}) for fact, values in sorted(self.when.items())}}


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

    @model_validator(mode="after")
    def fits_its_channel(self) -> Self:
        if self.group and self.channel is not Way.EMAIL:
            raise PydanticCustomError("ours", "'group' is for what people read: an e-mail.")
        if self.signs and self.channel is not Way.WEBHOOK:
            raise PydanticCustomError("ours", "'signs' is for a webhook: nothing else is signed.")
        return self

    @property
    def kind_of_key(self) -> str | None:
        """What its key must be."""
        return str(self.signs or Signs.V1) if self.channel is Way.WEBHOOK else None


class Resumption(_Said):
    """What may be said with `resume`."""

    address: Address | None = None


class SubscriptionView(BaseModel):
    """A subscription as the desk sees it."""

    name: str
    channel: str
    address: str
    """Scheme and host, or the host of a mailbox."""
    hears: dict[str, Any]
    language: str
    group_seconds: int | None
    rate: int | None
    state: str
    """`gone`: its system said so (410), and nothing is sent until it is resumed with a new address."""
    signs: str | None
    old_keys_sign_until: str | None
    """While a key rotates: when the last of the old ones runs out."""
    added_at: str
    not_held_back: list[str]
    """What no pause holds back of what it hears."""


class AddedView(SubscriptionView):
    """The same with what is shown this once."""

    secret: str | None = None
    """`whsec_...`: checks the signatures (`v1`). It is not shown again."""
    public_key: str | None = None
    """`whpk_...`: checks the signatures (`v1a`)."""


class SubscriptionList(BaseModel):
    """All subscriptions, by name."""

    subscriptions: list[SubscriptionView]


class Tried(BaseModel):
    """What became of a test notice."""

    delivered: bool
    reason: str | None
    for_good: bool
    """Asking again cannot help."""


def view(one: Subscription, never_held: Iterable[Matcher]) -> SubscriptionView:
    """As the desk sees it."""
    old = [key.until for key in one.signing if key.until is not None]
    return SubscriptionView(
        name=one.name,
        channel=one.channel,
        address=masked(one.address),
        hears=dict(one.hears),
        language=one.language,
        group_seconds=int(one.group.total_seconds()) if one.group else None,
        rate=one.rate,
        state=one.state,
        signs=one.signs,
        old_keys_sign_until=max(old, default=None),
        added_at=one.added_at,
        not_held_back=[matcher.says for matcher in never_held],
    )


def with_key(seen: SubscriptionView, made: MadeKey | None) -> AddedView:
    """The same with a key that is shown now and not again."""
    shown = {"secret": made.secret, "public_key": made.public_key} if made else {}
    return AddedView(**seen.model_dump(), **shown)
