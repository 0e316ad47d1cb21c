"""The events: what their types are, and what one is before and after it enters a record's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LETTER_RECEIVED = "letter.received"
CASE_ASSIGNED = "case.assigned"
ANSWER_RECEIPT = "answer.receipt"
ANSWER_STATUS = "answer.status"
ANSWER_REFUSED = "answer.refused"
NOTICE_RAISED = "notice.raised"
NOTICE_ATTEMPTED = "notice.attempted"
NOTICE_DELIVERED = "notice.delivered"
NOTICE_FAILED = "notice.failed"
ALERT_RAISED = "alert.raised"

TYPES: Mapping[str, str] = {
    LETTER_RECEIVED: "A letter was accepted; content: the letter.",
    CASE_ASSIGNED: "A case was given to an authority or the desk: a full snapshot; content: its one measure.",
    ANSWER_RECEIPT: "To the agency: the letter is in safe keeping.",
    ANSWER_STATUS: "To the agency: what became of one of its measures.",
    ANSWER_REFUSED: "To the agency: what it sent was not taken, and why.",
    NOTICE_RAISED: "Somebody must know: one alert to one recipient on one channel.",
    NOTICE_ATTEMPTED: "A delivery of a notice was begun.",
    NOTICE_DELIVERED: "The recipient's system took the notice.",
    NOTICE_FAILED: "A delivery of a notice failed, for now or for good.",
    ALERT_RAISED: "What is no case event and somebody must know.",
}
"""Every type that any of our topics can carry, and what it says."""


QUARANTINE, EVENT_REFUSED, NOTICE_GIVEN_UP, STOPPED = "quarantine", "event-refused", "notice-failed", "stopped"
KINDS = (QUARANTINE, EVENT_REFUSED, NOTICE_GIVEN_UP, STOPPED)
"""What an `alert.raised` can be about."""


def schema_of(event_type: str) -> str:
    """The `dataschema` of an event type; it carries the version."""
    return f"urn:rogatory:schema:{event_type}:v1"


@dataclass(frozen=True, slots=True)
class Draft:
    """What `decide` wants to have happened; the loop makes an `Event` of it.

    `data` may be seen by every reader of any topic and holds no personal data; `content` is sealed at rest and goes
    only to topics whose readers are entitled (`topics.carries_content`). Both hold JSON values only; `content` may
    also be the JSON bytes of an object.
    """

    type: str
    to: tuple[str, ...]
    data: Mapping[str, Any]
    content: Mapping[str, Any] | bytes | None = None


@dataclass(slots=True)
class Event:
    """One thing that happened to a record; the stored form of it is `records.stored_form`.

    Nobody changes one; it is not frozen only because that would make a new one three times as slow, on the hot path.
    """

    seq: int
    """Counts from 1 in the record."""
    type: str
    at: str
    """UTC, ISO 8601 with microseconds."""
    by: str
    """The actor: an agency, an authority, or one of our services."""
    cause: str
    """What led to it: who sent that, its CloudEvents source and id."""
    to: Mapping[str, int]
    """The topics that carry it, each with the sequence there."""
    data: Mapping[str, Any]
    data_json: bytes
    """`data` as the exact bytes that are stored and sent."""
    content: bytes | None
    """The JSON bytes of the sealed part in the clear; None where there is none or it was not asked for."""
    sealed: bytes | None
    """`content` as it stands in MongoDB."""
    chain: bytes
    """SHA-256 over the chain before, the attributes, the data and the ciphertext."""
