"""Who reads what: each service's topics, consumer groups and pure read functions, and what a message must leave behind.

A test holds this table against what the services subscribe to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from services.intake import handlers as intake
from services.intake.domain import CaseNews, Due
from services.notifier.acknowledgement.acknowledgements import on_acknowledgement
from services.router import handlers as router
from shared import topics
from shared.arrivals import Read
from shared.decisions import Message
from shared.ids import Ids
from shared.law import Law
from shared.life_cycle import LifeCycle
from shared.partners import Partners
from shared.vocabulary import DESK, Lane

_OUR_OWN = "policy"


class Trace(IntEnum):
    """What a message that was taken leaves in the history of its record."""

    EVENT = 0
    """An event, always."""
    NOTHING = 1
    """Nothing, always: our own deadlines are shown to nobody."""
    NEWS = 2
    """An event where it tells an agency something new."""
    FIRST = 3
    """An event the first time; after that nothing."""


@dataclass(frozen=True)
class Input:
    """One topic as one service reads it."""

    service: str
    collection: str
    """Where the records are that its messages are said to."""
    topic: str
    group: str
    read: Read | None
    """None: what it leads to follows from rules (`owed`)."""
    trace: Callable[[Message], Trace]


def inputs_of(law: Law, life: LifeCycle, partners: Partners, ids: Ids) -> list[Input]:
    """Every topic that a service of this deployment reads, once per service."""
    agencies, subscribers = partners.agencies, partners.subscribers
    letter = intake.on_letter(agencies, frozenset(law.request_types), ids, life)
    due, opened = intake.on_answer_due(agencies, life), router.on_letter(ids)
    update, said = router.on_update(life, ids), on_acknowledgement(ids)
    found: list[Input] = []

    def add(
        service: str,
        collection: str,
        name: str,
        lane: Lane,
        names: Sequence[str],
        read: Read | None,
        trace: Callable[[Message], Trace] = lambda _: Trace.EVENT,
    ) -> None:
        group = f"rogatory-{service}-{name}-{lane}"
        found.extend(Input(service, collection, topic, group, read, trace) for topic in names)

    for lane in Lane:
        events = [topics.case_events(lane)]
        of_agencies = [topics.letters_from(agency, lane) for agency in agencies]
        of_authorities = [topics.updates_from(one, lane) for one in (*law.authorities, DESK)]
        add("intake", "letters", "letters", lane, of_agencies, letter)
        add("intake", "letters", "cases", lane, events, intake.on_case, lambda _: Trace.NEWS)
        add("intake", "letters", "answers", lane, [topics.answers_due(lane)], due, _of_due)
        add("router", "cases", "letters", lane, [topics.letters_received(lane)], opened)
        add("router", "cases", "updates", lane, of_authorities, update)
        more = [topics.ALERTS_RAISED] if lane is Lane.URGENT else []
        add("notifier", "notices", "events", lane, [*events, *more], None)
    of_subscribers = [topics.acknowledgements_of(name) for name in subscribers]
    add("notifier", "notices", "acknowledgements", Lane.URGENT, of_subscribers, said, lambda _: Trace.FIRST)
    return found


def _of_due(message: Message) -> Trace:
    body = message.body
    is_ours = isinstance(body, Due) and body.data.get("said", {}).get("kind") == _OUR_OWN
    return Trace.NOTHING if is_ours else Trace.EVENT


def number_in(message: Message) -> int:
    """The number of the case event that a message brings; 0 for another message."""
    return message.body.sequence if isinstance(message.body, CaseNews) else 0
