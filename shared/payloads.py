"""What the `data` of our events holds, as the services that read them parse it.

The writer's side is a plain dict in its `domain.py`; a test holds each against its model here.
"""

from datetime import datetime
from typing import Any, Literal, Required

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from shared.vocabulary import Channel, Direction, Lane, Urgency


class _Data(BaseModel):
    # A newer build may say more: additive changes only within v1.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class MeasureHead(_Data):
    """A measure without what it says."""

    measure: int
    type: str


class MeasureContent(TypedDict, total=False):
    """What of a measure the router looks at."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's own way for a TypedDict
    type: Required[str]
    contents: dict[str, Any] | None
    attachments: list[str] | None


class LetterContent(TypedDict, total=False):
    """An accepted letter as it was sent; intake has judged it, so only what the router looks at is checked again."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    reference: Required[str]
    measures: Required[list[MeasureContent]]
    treaty_basis: list[str] | None
    attachments: list[dict[str, Any]] | None


class LetterReceived(_Data):
    """`letter.received`."""

    letter: str
    agency: str
    received_at: datetime
    party: str
    direction: Direction
    channel: Channel
    urgency: Urgency
    lane: Lane
    digest: str
    measures: tuple[MeasureHead, ...]
    content: LetterContent


class LetterMessage(_Data):
    """`letter.message`: what an agency or a gateway said on a letter, as the life cycle calls it."""

    letter: str
    id: str
    agency: str
    role: Literal["agency", "gateway"]
    message: str
    update: str
    measures: tuple[int, ...]
    said: dict[str, Any]
    content: dict[str, Any] | None = None


class CaseEvent(_Data):
    """Anything that happened to a case, as `cases.events` carries it: what every event says, and what it changed."""

    case: str
    type: str
    party: str
    direction: Direction
    urgency: Urgency
    lane: Lane
    authority: str
    status: str
    update: str | None = None
    heard_from: str | None = None
    """The agency that said it, where no authority did."""
    said: dict[str, Any] = {}
    because: str | None = None
    basis: tuple[str, ...] | None = None
    certainty: str | None = None
    missing: tuple[dict[str, Any], ...] | None = None
    defects: tuple[dict[str, Any], ...] | None = None
    marks: tuple[str, ...] | None = None
    links: tuple[dict[str, Any], ...] | None = None
    link: dict[str, Any] | None = None
    """One more link, beside those of before."""
    clocks: tuple[dict[str, Any], ...] | None = None
    preservation: dict[str, Any] | None = None


class NoticeRaised(_Data):
    """`notice.raised`."""

    notice: str
    alert: str
    rule: str
    says: str
    about: str
    subscriber: str
    channel: str
    raised_at: datetime
    facts: dict[str, Any]


class AlertRaised(_Data):
    """`alert.raised`."""

    alert: str
    kind: str
    service: str
    lane: Lane | None = None
    """Of what was set aside."""
    rota: str | None = None
    recipient: str | None = None
    channel: str | None = None
    reason: str | None = None
