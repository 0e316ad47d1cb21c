"""Who must hear of an event, and what becomes of each notice."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from services.notifier.domain import (
    CLAIM,
    LONGEST_WAIT,
    WAITS,
    Attempt,
    Delivered,
    Failed,
    Raising,
    body_of,
    decide,
    evolve,
    facts_of,
    split,
)
from services.notifier.handlers import on_event
from shared import topics
from shared.decisions import Decision, Message
from shared.events import (
    ALERT_RAISED,
    CASE_ASSIGNED,
    KINDS,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
    NOTICE_GIVEN_UP,
    NOTICE_RAISED,
    schema_of,
)
from shared.failures import NeverWill
from shared.ids import Ids
from shared.payloads import AlertRaised
from shared.records import Record
from shared.sealing import Sealer
from shared.times import read, text_of
from tests.unit.alerts import facts, partners, rules

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
DUE = text_of(NOW)


# One message per rule, recipient and channel


def raised(said: Mapping[str, str], cause: str = "/cases.events.v1/cas_1#evt_1") -> list[Message]:
    return split(said, "cas_1", cause, rules(), partners().subscribers, IDS)


def test_each_channel_of_each_recipient_gets_a_notice_of_its_own() -> None:
    messages = raised(facts(type="data_preservation", lane="urgent"))

    assert [(m.body.subscriber, m.body.channel) for m in messages] == [
        ("duty-officers", "kafka"),
        ("duty-officers", "webhook"),
    ]
    assert len({m.record for m in messages}) == 2
    assert len({m.body.alert for m in messages}) == 1
    assert {m.subject for m in messages} == {"cas_1"}


def test_the_same_event_raises_the_same_notices_for_ever_and_another_event_others() -> None:
    first = [message.record for message in raised(facts())]

    assert first == [message.record for message in raised(facts())]
    assert not {*first} & {message.record for message in raised(facts(), "another")}


def test_the_words_of_a_notice_come_from_the_facts_and_what_is_not_known_is_left_out() -> None:
    (message,) = raised(facts())
    assert message.body.says == "extradition (incoming, FR) is with justice-ministry."

    (message,) = raised({"event": "case.assigned"})
    assert message.body.says == " (, ) is with ."


def test_braces_in_a_fact_are_no_places_to_fill() -> None:
    (message,) = raised(facts(party="{type}"))

    assert message.body.says == "extradition (incoming, {type}) is with justice-ministry."


def test_only_facts_that_rules_may_look_at_come_out_of_an_event() -> None:
    said = facts_of(CASE_ASSIGNED, {"type": "extradition", "case": "cas_1", "content": {"officer": "Maud"}})

    assert said == {"event": CASE_ASSIGNED, "type": "extradition"}


# A notice's life


def notice(channel: str = "webhook") -> Record:
    """A notice that was just raised."""
    raising = Raising("alt_1", "urgent", "Urgent.", "duty-officers", channel, {"type": "extradition"})
    return after(Record("not_1", "cas_1", {}), raising)


def after(record: Record, *bodies: Any, now: datetime = NOW) -> Record:
    for n, body in enumerate(bodies):
        cause = f"{record.version}/{n}"
        for draft in decide(record, message(body), now).events:
            record.append(draft, by="notifier", cause=cause, now=now, evolve=evolve, sealer=SEALER)
    return record


def message(body: Any) -> Message:
    return Message("not_1", "cause", "notifier", body)


def attempted(times: int) -> Record:
    """A notice whose attempt number `times` is under way."""
    record = notice()
    for n in range(1, times):
        after(record, Attempt(record.state["next_due"]), Failed(n, "HTTP 500"))
    return after(record, Attempt(record.state["next_due"]))


def test_a_notice_is_raised_once() -> None:
    record = notice()

    assert decide(record, message(Raising("alt_1", "", "", "duty-officers", "webhook", {})), NOW) == Decision()


def test_a_notice_by_kafka_leaves_with_its_event_and_nothing_is_due() -> None:
    record = notice("kafka")

    (event,) = record.fresh
    assert event.to == {"notices.duty-officers.v1": 1}
    assert (record.state["status"], record.state.get("next_due")) == ("published", None)
    assert after(record, Attempt(DUE)).version == 1


def test_a_notice_by_webhook_goes_to_no_topic_and_is_due_at_once() -> None:
    record = notice()

    (event,) = record.fresh
    assert event.to == {}
    assert (record.state["status"], record.state["next_due"], record.state["attempts"]) == ("waiting", DUE, 0)


def test_an_attempt_has_the_notice_for_itself_for_a_minute() -> None:
    record = attempted(1)

    assert record.fresh[-1].type == NOTICE_ATTEMPTED
    assert (record.state["status"], record.state["attempts"]) == ("attempting", 1)
    assert read(record.state["next_due"]) == NOW + CLAIM
    assert after(record, Attempt(DUE)).version == 2  # the clock that rang is not the one that runs


def test_an_attempt_whose_process_died_is_followed_by_another() -> None:
    record = attempted(1)

    after(record, Attempt(record.state["next_due"]), now=NOW + CLAIM)

    assert (record.state["status"], record.state["attempts"]) == ("attempting", 2)


def test_what_was_delivered_is_over() -> None:
    record = after(attempted(1), Delivered(1))

    assert record.fresh[-1].type == NOTICE_DELIVERED
    assert (record.state["status"], record.state["delivered_at"]) == ("delivered", DUE)
    assert "next_due" not in record.state
    assert after(record, Delivered(1), Failed(1, "late"), Attempt(DUE)).version == 3


def test_the_outcome_of_an_attempt_that_was_taken_over_changes_nothing() -> None:
    record = attempted(2)

    assert after(record, Delivered(1), Failed(1, "timeout")).state["status"] == "attempting"


def test_each_failure_waits_longer_than_the_one_before_and_the_last_is_for_good() -> None:
    for number, wait in enumerate(WAITS, 1):
        record = after(attempted(number), Failed(number, "HTTP 500"))
        assert record.state["status"] == "waiting"
        assert read(record.state["next_due"]) == NOW + wait

    record = after(attempted(len(WAITS) + 1), Failed(len(WAITS) + 1, "HTTP 500"))
    assert [event.type for event in record.fresh[-2:]] == [NOTICE_FAILED, ALERT_RAISED]
    assert (record.state["status"], record.state.get("next_due")) == ("failed", None)


RETRY_AFTER: dict[str, tuple[timedelta | None, timedelta]] = {
    "nothing": (None, WAITS[0]),
    "longer": (timedelta(minutes=7), timedelta(minutes=7)),
    "shorter": (timedelta(milliseconds=1), WAITS[0]),
    "in the past": (timedelta(days=-1), WAITS[0]),
    "far too long": (timedelta(days=999_999_999), LONGEST_WAIT),
}


@pytest.mark.parametrize("case", RETRY_AFTER)
def test_a_recipient_may_ask_for_more_time_within_reason(case: str) -> None:
    asked, wait = RETRY_AFTER[case]

    record = after(attempted(1), Failed(1, "HTTP 503", retry_after=asked))

    assert read(record.state["next_due"]) == NOW + wait


def test_a_recipient_who_is_gone_is_not_asked_again() -> None:
    record = after(attempted(1), Failed(1, "HTTP 410", for_good=True))

    assert record.state["status"] == "failed"
    assert after(record, Attempt(DUE)).version == 4


def test_that_a_notice_has_failed_for_good_is_said_in_its_own_history() -> None:
    record = after(attempted(1), Failed(1, "HTTP 410", for_good=True))

    alert = record.fresh[-1]
    assert (alert.type, alert.to) == (ALERT_RAISED, {topics.ALERTS_RAISED: 1})
    assert alert.data == {
        "alert": "not_1",
        "kind": NOTICE_GIVEN_UP,
        "service": "notifier",
        "notice": "not_1",
        "subscriber": "duty-officers",
        "reason": "HTTP 410",
    }
    assert AlertRaised.model_validate_json(alert.data_json).kind in KINDS
    assert record.state == evolve(record.state, alert)


def test_a_notice_without_any_outcome_fails_for_good_and_is_no_longer_sent() -> None:
    record = attempted(len(WAITS) + 1)

    after(record, Attempt(record.state["next_due"]), now=NOW + CLAIM)

    assert record.state["status"] == "failed"
    assert [event.type for event in record.fresh[-2:]] == [NOTICE_FAILED, ALERT_RAISED]


def test_a_notice_about_a_notice_that_failed_raises_no_further_alert() -> None:
    failed = after(attempted(1), Failed(1, "HTTP 410", for_good=True))
    heard_of_it = heard(ALERT_RAISED, failed.fresh[-1].data)
    (webhook,) = [message for message in heard_of_it if message.body.channel == "webhook"]

    second = Record(webhook.record, webhook.subject, {})
    after(second, webhook.body, Attempt(DUE), Failed(1, "HTTP 410", for_good=True))

    assert webhook.subject == failed.id
    assert second.fresh[-1].type == NOTICE_FAILED
    assert second.state["status"] == "failed"


def test_a_webhook_carries_the_notice_as_its_data() -> None:
    (event,) = notice().fresh

    body = body_of(event)

    assert (body["type"], body["timestamp"]) == (NOTICE_RAISED, DUE)
    assert body["data"] == event.data
    assert (body["data"]["notice"], body["data"]["about"], body["data"]["says"]) == ("not_1", "cas_1", "Urgent.")


# What comes by Kafka


def heard(event_type: str, data: Mapping[str, Any], source: str = "/cases.events.v1/cas_1") -> list[Message]:
    value = orjson.dumps(data)
    said = {"specversion": "1.0", "id": "evt_1", "source": source, "type": event_type}
    headers = [(f"ce_{n}", text.encode()) for n, text in {**said, "dataschema": schema_of(event_type)}.items()]
    record: ConsumerRecord[Any, Any] = ConsumerRecord(
        "cases.events.v1", 0, 0, 0, 0, None, value, None, 0, len(value), headers
    )
    return list(on_event(rules(), partners().subscribers, IDS)(record))


CASE: dict[str, Any] = {
    **facts(),
    "case": "cas_1",
    "channel": "24/7",
    "received_at": DUE,
    "rule": "r",
    "law": "azerbaijan",
    "version": "1",
    "basis": [],
    "because": "",
    "certainty": "text",
    "gate": "",
    "lean": None,
    "status": "assigned",
}


def test_a_case_event_is_about_its_case_and_an_alert_about_itself() -> None:
    (case,) = heard(CASE_ASSIGNED, CASE)
    alert, *_ = heard(ALERT_RAISED, {"alert": "alt_9", "kind": "quarantine", "service": "router", "topic": "x"})

    assert (case.subject, case.cause) == ("cas_1", "/cases.events.v1/cas_1#evt_1")
    assert (alert.subject, alert.body.says) == ("alt_9", "Rogatory itself: quarantine in router.")
    assert alert.body.facts == {"event": ALERT_RAISED, "kind": "quarantine", "service": "router"}


@pytest.mark.parametrize(("event_type", "data"), [("case.burnt", CASE), (CASE_ASSIGNED, {}), (ALERT_RAISED, CASE)])
def test_what_it_does_not_know_is_set_aside(event_type: str, data: Mapping[str, Any]) -> None:
    with pytest.raises(NeverWill):
        heard(event_type, data)
