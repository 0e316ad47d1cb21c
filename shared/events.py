"""The events: what their types are, and what one is before and after it enters a record's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LETTER_RECEIVED = "letter.received"
LETTER_MESSAGE = "letter.message"
CASE_ASSIGNED = "case.assigned"
CASE_REASSIGNED = "case.reassigned"
CASE_CLOCK_WARNED = "case.clock_warned"
CASE_CLOCK_MISSED = "case.clock_missed"
CASE_LAPSED = "case.lapsed"
UPDATE_REJECTED = "update.rejected"
ANSWER_RECEIPT = "answer.receipt"
ANSWER_STATUS = "answer.status"
ANSWER_REFUSED = "answer.refused"
NOTICE_RAISED = "notice.raised"
NOTICE_ATTEMPTED = "notice.attempted"
NOTICE_DELIVERED = "notice.delivered"
NOTICE_FAILED = "notice.failed"
NOTICE_HANDED_ON = "notice.handed_on"
NOTICE_ACKNOWLEDGED = "notice.acknowledged"
NOTICE_RESOLVED = "notice.resolved"
LADDER_BEGUN = "ladder.begun"
LADDER_STEPPED = "ladder.stepped"
LADDER_TOLD = "ladder.told"
LADDER_ACKNOWLEDGED = "ladder.acknowledged"
LADDER_ENDED = "ladder.ended"
SUBSCRIPTION_ADDED = "subscription.added"
SUBSCRIPTION_PAUSED = "subscription.paused"
SUBSCRIPTION_RESUMED = "subscription.resumed"
SUBSCRIPTION_KEY_ROTATED = "subscription.key_rotated"
SUBSCRIPTION_GONE = "subscription.gone"
SUBSCRIPTION_REMOVED = "subscription.removed"
SUBSCRIBER_LEFT = "subscriber.left"
SILENCE_BEGUN = "silence.begun"
SILENCE_ENDED = "silence.ended"
ALERT_RAISED = "alert.raised"
AUDIT_CHECKPOINT = "audit.checkpoint"
ANSWER_UNREADABLE = "answer.unreadable"
QUARANTINE_REPLAYING = "quarantine.replaying"
QUARANTINE_REPLAYED = "quarantine.replayed"
QUARANTINE_HELD = "quarantine.held"
QUARANTINE_REPLAY_PROPOSED = "quarantine.replay_proposed"
QUARANTINE_DISCARD_PROPOSED = "quarantine.discard_proposed"
QUARANTINE_DISCARDED = "quarantine.discarded"
QUARANTINE_LOOKED = "quarantine.looked"

UPDATES: Mapping[str, str] = {
    "acknowledged": "The case has arrived, under its holder's own number.",
    "check_begun": "The holder looks whether the letter contains what it must.",
    "supplement_requested": "Something is missing: the sender is asked for it.",
    "supplement_received": "What was missing has come; content: the words that were added.",
    "officer_assigned": "An officer or unit has it in hand.",
    "forwarded": "An executing body was asked to carry it out.",
    "authorisation_requested": "A court or prosecutor was asked to allow a coercive measure.",
    "authorised": "The measure was allowed.",
    "authorisation_denied": "The measure was not allowed.",
    "begun": "The execution has begun.",
    "preserved": "The data are preserved, from when until when.",
    "extended": "The data stay preserved for longer.",
    "endangered": "The preservation will not secure the data, or would expose the case (UNCC article 42(7)).",
    "released": "What was held was let go: preserved data, or a person.",
    "arrested": "The person was arrested.",
    "dismissed": "A person who came to be heard was told that they are no longer needed; safe conduct runs out.",
    "documents_received": "The extradition documents have come.",
    "consultation_opened": "The other State is consulted.",
    "condition_offered": "A condition is offered to the other State.",
    "condition_accepted": "The other State accepts the condition; it binds.",
    "postponed": "The execution waits, with reasons and a day of review.",
    "resumed": "A consultation or a postponement is over.",
    "partially_executed": "A part of the result was given.",
    "executed": "The result was given.",
    "refused": "The request was refused, with grounds and reasons.",
    "withdrawn": "The sender needs it no longer.",
    "lapsed": "The preservation is over: no follow-up came, and no extension.",
    "closed": "Nothing more is to be done.",
    "status_inquired": "The sender asks how the case stands.",
    "status_answered": "The holder says how the case stands.",
    "urgency_changed": "The case is more or less urgent than it was.",
    "confidentiality_breached": "Secrecy cannot be kept, or was not; the sender is told.",
    "misdirected": "The holder says that the case is not for it.",
    "triage_decided": "A named human of the desk decided who is competent, with a reason.",
    "dispatched": "The request was approved to go abroad.",
    "not_sent": "The request is not sent abroad.",
    "transmitted": "The request went abroad.",
    "acknowledged_abroad": "The other State has acknowledged the request.",
    "asked_abroad": "The other State asks for more.",
    "refused_abroad": "The other State refuses the request.",
    "extension_requested": "The sender asks that the data stay preserved for longer.",
    "confirmed_in_writing": "An oral request was confirmed in writing.",
    "consented": "The State that gave the data consents to another use.",
    "reuse_recorded": "The data were used for another case.",
    "linked": "Another case belongs to this one.",
    "follow_up_decided": "The request that followed a preservation has ended: what is held may be let go.",
    "duplicate_suspected": "The same reference of the same State came by another letter; nothing was merged.",
}
"""What can happen to a case beside its opening, its clocks and its reassignment: `case.<name>` says that it did."""

ANSWERS: Mapping[str, str] = {
    "acknowledgement": "the case has arrived, under whose number, and who can be asked",
    "supplement": "what is missing, with the article that asks for it",
    "consultation": "it is consulted",
    "conditions": "a condition is offered",
    "postponement": "the execution waits, and why",
    "extension": "until when the data stay preserved",
    "refusal": "the request is refused, on which grounds and why",
    "result": "the result, as digest and link, with its conditions of use",
    "inquiry": "how the case stands",
    "breach": "secrecy cannot be kept, or was not",
    "misdirected": "the letter was for somebody else, to whom it was passed on",
    "warning": "a deadline of the law comes near or has passed, or what was preserved is in danger",
    "outgoing": "to a gateway: what is to be carried abroad",
}
"""What the router has for an agency beside the status: `answer.<kind>`, which intake says on."""


def of_case(update: str) -> str:
    """The type of the event that says that an update happened."""
    return f"case.{update}"


def of_answer(kind: str) -> str:
    """The type of the event that carries an answer."""
    return f"answer.{kind}"


CASE_TYPES: Mapping[str, str] = {
    CASE_ASSIGNED: "A case was given to an authority or the desk: a full snapshot; content: its one measure.",
    CASE_REASSIGNED: "The case went to another authority: the last event for the one that had it.",
    CASE_CLOCK_WARNED: "A deadline comes near.",
    CASE_CLOCK_MISSED: "A deadline has passed.",
    **{of_case(name): says for name, says in UPDATES.items()},
}
"""Everything that `cases.events` says of a case."""

TYPES: Mapping[str, str] = {
    LETTER_RECEIVED: "A letter was accepted; content: the letter.",
    LETTER_MESSAGE: "An agency said something on a letter of before; content: its words.",
    **CASE_TYPES,
    UPDATE_REJECTED: "To who sent it: an update that the life cycle forbids, with the rule and what is allowed.",
    ANSWER_RECEIPT: "To the agency: the letter is in safe keeping.",
    ANSWER_STATUS: "To the agency: what became of one of its measures.",
    ANSWER_REFUSED: "To the agency: what it sent was not taken, and why.",
    **{of_answer(kind): f"To the agency: {says}." for kind, says in ANSWERS.items()},
    NOTICE_RAISED: "Somebody must know: one alert to one recipient on one channel.",
    NOTICE_ATTEMPTED: "A delivery of a notice was begun.",
    NOTICE_DELIVERED: "The recipient's system took the notice.",
    NOTICE_FAILED: "A delivery of a notice failed, for now or for good.",
    NOTICE_HANDED_ON: "The recipient is told on the next channel instead.",
    NOTICE_ACKNOWLEDGED: "Somebody has seen the notice and takes it.",
    NOTICE_RESOLVED: "What the notice was about is over.",
    LADDER_BEGUN: "An alert climbs its ladder until somebody acknowledges; its first step is taken.",
    LADDER_STEPPED: "A step of the ladder came due: who is to be told.",
    LADDER_TOLD: "The notices of the step are raised.",
    LADDER_ACKNOWLEDGED: "Somebody takes the alert: nobody else is told, unless nothing is done.",
    LADDER_ENDED: "The ladder ends, and why.",
    SUBSCRIPTION_ADDED: "A recipient of notices was added; content: its address and key.",
    SUBSCRIPTION_PAUSED: "A subscription is held back for a while.",
    SUBSCRIPTION_RESUMED: "A subscription is served again.",
    SUBSCRIPTION_KEY_ROTATED: "A subscription signs with a new key, and with the old one for a while.",
    SUBSCRIPTION_GONE: "The recipient's system says that it is gone for good.",
    SUBSCRIPTION_REMOVED: "A subscription was taken away.",
    SUBSCRIBER_LEFT: "The system of a subscriber of the partners file says that it is gone for good from its address.",
    SILENCE_BEGUN: "Some notices are held back until a time, by whom and why.",
    SILENCE_ENDED: "A silence was ended before its time.",
    ALERT_RAISED: "What is no case event and somebody must know.",
    AUDIT_CHECKPOINT: "To auditors: a signed root over the chains of the records that changed.",
    ANSWER_UNREADABLE: "To the agency: a record on its topic could not be taken; it is kept until somebody looks.",
    QUARANTINE_REPLAYING: "What was set aside is to be tried again, by whose word and why; content: the edited copy.",
    QUARANTINE_REPLAY_PROPOSED: "Somebody would try a copy of what may be urgent: a second person must say so too;"
    " content: the copy.",
    QUARANTINE_REPLAYED: "It was heard as if it had just come, and what that led to.",
    QUARANTINE_HELD: "It was tried again and is held again, and why.",
    QUARANTINE_DISCARD_PROPOSED: "Somebody would discard what may be urgent: a second person must say so too.",
    QUARANTINE_DISCARDED: "Nobody will try it again, by whose word and why; it stays kept.",
    QUARANTINE_LOOKED: "Somebody read what it says, and why.",
}
"""Every type that any of our topics can carry, and what it says."""


QUARANTINE, EVENT_REFUSED, NOTICE_GIVEN_UP, STOPPED = "quarantine", "event-refused", "notice-failed", "stopped"
AUDIT_GAP, ROSTER_GAP, SUBSCRIPTION_FULL, TECHNICAL = "audit-gap", "roster-gap", "subscription-full", "technical"
UNBALANCED = "unbalanced"
KINDS = (
    QUARANTINE,
    EVENT_REFUSED,
    NOTICE_GIVEN_UP,
    STOPPED,
    AUDIT_GAP,
    ROSTER_GAP,
    SUBSCRIPTION_FULL,
    UNBALANCED,
    TECHNICAL,
)
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
