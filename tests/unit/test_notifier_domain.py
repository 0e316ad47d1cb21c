"""What becomes of each notice; and what the notifier makes of what it hears."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fanout import fanout
from services.notifier.acknowledgement.notices_views import STATUSES
from services.notifier.domain import decide, evolve, facts_of
from services.notifier.domain.accounts import terms
from services.notifier.domain.bodies import Ack, Attempt, Delivered, Failed, HandedOn, Raising, Resolved
from services.notifier.domain.failing import JITTER, LONGEST_WAIT, WAITS
from services.notifier.domain.notices import CLAIM, NO_SUCH_NOTICE, NOT_THIS_SUBSCRIBERS
from services.notifier.fanout import Fanout
from services.notifier.handlers import doing, on_event
from services.notifier.moving import Moved
from shared import topics
from shared.accounts import adds_up
from shared.decisions import Decision, Message
from shared.events import (
    ALERT_RAISED,
    CASE_ASSIGNED,
    CASE_CLOCK_WARNED,
    CASE_REASSIGNED,
    KINDS,
    NOTICE_ACKNOWLEDGED,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
    NOTICE_GIVEN_UP,
    NOTICE_HANDED_ON,
    NOTICE_RAISED,
    NOTICE_RESOLVED,
    Event,
    of_case,
    schema_of,
)
from shared.failures import NeverWill
from shared.ids import Ids
from shared.payloads import AlertRaised
from shared.records import Record, fold
from shared.sealing import Sealer
from shared.times import read, text_of
from tests.unit.alerts import facts, law, life, partners

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)
DUE = text_of(NOW)
STEADY = "not_" + "0" * 32
"""The id of a notice whose waits are no longer than they must be."""


RAISED_AND_TRIED = [NOTICE_RAISED, NOTICE_ATTEMPTED]


# A notice's life


def notice(channel: str = "webhook", record: str = STEADY, **more: Any) -> Record:
    """A notice that was just raised."""
    raising = Raising("alt_1", "urgent", "Urgent.", "duty-officers", channel, {"type": "extradition"}, **more)
    return after(Record(record, "cas_1", {}), raising)


def after(record: Record, *bodies: Any, now: datetime = NOW) -> Record:
    for n, body in enumerate(bodies):
        cause = f"{record.version}/{n}"
        for draft in decide(record, message(body), now).events:
            record.append(draft, by="notifier", cause=cause, now=now, evolve=evolve, sealer=SEALER)
    return record


def message(body: Any) -> Message:
    return Message(STEADY, "cause", "notifier", body)


def attempted(times: int, record: str = STEADY, **more: Any) -> Record:
    """A notice whose attempt number `times` is under way."""
    return tried(notice(record=record, **more), times)


def tried(record: Record, times: int) -> Record:
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
        "alert": STEADY,
        "kind": NOTICE_GIVEN_UP,
        "service": "notifier",
        "notice": STEADY,
        "recipient": "duty-officers",
        "subscriber": "duty-officers",
        "channel": "webhook",
        "reason": "HTTP 410",
    }
    assert AlertRaised.model_validate_json(alert.data_json).kind in KINDS
    assert record.state == evolve(record.state, alert)


@pytest.mark.parametrize(("never_held", "alarms"), [(False, 0), (True, 1)])
def test_that_a_recipient_is_out_of_reach_is_said_again_only_where_nothing_may_be_held_back(
    never_held: bool, alarms: int
) -> None:
    record = attempted(1, never_held=never_held)

    after(record, Failed(1, "HTTP 410", for_good=True, is_known=True))

    assert record.state["status"] == "failed"
    assert [event.type for event in record.fresh].count(ALERT_RAISED) == alarms


def test_a_notice_without_any_outcome_fails_for_good_and_is_no_longer_sent() -> None:
    record = attempted(len(WAITS) + 1)

    after(record, Attempt(record.state["next_due"]), now=NOW + CLAIM)

    assert record.state["status"] == "failed"
    assert [event.type for event in record.fresh[-2:]] == [NOTICE_FAILED, ALERT_RAISED]


def test_a_notice_about_a_notice_that_failed_raises_no_further_alert() -> None:
    failed = after(attempted(1), Failed(1, "HTTP 410", for_good=True))
    heard_of_it = heard(ALERT_RAISED, failed.fresh[-1].data)
    (webhook,) = [m for m in heard_of_it if isinstance(m.body, Raising) and m.body.channel == "webhook"]

    second = Record(webhook.record, webhook.subject, {})
    after(second, webhook.body, Attempt(DUE), Failed(1, "HTTP 410", for_good=True))

    assert webhook.subject == failed.id
    assert second.fresh[-1].type == NOTICE_FAILED
    assert second.state["status"] == "failed"


def test_what_failed_together_does_not_all_come_again_together() -> None:
    longest = after(attempted(1, "not_" + "f" * 32), Failed(1, "HTTP 500"))
    again = after(attempted(1, "not_" + "f" * 32), Failed(1, "HTTP 500"))

    assert read(longest.state["next_due"]) == NOW + WAITS[0] * (1 + JITTER)
    assert again.state == longest.state  # and the same decision is the same for ever


@given(st.binary(min_size=16, max_size=16), st.integers(1, len(WAITS)))
def test_a_wait_is_never_shorter_and_a_fifth_longer_at_most(drawn: bytes, number: int) -> None:
    record = after(attempted(number, f"not_{drawn.hex()}"), Failed(number, "HTTP 500"))

    assert WAITS[number - 1] <= read(record.state["next_due"]) - NOW <= WAITS[number - 1] * (1 + JITTER)


# A notice that is held back for a while, or for good


def test_a_notice_that_waits_for_its_window_is_due_then() -> None:
    later = text_of(NOW + timedelta(hours=9))
    record = notice("email", not_before=later, in_digest=True, rate=10)

    assert (record.state["status"], record.state["next_due"]) == ("waiting", later)
    assert (record.state["in_digest"], record.state["rate"]) == (True, 10)


@pytest.mark.parametrize("channel", ["kafka", "webhook", "email"])
def test_a_silenced_notice_is_kept_and_goes_nowhere(channel: str) -> None:
    record = notice(channel, silence="sil_1")

    (event,) = record.fresh
    assert event.to == {}
    assert (record.state["status"], record.state["silence"]) == ("silenced", "sil_1")
    assert after(record, Attempt(DUE)).version == 1
    assert "next_due" not in record.state


# The next channel

LATER = text_of(NOW + timedelta(minutes=2))


def falling_back(attempt: int = 1, give_up_at: str = LATER) -> Record:
    """A notice with another channel to try, whose attempt is under way."""
    return attempted(attempt, then=("email", "log"), give_up_at=give_up_at)


def test_what_cannot_be_taken_is_handed_on_at_once_and_nobody_is_alarmed() -> None:
    record = after(falling_back(), Failed(1, "no such number", for_good=True))

    assert [event.type for event in record.fresh] == [*RAISED_AND_TRIED, NOTICE_FAILED]
    assert (record.state["status"], record.state["follow_at"]) == ("handing_on", DUE)
    assert "next_due" not in record.state

    after(record, HandedOn("email"))
    assert record.fresh[-1].type == NOTICE_HANDED_ON
    assert record.state["status"] == "handed_on"
    assert "follow_at" not in record.state
    assert after(record, HandedOn("email")).version == 4


GIVES_UP: dict[str, tuple[timedelta, str]] = {
    "in time for one more attempt": (WAITS[0], "waiting"),
    "not even in time for one more": (WAITS[0] - timedelta(microseconds=1), "handing_on"),
    "long past": (timedelta(seconds=-1), "handing_on"),
}


@pytest.mark.parametrize("case", GIVES_UP)
def test_a_channel_is_tried_until_its_time_is_over(case: str) -> None:
    left, status = GIVES_UP[case]

    record = after(falling_back(give_up_at=text_of(NOW + left)), Failed(1, "HTTP 500"))

    assert record.state["status"] == status


def test_the_last_channel_has_all_the_time_that_there_is_and_its_end_is_alarmed() -> None:
    record = after(attempted(1), Failed(1, "HTTP 500"))
    assert record.state["status"] == "waiting"

    record = after(attempted(1), Failed(1, "HTTP 410", for_good=True))
    assert [event.type for event in record.fresh[-2:]] == [NOTICE_FAILED, ALERT_RAISED]


def test_without_any_outcome_the_next_channel_is_tried_too() -> None:
    far = text_of(NOW + timedelta(days=9))
    record = falling_back(len(WAITS) + 1, far)

    after(record, Attempt(record.state["next_due"]), now=NOW + CLAIM)

    assert record.state["status"] == "handing_on"


ELSEWHERE: dict[str, Callable[[], Record]] = {
    "waiting": notice,
    "attempting": falling_back,
    "delivered": lambda: after(falling_back(), Delivered(1)),
}


@pytest.mark.parametrize("status", ELSEWHERE)
def test_nothing_else_is_handed_on(status: str) -> None:
    record = ELSEWHERE[status]()
    before = record.version

    assert (record.state["status"], after(record, HandedOn("email")).version) == (status, before)


# Acknowledged

ACK = Ack("person.lala", "link")


def test_what_waits_is_not_sent_once_somebody_has_it() -> None:
    record = after(notice(), ACK)

    assert (record.state["status"], record.state["acknowledged_by"]) == ("acknowledged", "person.lala")
    assert record.state["acknowledged_at"] == DUE
    assert "next_due" not in record.state
    assert after(record, Attempt(DUE), Ack("person.rauf", "api")).version == 2


def test_what_is_to_be_handed_on_is_not_once_somebody_has_it() -> None:
    record = after(falling_back(), Failed(1, "no such number", for_good=True), ACK)

    assert record.state["status"] == "acknowledged"
    assert "follow_at" not in record.state
    assert after(record, HandedOn("email")).version == 4


def test_an_acknowledgement_says_by_whom_how_and_of_what_and_goes_where_the_notice_went() -> None:
    by_kafka, by_webhook = after(notice("kafka"), ACK).fresh[-1], after(notice(), ACK).fresh[-1]

    assert (by_kafka.type, by_kafka.to) == (NOTICE_ACKNOWLEDGED, {topics.notices_to("duty-officers"): 2})
    assert by_webhook.to == {}
    assert by_kafka.data == {
        "notice": STEADY,
        "alert": "alt_1",
        "about": "cas_1",
        "by": "person.lala",
        "via": "link",
    }
    assert after(notice("kafka", silence="sil_1"), ACK).fresh[-1].to == {}


@pytest.mark.parametrize("channel", ["kafka", "webhook"])
def test_what_was_sent_stays_sent(channel: str) -> None:
    record = notice(channel)
    if channel == "webhook":
        after(record, Attempt(DUE), Delivered(1))
    status = record.state["status"]

    assert after(record, ACK).state["status"] == status
    assert record.state["acknowledged_at"] == DUE


def test_nobody_acknowledges_what_there_is_not() -> None:
    with pytest.raises(NeverWill, match=NO_SUCH_NOTICE):
        decide(Record(STEADY, STEADY, {}), message(ACK), NOW)


def test_a_subscriber_acknowledges_its_own_notices_alone() -> None:
    record = notice()
    with pytest.raises(NeverWill, match=NOT_THIS_SUBSCRIBERS):
        decide(record, message(Ack("operations", "kafka", only="operations")), NOW)

    assert after(record, Ack("duty-officers", "kafka", only="duty-officers")).state["status"] == "acknowledged"


WHILE_UNDER_WAY: dict[str, tuple[Any, str]] = {
    "and then taken": (Delivered(1), "delivered"),
    "and then not taken": (Failed(1, "HTTP 500"), "failed"),
    "and then refused for good": (Failed(1, "HTTP 410", for_good=True), "failed"),
}


@pytest.mark.parametrize("case", WHILE_UNDER_WAY)
def test_an_attempt_that_is_under_way_ends_by_itself_and_is_the_last(case: str) -> None:
    outcome, status = WHILE_UNDER_WAY[case]
    record = after(falling_back(), ACK)
    assert (record.state["status"], record.state["acknowledged_by"]) == ("attempting", "person.lala")

    after(record, outcome)

    assert record.state["status"] == status
    assert not {"next_due", "follow_at"} & record.state.keys()
    assert record.state["acknowledged_by"] == "person.lala"
    assert ALERT_RAISED not in [event.type for event in record.fresh]
    if event := next((one for one in record.fresh if one.type == NOTICE_FAILED), None):
        assert event.data["next_due"] is None


def test_an_attempt_that_died_is_not_followed_by_another_once_somebody_has_it() -> None:
    record = after(falling_back(), ACK)

    after(record, Attempt(record.state["next_due"]), now=NOW + CLAIM)

    assert record.state["status"] == "failed"
    assert record.fresh[-1].type == NOTICE_FAILED


# Over


def test_what_is_over_is_said_once_with_the_reason_and_the_sending_goes_its_way() -> None:
    record = after(notice(), Resolved("case.begun", text_of(NOW + timedelta(seconds=1))))

    assert record.fresh[-1].type == NOTICE_RESOLVED
    assert (record.state["resolved_at"], record.state["resolved_why"]) == (DUE, "case.begun")
    assert record.state["status"] == "waiting"
    assert after(record, Resolved("case.closed", text_of(NOW + timedelta(hours=1)))).version == 2


def test_what_was_done_before_is_no_end_of_it_and_nothing_begins_with_an_end() -> None:
    assert after(notice(), Resolved("case.begun", DUE)).version == 1
    assert after(Record(STEADY, "cas_1", {}), Resolved("case.begun", LATER)).version == 0


# Whatever is said

BODIES = st.one_of(
    st.builds(
        Raising,
        *(st.just(text) for text in ("alt_1", "urgent", "Urgent.", "duty-officers")),
        st.sampled_from(["kafka", "webhook", "email"]),
        st.sampled_from([{}, {"kind": NOTICE_GIVEN_UP}]),
        then=st.sampled_from([(), ("log",)]),
        give_up_at=st.just(LATER),
        not_before=st.sampled_from([None, LATER]),
        silence=st.sampled_from([None, None, "sil_1"]),
    ),
    st.builds(Delivered, st.integers(1, 3)),
    st.builds(Failed, st.integers(1, 3), st.just("HTTP 500"), for_good=st.booleans()),
    st.just(HandedOn("log")),
    st.builds(Ack, st.just("person.lala"), st.just("link"), st.sampled_from([None, "duty-officers", "operations"])),
    st.builds(Resolved, st.just("case.begun"), st.sampled_from([DUE, LATER])),
)
HAS_A_CLOCK = {"waiting": "next_due", "attempting": "next_due", "handing_on": "follow_at"}
OTHERS = [Event(1, name, DUE, "", "", {}, {}, b"{}", None, None, b"") for name in (CASE_ASSIGNED, ALERT_RAISED)]


@settings(deadline=None)
@given(st.lists(st.one_of(BODIES, st.just("clock")), max_size=12))
def test_whatever_is_said_a_notice_has_one_clock_at_most_and_an_end_is_an_end(said: list[Any]) -> None:
    record = Record(STEADY, "cas_1", {})
    for body in said:
        status, taken = record.state.get("status"), "acknowledged_at" in record.state
        try:
            after(record, Attempt(record.state.get("next_due", "")) if body == "clock" else body)
        except NeverWill:
            assert isinstance(body, Ack)
            continue
        state = record.state
        assert fold(record.fresh, evolve) == state
        assert all(evolve(state, other) == state for other in OTHERS)
        assert adds_up("notice", terms(state))
        if state:
            assert state["status"] in STATUSES
            assert {"next_due", "follow_at"} & state.keys() == {HAS_A_CLOCK.get(state["status"])} - {None}
        if status in {"delivered", "failed", "handed_on", "silenced", "published", "acknowledged"}:
            assert state["status"] == status
        if taken:
            assert state["status"] not in {"waiting", "handing_on"}
            assert not (body == "clock" and state["status"] == "attempting")
    assert [event.type for event in record.fresh].count(ALERT_RAISED) <= 1


# What comes by Kafka


@cache
def told() -> Fanout:
    return fanout(partners(), law(), life(), IDS, lambda: NOW)


def heard(event_type: str, data: Mapping[str, Any], source: str = "/cases.events.v1/cas_1") -> list[Message]:
    value = orjson.dumps(data)
    said = {"specversion": "1.0", "id": "evt_1", "source": source, "type": event_type, "time": DUE}
    headers = [(f"ce_{n}", text.encode()) for n, text in {**said, "dataschema": schema_of(event_type)}.items()]
    record: ConsumerRecord[Any, Any] = ConsumerRecord(
        "cases.events.v1", 0, 0, 0, 0, None, value, None, 0, len(value), headers
    )
    return list(on_event(told(), doing(life()))(record))


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


def test_only_facts_that_rules_may_look_at_come_out_of_an_event() -> None:
    said = facts_of(CASE_ASSIGNED, {"type": "extradition", "case": "cas_1", "content": {"officer": "Maud"}})

    assert said == {"event": CASE_ASSIGNED, "type": "extradition"}


GATEWAY = "contact-point"
DONE: dict[str, tuple[str, dict[str, Any], bool]] = {
    "its holder works on it": (of_case("begun"), {"status": "in_execution"}, True),
    "it went to somebody else": (CASE_REASSIGNED, {"status": "assigned"}, True),
    "it is closed, whoever said so": (
        of_case("withdrawn"),
        {"status": "withdrawn", "heard_from": "contact-point"},
        True,
    ),
    "its sender asks": (of_case("status_inquired"), {"status": "assigned", "heard_from": "contact-point"}, False),
    "a clock rang": (
        CASE_CLOCK_WARNED,
        {"said": {"clock": "c", "kind": "policy", "step": "1 day", "due": LATER}},
        False,
    ),
    "it has only begun": (CASE_ASSIGNED, {}, False),
}


@pytest.mark.parametrize("case", DONE)
def test_what_is_done_on_a_case_is_told_to_its_ladders(case: str) -> None:
    event_type, more, is_done = DONE[case]

    moved = [message for message in heard(event_type, CASE | more) if isinstance(message.body, Moved)]

    assert [(m.record, m.cause, m.body) for m in moved] == [
        ("cas_1", "/cases.events.v1/cas_1#evt_1", Moved(event_type, DUE))
    ] * is_done
