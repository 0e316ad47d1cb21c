"""What the `data` of our events holds, as the services that read them parse it.

The writer's side is a plain dict in its `domain.py`; a test holds each against its model here.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.letter import Letter
from shared.vocabulary import Channel, Direction, Lane, Urgency


class _Data(BaseModel):
    # A newer build may say more: additive changes only within v1.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class MeasureHead(_Data):
    """A measure without what it says."""

    measure: int
    type: str


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
    content: Letter


class CaseAssigned(_Data):
    """`case.assigned`: the present state of a case, never its history."""

    case: str
    type: str
    party: str
    direction: Direction
    channel: Channel
    urgency: Urgency
    lane: Lane
    received_at: datetime
    authority: str
    rule: str
    law: str
    version: str
    basis: tuple[str, ...]
    because: str
    certainty: str
    gate: str
    lean: str | None
    status: str


class NoticeRaised(_Data):
    """`notice.raised`."""

    notice: str
    alert: str
    rule: str
    says: str
    about: str
    event: str
    raised_at: datetime
    facts: dict[str, Any]


class AlertRaised(_Data):
    """`alert.raised`."""

    alert: str
    kind: str
    service: str
