"""Nothing that notices, logs, metrics and internal topics hold comes from a sealed field of a letter or an update.

Letters and updates of every type are full of marks, everything that happens is told on every channel, and then every
byte that left us is searched for a mark.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import bson
import httpx
import pymongo
import pytest
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from deploy.local.jars import ROOT
from deploy.local.mongo import Mongo
from services.notifier.domain.facts import FACTS
from shared import topics
from shared.events import of_case
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.partners import load_partners
from shared.times import text_of
from shared.vocabulary import DESK, Lane
from tests.service.marked import (
    ELSEWHERE,
    EVERY_TYPE,
    PARTS,
    STORIES,
    Marks,
    Story,
    Teller,
    marked_letter,
    sealed_updates,
)
from tests.service.office import Office, office
from tests.service.running import AGENCY, PATIENCE, SERVICES, Document, Ear, Said, cloud_event, eventually

OTHER_AGENCY = "interpol-bureau"
AT_ONCE = 8
"""Cases that are worked at a time."""
FACTS_OF_ALL = " ".join(f"{{{fact}}}" for fact in FACTS)

# Everybody hears of everything, in every way; a sentence says every fact.
ALERTS = f"""
audiences:
  systems:
    title: Every system
    members:
      - {{subscriber: duty-officers}}
      - {{subscriber: operations}}
      - {{system: alertmanager, by: [alertmanager]}}
      - {{system: log, by: [log]}}
  each: {{title: One by one, members: [{{person: lala, by: [email]}}, {{person: vera, by: [apprise]}}], ladder: desk}}
  together:
    title: Many at once
    members: [{{person: solene, by: [email], group: 2 seconds}}, {{person: colin, by: [apprise], group: 2 seconds}}]
ladders:
  desk: {{steps: [{{after: 0 seconds, tell: [{{duty: desk, by: [apprise, email]}}]}}], again: 1 minute}}
rules:
  - name: urgent
    when: {{lane: [urgent]}}
    tell: [systems, each]
    says: {{en: "{FACTS_OF_ALL}", az: "Təcili: {FACTS_OF_ALL}"}}
  - {{name: all, tell: [systems, together], says: {{en: "{FACTS_OF_ALL}", fr: "Tout : {FACTS_OF_ALL}"}}}}
"""


@dataclass
class Told:
    """All that was said to us, and what we said."""

    duty: Office
    database: Database[Document]
    law: Law
    life: LifeCycle
    marks: Marks = field(default_factory=Marks)
    letters: int = 0

    async def file(self, kind: str, agency: str = AGENCY, **members: Any) -> tuple[str, str]:
        """A letter of a type full of marks; its id and its case."""
        self.letters += 1
        letter = marked_letter(self.marks, self.law, kind, self.letters, **members)
        posted = (await self.duty.services.post(letter, agency=agency)).raise_for_status()
        assert posted.status_code == 202, posted.text
        case = self.duty.services.ids.case(posted.json()["id"], 1)
        await eventually(partial(self.case, case), f"the case of a {kind}")
        return str(posted.json()["id"]), case

    async def tell(self, story: Story) -> None:
        """File a letter, and say of its case what the story says; each is taken before the next is said."""
        letter, case = await self.file(story.kind, **story.letter)
        teller = Teller(self.marks, self.law, self.life, story.kind, self.letters)
        for update in story.updates:
            fields, speaker = teller.fields(update), teller.speaker(update)
            if speaker in ("agency", "gateway"):
                await self._message(letter, {"message": self.life.updates[update].text.message, **fields})
                await eventually(partial(self._is_said, case, update), f"{update} of a {story.kind}")
            else:
                who = DESK if speaker == "desk" else self.case(case)["state"]["authority"]
                answer = await self.duty.say(who, case, update, **fields)
                assert answer.is_success, f"{update} of a {story.kind}: {answer.text}"
        rejected = await self.duty.say(DESK, case, "linked", **teller.fields("linked"))
        assert rejected.status_code == 409, rejected.text

    async def _message(self, letter: str, body: dict[str, Any]) -> None:
        """What an agency, or a gateway, says on a letter."""
        async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:
            url = self.duty.services.url("intake", f"/v1/letters/{letter}/messages")
            (await client.post(url, json=body, headers=self.duty.services.bearer())).raise_for_status()

    def case(self, case: str) -> Document:
        """A case as it stands; empty where it does not yet."""
        return self.database["cases"].find_one(case) or {}

    def _is_said(self, case: str, update: str) -> bool:
        return of_case(update) in [event["type"] for event in self.case(case)["history"]]


@pytest.fixture(scope="module")
def law() -> Law:
    """The law by which letters are judged here."""
    return load_law(load_partners(ROOT / "partners.yaml").law_file, [ROOT / "laws/assumptions/in-force.yaml"])


@pytest.fixture(scope="module")
def duty(needs_kafka: None, mongo: Mongo, module_folder: Path) -> Iterator[Office]:
    """All services, with every channel switched on."""
    with office(mongo, module_folder, ALERTS, *SERVICES) as made:
        yield made


@pytest.fixture(scope="module")
async def told(duty: Office, law: Law) -> AsyncIterator[Told]:
    """Everything has happened, and everybody was told."""
    with pymongo.MongoClient[Document](duty.services.mongo) as client:
        # As the services read: what only the primary has yet, they do not have.
        database = client.get_database(duty.services.database, read_concern=ReadConcern("majority"))
        made = Told(duty, database, law, load_life_cycle(ROOT / "life-cycle.yaml", law))
        await subscribe(made)
        await all_that_can_be_said(made)
        await all_that_cannot_be_read(made)
        await everybody_was_told(made)
        yield made


async def subscribe(told: Told) -> None:
    """Recipients of the directory, and a silence by somebody for some reason."""
    for name, channel, address in (
        ("ministry", "webhook", told.duty.web.url("ministry")),
        ("reader", "email", "reader@office.example"),
        ("watch", "alertmanager", told.duty.web.url("watch")),
    ):
        body = {"name": name, "channel": channel, "address": address, "hears": {"when": {"direction": ["incoming"]}}}
        more = {"group": "2 seconds"} if channel == "email" else {}
        assert (await told.duty.ask("POST", "/v1/subscriptions", body | more)).status_code == 201
    until = text_of(datetime.now(UTC) + timedelta(hours=1))
    silence = {"when": {"party": ["LU"]}, "author": told.marks.text("silence"), "reason": told.marks.text("silence")}
    assert (await told.duty.ask("POST", "/v1/silences", {**silence, "until": until})).status_code == 201


async def all_that_can_be_said(told: Told) -> None:
    """A case of every type of the law, and every update in some case."""
    room = asyncio.Semaphore(AT_ONCE)

    async def tell(story: Story) -> None:
        async with room:
            await told.tell(story)

    kinds = [*told.law.request_types]
    urgencies = ({"urgency": "normal"} if n % 4 else {"urgency": "emergency"} for n in range(len(kinds)))
    of_every_type = [Story(kind, EVERY_TYPE, urgency) for kind, urgency in zip(kinds, urgencies, strict=True)]
    await asyncio.gather(*map(tell, (*of_every_type, *STORIES)))
    await twice_the_same(told)


async def twice_the_same(told: Told) -> None:
    """The same letter by two channels, which the desk confirms."""
    reference = told.marks.name("letter twice reference")
    _, first = await told.file("extradition", reference=reference)
    _, second = await told.file("extradition", OTHER_AGENCY, reference=reference, channel="interpol")

    def is_suspected() -> str | None:
        pairs = ((first, second), (second, first))
        return next((case for case, other in pairs if other in str(told.case(case)["state"].get("duplicates"))), None)

    case = await eventually(is_suspected, "the suspicion")
    other = second if case == first else first
    said = {
        "decided_by": told.marks.text("update twice linked reason"),
        "reason": told.marks.text("update twice linked reason"),
    }
    (await told.duty.say(DESK, case, "linked", other=other, **said)).raise_for_status()


async def all_that_cannot_be_read(told: Told) -> None:
    """What is no letter, no update and no alert of anybody's, by every door."""
    marks, services = told.marks, told.duty.services
    for lane in Lane:
        attributes = {"reference": marks.text("quarantined header"), "subject": marks.name("quarantined subject")}
        headers = cloud_event(marks.name("quarantined id"), marks.name("quarantined source"), **attributes)
        broken = Said(f'{{"reference": "{marks.text("quarantined")}"'.encode(), headers)
        unknown = Said(b"{}", cloud_event("1", "/x", marks.name("quarantined type")))
        for topic in (topics.letters_from(AGENCY, lane), topics.updates_from("security-service", lane)):
            await services.produce(topic, broken, unknown)
    await services.produce(topics.acknowledgements_of("duty-officers"), broken, unknown)
    await services.post({"reference": marks.text("refused"), marks.name("refused name"): 1})
    labels = {"alertname": marks.text("alertname"), "instance": marks.text("label"), "lane": marks.text("label")}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": marks.text("annotation")},
        "startsAt": text_of(datetime.now(UTC)),
        "fingerprint": "5ef77f1f8a3ecfb1",
    }
    group = {"version": "4", "status": "firing", "groupKey": marks.text("groupKey"), "alerts": [alert]}
    (await told.duty.ask("POST", "/v1/alertmanager", group)).raise_for_status()


async def everybody_was_told(told: Told) -> None:
    """Wait until every event on our topics has led to a notice, and every notice has been delivered."""
    services, notices = told.duty.services, told.database["notices"]
    heard = {"state.subscriber": "duty-officers", "state.channel": "webhook", "state.kind": {"$ne": "technical"}}
    async with services.listening(*(topics.case_events(lane) for lane in Lane), topics.ALERTS_RAISED) as ear:
        await ear.from_the_beginning()

        async def is_done() -> bool:
            await ear.read_to_the_end()
            events = {(one.headers["ce_source"], one.headers["ce_id"]) for one in ear.heard}
            waits = notices.count_documents({"next_due": {"$exists": True}})
            return notices.count_documents(heard) == len(events) and not waits

        await eventually(is_done, "that everybody was told", 120)


async def every_topic(told: Told, *names: str) -> list[bytes]:
    """Every byte of every record of these topics."""
    async with told.duty.services.listening(*names) as ear:
        await ear.from_the_beginning()
        await ear.read_to_the_end()
        return _bytes_of(ear)


def _bytes_of(ear: Ear) -> list[bytes]:
    return [
        b"\n".join([one.key or b"", one.value, *(f"{name}: {text}".encode() for name, text in one.headers.items())])
        for one in ear.heard
    ]


async def page(url: str, **headers: str) -> bytes:
    """What an address shows."""
    async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:
        return (await client.get(url, headers=headers)).raise_for_status().content


# What was asked of the marks


def test_every_part_of_a_letter_is_marked_or_known_to_hold_no_words(law: Law) -> None:
    marks = Marks()
    for number, kind in enumerate(law.request_types):
        letter = marked_letter(marks, law, kind, number)
        parts: dict[str, dict[str, Any]] = {
            "Letter": letter,
            "Contact": letter["contact"],
            "RequestedDeadline": letter["requested_deadline"],
            "Attachment": letter["attachments"][0],
            "Measure": letter["measures"][0],
        }
        for model, without in PARTS.items():
            for name in model.model_fields.keys() - without:
                assert marks.found_in(json.dumps(parts[model.__name__][name]).encode()), (kind, model, name)


def test_every_update_that_can_hold_words_is_in_a_story(law: Law) -> None:
    said = {*EVERY_TYPE, *ELSEWHERE}.union(*(story.updates for story in STORIES))

    assert sealed_updates(load_life_cycle(ROOT / "life-cycle.yaml", law)) <= said


async def test_the_marks_reach_those_who_may_read_them(told: Told) -> None:
    owners = (*told.law.authorities, DESK)
    cases = await every_topic(told, *(topics.cases_of(owner, lane) for owner in owners for lane in Lane))
    answers = await every_topic(told, topics.answers_to(AGENCY), topics.answers_to(OTHER_AGENCY))

    found = told.marks.found_in(*cases)
    assert told.marks.of("letter ") - found.keys() == set()
    said = {where.split()[2] for where in found.values() if where.startswith("update ")}
    assert sealed_updates(told.life) <= said
    assert told.marks.found_in(*answers)


# Where no mark stands


async def test_no_channel_sends_anything_personal(told: Told) -> None:
    web, mails = told.duty.web.came, told.duty.mails.taken
    on_kafka = await every_topic(told, topics.notices_to("duty-officers"), topics.notices_to("operations"))
    paths = {one.path for one in web}
    readers = {reader.partition("@")[0] for one in mails for reader in one.to}

    assert {"/duty-officers", "/ministry", "/vera", "/colin"} <= paths
    assert {"/alertmanager/api/v2/alerts", "/watch/api/v2/alerts"} <= paths
    assert {"lala", "solene", "reader"} <= readers
    assert len(on_kafka) > 500
    assert told.duty.services.said("notifier", "notice")
    assert told.marks.found_in(*(one.whole for one in web)) == {}
    assert told.marks.found_in(*(one.whole for one in mails)) == {}
    assert told.marks.found_in(*on_kafka) == {}


async def test_no_log_and_no_metric_holds_anything_personal(told: Told) -> None:
    services = told.duty.services
    for name in SERVICES:
        log = services.log(name).encode()
        assert log
        assert told.marks.found_in(log) == {}
        assert told.marks.found_in(await page(services.url(name, "/metrics"))) == {}


async def test_no_internal_topic_of_events_holds_anything_personal(told: Told) -> None:
    raw = await every_topic(
        told, *(topics.case_events(lane) for lane in Lane), topics.ALERTS_RAISED, topics.CHECKPOINTS
    )

    assert len(raw) > 400
    assert told.marks.found_in(*raw) == {}


EXPECTED = {"notices", "subscriptions", "silences", "letters", "cases"}
"""The collections in which something stands at the end; notes of what is under way come and go."""


async def test_nothing_personal_is_kept_in_the_clear(told: Told) -> None:
    names = told.database.list_collection_names()

    assert set(names) >= EXPECTED
    for name in names:
        kept = [bson.encode(one) for one in told.database[name].find()]
        assert kept or name not in EXPECTED
        assert told.marks.found_in(*kept) == {}, name


async def test_neither_the_page_behind_a_link_nor_the_list_of_notices_shows_anything_personal(told: Told) -> None:
    links = {found for mail in told.duty.mails.taken for found in re.findall(r"http\S+/n/not_\S+", mail.text)}
    pages = [await page(link) for link in sorted(links)[:50]]
    listed = [
        (await told.duty.ask("GET", f"/v1/notices?status={status}")).content for status in ("delivered", "published")
    ]

    assert len(pages) == 50
    assert told.marks.found_in(*pages, *listed) == {}
