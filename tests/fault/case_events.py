"""What the router says of cases, put on its topic by hand: for proofs of the notifier that need no router."""

from datetime import datetime

import orjson

from shared import topics
from shared.events import schema_of
from shared.times import text_of
from shared.vocabulary import Direction, Lane, Urgency
from tests.fault.openings import HOLDER, TYPE, Said


def happened(event: str, case: str, at: datetime, urgency: Urgency) -> Said:
    """One event of one case of one authority; each event of a case once."""
    lane = Lane.NORMAL if urgency is Urgency.NORMAL else Lane.URGENT
    topic = topics.case_events(lane)
    headers = {
        "ce_specversion": "1.0",
        "ce_type": event,
        "ce_id": f"{event}-{case}",
        "ce_source": f"/{topic}/{case}",
        "ce_time": text_of(at),
        "ce_subject": case,
        "ce_dataschema": schema_of(event),
        "content-type": "application/json",
    }
    data = {
        "case": case,
        "type": TYPE,
        "party": "FR",
        "direction": Direction.INCOMING,
        "urgency": urgency,
        "lane": lane,
        "authority": HOLDER,
        "status": "assigned",
    }
    return Said(topic, case.encode(), orjson.dumps(data), [(name, text.encode()) for name, text in headers.items()])
