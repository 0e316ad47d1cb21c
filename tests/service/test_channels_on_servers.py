"""Every channel on real servers: what one does not take the next does, what may wait does, what must not never does."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import svix
import trustme
from standardwebhooks import Webhook

from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, free_ports
from services.notifier.channels.webhook import LEFT
from shared import topics
from shared.events import ALERT_RAISED, NOTICE_ATTEMPTED, NOTICE_FAILED
from shared.times import text_of
from tests.service.office import Office, mailbox, office
from tests.service.recipients import Came, Mail, Web
from tests.service.running import Document, eventually

WEBHOOK, APPRISE, EMAIL = "webhook", "apprise", "email"
MANY = 300

# Each test has a State of its own, by which the rules tell its events apart.
ALERTS = """
audiences:
  one-after-the-other:
    title: Somebody with a dead pager
    members: [{person: colin, by: [apprise, email], patience: 1 second}]
  out-of-reach:
    title: Somebody whom nothing reaches
    members: [{person: vera, by: [apprise, email], patience: 1 second}]
  readers: {title: Who reads, members: [{person: solene, by: [email], group: 2 seconds}]}
  woken: {title: Who is woken, wakes: true, members: [{subscriber: duty-officers}, {duty: desk, by: [apprise]}]}
  machines: {title: Our own machines, members: [{system: alertmanager, by: [alertmanager]}]}
  operations-on-call: {title: Who mends it, ladder: operations}
ladders:
  operations:
    steps:
      - {after: 0 seconds, tell: [{duty: desk, by: [apprise]}]}
      - {after: 1 second, tell: [{duty: heads, by: [apprise]}]}
    again: 1 second
rules:
  - {name: fallback, when: {event: [case.assigned], party: [DE]}, tell: [one-after-the-other], says: {en: "{type}."}}
  - {name: used-up, when: {event: [case.assigned], party: [IT]}, tell: [out-of-reach], says: {en: "{type}."}}
  - {name: news, when: {event: [case.assigned], party: [ES]}, tell: [readers], says: {en: "News: {type}."}}
  - {name: silenced, when: {event: [case.assigned], party: [PT]}, tell: [woken], says: {en: "{urgency}: {type}."}}
  - {name: to-machines, when: {event: [case.assigned], party: [SE]}, tell: [machines], says: {en: "{type}."}}
  - name: nobody-was-reached
    when: {event: [alert.raised], kind: [notice-failed]}
    tell: [woken]
    says: {en: "A notice reached nobody.", az: "Bildiriş heç kimə çatmadı."}
  - name: technical
    when: {event: [alert.raised], kind: [technical]}
    tell: [operations-on-call]
    says: {en: "Technical: {alertname}."}
  - {name: rest, tell: [operations], says: {en: "{event}."}}
"""


@pytest.fixture(scope="module")
def duty(needs_kafka: None, mongo: Mongo, module_folder: Path) -> Iterator[Office]:
    """A notifier, two of whose people have pagers that nobody answers."""
    [dead] = free_ports(1)
    pager = f"json://{HOST}:{dead}/"
    with office(mongo, module_folder, ALERTS, "notifier", colin=pager, vera=pager) as made:
        made.mails.refused.add(mailbox("vera"))
        yield made


def case_of(duty: Office, prefix: str, number: int = 1) -> str:
    """A case that no other test has."""
    return duty.services.ids.case(prefix, number)


async def subscribed(duty: Office, name: str, party: str, url: str | None = None) -> str:
    """Have a system told of a State's cases; its secret."""
    body = {
        "name": name,
        "channel": WEBHOOK,
        "address": url or duty.web.url(name),
        "hears": {"when": {"party": [party]}},
    }
    answer = await duty.ask("POST", "/v1/subscriptions", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


async def came(duty: Office, path: str, about: str, count: int = 1) -> list[Came]:
    """What came to one recipient about a case, once it is so much."""

    def look() -> list[Came]:
        found = duty.web.at(path, about)
        return found if len(found) >= count else []

    found: list[Came] = await eventually(look, f"{count} requests to {path} about {about}")
    return found


def reasons(notice: Document) -> list[str]:
    """Why its attempts failed."""
    failed = [event for event in notice["history"] if event["type"] == NOTICE_FAILED]
    return [json.loads(event["data"])["reason"] for event in failed]


# One channel after the other


async def test_what_a_dead_pager_does_not_take_comes_by_mail(duty: Office, prefix: str) -> None:
    case = case_of(duty, prefix)
    await duty.happens(case, party="DE")

    [mail] = await duty.mailed("colin", case)
    by_pager = await duty.notice(case, channel=APPRISE, status="handed_on")
    by_mail = await duty.notice(case, channel=EMAIL, status="delivered")

    assert mail.was_tls
    assert reasons(by_pager) == ["not taken"]
    assert (by_mail["state"]["subscriber"], by_mail["state"]["alert"]) == ("person.colin", by_pager["state"]["alert"])
    assert by_mail["_id"] in mail.text
    assert duty.notices(case, status="failed") == []


async def test_where_a_persons_channels_are_used_up_the_duty_officer_hears(duty: Office, prefix: str) -> None:
    case = case_of(duty, prefix)
    async with duty.services.listening(topics.ALERTS_RAISED) as ear:
        await duty.happens(case, party="IT")
        failed = await duty.notice(case, channel=EMAIL, status="failed")
        [alert] = await ear.wait_for(lambda one: one.data.get("notice") == failed["_id"])

    assert reasons(failed) == ["SMTP 550"]
    assert (alert.type, alert.data["kind"], alert.data["subscriber"]) == (ALERT_RAISED, "notice-failed", "person.vera")
    [said] = await duty.rung("lala", alert.data["alert"])
    assert "Bildiriş heç kimə çatmadı." in said
    assert mailbox("vera") not in said


async def test_a_system_that_is_gone_is_left_alone_and_somebody_is_paged(duty: Office, prefix: str) -> None:
    first, second, third = (case_of(duty, prefix, number) for number in (1, 2, 3))
    await subscribed(duty, "museum", "GR")
    duty.web.will_answer("museum", (410, {}))

    async with duty.services.listening(topics.ALERTS_RAISED) as ear:
        await duty.happens(first, party="GR")
        failed = await duty.notice(first, status="failed")
        [alert] = await ear.wait_for(lambda one: one.data.get("notice") == failed["_id"])
    await duty.rung("lala", alert.data["alert"])
    seen = (await duty.ask("GET", "/v1/subscriptions/museum")).json()
    await duty.happens(second, party="GR")
    held = await duty.notice(second, subscriber="subscription.museum")
    await duty.ask("POST", "/v1/subscriptions/museum/resume", {"address": duty.web.url("new-museum")})
    await duty.happens(third, party="GR")

    await came(duty, "new-museum", third)
    assert (reasons(failed), seen["state"]) == (["HTTP 410"], "gone")
    assert (held["state"]["status"], "next_due" in held) == ("silenced", False)
    assert len(duty.web.at("museum")) == 1
    assert duty.web.at("new-museum", second) == []


async def test_a_subscriber_that_is_gone_is_asked_again_only_for_what_must_not_wait(duty: Office, prefix: str) -> None:
    first, second, emergency = (case_of(duty, prefix, number) for number in (1, 2, 3))
    duty.web.will_answer("duty-officers", (410, {}))

    await duty.happens(first, party="PT")
    failed = await duty.notice(first, channel=WEBHOOK, status="failed")
    await eventually(partial(duty.services.has_said, "notifier", "gone"), "the note that it is gone")
    (await duty.ask("GET", "/v1/subscriptions")).raise_for_status()  # the directory is read anew
    await duty.happens(second, party="PT")
    left = await duty.notice(second, channel=WEBHOOK, status="failed")
    await duty.happens(emergency, party="PT", urgency="emergency", lane="urgent")

    await came(duty, "duty-officers", emergency)
    assert (reasons(failed), reasons(left)) == (["HTTP 410"], [LEFT])
    assert duty.web.at("duty-officers", second) == []


async def test_who_asks_for_time_gets_it(duty: Office, prefix: str) -> None:
    case = case_of(duty, prefix)
    await subscribed(duty, "busy", "NO")
    duty.web.will_answer("busy", (429, {"retry-after": "3"}))

    await duty.happens(case, party="NO")
    first, second = await came(duty, "busy", case, 2)

    assert second.at - first.at >= 3.0
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    delivered = await duty.notice(case, status="delivered", subscriber="subscription.busy")
    assert reasons(delivered) == ["HTTP 429"]


async def test_only_whom_the_certificate_names_by_an_authority_that_we_trust_is_told(
    duty: Office, prefix: str, tmp_path: Path
) -> None:
    case = case_of(duty, prefix)
    with Web(trustme.CA(), tmp_path).listening() as stranger:
        await subscribed(duty, "friend", "FI")
        await subscribed(duty, "stranger", "FI", stranger.url("stranger"))
        await subscribed(duty, "other-name", "FI", duty.web.url("other-name").replace("localhost", HOST))
        await duty.happens(case, party="FI")
        await came(duty, "friend", case)
        for name in ("stranger", "other-name"):
            await eventually(partial(_failed, duty, case, name), f"an attempt for {name}")
            tried = (await duty.ask("POST", f"/v1/subscriptions/{name}/test")).json()
            assert tried == {"delivered": False, "reason": "certificate", "for_good": False}

    assert stranger.came == []
    assert duty.web.at("other-name") == []


def _failed(duty: Office, case: str, name: str) -> bool:
    [notice] = duty.notices(case, subscriber=f"subscription.{name}")
    return reasons(notice)[:1] == ["certificate"]


# What may wait, and what may not


async def test_many_notices_come_as_few_mails_and_every_one_is_delivered(duty: Office, prefix: str) -> None:
    cases = [case_of(duty, prefix, number) for number in range(1, MANY + 1)]
    await duty.happens(*cases, party="ES")

    def are_delivered() -> bool:
        query = {"state.about": {"$in": cases}, "state.status": "delivered"}
        return len(duty.services.documents("notices", query)) == MANY

    await eventually(are_delivered, f"{MANY} notices")
    mails = duty.mails.of(mailbox("solene"))
    assert 1 <= len(mails) <= 3
    assert sum(map(_count, mails)) == MANY
    notices = duty.services.documents("notices", {"state.about": {"$in": cases}})
    assert all([event["type"] for event in one["history"]].count(NOTICE_ATTEMPTED) == 1 for one in notices)


def _count(mail: Mail) -> int:
    """How many notices a mail counts; the subject of a single one names its case instead."""
    subject = mail.message["Subject"]
    found = re.match(r"\d+", subject)
    return int(found[0]) if found and "cas_" not in subject else 1


async def test_what_must_not_wait_is_a_mail_of_its_own_at_once(duty: Office, prefix: str) -> None:
    case, others = case_of(duty, prefix), [case_of(duty, prefix, number) for number in range(2, 12)]
    await duty.happens(*others, party="ES")
    await duty.happens(case, party="ES", urgency="emergency", lane="urgent")

    [mail] = await duty.mailed("solene", case)

    [notice] = duty.notices(case)
    [waits] = duty.notices(others[0])
    assert not any(other in mail.text for other in others)
    assert mail.message["Importance"] == "high"
    assert ("in_digest" in notice["state"], "in_digest" in waits["state"]) == (False, True)


async def test_a_silence_holds_back_what_it_may_and_never_an_emergency(duty: Office, prefix: str) -> None:
    held, emergency, later = (case_of(duty, prefix, number) for number in (1, 2, 3))
    until = text_of(datetime.now(UTC) + timedelta(hours=1))
    said = {"when": {"party": ["PT"]}, "author": "The desk", "reason": "A known disturbance", "until": until}
    begun = (await duty.ask("POST", "/v1/silences", said)).raise_for_status().json()

    await duty.happens(held, party="PT")
    await duty.happens(emergency, party="PT", urgency="emergency", lane="urgent")
    await duty.rung("lala", emergency)
    await came(duty, "duty-officers", emergency)
    (await duty.ask("DELETE", f"/v1/silences/{begun['id']}")).raise_for_status()
    await duty.happens(later, party="PT")
    await duty.rung("lala", later)

    assert "an emergency" in begun["not_held_back"]
    silenced = duty.notices(held)
    assert {one["state"]["status"] for one in silenced} == {"silenced"}
    assert {one["state"]["silence"] for one in silenced} == {begun["id"]}
    assert [one["state"]["channel"] for one in silenced] == ["kafka", WEBHOOK, APPRISE]
    assert duty.web.at("duty-officers", held) == []
    assert not any(one["_id"] in call.body.decode() for one in silenced for call in duty.web.at("lala"))


# Subscriptions


async def test_who_is_subscribed_hears_of_the_next_event_and_who_is_removed_hears_no_more(
    duty: Office, prefix: str
) -> None:
    first, second = case_of(duty, prefix), case_of(duty, prefix, 2)
    secret = await subscribed(duty, "ministry", "DK")
    await subscribed(duty, "court", "DK")
    await duty.happens(first, party="DK")

    [told] = await came(duty, "ministry", first)
    for checks in (Webhook(secret), svix.Webhook(secret)):
        checks.verify(told.body, dict(told.headers))

    (await duty.ask("DELETE", "/v1/subscriptions/ministry")).raise_for_status()
    await duty.happens(second, party="DK")
    await came(duty, "court", second)
    assert duty.notices(second, subscriber="subscription.ministry") == []
    assert duty.web.at("ministry", second) == []


async def test_while_a_key_rotates_the_old_and_the_new_one_sign(duty: Office, prefix: str) -> None:
    case = case_of(duty, prefix)
    old = await subscribed(duty, "archive", "IS")
    new = (await duty.ask("POST", "/v1/subscriptions/archive/rotate-key")).raise_for_status().json()["secret"]

    await duty.happens(case, party="IS")
    [told] = await came(duty, "archive", case)

    assert len(told.headers["webhook-signature"].split()) == 2
    assert old != new
    for secret in (old, new):
        for checks in (Webhook(secret), svix.Webhook(secret)):
            checks.verify(told.body, dict(told.headers))


# The other direction


def group(status: str, *alerts: dict[str, Any]) -> dict[str, Any]:
    """What Alertmanager posts (version 4)."""
    return {"version": "4", "groupKey": "{}:{}", "status": status, "receiver": "us", "alerts": list(alerts)}


def alert(status: str, name: str, since: str, **labels: str) -> dict[str, Any]:
    """One alert in it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": "as somebody wrote it"},
        "startsAt": since,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "5ef77f1f8a3ecfb1",
    }


async def posted(duty: Office, body: dict[str, Any]) -> httpx.Response:
    """What Alertmanager is answered."""
    return (await duty.ask("POST", "/v1/alertmanager", body)).raise_for_status()


def technical(duty: Office, name: str) -> list[Document]:
    """The ladders that technical alerts of this name climb."""
    return duty.services.documents("notices", {"state.record": "ladder", "state.facts.alertname": name})


async def test_a_technical_alert_climbs_a_ladder_until_it_is_resolved(duty: Office, prefix: str) -> None:
    since = text_of(datetime.now(UTC))
    firing = group("firing", alert("firing", prefix, since))

    first, again = await posted(duty, firing), await posted(duty, firing)

    assert (first.json(), again.json()) == ({"taken": 1, "ours": 0}, {"taken": 1, "ours": 0})
    [ladder] = technical(duty, prefix)
    about = ladder["state"]["about"]
    [said] = await duty.rung("lala", about)
    assert prefix in said
    await duty.rung("solene", about, 2)
    await posted(duty, group("resolved", alert("resolved", prefix, since)))
    ended = await duty.ladder_is(about, "ended")
    calls = len(await duty.rung("solene", about))
    await asyncio.sleep(2)
    assert ended["state"]["reason"] == "resolved"
    assert len(await duty.rung("solene", about)) == calls
    assert "somebody wrote" not in "".join(call.body.decode() for call in duty.web.came)


async def test_our_own_alert_that_comes_back_raises_nothing(duty: Office, prefix: str) -> None:
    case = case_of(duty, prefix)
    await duty.happens(case, party="SE")
    delivered = await duty.notice(case, status="delivered", channel="alertmanager")
    [one] = await came(duty, "alertmanager/api/v2/alerts", delivered["_id"])
    [ours] = one.told
    before = duty.services.documents("notices")

    back = {**alert("firing", "", ours["startsAt"]), "labels": ours["labels"]}
    answer = await posted(duty, group("firing", back))

    assert (ours["labels"]["alertname"], ours["labels"]["party"]) == ("to-machines", "SE")
    assert answer.json() == {"taken": 0, "ours": 1}
    assert [one["_id"] for one in duty.services.documents("notices")] == [one["_id"] for one in before]
    assert (await duty.services.metrics("notifier"))["rogatory_technical_alerts_total{outcome=ours}"] == 1
