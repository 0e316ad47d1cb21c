"""The checker finds what it should: nothing in a faultless run, and every fault that is planted in one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import orjson
import pytest

from shared.times import text_of
from shared.vocabulary import Lane
from tests.fault import answered
from tests.fault.checker import check
from tests.fault.evidence import Document, Evidence, Seen
from tests.fault.letters import Filed
from tests.fault.recorded import IDS, SEALER, a_good_run
from tests.fault.results import Results
from tests.fault.verdict import Kind, Verdict

CASES, EVENTS, ANSWERS = "security-service.cases.v1", "cases.events.v1", "agency.contact-point.answers.v1"
LETTERS, NOTICES = "letters.received.v1", "notices.operations.v1"

Plant = Callable[[Evidence], Evidence]


def verdict_on(evidence: Evidence, filed: Sequence[Filed]) -> Verdict:
    return check(evidence, filed, IDS, SEALER)


def on_topic(evidence: Evidence, topic: str, change: Callable[[list[Seen]], list[Seen]]) -> Evidence:
    return replace(evidence, topics={**evidence.topics, topic: change(list(evidence.topics[topic]))})


def in_collection(evidence: Evidence, name: str, change: Callable[[list[Document]], list[Document]]) -> Evidence:
    return replace(evidence, documents={**evidence.documents, name: change(list(evidence.documents[name]))})


def with_header(seen: Seen, name: str, text: str) -> Seen:
    headers = tuple((header, text.encode() if header == f"ce_{name}" else old) for header, old in seen.headers)
    return replace(seen, headers=headers)


def drop_from(topic: str) -> Plant:
    return lambda evidence: on_topic(evidence, topic, lambda records: records[1:])


def repeat_changed(records: list[Seen]) -> list[Seen]:
    return [*records, replace(records[0], value=records[0].value.replace(b"FR", b"FI"))]


def repeat_with_another_id(records: list[Seen]) -> list[Seen]:
    return [*records, with_header(records[0], "id", "evt_other")]


def same_event_again(records: list[Seen]) -> list[Seen]:
    """The next sequence carries the event of the last one."""
    return [*records, with_header(records[0], "sequence", f"{records[0].sequence + 1:010d}")]


def swap(records: list[Seen]) -> list[Seen]:
    """The first two events of one source change places."""
    at = next(i for i, seen in enumerate(records) if seen.sequence == 2)
    before = next(i for i, seen in enumerate(records) if seen.source == records[at].source)
    records[at], records[before] = records[before], records[at]
    return records


def on_another_authority(evidence: Evidence) -> Evidence:
    """A case is announced to a second authority."""
    seen, other = evidence.topics[CASES][0], "justice-ministry.cases.v1"
    strayed = replace(with_header(seen, "source", seen.source.replace(CASES, other)), topic=other)
    return on_topic(evidence, other, lambda records: [*records, strayed])


def second_case(documents: list[Document]) -> list[Document]:
    """One measure has two cases, each faultless for itself."""
    bare = {name: value for name, value in documents[0].items() if name != "key"}
    return [*documents, {**bare, "_id": "cas_other", "history": [], "version": 0}]


def with_changed_history(documents: list[Document]) -> list[Document]:
    """One byte of one event is another one."""
    first, *others = documents
    event, *later = first["history"]
    changed = {**event, "data": event["data"].replace(b"FR", b"FI", 1)}
    return [{**first, "history": [changed, *later]}, *others]


def with_changed_seal(documents: list[Document]) -> list[Document]:
    """One byte of sealed content is another one."""
    first, *others = documents
    event, *later = first["history"]
    changed = {**event, "sealed": event["sealed"][:-1] + bytes([event["sealed"][-1] ^ 1])}
    return [{**first, "history": [changed, *later]}, *others]


def with_changed_state(documents: list[Document]) -> list[Document]:
    first, *others = documents
    return [{**first, "state": {**first["state"], "party": "FI"}}, *others]


def heard_twice(documents: list[Document]) -> list[Document]:
    """The last event has happened once more."""
    first, *others = documents
    last = {name: value for name, value in first["history"][-1].items() if name != "sealed"}
    again = {**last, "seq": last["seq"] + 1, "at": "2026-11-24T08:00:01Z"}
    return [{**first, "history": [*first["history"], again], "version": first["version"] + 1}, *others]


def held_in(evidence: Evidence) -> Evidence:
    return in_collection(evidence, "router_quarantine", lambda _: [{"_id": "qua_1", "state": {"kind": "quarantine"}}])


def webhook_lost(evidence: Evidence) -> Evidence:
    _, *others = evidence.webhooks.items()
    return replace(evidence, webhooks=dict(others))


def is_ladder(document: Document) -> bool:
    return bool(document["state"].get("record") == "ladder")


def of_steps(change: Callable[[Document], list[Document]]) -> Plant:
    """What becomes of the first notice of a ladder's step."""

    def changed(documents: list[Document]) -> list[Document]:
        at = next(i for i, one in enumerate(documents) if "step" in one["state"] and not is_ladder(one))
        return [*documents[:at], *change(documents[at]), *documents[at + 1 :]]

    return lambda evidence: in_collection(evidence, "notices", changed)


def of_ladders(change: Callable[[Document], list[Document]]) -> Plant:
    """What becomes of the first ladder."""

    def changed(documents: list[Document]) -> list[Document]:
        at = next(i for i, one in enumerate(documents) if is_ladder(one))
        return [*documents[:at], *change(documents[at]), *documents[at + 1 :]]

    return lambda evidence: in_collection(evidence, "notices", changed)


def stated(document: Document, **more: object) -> Document:
    return {**document, "state": {**document["state"], **more}}


PLANTED: dict[str, tuple[Plant, Kind]] = {
    "a letter never reached the router": (drop_from(LETTERS), Kind.LOST),
    "a case never reached its authority": (drop_from(CASES), Kind.LOST),
    "a case event was dropped": (drop_from(EVENTS), Kind.LOST),
    "an answer was dropped": (drop_from(ANSWERS), Kind.LOST),
    "a notice was dropped": (drop_from(NOTICES), Kind.LOST),
    "a webhook never came": (webhook_lost, Kind.LOST),
    "an acknowledged letter is gone": (lambda e: in_collection(e, "letters", lambda d: d[1:]), Kind.LOST),
    "a measure has no case": (lambda e: in_collection(e, "cases", lambda d: d[1:]), Kind.LOST),
    "nobody was to hear of a case": (lambda e: in_collection(e, "notices", lambda d: d[1:]), Kind.LOST),
    "a case was opened twice": (lambda e: in_collection(e, "cases", second_case), Kind.TWICE),
    "a case went to two authorities": (on_another_authority, Kind.TWICE),
    "a case was announced under two sequences": (lambda e: on_topic(e, CASES, same_event_again), Kind.TWICE),
    "a notice was raised under two sequences": (lambda e: on_topic(e, NOTICES, same_event_again), Kind.TWICE),
    "two events changed places": (lambda e: on_topic(e, ANSWERS, swap), Kind.OUT_OF_ORDER),
    "a repeat has other bytes": (lambda e: on_topic(e, EVENTS, repeat_changed), Kind.CHANGED),
    "a repeat has another id": (lambda e: on_topic(e, EVENTS, repeat_with_another_id), Kind.CHANGED),
    "a byte on a topic changed": (
        lambda e: on_topic(e, CASES, lambda r: [replace(r[0], value=r[0].value[:-2] + b" }"), *r[1:]]),
        Kind.CHANGED,
    ),
    "a byte of a history changed": (lambda e: in_collection(e, "cases", with_changed_history), Kind.CHANGED),
    "a sealed byte changed": (lambda e: in_collection(e, "letters", with_changed_seal), Kind.CHANGED),
    "a state is not its history": (lambda e: in_collection(e, "cases", with_changed_state), Kind.CHANGED),
    "an event was announced and then undone": (
        lambda e: in_collection(e, "notices", lambda d: d[:-1]),
        Kind.WRONG,
    ),
    "a message was heard twice": (lambda e: in_collection(e, "cases", heard_twice), Kind.TWICE),
    "something is unsent": (
        lambda e: in_collection(e, "letters", lambda d: [{**d[0], "published": d[0]["version"] - 1}, *d[1:]]),
        Kind.UNSENT,
    ),
    "a clock was missed": (
        lambda e: in_collection(e, "notices", lambda d: [{**d[0], "next_due": "2026-11-24T08:00:00Z"}, *d[1:]]),
        Kind.LATE,
    ),
    "a case's clock did not ring": (
        lambda e: in_collection(e, "cases", lambda d: [{**d[0], "next_due": text_of(e.began)}, *d[1:]]),
        Kind.LATE,
    ),
    "an alert never began to climb": (of_ladders(lambda _: []), Kind.LOST),
    "an alert climbs twice": (of_ladders(lambda d: [d, {**d, "_id": "alt_other"}]), Kind.TWICE),
    "a step told nobody": (of_steps(lambda _: []), Kind.LOST),
    "a step told somebody twice": (of_steps(lambda d: [d, {**d, "_id": "not_other"}]), Kind.TWICE),
    "a step told somebody else": (of_steps(lambda d: [stated(d, subscriber="person.else")]), Kind.LOST),
    "a notice is of a step of no ladder": (
        of_steps(lambda d: [d, {**stated(d, alert="alt_other"), "_id": "not_other"}]),
        Kind.WRONG,
    ),
    "a person was not reached": (of_steps(lambda d: [stated(d, status="waiting")]), Kind.WRONG),
    "a step is owed to those it tells": (of_ladders(lambda d: [stated(d, owed=[])]), Kind.LATE),
    "a step was missed": (of_ladders(lambda d: [stated(d, follow_at="2026-11-24T07:59:59Z")]), Kind.LATE),
    "something was set aside": (held_in, Kind.QUARANTINED),
}


def test_a_faultless_run_has_no_fault() -> None:
    evidence, filed = a_good_run()
    verdict = verdict_on(evidence, filed)

    assert verdict.faults == []
    assert verdict.letters == 40 < verdict.cases < verdict.events
    assert {case.lane for letter in filed for case in letter.kind.cases} == {*Lane}


def test_a_faultless_run_in_which_every_case_is_acknowledged_has_no_fault() -> None:
    evidence, filed = a_good_run(is_answered=True)
    said = {document["_id"] for document in evidence.documents["cases"]}
    verdict = check(evidence, filed, IDS, SEALER, partial(answered.updates, said), is_answered=True)

    assert verdict.faults == []


def test_an_acknowledgement_that_is_nowhere_is_found() -> None:
    evidence, filed = a_good_run()
    said = {document["_id"] for document in evidence.documents["cases"]}

    assert check(evidence, filed, IDS, SEALER, partial(answered.updates, said)).count(Kind.LOST) >= len(said) * 4


def test_a_repeat_that_is_the_same_to_the_byte_is_counted_and_no_fault() -> None:
    evidence, filed = a_good_run()
    verdict = verdict_on(on_topic(evidence, EVENTS, lambda records: [*records, *records[3:8]]), filed)

    assert verdict.faults == []
    assert verdict.repeats[EVENTS] == 5


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str, results: Results) -> None:
    plant, kind = PLANTED[name]
    evidence, filed = a_good_run()

    caught = verdict_on(plant(evidence), filed).count(kind) > 0
    results.planted[name] = "caught" if caught else "missed"
    assert caught


def test_a_letter_that_was_acknowledged_with_two_receipts_is_found() -> None:
    evidence, (first, *others) = a_good_run()
    (letter_id, received_at, _), *_ = first.receipts
    liar = replace(first, receipts=[*first.receipts, (letter_id, received_at, "another digest")])

    assert verdict_on(evidence, [liar, *others]).count(Kind.CHANGED) == 1


def test_what_nobody_filed_is_found() -> None:
    evidence, (_, *others) = a_good_run()

    assert verdict_on(evidence, others).count(Kind.WRONG) > 0


def test_the_recorded_values_are_what_a_topic_carries() -> None:
    """The faultless run is no empty one: events have content where their readers may see it."""
    evidence, _ = a_good_run()

    assert "content" in orjson.loads(evidence.topics[CASES][0].value)
    assert "content" not in orjson.loads(evidence.topics[EVENTS][0].value)
