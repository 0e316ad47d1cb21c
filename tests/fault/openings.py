"""What the router hears in the proofs of its clocks: letters as intake says them, and what authorities say on cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from services.intake import domain as intake
from shared import envelope, topics
from shared.events import LETTER_RECEIVED
from shared.ids import Ids
from shared.law import Law
from shared.letter import parse_letter
from shared.records import Record, value_on
from shared.sealing import Sealer
from shared.times import text_of
from shared.vocabulary import Lane

AGENCY, HOLDER, TYPE = "contact-point", "security-service", "stored_data_access"


@dataclass(frozen=True, slots=True)
class Said:
    """One record for Kafka."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A letter that opens one case of one authority, and how its clocks run."""

    reference: str
    received_at: datetime
    urgency: str
    deadline: datetime | None = None
    """The sender's own."""

    @property
    def lane(self) -> Lane:
        """Where its case stands."""
        return Lane.NORMAL if self.urgency == "normal" else Lane.URGENT

    def case(self, ids: Ids) -> str:
        """The id of its case."""
        return ids.case(ids.letter(AGENCY, self.reference), 1)

    def said(self, ids: Ids, sealer: Sealer, law: Law) -> Said:
        """`letter.received`, as intake says it."""
        message = intake.filing(AGENCY, parse_letter(self._body(), frozenset(law.request_types)), ids)
        record = Record(message.record, message.record, message.context)
        decided = intake.decide_by(law)(record, message, self.received_at).events
        [draft] = [one for one in decided if one.type == LETTER_RECEIVED]
        record.append(
            draft, by=message.by, cause=message.cause, now=self.received_at, evolve=intake.evolve, sealer=sealer
        )
        [event] = record.fresh
        [topic] = event.to
        headers = envelope.headers_for(
            topic, event, ids.event(record.id, event.seq), record.id, record.subject, record.context
        )
        return Said(topic, record.subject.encode(), value_on(topic, event), headers)

    def _body(self) -> bytes:
        letter: dict[str, Any] = {
            "reference": self.reference,
            "party": "FR",
            "direction": "incoming",
            "channel": "24/7",
            "sent_at": text_of(self.received_at),
            "urgency": self.urgency,
            "treaty_basis": ["uncc"],
            "measures": [{"type": TYPE, "contents": {"offence": "Fraud", "facts": f"Facts of {self.reference}"}}],
        }
        if self.deadline:
            letter["requested_deadline"] = {"at": text_of(self.deadline), "reason": "The hearing is then."}
        return orjson.dumps(letter)


def acknowledged(opened: Opened, ids: Ids, after: timedelta = timedelta(minutes=1)) -> Said:
    """The holder has acknowledged a case so long after it was received."""
    return _update("acknowledged", opened, ids, after, number=opened.reference)


def assigned(opened: Opened, ids: Ids, after: timedelta = timedelta(minutes=2)) -> Said:
    """An officer of the holder has had the case in hand since so long after it was received."""
    return _update("officer_assigned", opened, ids, after, unit="Unit 7")


def _update(name: str, opened: Opened, ids: Ids, after: timedelta, **fields: str) -> Said:
    case = opened.case(ids)
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"update.{name}".encode()),
        ("ce_id", f"{name}-{opened.reference}".encode()),
        ("ce_source", f"/{HOLDER}".encode()),
        ("ce_time", text_of(opened.received_at + after).encode()),
        ("content-type", b"application/json"),
    ]
    value = orjson.dumps({"case": case, **fields})
    return Said(topics.updates_from(HOLDER, opened.lane), case.encode(), value, headers)


async def put(bootstrap: str, records: Sequence[Said]) -> None:
    """Put records on their topics and wait until Kafka has them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    await producer.start()
    try:
        sent = [await producer.send(s.topic, s.value, key=s.key, headers=list(s.headers)) for s in records]
        for one in sent:
            await one
    finally:
        await producer.stop()
