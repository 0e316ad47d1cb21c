"""Silences: some notices are held back for a while, by whom and why; decided.

Who asked and for what reason is sealed: both are a person's words. What nothing may hold back, no silence does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.domain.subscriptions import Refused, Why
from shared.bad_letter import FieldError
from shared.decisions import Decide, Decision, Message
from shared.events import SILENCE_BEGUN, SILENCE_ENDED, Draft, Event
from shared.records import Record, State
from shared.times import read, text_of

LONGEST = timedelta(days=7)
"""A silence that lasts longer is a rule, and belongs into the alerts file."""

When = Mapping[str, Sequence[str]]
CanOnlyBeNeverHeld = Callable[[When], bool]


@dataclass(frozen=True, slots=True)
class Begin:
    """Hold back what matches until a time."""

    when: When
    author: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class End:
    """End it before its time."""


ONLY_NEVER_HELD = "It would match only what nothing may hold back."


def decide_by(can_only_be_never_held: CanOnlyBeNeverHeld) -> Decide:
    """The decision on one message to one silence."""

    def decide(record: Record, message: Message, now: datetime) -> Decision:
        in_force = record.state.get("ends", "") > text_of(now)
        if isinstance(message.body, Begin):
            return Decision() if in_force else _begin(message.body, now, can_only_be_never_held)
        if not record.version:
            return Decision(reply=Refused(Why.UNKNOWN))
        return Decision([Draft(SILENCE_ENDED, (), {})] if in_force else ())

    return decide


def _begin(body: Begin, now: datetime, can_only_be_never_held: CanOnlyBeNeverHeld) -> Decision:
    if body.when and can_only_be_never_held(body.when):
        return Decision(reply=Refused(Why.NEVER_HELD, ONLY_NEVER_HELD, (FieldError("/when", ONLY_NEVER_HELD),)))
    errors = []
    if not body.when:
        errors.append(FieldError("/when", "Must name at least one fact: nobody may silence everything."))
    if not now < read(body.until) <= now + LONGEST:
        errors.append(FieldError("/until", f"Must be a time to come, within {LONGEST.days} days."))
    if errors:
        return Decision(reply=Refused(Why.FORBIDDEN, errors[0].detail, tuple(errors)))
    data = {"when": {fact: list(values) for fact, values in body.when.items()}, "until": body.until}
    content = {"author": body.author, "reason": body.reason}
    return Decision([Draft(SILENCE_BEGUN, (), data, content)])


def evolve(state: State, event: Event) -> State:
    """A silence is what it matches, and when it ends."""
    if event.type == SILENCE_BEGUN:
        return {**event.data, "begun_at": event.at, "ends": event.data["until"], "begun_seq": event.seq}
    return {**state, "ends": event.at}
