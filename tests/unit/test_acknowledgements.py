"""Acknowledgements by Kafka: what a subscriber says on its own topic, and what is set aside."""

import json
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from services.notifier.acknowledgement.acknowledgements import NOT_ONE, on_acknowledgement
from services.notifier.acknowledgement.acknowledging import KAFKA
from services.notifier.domain.bodies import Ack
from shared.decisions import Message
from shared.events import NOTICE_ACKNOWLEDGED, NOTICE_RAISED, schema_of
from shared.failures import NeverWill
from shared.ids import Ids
from shared.topics import acknowledgements_of

IDS = Ids(bytes(32))
NOTICE = "not_" + "a" * 32


def record(data: Any, subscriber: str = "operations", **attributes: str) -> ConsumerRecord[Any, Any]:
    """What a subscriber writes."""
    given = {"specversion": "1.0", "type": NOTICE_ACKNOWLEDGED, "source": "/their/desk", "id": "1"} | attributes
    headers = [(f"ce_{name}", value.encode()) for name, value in given.items()]
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return ConsumerRecord(acknowledgements_of(subscriber), 0, 7, 0, 0, None, value, None, 0, len(value), headers)


def read(one: ConsumerRecord[Any, Any]) -> Message:
    [message] = on_acknowledgement(IDS)(one)
    return message


def test_the_topic_says_who_acknowledges() -> None:
    message = read(record({"notice": NOTICE}))

    assert (message.record, message.by) == (NOTICE, "operations")
    assert message.body == Ack("operations", KAFKA, only="operations")


def test_a_subscriber_may_name_whom_of_its_people() -> None:
    assert read(record({"notice": NOTICE, "by": "desk-2", "more": 1})).body.by == "operations/desk-2"


def test_the_same_event_is_the_same_acknowledgement_and_anothers_is_another() -> None:
    said = record({"notice": NOTICE})

    assert read(said).cause == read(said).cause
    assert read(said).cause != read(record({"notice": NOTICE}, id="2")).cause
    assert read(said).cause != read(record({"notice": NOTICE}, "duty-officers")).cause


@pytest.mark.parametrize("schema", [schema_of(NOTICE_ACKNOWLEDGED), "https://theirs.example.org/ack/v1"])
def test_version_1_is_known(schema: str) -> None:
    assert read(record({"notice": NOTICE}, dataschema=schema)).record == NOTICE


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (record({"notice": NOTICE}, type=NOTICE_RAISED), "unknown event type"),
        (record({"notice": NOTICE}, dataschema="urn:rogatory:schema:notice.acknowledged:v2"), "unknown event version"),
        (record({}), NOT_ONE),
        (record(b"nonsense"), NOT_ONE),
        (record([NOTICE]), NOT_ONE),
        (record({"notice": "cas_" + "a" * 32}), NOT_ONE),
        (record({"notice": NOTICE + "\n"}), NOT_ONE),
        (record({"notice": NOTICE, "by": "Nigar Mammadova"}), NOT_ONE),
        (record({"notice": NOTICE, "by": ""}), NOT_ONE),
        (record({"notice": NOTICE}, specversion="0.3"), "not a CloudEvent of specversion 1.0"),
    ],
)
def test_what_is_no_acknowledgement_is_set_aside_with_a_reason_that_quotes_nothing(
    one: ConsumerRecord[Any, Any], why: str
) -> None:
    with pytest.raises(NeverWill) as caught:
        read(one)

    assert str(caught.value) == why
