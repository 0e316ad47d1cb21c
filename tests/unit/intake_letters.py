"""Letters and records for the tests of intake's domain: what a test does not name is as usual."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from services.intake.domain import AgencyEvent, Filing, decide_by, evolve, filing
from shared.decisions import Decision, Message
from shared.ids import Ids
from shared.law import Law, load_law
from shared.letter import Letter, parse_letter
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.records import Record, event_of, stored_form
from shared.sealing import Sealer

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
LATER = NOW + timedelta(days=400)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
AGENCY = "contact-point"
ANSWERS = f"agency.{AGENCY}.answers.v1"
EVENT = AgencyEvent("/fr/registry", "event-7")
NAME = "Maud Vernier"
RECEIVED_AT = "2026-03-10T08:00:00.000000Z"


@cache
def law() -> Law:
    return load_law(ROOT / "laws/azerbaijan.yaml", [ROOT / "laws/assumptions/in-force.yaml"])


@cache
def life() -> LifeCycle:
    return load_life_cycle(ROOT / "life-cycle.yaml", law())


def text(*types: str, **changed: Any) -> bytes:
    """A letter as it is sent: only what a test names is other than usual."""
    return orjson.dumps(
        {
            "reference": "FR-1",
            "party": "FR",
            "direction": "incoming",
            "channel": "24/7",
            "sent_at": "2026-03-10T08:00:00+01:00",
            "contact": {"officer": NAME},
            "measures": [{"type": kind, "contents": {"facts": NAME}} for kind in types or ("extradition",)],
            **changed,
        }
    )


def letter(*types: str, **changed: Any) -> Letter:
    return parse_letter(text(*types, **changed), law().request_types)


def http(filed: Letter) -> Message:
    return filing(AGENCY, filed, IDS)


def kafka(filed: Letter) -> Message:
    return Message("let_1", "ext_1", AGENCY, Filing(AGENCY, filed, EVENT), context={"agency": AGENCY})


def decided(record: Record, message: Message, now: datetime = NOW) -> Decision:
    return decide_by(law())(record, message, now)


def kept(record: Record, message: Message, now: datetime = NOW) -> Record:
    """The record after the message, as a later batch finds it."""
    for draft in decided(record, message, now).events:
        record.append(draft, by=message.by, cause=message.cause, now=now, evolve=evolve, sealer=SEALER)
    record.stored_version = record.version
    return record


def new() -> Record:
    return Record("let_1", "let_1", {"agency": AGENCY})


def stored(filed: Letter) -> Record:
    return kept(new(), http(filed))


def with_history(record: Record) -> Record:
    record.history = [event_of(record.id, stored_form(event), record.key) for event in record.fresh]
    record.fresh = []
    return record
