"""The names of the Kafka topics: the one place where their patterns stand.

Who owns a topic comes from the law (authorities) and from `partners.yaml` (agencies, subscribers), from no list here.
"""

from collections.abc import Iterable
from functools import cache

from shared.vocabulary import DESK, Lane

ALERTS_RAISED = "alerts.raised.v1"
"""What is no case event and somebody must know: a quarantine, a refused event, a stopped loop. Internal."""

CHECKPOINTS = "audit.checkpoints.v1"
"""Signed roots over the records' chains, for auditors."""

_LANES = {Lane.NORMAL: "", Lane.URGENT: ".urgent"}


@cache
def letters_from(agency: str, lane: Lane) -> str:
    """Where one agency files its letters, and its messages on them."""
    return f"agency.{agency}.letters{_LANES[lane]}.v1"


@cache
def answers_to(agency: str) -> str:
    """Where one agency hears what became of its letters."""
    return f"agency.{agency}.answers.v1"


@cache
def letters_received(lane: Lane) -> str:
    """Accepted letters, from intake to the router."""
    return f"letters.received{_LANES[lane]}.v1"


@cache
def cases_of(authority: str, lane: Lane) -> str:
    """The cases of one authority (or the desk), and all that happens to them while they are its own."""
    return f"{authority}.cases{_LANES[lane]}.v1"


@cache
def updates_from(authority: str, lane: Lane) -> str:
    """What one authority (or the desk) did with its cases."""
    return f"{authority}.updates{_LANES[lane]}.v1"


@cache
def case_events(lane: Lane) -> str:
    """Everything that happened to every case, without personal data. Internal."""
    return f"cases.events{_LANES[lane]}.v1"


@cache
def answers_due(lane: Lane) -> str:
    """Content for one agency, from the router to intake. Internal."""
    return f"answers.due{_LANES[lane]}.v1"


@cache
def notices_to(subscriber: str) -> str:
    """The notices of one subscriber."""
    return f"notices.{subscriber}.v1"


@cache
def acknowledgements_of(subscriber: str) -> str:
    """Where one subscriber says that it has seen its notices: only it writes there, and the topic names it."""
    return f"acknowledgements.{subscriber}.v1"


@cache
def carries_content(topic: str) -> bool:
    """Whether the readers of a topic may see what is sealed at rest; a topic that nobody named here may not."""
    owner, *_ = topic.split(".")
    of_an_authority = owner not in {"notices", "acknowledgements"} and topic.split(".")[1:2] == ["cases"]
    return owner in {"agency", "letters"} or topic.startswith("answers.due.") or of_an_authority


def lane_of(topic: str) -> Lane:
    """The lane of a topic that has two."""
    return Lane.URGENT if ".urgent." in topic else Lane.NORMAL


@cache
def may_be_urgent(topic: str) -> bool:
    """Whether a record that cannot be read may be urgent: in an urgent lane, or where the topic does not tell.

    An outsider writes an emergency in whichever lane it likes (letters, authorities' updates, acknowledgements), and an
    alert may be about anything.
    """
    # Not so on the normal lane of our own topics (letters.received, cases.events, answers.due): a service of ours read
    # the letter and chose the lane by the law, so that lane is known although the record cannot be read.
    owner, *rest = topic.split(".")
    is_outsiders = agency_of(topic) is not None or owner == "acknowledgements" or rest[:1] == ["updates"]
    return lane_of(topic) is Lane.URGENT or topic == ALERTS_RAISED or is_outsiders


@cache
def agency_of(topic: str) -> str | None:
    """The agency on whose topic its own letters stand; None for any other topic."""
    parts = topic.split(".")
    return parts[1] if len(parts) > 2 and parts[0] == "agency" and parts[2] == "letters" else None


@cache
def is_internal(topic: str) -> bool:
    """Whether only our own services read a topic, so that it may say which letter a case belongs to."""
    return topic.startswith(("letters.received.", "cases.events.", "answers.due.", "alerts.raised."))


def all_topics(authorities: Iterable[str], agencies: Iterable[str], subscribers: Iterable[str]) -> dict[str, int]:
    """Every topic with its number of partitions: what manifests, the local stack and the documents are made from.

    The number of partitions is a contract: keys hash to it, so another number breaks the order per key.
    """
    partitions: dict[str, int] = {}
    for lane in Lane:
        partitions |= {name(lane): 6 for name in (letters_received, case_events, answers_due)}
        for authority in (*authorities, DESK):
            partitions |= {name(authority, lane): 6 for name in (cases_of, updates_from)}
        partitions |= {letters_from(agency, lane): 3 for agency in agencies}
    partitions |= {answers_to(agency): 3 for agency in agencies}
    for subscriber in subscribers:
        partitions |= {notices_to(subscriber): 3, acknowledgements_of(subscriber): 3}
    return partitions | {ALERTS_RAISED: 1, CHECKPOINTS: 1}
