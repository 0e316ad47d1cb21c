"""An alert climbs its ladder until somebody acknowledges, by link, by API or on Kafka, or something is done."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local.mongo import Mongo
from shared import topics
from shared.events import (
    ALERT_RAISED,
    LADDER_ACKNOWLEDGED,
    LADDER_STEPPED,
    NOTICE_ACKNOWLEDGED,
    NOTICE_RAISED,
    QUARANTINE,
    of_case,
)
from shared.times import read
from tests.service.office import HOLDER, Office, office
from tests.service.running import AGENCY, PATIENCE, SERVICES, Document, Heard, Said, cloud_event, eventually, letter

DUTY, SAID_BY_DUTY = topics.notices_to("duty-officers"), topics.acknowledgements_of("duty-officers")
WEBHOOK, APPRISE, EMAIL, KAFKA = "webhook", "apprise", "email", "kafka"
STEPS = (0, 2, 3)
"""Seconds after which the desk's ladder takes its steps."""

ALERTS = """
audiences:
  desk: {title: The desk, wakes: true, members: [{subscriber: duty-officers}], ladder: desk}
  forgetful: {title: Who acknowledges and forgets, ladder: forgetful}
  deaf: {title: Whom nobody can reach, ladder: deaf}
ladders:
  desk:
    steps:
      - {after: 0 seconds, tell: [{duty: desk, by: [apprise, email]}]}
      - {after: 2 seconds, tell: [{duty: heads, by: [email]}]}
      - {after: 3 seconds, tell: [{duty: deputies, by: [apprise]}, {duty: heads, by: [apprise]}]}
  forgetful:
    steps:
      - {after: 0 seconds, tell: [{duty: desk, by: [apprise]}]}
      - {after: 4 seconds, tell: [{duty: heads, by: [apprise]}]}
    remind_after: 1 second
  deaf:
    steps: [{after: 0 seconds, tell: [{duty: deputies, by: [email]}]}]
    again: 1 second
    rounds: 2
rules:
  - name: forgetful
    when: {event: [case.assigned], party: [DE]}
    tell: [forgetful]
    says: {en: "Do not forget {type}.", az: "{type} unudulmasın."}
  - name: deaf
    when: {event: [case.assigned], party: [IT]}
    tell: [deaf]
    says: {en: "Nobody hears of {type}."}
  - name: emergency
    when: {event: [case.assigned], urgency: [emergency]}
    tell: [desk, operations]
    says: {en: "Risk to life: {type} from {party}.", az: "Həyat üçün təhlükə: {type} ({party})."}
  - name: rest
    tell: [operations]
    says: {en: "{event}."}
"""


@pytest.fixture(scope="module")
def duty(needs_kafka: None, mongo: Mongo, module_folder: Path) -> Iterator[Office]:
    """All services, with ladders that climb in seconds."""
    with office(mongo, module_folder, ALERTS, *SERVICES) as made:
        yield made


async def emergency(duty: Office, reference: str) -> str:
    """The case of a letter about a risk to life that has come through our door."""
    posted = await duty.services.post(letter(reference, "emergency_data", urgency="emergency"))
    return duty.services.ids.case(posted.raise_for_status().json()["id"], 1)


async def climbing(duty: Office, prefix: str, **facts: str) -> str:
    """A case whose first step is taken; the case."""
    case = duty.services.ids.case(prefix, 1)
    await duty.happens(case, **{"type": "emergency_data", "urgency": "emergency", "lane": "urgent", **facts})
    await duty.rung("lala", case)
    return case


async def link_for(duty: Office, case: str) -> str:
    """The signed link that the person on duty was sent."""
    [said, *_] = await duty.rung("lala", case)
    found = re.search(r"http\S+/n/not_\S+", said)
    assert found, said
    return found[0]


def acknowledged(notice: str, by: str | None = None) -> Said:
    """What a subscriber says on its topic."""
    body = f'{{"notice": "{notice}", "by": "{by}"}}' if by else f'{{"notice": "{notice}"}}'
    return Said(body.encode(), cloud_event(f"{notice}/{by}", "/duty-officers", NOTICE_ACKNOWLEDGED))


async def nobody_else_is_told(duty: Office, case: str) -> None:
    """What was to come next has not come when its time is over."""
    before, told = steps(duty, case), len(duty.notices(case))
    await asyncio.sleep(STEPS[1] + 0.5)
    assert steps(duty, case) == before < len(STEPS)
    assert len(duty.notices(case)) == told


def steps(duty: Office, case: str) -> int:
    """How many steps a case's ladder has climbed."""
    ladder = duty.ladder(case)
    assert ladder
    return 1 + [event["type"] for event in ladder["history"]].count(LADDER_STEPPED)


def said_by(person: str, notices: list[Document]) -> list[tuple[str, str]]:
    """A person's notices: on which channel, and at which step."""
    of_it = [one["state"] for one in notices if one["state"]["subscriber"] == f"person.{person}"]
    return [(state["channel"], state["step"]) for state in of_it]


async def test_an_emergency_wakes_who_is_on_duty_and_then_the_next_each_by_the_ladder(
    duty: Office, prefix: str
) -> None:
    async with duty.services.listening(DUTY) as ear:
        case = await emergency(duty, prefix)
        [said] = await duty.rung("lala", case)
        [on_kafka] = await ear.wait_for(lambda one: one.data.get("about") == case)
    await duty.rung("vera", case)
    await duty.rung("solene", case)
    [mail] = await duty.mailed("solene", case)

    assert "Həyat üçün təhlükə" in said
    assert (on_kafka.type, on_kafka.data["never_held"]) == (NOTICE_RAISED, True)
    assert "Risk to life" in on_kafka.data["says"]
    assert duty.web.at("duty-officers", case)
    assert (mail.was_tls, mail.message["Importance"]) == (True, "high")
    notices = duty.notices(case)
    assert said_by("lala", notices) == [(APPRISE, "0.0")]
    assert said_by("solene", notices) == [(EMAIL, "0.1"), (APPRISE, "0.2")]
    assert said_by("vera", notices) == [(APPRISE, "0.2")]


async def test_each_step_is_taken_once_when_it_is_due(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)
    await duty.rung("vera", case)

    ladder = await duty.ladder_is(case, "climbing")
    begun, *stepped = [
        read(event["at"]) for event in ladder["history"] if event["type"] in ("ladder.begun", LADDER_STEPPED)
    ]
    for after, at in zip(STEPS[1:], stepped, strict=True):
        assert at - begun >= timedelta(seconds=after)


async def test_who_only_looks_at_the_link_has_acknowledged_nothing(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)
    link = await link_for(duty, case)

    async with httpx.AsyncClient(timeout=PATIENCE) as scanner:
        pages = [await scanner.get(link, headers={"user-agent": "a scanner of mails"}) for _ in range(2)]
        wrong = await scanner.post(link[:-2] + "AA")

    assert [page.status_code for page in pages] == [200, 200]
    assert case in pages[0].text
    assert wrong.status_code == 404
    await duty.rung("vera", case)
    [state] = [one["state"] for one in duty.notices(case, channel=APPRISE, subscriber="person.lala")]
    assert "acknowledged_at" not in state


async def test_the_button_behind_the_link_ends_the_climbing(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)
    link = await link_for(duty, case)

    async with httpx.AsyncClient(timeout=PATIENCE) as person:
        taken = await person.post(link)
        again = await person.post(link)

    assert (taken.status_code, again.status_code) == (200, 200)
    ladder = await duty.ladder_is(case, "acknowledged")
    assert ladder["state"]["acknowledged_by"] == "person.lala"
    [notice] = duty.notices(case, channel=APPRISE)
    assert [event["type"] for event in notice["history"]].count(NOTICE_ACKNOWLEDGED) == 1
    await nobody_else_is_told(duty, case)


async def test_the_desk_acknowledges_over_http(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)
    notice = (await duty.notice(case, channel=APPRISE))["_id"]

    answer = await duty.ask("POST", f"/v1/notices/{notice}/acknowledgement", {"by": "desk-2"})

    said = answer.raise_for_status().json()
    assert (said["by"], said["already"], said["ended"]) == ("desk/desk-2", False, None)
    ladder = await duty.ladder_is(case, "acknowledged")
    assert ladder["state"]["acknowledged_by"] == "desk/desk-2"
    await nobody_else_is_told(duty, case)


async def test_a_subscriber_acknowledges_its_own_notices_over_http_and_no_other(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)
    own = (await duty.notice(case, channel=WEBHOOK))["_id"]
    lalas = (await duty.notice(case, channel=APPRISE))["_id"]
    token = duty.token("duty-officers", "notices:write")

    not_its = await duty.ask("POST", f"/v1/notices/{lalas}/acknowledgement", {}, token=token)
    its = await duty.ask("POST", f"/v1/notices/{own}/acknowledgement", {}, token=token)

    assert (not_its.status_code, its.status_code) == (404, 200)
    await duty.ladder_is(case, "acknowledged")
    await nobody_else_is_told(duty, case)


async def test_a_subscriber_acknowledges_on_its_topic(duty: Office, prefix: str) -> None:
    async with duty.services.listening(DUTY) as ear:
        case = await climbing(duty, prefix)
        [told] = await ear.wait_for(lambda one: one.data.get("about") == case)
        await duty.services.produce(SAID_BY_DUTY, acknowledged(told.data["notice"], "officer-7"))
        [heard] = await ear.wait_for(lambda one: one.type == NOTICE_ACKNOWLEDGED and one.data["about"] == case)

    assert (heard.data["by"], heard.data["via"]) == ("duty-officers/officer-7", KAFKA)
    ladder = await duty.ladder_is(case, "acknowledged")
    assert ladder["state"]["acknowledged_by"] == "duty-officers/officer-7"
    await nobody_else_is_told(duty, case)


async def test_an_acknowledgement_of_somebody_elses_notice_is_set_aside_and_the_climbing_goes_on(
    duty: Office, prefix: str
) -> None:
    def is_set_aside(one: Heard) -> bool:
        return one.type == ALERT_RAISED and one.data["kind"] == QUARANTINE and one.data["topic"] == SAID_BY_DUTY

    async with duty.services.listening(topics.ALERTS_RAISED) as ear:
        case = await climbing(duty, prefix)
        lalas = (await duty.notice(case, channel=APPRISE))["_id"]
        await duty.services.produce(SAID_BY_DUTY, acknowledged(lalas))
        [alert] = await ear.wait_for(is_set_aside)

    assert alert.data["reason"] == "not this subscriber's notice"
    await duty.rung("vera", case)
    ladder = await duty.ladder_is(case, "climbing")
    assert LADDER_ACKNOWLEDGED not in [event["type"] for event in ladder["history"]]


async def test_what_is_acknowledged_and_then_left_lying_is_told_again(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix, party="DE")
    first = await link_for(duty, case)
    async with httpx.AsyncClient(timeout=PATIENCE) as person:
        await person.post(first)
        _, said = await duty.rung("lala", case, 2)
        found = re.search(r"http\S+/n/not_\S+", said)
        assert found
        assert found[0] != first
        await person.post(found[0])
        await duty.rung("lala", case, 3)

    assert {step for _, step in said_by("lala", duty.notices(case))} == {"0.0", "1.0", "2.0"}
    await duty.happens(case, event=of_case("closed"), type="emergency_data", party="DE", lane="urgent", status="closed")
    await duty.ladder_is(case, "ended")


async def test_acknowledged_and_then_done_is_over_and_acknowledging_it_says_so(duty: Office, prefix: str) -> None:
    case = await emergency(duty, prefix)
    await duty.rung("lala", case)
    lalas = (await duty.notice(case, channel=APPRISE))["_id"]
    await duty.ask("POST", f"/v1/notices/{lalas}/acknowledgement", {})
    await duty.ladder_is(case, "acknowledged")

    (await duty.say(HOLDER, case, "acknowledged", number="SS-1")).raise_for_status()

    ladder = await duty.ladder_is(case, "ended")
    assert ladder["state"]["reason"] == "case.acknowledged"
    own = (await duty.notice(case, channel=KAFKA, subscriber="duty-officers"))["_id"]
    late = (await duty.ask("POST", f"/v1/notices/{own}/acknowledgement", {})).raise_for_status().json()
    assert (late["already"], late["ended"]) == (False, "case.acknowledged")
    assert "moved on" in late["says"]
    await nobody_else_is_told(duty, case)


async def test_what_is_done_without_a_word_ends_the_climbing(duty: Office, prefix: str) -> None:
    case = await emergency(duty, prefix)
    await duty.rung("lala", case)

    (await duty.say(HOLDER, case, "begun")).raise_for_status()

    ladder = await duty.ladder_is(case, "ended")
    assert ladder["state"]["reason"] == "case.begun"
    await nobody_else_is_told(duty, case)


async def test_what_its_sender_says_ends_nothing(duty: Office, prefix: str) -> None:
    case = await climbing(duty, prefix)

    inquiry = of_case("status_inquired")
    await duty.happens(case, event=inquiry, type="emergency_data", lane="urgent", heard_from=AGENCY)

    await duty.rung("vera", case)
    await duty.ladder_is(case, "climbing")


async def test_where_nobody_comes_the_last_step_is_taken_again_and_then_it_is_an_alert(
    duty: Office, prefix: str
) -> None:
    case = duty.services.ids.case(prefix, 1)
    async with duty.services.listening(topics.ALERTS_RAISED) as ear:
        await duty.happens(case, party="IT")
        ladder = await duty.ladder_is(case, "ended")
        [alert] = await ear.wait_for(lambda one: one.data.get("alert") == ladder["_id"])

    assert (alert.data["kind"], alert.data["subscriber"]) == ("notice-failed", "ladder.deaf")
    assert alert.data["reason"] == "nobody acknowledged"
    assert said_by("vera", duty.notices(case)) == [(EMAIL, "0.0"), (EMAIL, "1.0"), (EMAIL, "2.0")]
    await eventually(lambda: len(duty.mails.of("vera@office.example")) >= 3, "three mails")
