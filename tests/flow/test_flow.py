"""All of it: letters by both doors and in both lanes, from their agencies to authorities, people and back."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from services.intake import domain as intake
from services.notifier import domain as notifier
from services.router import domain as router
from shared import quarantine, times, topics
from shared.events import (
    ANSWER_RECEIPT,
    ANSWER_STATUS,
    ANSWER_UNREADABLE,
    CASE_ASSIGNED,
    LETTER_RECEIVED,
    NOTICE_RAISED,
)
from shared.records import Evolve, chain_holds, event_of, fold
from shared.vocabulary import DESK, Lane
from tests.service.running import (
    SERVICES,
    Document,
    Heard,
    Said,
    System,
    eventually,
    filed,
    letter,
    make_topics,
    system,
    without_repeats,
)
from tests.verified import verified_after

AUTHORITIES = ("security-service", "justice-ministry", DESK)
AGENCIES = ("contact-point", "interpol-bureau", "central-authority")
EVOLVES: dict[str, Evolve] = {
    "letters": intake.evolve,
    "cases": router.evolve,
    "notices": notifier.evolve,
    "intake_quarantine": quarantine.evolve,
    "router_quarantine": quarantine.evolve,
    "notifier_quarantine": quarantine.evolve,
}
TOPICS = (
    *(topics.letters_received(lane) for lane in Lane),
    *(topics.case_events(lane) for lane in Lane),
    *(topics.cases_of(authority, lane) for authority in AUTHORITIES for lane in Lane),
    *(topics.answers_to(agency) for agency in AGENCIES),
    *(topics.notices_to(subscriber) for subscriber in ("duty-officers", "operations")),
    topics.ALERTS_RAISED,
)


@dataclass(frozen=True)
class Expected:
    """A letter, its way in, and where each of its measures must go."""

    name: str
    agency: str
    door: str
    body: dict[str, Any]
    lane: Lane
    authorities: tuple[str, ...]
    lanes: tuple[Lane, ...]


def expected(
    name: str, agency: str, door: str, lane: Lane, ways: Sequence[tuple[str, str, Lane]], **members: Any
) -> Expected:
    """A letter with these measures: type, authority, lane."""
    body = letter(f"flow-{name}", *(kind for kind, _, _ in ways), **members)
    return Expected(name, agency, door, body, lane, tuple(a for _, a, _ in ways), tuple(at for _, _, at in ways))


N, U = Lane.NORMAL, Lane.URGENT
SECURITY, JUSTICE = AUTHORITIES[:2]
LETTERS = (
    expected("plain", AGENCIES[0], "http", N, [("stored_data_access", SECURITY, N)]),
    expected("preserve", AGENCIES[0], "http", U, [("data_preservation", SECURITY, U)]),
    expected(
        "mixed",
        AGENCIES[0],
        "http",
        U,
        [("extradition", JUSTICE, N), ("data_preservation", SECURITY, U), ("asset_freeze", DESK, N)],
    ),
    expected("by-kafka", AGENCIES[1], "kafka", N, [("testimony", SECURITY, N), ("extradition", JUSTICE, N)]),
    expected("arrest", AGENCIES[1], "kafka", U, [("provisional_arrest", JUSTICE, U)]),
    expected("life", AGENCIES[2], "kafka", U, [("emergency_data", SECURITY, U)], urgency="emergency"),
    expected("no-treaty", AGENCIES[2], "http", N, [("stored_data_access", DESK, N)], party="GE"),
    expected("sending", AGENCIES[2], "kafka", N, [("extradition", JUSTICE, N)], direction="outgoing"),
    *(
        expected(f"many-{n}", AGENCIES[n % 3], ("http", "kafka")[n % 2], N, [("testimony", SECURITY, N)])
        for n in range(20)
    ),
)
CASES = tuple((one, n) for one in LETTERS for n in range(1, len(one.authorities) + 1))


@dataclass(frozen=True)
class Flow:
    """What everybody heard, and what MongoDB holds at the end."""

    system: System
    heard: tuple[Heard, ...]
    documents: dict[str, list[Document]]

    def letter_id(self, one: Expected) -> str:
        """A letter's id."""
        return self.system.ids.letter(one.agency, one.body["reference"])

    def case_id(self, one: Expected, measure: int) -> str:
        """The id of the case of one measure."""
        return self.system.ids.case(self.letter_id(one), measure)

    def on(self, topic: str) -> list[Heard]:
        """What came into a topic."""
        return [one for one in self.heard if one.topic == topic]


@pytest.fixture(scope="module")
def running(kafka: Kafka, mongo: Mongo, session_folder: Path) -> Iterator[System]:
    """All three services, with a database of their own."""
    asyncio.run(make_topics(kafka.bootstrap))
    with (
        system(kafka.bootstrap, mongo.uri, "flow_tests", session_folder / "flow-tests", *SERVICES) as made,
        verified_after(made.settings),
    ):
        yield made


@pytest.fixture(scope="module")
async def flow(running: System) -> Flow:
    """Every letter once, some twice, and poison between them; then everything has come to rest."""
    async with running.listening(*TOPICS) as ear:
        began = times.text_of(times.now())
        by_kafka: dict[tuple[str, Lane], list[Said]] = {}
        for one in LETTERS:
            if one.door == "kafka":
                way_in = by_kafka.setdefault((one.agency, one.lane), [])
                way_in += [filed(one.body, one.name, source=f"/{one.agency}")] * 2
                way_in.append(Said(None, []))
        posts = [running.post(one.body, agency=one.agency) for one in LETTERS if one.door == "http"]
        posts += [running.post(one.body, agency=one.agency) for one in LETTERS if one.door == "http"]
        produced = [running.produce(topics.letters_from(*way), *said) for way, said in by_kafka.items()]
        answers = (await asyncio.gather(asyncio.gather(*posts), asyncio.gather(*produced)))[0]
        assert sorted(answer.status_code for answer in answers) == [200] * (len(posts) // 2) + [202] * (len(posts) // 2)
        cases = {running.ids.case(running.ids.letter(o.agency, o.body["reference"]), n) for o, n in CASES}
        await ear.wait_for(lambda one: one.type == ANSWER_STATUS and one.data["case"] in cases, len(cases))
        await eventually(lambda: at_rest(running, len(cases)), "rest")
        await ear.read_to_the_end()
    # What an earlier test left in the topics is not ours.
    documents = {name: [one for one in running.documents(name) if one["history"][0]["at"] >= began] for name in EVOLVES}
    return Flow(running, tuple(one for one in ear.heard if one.headers["ce_time"] >= began), documents)


def is_ladder(document: Document) -> bool:
    """Whether it is an alert's ladder and no notice: they lie in one collection."""
    return bool(document["state"].get("record") == "ladder")


def at_rest(running: System, cases: int) -> bool:
    """Whether nothing is under way any more."""
    found = {collection: running.documents(collection) for collection in EVOLVES}
    sent = all(one["published"] == one["version"] for every in found.values() for one in every)
    told = {one["state"]["about"] for one in found["notices"]}
    ladders = [one for one in found["notices"] if is_ladder(one)]
    delivered = all(
        one["state"]["status"] in {"published", "delivered"} for one in found["notices"] if not is_ladder(one)
    ) and not any("owed" in one["state"] for one in ladders)
    held = {one["_id"] for name in EVOLVES if name.endswith("quarantine") for one in found[name]}
    return sent and delivered and len(found["cases"]) >= cases and told >= {one["_id"] for one in found["cases"]} | held


def test_every_letter_is_received_once_in_its_lane(flow: Flow) -> None:
    for one in LETTERS:
        received = [
            heard for heard in flow.heard if heard.type == LETTER_RECEIVED and heard.record == flow.letter_id(one)
        ]
        assert {(heard.topic, heard.sequence) for heard in received} == {(topics.letters_received(one.lane), 1)}, (
            one.name
        )
        assert received[0].data["content"] == one.body


@pytest.mark.parametrize(("one", "measure"), CASES, ids=lambda one: one.name if isinstance(one, Expected) else str(one))
def test_every_measure_reaches_its_authority_and_nobody_else(flow: Flow, one: Expected, measure: int) -> None:
    case, authority, lane = flow.case_id(one, measure), one.authorities[measure - 1], one.lanes[measure - 1]

    assigned = [heard for heard in flow.heard if heard.type == CASE_ASSIGNED and heard.record == case]

    assert {heard.topic for heard in assigned} == {topics.cases_of(authority, lane), topics.case_events(lane)}
    for heard in assigned:
        assert heard.data["authority"] == authority
        assert ("content" in heard.data) == (heard.topic == topics.cases_of(authority, lane))
        if "content" in heard.data:
            assert heard.data["content"]["measure"] == one.body["measures"][measure - 1]


def test_every_agency_hears_of_its_own_letters_alone(flow: Flow) -> None:
    for agency in AGENCIES:
        own = {flow.letter_id(one): len(one.authorities) for one in LETTERS if one.agency == agency}
        heard = flow.on(topics.answers_to(agency))
        told = without_repeats([one for one in heard if one.type != ANSWER_UNREADABLE])
        assert {record for record, _ in told} == own.keys()
        gates = {topics.letters_from(agency, lane) for lane in Lane}
        assert {one.data["topic"] for one in heard if one.type == ANSWER_UNREADABLE} <= gates
        for (record, _), answers in told.items():
            kinds = [one.type for one in answers]
            assert kinds.count(ANSWER_STATUS) == own[record]
            assert kinds[0] == ANSWER_RECEIPT


def test_somebody_is_told_of_every_case(flow: Flow) -> None:
    notices = [one for one in flow.heard if one.type == NOTICE_RAISED]
    assert {one.data["about"] for one in notices} >= {flow.case_id(*case) for case in CASES}
    for one, measure in CASES:
        if one.lanes[measure - 1] is U:
            assert len(flow.system.receiver.about(flow.case_id(one, measure))) >= 1


def test_sequences_are_gapless_from_one(flow: Flow) -> None:
    for (record, topic), events in without_repeats(flow.heard).items():
        assert [one.sequence for one in events] == list(range(1, len(events) + 1)), (record, topic)
        assert {one.headers["ce_source"] for one in events} == {f"/{topic}/{record}"}


def test_an_event_has_one_id_and_the_same_bytes_wherever_it_comes(flow: Flow) -> None:
    ids: dict[tuple[str, str, int], set[str]] = {}
    values: dict[tuple[str, str], set[bytes]] = {}
    chains: dict[str, set[str]] = {}
    for one in flow.heard:
        ids.setdefault((one.record, one.topic, one.sequence), set()).add(one.headers["ce_id"])
        values.setdefault((one.headers["ce_id"], one.topic), set()).add(one.value)
        chains.setdefault(one.headers["ce_id"], set()).add(one.headers["ce_chain"])
    assert {len(found) for found in ids.values()} == {1}
    assert {len(found) for found in values.values()} == {1}
    assert {len(found) for found in chains.values()} == {1}


def test_the_chain_that_is_told_is_the_chain_of_the_stored_history(flow: Flow) -> None:
    stored: dict[str, tuple[str, str, dict[str, int]]] = {}
    for every in flow.documents.values():
        for document in every:
            for form in document["history"]:
                event_id = flow.system.ids.event(document["_id"], form["seq"])
                stored[event_id] = (form["type"], form["chain"].hex(), form["to"])
    for one in flow.heard:
        kind, chain, to = stored[one.headers["ce_id"]]
        assert (one.type, one.headers["ce_chain"], one.sequence) == (kind, chain, to[one.topic])
    promised = {(event_id, topic) for event_id, (_, _, to) in stored.items() for topic in to}
    assert {(one.headers["ce_id"], one.topic) for one in flow.heard} == promised


@pytest.mark.parametrize("collection", EVOLVES)
def test_every_records_state_is_the_fold_of_its_history(flow: Flow, collection: str) -> None:
    for document in flow.documents[collection]:
        wrapped = document.get("key")
        key = flow.system.sealer.key_of(document["_id"], wrapped) if wrapped else None
        events = [event_of(document["_id"], form, key) for form in document["history"]]
        state = dict(document["state"])
        sent = state.pop("sent")
        assert chain_holds(document["_id"], events)
        assert fold(events, EVOLVES[collection]) == state
        assert sent == {topic: sequence for event in events for topic, sequence in event.to.items()}
        assert (document["version"], document["published"]) == (len(events), len(events))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert "unsent_since" not in document


def test_there_is_one_record_of_everything(flow: Flow) -> None:
    letters, cases = flow.documents["letters"], flow.documents["cases"]
    assert {one["_id"] for one in letters} == {flow.letter_id(one) for one in LETTERS}
    assert {one["_id"] for one in cases} == {flow.case_id(*case) for case in CASES}
    ladders = [one for one in flow.documents["notices"] if is_ladder(one)]
    notices = [one["state"] for one in flow.documents["notices"] if not is_ladder(one)]
    assert len({(n["alert"], n["subscriber"], n["channel"], n.get("step")) for n in notices}) == len(notices)
    assert {one["_id"] for one in ladders} >= {n["alert"] for n in notices if "step" in n}


def test_what_is_urgent_climbs_one_ladder_whose_first_step_reached_a_person(flow: Flow) -> None:
    ladders = [one for one in flow.documents["notices"] if is_ladder(one)]
    urgent = sorted(flow.case_id(one, n) for one, n in CASES if one.lanes[n - 1] is U)
    held = {one["_id"] for name in EVOLVES if name.endswith("quarantine") for one in flow.documents[name]}
    # Poison is an alert of its own.
    assert sorted(one["state"]["about"] for one in ladders if one["state"]["about"] not in held) == urgent
    for ladder in ladders:
        told = [n["state"] for n in flow.documents["notices"] if n["state"].get("alert") == ladder["_id"]]
        (person,) = [n for n in told if n.get("step") == "0.0"]
        assert person["subscriber"].startswith("person.")
        assert person["status"] == "delivered"


def test_a_foreign_library_reads_what_we_write(flow: Flow) -> None:
    for one in flow.heard:
        headers = {name: text.encode() for name, text in one.headers.items()}
        event = from_binary(KafkaMessage(headers, one.key, one.value), JSONFormat())
        assert (event.get_id(), event.get_type()) == (one.headers["ce_id"], one.type)
        assert event.get_data() == json.loads(one.value)


async def test_intake_tells_over_http_what_kafka_told(flow: Flow) -> None:
    for one in LETTERS[:8]:
        letter_id = flow.letter_id(one)
        page = (await flow.system.get(f"/v1/letters/{letter_id}/answers", agency=one.agency)).json()
        on_kafka = without_repeats(flow.on(topics.answers_to(one.agency)))[letter_id, topics.answers_to(one.agency)]
        assert [(a["sequence"], a["type"], a["data"]) for a in page["answers"]] == [
            (heard.sequence, heard.type, heard.data) for heard in on_kafka
        ]
        view = (await flow.system.get(f"/v1/letters/{letter_id}", agency=one.agency)).json()
        assert [case["authority"] for case in view["cases"]] == list(one.authorities)


async def test_nothing_was_a_bug(flow: Flow) -> None:
    for name in SERVICES:
        assert not flow.system.has_said(name, "bug")
        assert (await flow.system.metrics(name))["rogatory_events_refused_total"] == 0
