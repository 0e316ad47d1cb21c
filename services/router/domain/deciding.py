"""Which part of the domain judges which message; all that the decisions rest on in one place."""

from collections.abc import Callable
from datetime import datetime

from services.router.domain import clocking, linking, opening, updating
from services.router.domain.rules import Rules
from shared.decisions import Decide, Decision, Message
from shared.failures import NeverWill
from shared.records import Record

NO_SUCH_CASE = "no such case"


def decide_by(rules: Rules) -> Decide:
    """The decisions under one law and one life cycle; the law's version of the day of receipt counts."""
    judges: dict[type, Callable[[Record, Message, datetime, Rules], Decision]] = {
        updating.Heard: updating.decide,
        clocking.Tick: clocking.decide,
        linking.Link: linking.decide,
        linking.LinkedBy: linking.decide,
        linking.SameElsewhere: linking.decide,
        linking.FollowUpDecided: linking.decide,
    }

    def decide(record: Record, message: Message, now: datetime) -> Decision:
        if type(message.body) is opening.Opening:
            return Decision() if record.version else Decision([opening.assignment(record, message.body, rules)])
        if not record.version:
            raise NeverWill(NO_SUCH_CASE)
        return judges[type(message.body)](record, message, now, rules)

    return decide
