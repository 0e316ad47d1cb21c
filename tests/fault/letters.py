"""The letters of the kill tests, each with what must become of it: written by hand from the law and the alert rules."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from shared.vocabulary import Lane

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


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of letter; its cases stand in the order of its measures."""

    urgency: str
    lane: Lane
    cases: tuple[Case, ...]


_OPERATIONS = ("operations", "kafka")
_DUTY = (("duty-officers", "kafka"), ("duty-officers", "webhook"))
_CALM, _ALERT, _LIFE = frozenset({_OPERATIONS}), frozenset(_DUTY), frozenset({*_DUTY, _OPERATIONS})
_SECURITY, _JUSTICE, _DESK = "security-service", "justice-ministry", "desk"

_ACCESS = Case("stored_data_access", _SECURITY, Lane.NORMAL, _CALM)
_PRESERVATION = Case("data_preservation", _SECURITY, Lane.URGENT, _ALERT, climbs=True)

KINDS = (
    Kind("normal", Lane.NORMAL, (_ACCESS,)),
    Kind("normal", Lane.NORMAL, (Case("extradition", _JUSTICE, Lane.NORMAL, _CALM), _ACCESS)),
    Kind("normal", Lane.NORMAL, (Case("asset_freeze", _DESK, Lane.NORMAL, _CALM),)),
    Kind("normal", Lane.URGENT, (_PRESERVATION,)),
    # The letter goes in the urgent lane, its second measure in the normal one.
    Kind("normal", Lane.URGENT, (_PRESERVATION, _ACCESS)),
    Kind("normal", Lane.URGENT, (Case("provisional_arrest", _JUSTICE, Lane.URGENT, _ALERT, climbs=True),)),
    Kind("emergency", Lane.URGENT, (Case("emergency_data", _SECURITY, Lane.URGENT, _LIFE, climbs=True),)),
)
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


def letters(rng: random.Random, prefix: str) -> Iterator[Filed]:
    """Letters without end; every seventh comes by Kafka."""
    number = 0
    while True:
        number += 1
        (kind,) = rng.choices(KINDS, _WEIGHTS)
        reference = f"{prefix}-{number:05d}"
        yield Filed(rng.choice(AGENCIES), reference, kind, _body(reference, kind), by_kafka=number % 7 == 0)


def _body(reference: str, kind: Kind) -> bytes:
    return orjson.dumps(
        {
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
