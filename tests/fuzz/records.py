"""What stands on the topics: every reader of every service, good records of every kind, and the same made bad."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aiokafka import ConsumerRecord
from hypothesis import strategies as st

from benchmarks.fanout import Nobody
from deploy.local.jars import ROOT
from services.notifier import handlers as notifier
from services.notifier.fanout import Fanout
from shared.arrivals import Read
from shared.life_cycle import load_life_cycle
from tests.fuzz.mutating import bad_headers, bad_value, structured
from tests.service.running import AGENCY, Headers, cloud_event, letter
from tests.unit.alerts import partners, roster
from tests.unit.test_following import RULES
from tests.unit.verify_world import World, a_good_world, deployment
from verify.inputs import inputs_of


@dataclass(frozen=True)
class Hears:
    """A topic as one group reads it."""

    service: str
    group: str
    topic: str
    read: Read


@cache
def world() -> World:
    """Good records of every kind."""
    return a_good_world(20)


@cache
def every_reader() -> Sequence[Hears]:
    """Every topic that a service reads, once for each group that does."""
    d = deployment()
    fanout = Fanout(RULES, partners().subscribers, roster(), Nobody(), d.ids, lambda: world().time)
    events = notifier.on_event(fanout, notifier.doing(load_life_cycle(ROOT / "life-cycle.yaml", d.law)))
    return [
        Hears(one.service, one.group, one.topic, events if one.read is None else one.read)
        for one in inputs_of(d.law, d.life, d.partners, d.ids)
    ]


@cache
def good_ones(topic: str) -> list[tuple[Headers, bytes]]:
    """Good events of a topic, or of others where there is none: a topic may carry anything."""
    found: list[tuple[Headers, bytes]] = [([*one.headers], one.value or b"") for one in world().on(topic)[:20]]
    update = {"case": "cas_" + "0" * 32, "message": "status_inquiry", "notice": "not_" + "0" * 32, "by": "officer-7"}
    for event_type in ("update.case_accepted", "notice.acknowledged", "letter.message", "alert.raised"):
        found.append((cloud_event("1", event_type=event_type), json.dumps(update).encode()))
    found.append((cloud_event("2", source=f"/{AGENCY}"), json.dumps(letter("r")).encode()))
    return found


@st.composite
def records(draw: st.DrawFn, topic: str) -> ConsumerRecord[Any, Any]:
    """A record, with something wrong about it."""
    headers, value = draw(st.sampled_from(good_ones(topic)))
    body: bytes | None = value
    if draw(st.integers(0, 5)) == 0:
        headers, body = draw(structured(headers, value))
    else:
        headers = draw(bad_headers(headers))
        body = draw(st.just(None) | bad_value(value) | bad_value(value))
    return ConsumerRecord(topic, 0, 0, 0, 0, b"k", body, None, 0, 0, headers)  # type: ignore[arg-type]  # null headers too
