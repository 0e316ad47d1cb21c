"""The notifier tells the right people in time: signed webhooks that are tried again, and notices on Kafka."""

import itertools
import json
from datetime import datetime, timedelta
from functools import partial

import pymongo
import pytest
import svix
from standardwebhooks import Webhook, WebhookVerificationError

from services.notifier.domain.subscription_state import LEFT
from shared import topics
from shared.events import (
    ALERT_RAISED,
    NOTICE_ATTEMPTED,
    NOTICE_DELIVERED,
    NOTICE_FAILED,
    NOTICE_RAISED,
)
from shared.vocabulary import Lane
from tests.service.running import AGENCY, Document, Said, System, Taken, eventually, letter

DUTY, OPERATIONS = topics.notices_to("duty-officers"), topics.notices_to("operations")


def case_of(services: System, reference: str) -> str:
    """The case of a letter's only measure."""
    return services.ids.case(services.ids.letter(AGENCY, reference), 1)


async def webhooks(services: System, case: str, count: int = 1) -> list[Taken]:
    """The first requests about a case."""

    def come() -> list[Taken]:
        taken = services.receiver.about(case)
        return taken if len(taken) >= count else []

    found: list[Taken] = await eventually(come, f"{count} webhooks about {case}")
    return found


async def notice(services: System, case: str, status: str) -> Document:
    """The webhook notice about a case, once it has come so far."""
    query = {"state.about": case, "state.channel": "webhook", "state.status": status}

    def one() -> Document | None:
        found = services.documents("notices", query)
        return found[0] if found else None

    found: Document = await eventually(one, f"a notice that is {status}")
    return found


def steps(document: Document) -> list[str]:
    """What has happened to a notice."""
    return [event["type"] for event in document["history"]]


async def test_a_webhook_is_signed_as_two_libraries_want_it(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    await services.post(letter(prefix, "data_preservation"))

    [taken] = await webhooks(services, case)
    headers = dict(taken.headers)
    secret = services.keys.webhook_secret
    Webhook(secret).verify(taken.body, headers)
    svix.Webhook(secret).verify(taken.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(taken.body.replace(b"data_preservation", b"extradition"), headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(secret).verify(taken.body, headers | {"webhook-id": "not_another"})
    assert headers["content-type"] == "application/json"
    assert json.loads(taken.body).keys() == {"type", "timestamp", "data"}


async def test_a_notice_says_what_happened_and_nothing_of_the_letter(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    secretive = letter(
        prefix, "data_preservation", urgency_reason="A secret reason", contact={"officer": "Secret Name"}
    )
    async with services.listening(DUTY) as ear:
        await services.post(secretive)
        [on_kafka] = await ear.wait_for(lambda one: one.data.get("about") == case)
    [taken] = await webhooks(services, case)

    assert on_kafka.type == NOTICE_RAISED
    assert on_kafka.headers["ce_subject"] == case
    assert on_kafka.key == case.encode()
    assert on_kafka.sequence == 1
    for told in (on_kafka.data, taken.data):
        assert told["rule"] == "preservation"
        assert told["says"] == "Data may be lost: data_preservation (incoming, FR) is with security-service."
        assert told["facts"]["authority"] == "security-service"
    assert on_kafka.data["alert"] == taken.data["alert"]
    assert on_kafka.data["notice"] != taken.data["notice"]
    for raw in (on_kafka.value, taken.body):
        for private in (b"ecret", b"What only", prefix.encode(), services.ids.letter(AGENCY, prefix).encode()):
            assert private not in raw


async def test_a_webhook_is_tried_again_under_the_same_id_until_it_is_taken(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    services.receiver.will_answer(case, (500, {}))
    await services.post(letter(prefix, "data_preservation"))

    first, second = await webhooks(services, case, 2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    for taken in (first, second):
        Webhook(services.keys.webhook_secret).verify(taken.body, dict(taken.headers))
    delivered = await notice(services, case, "delivered")
    assert steps(delivered) == [
        NOTICE_RAISED,
        NOTICE_ATTEMPTED,
        NOTICE_FAILED,
        NOTICE_ATTEMPTED,
        NOTICE_DELIVERED,
    ]
    assert delivered["_id"] == first.headers["webhook-id"]
    assert "next_due" not in delivered


async def test_a_recipient_may_ask_for_more_time(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    services.receiver.will_answer(case, (503, {"retry-after": "3600"}))
    await services.post(letter(prefix, "data_preservation"))

    waiting = await notice(services, case, "waiting")
    while NOTICE_FAILED not in steps(waiting):
        waiting = await notice(services, case, "waiting")
    failed = waiting["history"][-1]
    due = datetime.fromisoformat(waiting["next_due"])
    assert due - datetime.fromisoformat(failed["at"]) == timedelta(hours=1)
    assert json.loads(failed["data"])["reason"] == "HTTP 503"


async def test_a_recipient_that_is_gone_is_left_alone_and_somebody_hears_of_it(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    services.receiver.will_answer(case, (410, {}))
    async with services.listening(topics.ALERTS_RAISED, OPERATIONS) as ear:
        await services.post(letter(prefix, "data_preservation"))
        failed = await notice(services, case, "failed")
        [alert] = await ear.wait_for(lambda one: one.type == ALERT_RAISED and one.data.get("notice") == failed["_id"])
        await ear.wait_for(lambda one: one.topic == OPERATIONS and one.data["about"] == alert.data["alert"])

    assert steps(failed) == [NOTICE_RAISED, NOTICE_ATTEMPTED, NOTICE_FAILED, ALERT_RAISED]
    assert "next_due" not in failed
    assert (alert.data["kind"], alert.data["reason"]) == ("notice-failed", "HTTP 410")
    assert len(services.receiver.about(case)) == 1
    await forget_that_it_left(services, prefix)


async def forget_that_it_left(services: System, prefix: str) -> None:
    """Others are told by the same recipient after this test."""
    with pymongo.MongoClient[Document](services.mongo) as client:
        client[services.database]["subscriptions"].delete_many({"state.status": LEFT})
    for number in itertools.count():
        name = f"{prefix}-{number}"
        await services.post(letter(name, "data_preservation"))
        told = {"state.about": case_of(services, name), "state.channel": "webhook"}
        ended = {**told, "state.status": {"$in": ["delivered", "failed"]}}
        [one] = await eventually(partial(services.documents, "notices", ended), "the end of a notice")
        if one["state"]["status"] == "delivered":
            return


async def test_redirects_are_not_followed(services: System, prefix: str) -> None:
    case = case_of(services, prefix)
    services.receiver.will_answer(case, (307, {"location": services.receiver.url}))
    await services.post(letter(prefix, "data_preservation"))

    failed, _ = await webhooks(services, case, 2)
    delivered = await notice(services, case, "delivered")
    assert json.loads(delivered["history"][2]["data"])["reason"] == "HTTP 307"
    assert failed.headers["webhook-id"] == delivered["_id"]


async def test_attempts_are_counted(services: System, prefix: str) -> None:
    before = await services.metrics("notifier")
    case = case_of(services, prefix)
    services.receiver.will_answer(case, (500, {}))
    await services.post(letter(prefix, "data_preservation"))
    await notice(services, case, "delivered")

    after = await services.metrics("notifier")
    for outcome in ("delivered", "failed"):
        name = f"rogatory_deliveries_total{{channel=webhook,outcome={outcome}}}"
        assert after[name] - before[name] >= 1


async def test_both_lanes_lead_to_the_people_whom_the_rules_name(services: System, prefix: str) -> None:
    normal, emergency = f"{prefix}-normal", f"{prefix}-emergency"
    async with services.listening(DUTY, OPERATIONS) as ear:
        await services.post(letter(normal, "extradition"))
        await services.post(letter(emergency, "emergency_data", urgency="emergency"))
        for reference, rule in ((normal, "everything-else"), (emergency, "emergency")):
            case = case_of(services, reference)
            [told] = await ear.wait_for(
                lambda one, case=case: one.topic == OPERATIONS and one.data["about"] == case  # type: ignore[misc]
            )
            assert told.data["rule"] == rule
        await webhooks(services, case_of(services, emergency))
        await ear.read_to_the_end()

    assert [one for one in ear.heard if one.topic == DUTY and one.data["about"] == case_of(services, normal)] == []
    assert services.receiver.about(case_of(services, normal)) == []


async def test_a_case_event_heard_twice_is_told_once(services: System, prefix: str) -> None:
    case, gate = case_of(services, prefix), topics.case_events(Lane.URGENT)
    async with services.listening(gate, DUTY) as ear:
        await services.post(letter(prefix, "data_preservation"))
        [event] = await ear.wait_for(lambda one: one.topic == gate and one.record == case)
        await ear.wait_for(lambda one: one.topic == DUTY and one.data["about"] == case)
        repeat = Said(event.value, [(name, text.encode()) for name, text in event.headers.items()])
        await services.produce(gate, repeat, repeat)
        await services.post(letter(f"{prefix}-later", "data_preservation"))
        await ear.wait_for(lambda one: one.topic == DUTY and one.data["about"] == case_of(services, f"{prefix}-later"))
        await ear.read_to_the_end()

    assert event.sequence == 1
    assert len([one for one in ear.heard if one.topic == DUTY and one.data["about"] == case]) == 1
    kept = [one["state"] for one in services.documents("notices", {"state.about": case})]
    assert len([state for state in kept if state.get("record") == "ladder"]) == 1
    told = [state for state in kept if "subscriber" in state]
    assert sorted((state["channel"], state.get("step")) for state in told) == [
        ("apprise", "0.0"),
        ("kafka", None),
        ("webhook", None),
    ]
