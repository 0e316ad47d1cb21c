"""The letters of the kill tests, each with what must become of it: written by hand from the law and the alert rules."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from shared.times import text_of
from shared.vocabulary import DESK, Lane

AGENCIES = ("contact-point", "central-authority", "foreign-ministry")
"""Who files; a few of the agencies of partners.yaml."""

Notices = frozenset[tuple[str, str]]
"""Who hears of a case, on which channel."""


@dataclass(frozen=True, slots=True)
class Case:
    """What must become of one measure."""

    type: str
    authority: str
    lane: Lane
    notices: Notices
    climbs: bool = False
    """Whether its alert climbs a ladder."""
    rings: bool = False
    """Whether the sender's deadline passes before anything was done."""
    is_answered: bool = False
    """Whether whoever has the case acknowledges it."""

    @property
    def news(self) -> int:
        """How often its agency hears that its status or one of its clocks is another one."""
        # On the desk a case stays in triage, though somebody has said that it arrived.
        return 1 + self.rings + (self.is_answered and self.authority != DESK)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of letter; its cases stand in the order of its measures."""

    urgency: str
    lane: Lane
    cases: tuple[Case, ...]


_OPERATIONS = ("operations", "kafka")
_DUTY = (("duty-officers", "kafka"), ("duty-officers", "webhook"))
_CALM, _ALERT, _LIFE = frozenset({_OPERATIONS}), frozenset(_DUTY), frozenset({*_DUTY, _OPERATIONS})
OF_RINGS = _OPERATIONS
"""Who hears of a sender's deadline that has passed, where the alert rules are those of the nemesis."""
_SECURITY, _JUSTICE = "security-service", "justice-ministry"

_ACCESS = Case("stored_data_access", _SECURITY, Lane.NORMAL, _CALM)
_PRESERVATION = Case("data_preservation", _SECURITY, Lane.URGENT, _ALERT, climbs=True)

KINDS = (
    Kind("normal", Lane.NORMAL, (_ACCESS,)),
    Kind("normal", Lane.NORMAL, (Case("extradition", _JUSTICE, Lane.NORMAL, _CALM), _ACCESS)),
    Kind("normal", Lane.NORMAL, (Case("asset_freeze", DESK, Lane.NORMAL, _CALM),)),
    Kind("normal", Lane.URGENT, (_PRESERVATION,)),
    # The letter goes in the urgent lane, its second measure in the normal one.
    Kind("normal", Lane.URGENT, (_PRESERVATION, _ACCESS)),
    Kind("normal", Lane.URGENT, (Case("provisional_arrest", _JUSTICE, Lane.URGENT, _ALERT, climbs=True),)),
    Kind("emergency", Lane.URGENT, (Case("emergency_data", _SECURITY, Lane.URGENT, _LIFE, climbs=True),)),
)
_MAY_RING = (KINDS[0],)  # where a webhook goes out, one that is late by the deadline is rightly given up
_WEIGHTS = (30, 25, 10, 10, 10, 5, 10)


@dataclass(slots=True)
class Filed:
    """One letter that a client files until somebody says that it is in safe keeping."""

    agency: str
    reference: str
    kind: Kind
    body: bytes
    by_kafka: bool = False
    receipts: list[tuple[str, str, str]] = field(default_factory=list)
    """Of every answer that acknowledged it: id, time of arrival, digest."""
    acknowledged: bool = False
    deadline: datetime | None = None
    """The sender's own."""


Deadlines = Callable[[], datetime | None]


def no_deadlines() -> datetime | None:
    """No sender wants an answer by a day."""
    return None


def letters(rng: random.Random, prefix: str, deadlines: Deadlines = no_deadlines) -> Iterator[Filed]:
    """Letters without end; every seventh comes by Kafka. Some kinds may have a deadline."""
    number = 0
    while True:
        number += 1
        (kind,) = rng.choices(KINDS, _WEIGHTS)
        reference = f"{prefix}-{number:05d}"
        deadline = deadlines() if kind in _MAY_RING else None
        body = _body(reference, kind, deadline)
        yield Filed(rng.choice(AGENCIES), reference, kind, body, by_kafka=number % 7 == 0, deadline=deadline)


def _body(reference: str, kind: Kind, deadline: datetime | None) -> bytes:
    wanted = {"at": text_of(deadline), "reason": "The hearing is then."} if deadline else None
    return orjson.dumps(
        {
            **({"requested_deadline": wanted} if wanted else {}),
            "reference": reference,
            "party": "FR",
            "direction": "incoming",
            "channel": "24/7",
            "sent_at": "2026-03-10T08:00:00+01:00",
            "urgency": kind.urgency,
            "treaty_basis": ["uncc"],
            "measures": [
                {"type": case.type, "contents": {"facts": f"Facts {n} of {reference}, " + "told at length, " * 20}}
                for n, case in enumerate(kind.cases, 1)
            ],
        }
    )
