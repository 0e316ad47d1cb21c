"""Whatever stands on a topic becomes messages, is for others, or is set aside for a known reason."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.fanout import Nobody
from deploy.local.jars import ROOT
from services.notifier import handlers as notifier
from services.notifier.fanout import Fanout
from shared import topics
from shared.arrivals import Read
from shared.decisions import Message
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.life_cycle import load_life_cycle
from tests.fuzz import scale
from tests.fuzz.mutating import bad_headers, bad_value, structured
from tests.service.running import AGENCY, Headers, cloud_event, letter
from tests.unit.alerts import partners, roster
from tests.unit.test_following import RULES
from tests.unit.verify_world import World, a_good_world, deployment
from verify.inputs import inputs_of

REASONS = {
    "null value",
    "null header",
    "undecodable header",
    "not a CloudEvent of specversion 1.0",
    "an attribute is too long",
    "an attribute is neither text, number nor truth value",
    "an attribute holds half a character",
    "id, source or type is missing",
    "structured event is not JSON",
    "structured event is not an object",
    "NaN and Infinity are not JSON",
    "a member stands twice in one object",
    "data and data_base64 contradict each other",
    "data_base64 is not base64",
    "unknown event type",
    "unknown event version",
    "another agency's name",
    "too large",
    "not a letter",
    "not a message",
    "not an update",
    "not a case event",
    "not an answer",
    "not an acknowledgement",
    "not an event that we know",
    "too many messages",
}
"""Every reason for which a reader may set a record aside; none holds a word of the record."""


@cache
def world() -> World:
    """Good records of every kind."""
    return a_good_world(20)


@cache
def readers() -> Mapping[str, tuple[Read, str]]:
    """Every reader of every service, with a topic that it reads."""
    d = deployment()
    found: dict[str, tuple[Read, str]] = {}
    for one in inputs_of(d.law, d.life, d.partners, d.ids):
        if one.read is not None:
            found.setdefault(one.group, (one.read, one.topic))
    fanout = Fanout(RULES, partners().subscribers, roster(), Nobody(), d.ids, lambda: world().time)
    events = notifier.on_event(fanout, notifier.doing(load_life_cycle(ROOT / "life-cycle.yaml", d.law)))
    found["rogatory-notifier-events-normal"] = events, "cases.events.v1"
    found["rogatory-notifier-events-urgent"] = events, topics.ALERTS_RAISED
    return found


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


@pytest.mark.parametrize("group", sorted(readers()))
def test_every_record_is_read_or_set_aside_for_a_known_reason(group: str) -> None:
    read, topic = readers()[group]

    @settings(
        max_examples=scale.of(40_000) // len(readers()),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(records(topic))
    def always(record: ConsumerRecord[Any, Any]) -> None:
        messages, reason = outcome_of(read, record)
        assert reason is None or reason in REASONS
        for message in messages:
            assert isinstance(message, Message)
            f"{message.record} {message.cause} {message.by}".encode()  # MongoDB stores UTF-8 alone

    always()


def outcome_of(read: Read, record: ConsumerRecord[Any, Any]) -> tuple[Sequence[Message], str | None]:
    """The messages of a record, and why it is set aside; any other failure is the test's."""
    try:
        return read(record), None
    except NotForUs:
        return (), None
    except NewerBuild as reason:
        return (), str(reason)
    except NeverWill as reason:
        return reason.also, str(reason)


def test_every_reader_is_tried() -> None:
    assert len(readers()) >= 10
    assert good_ones("cases.events.v1")
