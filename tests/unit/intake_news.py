"""News and answers for the tests of what an agency hears of its cases."""

from typing import Any

from aiokafka import ConsumerRecord

from services.intake.domain import CaseNews
from shared.decisions import Message
from shared.events import schema_of
from shared.partners import load_partners
from shared.payloads import CaseEvent
from shared.records import Record
from tests.unit.intake_letters import AGENCY, ROOT, decided, kept, letter, stored

AGENCIES = load_partners(ROOT / "partners.yaml").agencies
FACTS = {
    "case": "cas_1",
    "type": "extradition",
    "party": "FR",
    "direction": "incoming",
    "urgency": "normal",
    "lane": "normal",
    "authority": "justice-ministry",
    "status": "received",
}
REASONS: dict[str, Any] = {"because": "The law names it.", "basis": ["az-law"], "certainty": "text"}
CONTEXT = {"letterid": "let_1", "agency": AGENCY, "measure": "1", "sequence": "0000000001"}


def heard(topic: str, event_type: str, data: bytes, **attributes: str) -> "ConsumerRecord[Any, Any]":
    said = {"specversion": "1.0", "id": "1", "source": "/x", "type": event_type, "dataschema": schema_of(event_type)}
    headers = [(f"ce_{name}", value.encode()) for name, value in {**said, **attributes}.items()]
    return ConsumerRecord(topic, 0, 0, 0, 0, None, data, None, 0, len(data), headers)


def news(sequence: int, measure: int = 1, **changed: Any) -> Message:
    case = CaseEvent.model_validate({**FACTS, "case": f"cas_{measure}", **changed})
    return Message("let_1", f"router/{measure}/{sequence}", "router", CaseNews(AGENCY, measure, case, sequence))


def opened(**changed: Any) -> Record:
    """A letter whose case has been assigned."""
    return kept(stored(letter()), news(1, **REASONS, **changed))


def told(record: Record, message: Message) -> dict[str, Any] | None:
    """What the agency hears of it, if anything."""
    events = decided(record, message).events
    return dict(events[0].data) if events else None
