"""What becomes of a notice that was not taken: due again later, handed on, or failed for good and said so."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.notifier.domain.bodies import Failed
from shared import topics
from shared.events import ALERT_RAISED, NOTICE_FAILED, NOTICE_GIVEN_UP, Draft
from shared.records import Record
from shared.times import text_of

WAITS = tuple(timedelta(seconds=s) for s in (1, 5, 30, 120, 600, 3_600, 4 * 3_600, 12 * 3_600))
"""The wait after each failed attempt; after the last one the notice has failed for good."""
LONGEST_WAIT = timedelta(hours=12)
"""What a recipient's Retry-After can ask for at most."""
JITTER = 0.2
"""By how much a wait is longer at most: what failed together need not come again together."""
TOGETHER = 30
"""Seconds: the parts of a digest that failed are due again at the same moment."""


def failed(record: Record, how: Failed, now: datetime) -> list[Draft]:
    """What follows: it is due again later; or handed on; or it has failed for good, and somebody must hear of that."""
    state = record.state
    again = _again(record, how, now)
    given_up = state.get("give_up_at")
    is_over = how.for_good or how.attempt > len(WAITS) or (given_up is not None and text_of(again) > given_up)
    is_taken = "acknowledged_at" in state
    data: dict[str, Any] = {"attempt": how.attempt, "reason": how.reason}
    if not is_over and not is_taken:
        return [Draft(NOTICE_FAILED, (), {**data, "next_due": text_of(again)})]
    if state.get("then") and not is_taken:
        return [Draft(NOTICE_FAILED, (), {**data, "next_due": None, "hand_on": text_of(now)})]
    drafts = [Draft(NOTICE_FAILED, (), {**data, "next_due": None})]
    # That a notice failed is told once: where that cannot be told either, another notice would not help.
    is_said = state.get("kind") == NOTICE_GIVEN_UP or (how.is_known and not state.get("never_held"))
    if not is_said and not is_taken:
        drafts.append(given_up_draft(record, record.state["subscriber"], how.reason))
    return drafts


def _again(record: Record, how: Failed, now: datetime) -> datetime:
    """When it is due again."""
    if how.at_once:
        return now
    again = now + _wait(record.id, how)
    if not record.state.get("in_digest"):
        return again
    # What went as one message comes again as one.
    return datetime.fromtimestamp((again.timestamp() // TOGETHER + 1) * TOGETHER, UTC)


def _wait(notice: str, how: Failed) -> timedelta:
    wait = max(WAITS[min(how.attempt, len(WAITS)) - 1], min(how.retry_after or timedelta(), LONGEST_WAIT))
    if how.retry_after and wait == how.retry_after:
        return wait
    # Drawn from the notice's id, so that the same decision is the same for ever.
    return wait * (1 + JITTER * int(notice[-4:], 16) / 0xFFFF)


def given_up_draft(record: Record, recipient: str, reason: str) -> Draft:
    """The alert that somebody could not be told."""
    data = {
        "alert": record.id,
        "kind": NOTICE_GIVEN_UP,
        "service": "notifier",
        "notice": record.id,
        "recipient": recipient,
        "subscriber": recipient,
        "channel": record.state.get("channel", ""),
        "reason": reason,
    }
    return Draft(ALERT_RAISED, (topics.ALERTS_RAISED,), data)
