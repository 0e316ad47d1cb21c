"""What one service writes the next one reads: from the door to the notice, through the bytes on the topics."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from benchmarks.fanout import fanout
from services.intake import domain as intake
from services.intake.handlers import on_case
from services.notifier import domain as notifier
from services.notifier.fanout import Fanout
from services.notifier.handlers import doing, on_event
from services.notifier.moving import Moved
from services.router import domain as router
from services.router.handlers import on_letter
from shared import quarantine, topics
from shared.decisions import Decide, Message
from shared.envelope import headers_for
from shared.events import ALERT_RAISED, ANSWER_UNREADABLE, CASE_ASSIGNED, LETTER_RECEIVED, NOTICE_RAISED, TYPES, Event
from shared.ids import Ids
from shared.law import Law, load_law
from shared.letter import content_of, parse_letter
from shared.life_cycle import load_life_cycle
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.partners import Partners, load_partners
from shared.payloads import AlertRaised, CaseEvent, LetterReceived, NoticeRaised
from shared.records import Evolve, Record, value_on
from shared.sealing import Sealer
from shared.tries import Source
from shared.vocabulary import Lane
from shared.yaml_file import read_yaml

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"k" * 32), Sealer(b"s" * 32)


@cache
def law() -> Law:
    return load_law(ROOT / "laws/azerbaijan.yaml", [ROOT / "laws/assumptions/in-force.yaml"])


@cache
def rules() -> router.Rules:
    return router.Rules(law(), load_life_cycle(ROOT / "life-cycle.yaml", law()), IDS)


@cache
def partners() -> Partners:
    return load_partners(ROOT / "partners.yaml")


def happened(message: Message, decide: Decide, evolve: Evolve) -> Record:
    """The record that a message begins."""
    record = Record(message.record, message.subject or message.record, message.context)
    for draft in decide(record, message, NOW).events:
        record.append(draft, by=message.by, cause=message.cause, now=NOW, evolve=evolve, sealer=SEALER)
    return record


def on(topic: str, record: Record, event: Event) -> "ConsumerRecord[Any, Any]":
    """The event as it stands on a topic."""
    headers = headers_for(topic, event, IDS.event(record.id, event.seq), record.id, record.subject, record.context)
    value, key = value_on(topic, event), record.subject.encode()
    return ConsumerRecord(topic, 0, 0, 0, 0, key, value, None, len(key), len(value), headers)


def filed(letter: bytes, agency: str = "contact-point") -> Record:
    message = intake.filing(agency, parse_letter(letter, law().request_types), IDS)
    return happened(message, intake.decide_by(law()), intake.evolve)


def routed(letter: Record) -> list[Record]:
    received = letter.fresh[0]
    (topic,) = received.to
    messages = on_letter(IDS)(on(topic, letter, received))
    return [happened(message, router.decide_by(rules()), router.evolve) for message in messages]


@cache
def told() -> Fanout:
    return fanout(partners(), law(), rules().life, IDS, lambda: NOW)


def followed(record: Record, topic: str) -> list[Record]:
    """The notices and ladders that begin with what was said."""
    messages = on_event(told(), doing(rules().life))(on(topic, record, record.fresh[0]))
    return [happened(m, notifier.decide, notifier.evolve) for m in messages if not isinstance(m.body, Moved)]


def noticed(record: Record, topic: str) -> list[Record]:
    """The notices among them."""
    return [one for one in followed(record, topic) if one.fresh[0].type == NOTICE_RAISED]


def case_events(case: Record) -> str:
    return topics.case_events(Lane(case.state["lane"]))


SAMPLES = [f"S{n:02}" for n in range(1, 16)]


@cache
def samples() -> Mapping[str, Any]:
    tree: Any = read_yaml(ROOT / "samples/expected.yaml").tree
    return dict(tree)


def sample(name: str) -> tuple[bytes, str]:
    expected = samples()[name]
    return (ROOT / "samples" / expected["file"]).read_bytes(), expected["agency"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_goes_all_the_way_from_the_door_to_the_notices(name: str) -> None:
    letter = filed(*sample(name))
    cases = routed(letter)
    notices = [notice for case in cases for notice in noticed(case, case_events(case))]

    assert [case.state["authority"] for case in cases] == [m["authority"] for m in samples()[name]["measures"]]
    assert {notice.subject for notice in notices} == {case.id for case in cases}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_sample_becomes_is_heard_by_its_agency(name: str) -> None:
    letter = filed(*sample(name))

    for measure, case in enumerate(routed(letter), 1):
        (news,) = on_case(on(case_events(case), case, case.fresh[0]))

        assert news.record == letter.id
        assert (news.body.agency, news.body.measure) == (sample(name)[1], measure)
        (answer,) = intake.decide_by(law())(letter, news, NOW).events
        assert answer.data["authority"] == case.state["authority"]


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_of_what_a_letter_says_stands_where_everybody_reads(name: str) -> None:
    sent, agency = sample(name)
    letter = filed(sent, agency)
    said = texts_in(orjson.loads(sent)["measures"]) | texts_in(orjson.loads(sent).get("contact", {}))
    types = {measure["type"] for measure in orjson.loads(sent)["measures"]}

    for case in routed(letter):
        seen = value_on(case_events(case), case.fresh[0]).decode()
        for notice in followed(case, case_events(case)):
            seen += notice.fresh[0].data_json.decode()

        assert [text for text in said - types if len(text) > 3 and text in seen] == []


def texts_in(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        value = list(value.values())
    return {text for entry in value for text in texts_in(entry)} if isinstance(value, list) else set()


# Each model


def test_an_accepted_letter_is_read_as_it_was_written() -> None:
    letter = filed(*sample("S10"))

    (topic,) = letter.fresh[0].to
    read = LetterReceived.model_validate_json(value_on(topic, letter.fresh[0]))

    assert (read.letter, read.agency, read.received_at) == (letter.id, "foreign-ministry", NOW)
    assert [head.type for head in read.measures] == ["extradition", "search_seizure", "stored_data_access"]
    assert dict(read.content) == content_of(parse_letter(sample("S10")[0], law().request_types))


NULLS: dict[str, dict[str, Any]] = {
    "urgency": {"urgency": None},
    "treaty basis": {"treaty_basis": None},
    "attachments": {"attachments": None},
    "everything that may be left out": {"language": None, "contact": None, "translation": None, "confidential": None},
    "a measure's contents": {"measures": [{"type": "extradition", "contents": None}]},
    "a measure's attachments": {"measures": [{"type": "extradition", "attachments": None}]},
    "one of a measure's contents": {"measures": [{"type": "extradition", "contents": {"facts": None}}]},
}


@pytest.mark.parametrize("case", NULLS)
def test_whatever_the_door_takes_the_router_reads_with_nulls_too(case: str) -> None:
    sent = {
        "reference": " FR-1 ",
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "sent_at": "2026-03-10T08:00+01:00",
        "measures": [{"type": "extradition"}],
        **NULLS[case],
    }

    (routed_case,) = routed(filed(orjson.dumps(sent)))

    assert routed_case.state["authority"] == "justice-ministry"
    content = orjson.loads(routed_case.fresh[0].content or b"{}")
    assert content["reference"] == "FR-1"
    assert b"null" not in (routed_case.fresh[0].content or b"")


def test_a_case_is_read_as_it_was_written() -> None:
    (case,) = routed(filed(*sample("S01")))

    for topic in case.fresh[0].to:
        read = CaseEvent.model_validate_json(value_on(topic, case.fresh[0]))
        said = orjson.loads(read.model_dump_json(exclude_unset=True))
        assert said == {name: case.fresh[0].data[name] for name in said}


def test_a_notice_is_read_as_it_was_written() -> None:
    (case,) = routed(filed(*sample("S01")))

    for notice in noticed(case, case_events(case)):
        read = NoticeRaised.model_validate_json(notice.fresh[0].data_json)
        assert (read.notice, read.about, read.channel) == (notice.id, case.id, notice.state["channel"])
        assert (read.facts["event"], read.facts["type"]) == (CASE_ASSIGNED, "data_preservation")


class Keeping(Loop):
    """A stand-in for the quarantine's loop, which would want MongoDB: it keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle(self, messages: Sequence[Message], source: Source, patience: float = 60) -> list[Outcome]:
        self.messages += messages
        return [Outcome(Record(message.record, message.record, {}), fresh=True) for message in messages]


async def test_alerts_of_every_kind_are_read_and_heard_by_the_duty_officers() -> None:
    loop = Keeping()
    keeper = quarantine.Quarantine("router", loop, IDS, Metrics("test"))
    poison: ConsumerRecord[Any, Any] = ConsumerRecord(
        "letters.received.v1", 1, 7, 0, 0, None, None, None, 0, 0, [("x", b"\xff")]
    )

    await keeper.keep([(poison, "null value")])
    await keeper.alarm("event-refused", "cas_1/1", {"record": "cas_1", "reason": "MessageSizeTooLargeError"})

    alerts = [happened(message, quarantine.decide, quarantine.evolve) for message in loop.messages]
    for alert, kind in zip(alerts, ("quarantine", "event-refused"), strict=True):
        read = AlertRaised.model_validate_json(value_on(topics.ALERTS_RAISED, alert.fresh[0]))
        assert (read.alert, read.kind, read.service) == (alert.id, kind, "router")
        heard = {notice.state["subscriber"] for notice in noticed(alert, topics.ALERTS_RAISED)}
        assert heard == {"duty-officers", "operations"}


async def test_an_agency_hears_where_its_unreadable_record_lies_and_nothing_of_what_it_says() -> None:
    loop = Keeping()
    keeper = quarantine.Quarantine("intake", loop, IDS, Metrics("test"))
    gate = topics.letters_from("contact-point", Lane.URGENT)
    poison: ConsumerRecord[Any, Any] = ConsumerRecord(gate, 1, 7, 0, 0, b"ref", b"Maud", None, 3, 4, [])

    await keeper.keep([(poison, "not a letter")])

    entry = happened(loop.messages[0], quarantine.decide, quarantine.evolve)
    [(topic, told)] = [(topic, event) for event in entry.fresh for topic in event.to if topic != topics.ALERTS_RAISED]
    said = on(topic, entry, told)
    assert (topic, told.type) == (topics.answers_to("contact-point"), ANSWER_UNREADABLE)
    assert orjson.loads(said.value or b"") == {
        "topic": gate,
        "partition": 1,
        "offset": 7,
        "reason": "not a letter",
        "sha256": hashlib.sha256(b"Maud").hexdigest(),
    }
    assert said.key == entry.id.encode()
    assert dict(said.headers)["ce_sequence"] == b"0000000001"


def test_every_event_that_another_service_reads_has_its_model_and_its_line_in_the_list() -> None:
    assert {LETTER_RECEIVED, CASE_ASSIGNED, NOTICE_RAISED, ALERT_RAISED} <= TYPES.keys()
