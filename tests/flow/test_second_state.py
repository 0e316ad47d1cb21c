"""All of it for another State: nothing but ROGATORY_LAW names its law, and its letters go where that law says."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.k8s.topics import topics_of
from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from deploy.local.topics import create_topics
from shared import times, topics
from shared.events import ANSWER_STATUS, CASE_ASSIGNED, CASE_REASSIGNED, NOTICE_RAISED, of_case
from shared.vocabulary import DESK, Lane
from tests.service.running import (
    SERVICES,
    Heard,
    Said,
    System,
    cloud_event,
    eventually,
    filed,
    letter,
    on,
    system,
)
from tests.verified import verified_after

LAW = ROOT / "laws" / "zedland.yaml"
PROSECUTION, POLICE, CHANCELLERY = AUTHORITIES = ("cyber-prosecution", "interior-police", "chancellery")
DUTY, OPERATIONS = SUBSCRIBERS = ("duty-officers", "operations")
N, U = Lane.NORMAL, Lane.URGENT
TOPICS = (
    *(topics.cases_of(authority, lane) for authority in (*AUTHORITIES, DESK) for lane in Lane),
    *(topics.case_events(lane) for lane in Lane),
    *(topics.answers_to(agency) for agency in ("contact-point", "foreign-ministry", "interpol-bureau")),
    *(topics.notices_to(subscriber) for subscriber in SUBSCRIBERS),
)


@dataclass(frozen=True)
class Expected:
    """A letter, its way in, and by hand from the invented act: who gets each measure, in which lane, who is told."""

    name: str
    agency: str
    door: str
    body: dict[str, Any]
    lane: Lane
    ways: tuple[tuple[str, str, Lane, str], ...]


def expected(
    name: str, agency: str, door: str, lane: Lane, *ways: tuple[str, str, Lane, str], **members: Any
) -> Expected:
    """A letter with these measures: type, authority, lane, subscriber."""
    return Expected(name, agency, door, letter(f"zed-{name}", *(way[0] for way in ways), **members), lane, ways)


LETTERS = (
    expected("data", "contact-point", "http", N, ("stored_data_access", PROSECUTION, N, OPERATIONS)),
    expected(
        "older-treaty",
        "contact-point",
        "http",
        U,
        ("data_preservation", POLICE, U, DUTY),
        party="PE",
        treaty_basis=["budapest"],
    ),
    expected(
        "mixed",
        "foreign-ministry",
        "http",
        U,
        ("extradition", CHANCELLERY, N, OPERATIONS),
        ("search_seizure", PROSECUTION, N, OPERATIONS),
        ("content_interception", DESK, N, OPERATIONS),
        ("asset_freeze", PROSECUTION, U, DUTY),
    ),
    expected("arrest", "interpol-bureau", "kafka", U, ("provisional_arrest", POLICE, U, DUTY), party="KZ"),
    expected("life", "interpol-bureau", "kafka", U, ("emergency_data", POLICE, U, DUTY), urgency="emergency"),
    expected("hearing", "foreign-ministry", "kafka", N, ("testimony", CHANCELLERY, N, OPERATIONS), party="GE"),
    expected("amended", "foreign-ministry", "kafka", N, ("service_of_documents", DESK, N, OPERATIONS)),
    expected("no-treaty", "contact-point", "http", N, ("stored_data_access", DESK, N, OPERATIONS), party="NO"),
    expected("locate", "contact-point", "http", U, ("contact_point_locate_suspect", DESK, U, DUTY), urgency="urgent"),
    expected("sending", "contact-point", "kafka", U, ("data_preservation", POLICE, U, DUTY), direction="outgoing"),
    expected("not-sending", "foreign-ministry", "http", N, ("extradition", DESK, N, OPERATIONS), direction="outgoing"),
)
BY_NAME = {one.name: one for one in LETTERS}
CASES = tuple((one.name, number) for one in LETTERS for number in range(1, len(one.ways) + 1))


@dataclass(frozen=True)
class Flow:
    """What everybody heard."""

    system: System
    heard: Sequence[Heard]

    def case_id(self, name: str, measure: int = 1) -> str:
        """The id of the case of one measure."""
        one = BY_NAME[name]
        return self.system.ids.case(self.system.ids.letter(one.agency, one.body["reference"]), measure)

    def of(self, case: str, event_type: str) -> list[Heard]:
        """What was said of a case."""
        return [one for one in self.heard if one.record == case and one.type == event_type]


UNTIL = "2199-01-01T12:00:00Z"
"""Far ahead, whenever the test runs: a preservation that is over already is refused."""


@pytest.fixture(scope="module")
def running(kafka: Kafka, mongo: Mongo, session_folder: Path) -> Iterator[System]:
    """All three services as they always start, under another law and without any assumption."""
    asyncio.run(create_topics(kafka.bootstrap, topics_of(ROOT / "partners.yaml", LAW)))
    with system(kafka.bootstrap, mongo.uri, "second_state", session_folder / "second-state") as made:
        made.settings["ROGATORY_LAW"] = str(LAW)
        made.settings["ROGATORY_LAW_ASSUMPTIONS"] = ""
        made.launch(*SERVICES)
        made.wait(*SERVICES)
        with verified_after(made.settings):
            yield made


@pytest.fixture(scope="module")
async def flow(running: System) -> Flow:
    """Every letter once; then the police preserve, and the desk decides who serves documents."""
    async with running.listening(*TOPICS) as ear:
        began = times.text_of(times.now())
        made = Flow(running, ear.heard)
        for one in LETTERS:
            if one.door == "http":
                assert (await running.post(one.body, agency=one.agency)).status_code == 202, one.name
            else:
                said = filed(one.body, one.name, source=f"/{one.agency}")
                await running.produce(topics.letters_from(one.agency, one.lane), said)
        cases = {made.case_id(*case) for case in CASES}
        await ear.wait_for(lambda one: one.type == ANSWER_STATUS and one.data["case"] in cases, len(cases))

        kept, amended = made.case_id("older-treaty"), made.case_id("amended")
        span = {"preserved_from": "2026-03-10T12:00:00Z", "until": UNTIL}
        await tell(running, POLICE, U, "preserved", {"case": kept} | span)
        decided = {"authority": CHANCELLERY, "decided_by": "Duty lawyer", "reason": "As before the amendment."}
        await tell(running, DESK, N, "triage_decided", {"case": amended} | decided)
        await ear.wait_for(lambda one: one.type == of_case("preserved"), 2)
        await ear.wait_for(on(topics.cases_of(CHANCELLERY, N), amended))
        await eventually(lambda: is_told(running, len(cases)), "notices")
        await ear.read_to_the_end()
    return Flow(running, tuple(one for one in ear.heard if one.headers["ce_time"] >= began))


async def tell(running: System, authority: str, lane: Lane, update: str, fields: dict[str, str]) -> None:
    """Say on an authority's own topic what it did."""
    headers = cloud_event(f"{authority}-{update}", f"/{authority}", f"update.{update}")
    await running.produce(topics.updates_from(authority, lane), Said(json.dumps(fields).encode(), headers))


def is_told(running: System, cases: int) -> bool:
    """Whether a notice about every case has gone out."""
    notices = running.documents("notices", {"state.record": {"$exists": False}})  # ladders climb on
    gone = all(one["state"]["status"] in {"published", "delivered"} for one in notices)
    return gone and len({one["state"]["about"] for one in notices}) >= cases


@pytest.mark.parametrize(("name", "measure"), CASES)
def test_every_case_stands_where_the_second_law_says_and_nowhere_else(flow: Flow, name: str, measure: int) -> None:
    type, authority, lane, _ = BY_NAME[name].ways[measure - 1]

    first = [one for one in flow.of(flow.case_id(name, measure), CASE_ASSIGNED) if one.sequence == 1]

    assert {one.topic for one in first} >= {topics.cases_of(authority, lane), topics.case_events(lane)}
    for one in first:
        if one.topic in {topics.cases_of(authority, lane), topics.case_events(lane)}:
            assert (one.data["authority"], one.data["type"], one.data["law"]) == (authority, type, "zedland")
    owners = {one.topic.split(".")[0] for one in first} - {"cases"}
    assert owners == ({authority} if name != "amended" else {DESK, CHANCELLERY})


@pytest.mark.parametrize(("name", "measure"), CASES)
def test_the_right_people_are_told_in_the_second_laws_words(flow: Flow, name: str, measure: int) -> None:
    type, authority, _, subscriber = BY_NAME[name].ways[measure - 1]
    case = flow.case_id(name, measure)

    told = [
        one
        for one in flow.heard
        if one.type == NOTICE_RAISED and one.data["about"] == case and one.data["facts"]["event"] == CASE_ASSIGNED
    ]

    assert topics.notices_to(subscriber) in {one.topic for one in told}
    for one in told:
        assert (one.data["facts"]["authority"], one.data["facts"]["type"]) == (authority, type) or name == "amended"
        assert one.data["facts"]["authority"] in one.data["says"]
    assert bool(flow.system.receiver.about(case)) == (subscriber == DUTY)


def test_a_preservation_runs_by_the_second_laws_clock(flow: Flow) -> None:
    case = flow.case_id("older-treaty")
    stored = flow.system.document("cases", case)
    assert stored

    kept = next(one for one in stored["state"]["clocks"] if one["clock"] == "kept-90-days")

    assert (kept["kind"], kept["due"]) == ("statutory", "2199-01-01T12:00:00.000000Z")
    assert {one.topic for one in flow.of(case, of_case("preserved"))} == {
        topics.cases_of(POLICE, U),
        topics.case_events(U),
    }


OPENED = {
    "data": {"decided-in-45-days", "receipt-2-working-days"},
    "life": {"receipt-15-minutes"},
    "locate": {"receipt-2-hours", "triage-20-minutes"},
    "not-sending": {"receipt-2-working-days", "triage-1-working-day", "sent-in-3-working-days"},
    "sending": {"receipt-2-hours", "sent-in-3-working-days"},
}
"""The clocks that run from receipt, by hand from the second law."""


@pytest.mark.parametrize("name", OPENED)
def test_the_second_laws_clocks_run_from_receipt(flow: Flow, name: str) -> None:
    stored = flow.system.document("cases", flow.case_id(name))

    assert stored
    assert {clock["clock"] for clock in stored["state"]["clocks"]} == OPENED[name]


def test_what_the_desk_decides_goes_whole_to_the_second_laws_authority(flow: Flow) -> None:
    case = flow.case_id("amended")

    moved = {one.topic for one in flow.of(case, CASE_REASSIGNED)}
    whole = [one for one in flow.of(case, CASE_ASSIGNED) if one.topic == topics.cases_of(CHANCELLERY, N)]

    assert moved == {topics.cases_of(DESK, N), topics.case_events(N)}
    assert [one.data["content"]["measure"]["type"] for one in whole] == ["service_of_documents"]


async def test_agencies_hear_of_the_second_laws_authorities(flow: Flow) -> None:
    for name in ("data", "mixed", "locate"):
        one = BY_NAME[name]
        letter_id = flow.system.ids.letter(one.agency, one.body["reference"])
        view = (await flow.system.get(f"/v1/letters/{letter_id}", agency=one.agency)).json()
        assert [case["authority"] for case in view["cases"]] == [way[1] for way in one.ways]


async def test_nothing_was_a_bug(flow: Flow) -> None:
    for name in SERVICES:
        assert not flow.system.has_said(name, "bug")
        assert (await flow.system.metrics(name))["rogatory_events_refused_total"] == 0
