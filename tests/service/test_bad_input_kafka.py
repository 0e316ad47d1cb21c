"""What bad input over Kafka gets: it is set aside whole, counted and told, and the batch around it is unharmed."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared import topics
from shared.events import ALERT_RAISED, ANSWER_RECEIPT, ANSWER_REFUSED, CASE_ASSIGNED, LETTER_RECEIVED
from shared.letter import MAX_LETTER_BYTES
from shared.records import event_of
from shared.vocabulary import Lane
from tests.service.running import AGENCY, Headers, Heard, Said, System, cloud_event, eventually, filed, letter, of

GATE, ANSWERS = topics.letters_from(AGENCY, Lane.NORMAL), topics.answers_to(AGENCY)
OPERATIONS = topics.notices_to("operations")
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]
MARK = "Sensitive-4711"


@dataclass(frozen=True)
class Poison:
    """A record, why it is set aside, and whether the agency is told as well."""

    name: str
    said: Said
    reason: str
    is_told: bool = False


def without(name: str) -> Headers:
    """A good event's headers but one."""
    return [(one, value) for one, value in cloud_event("p") if one != name]


def structured(**members: Any) -> Said:
    """An event in structured mode."""
    whole = {"specversion": "1.0", "id": "p", "source": "/s", "type": LETTER_RECEIVED} | members
    return Said(json.dumps(whole).encode(), STRUCTURED)


def with_contents(value: str) -> bytes:
    """A letter with this JSON as one of its contents."""
    body = letter(MARK, measures=[{"type": "extradition", "contents": {"facts": "@"}}])
    return json.dumps(body).replace('"@"', value).encode()


BODY = json.dumps(letter(MARK)).encode()
POISONS = (
    Poison("null value", Said(None, cloud_event("p1")), "null value"),
    Poison("undecodable header", Said(BODY, [*cloud_event("p2"), ("ce_other", b"\xff\xfe")]), "undecodable header"),
    Poison("null header", Said(BODY, [*cloud_event("p0"), ("ce_other", None)]), "null header"),
    Poison("no headers", Said(BODY, []), "not a CloudEvent of specversion 1.0"),
    Poison("another specversion", filed(BODY, "p3", specversion="0.3"), "not a CloudEvent of specversion 1.0"),
    Poison("no id", Said(BODY, without("ce_id")), "id, source or type is missing"),
    Poison("endless id", filed(BODY, "p" * 1025), "an attribute is too long"),
    Poison("unknown type", Said(BODY, cloud_event("p4", event_type="letter.burned")), "unknown event type"),
    Poison("another event's type", Said(BODY, cloud_event("p5", event_type=CASE_ASSIGNED)), "unknown event type"),
    Poison("unknown version", filed(BODY, "p6", dataschema="urn:x:letter:v2"), "unknown event version"),
    Poison("over the limit", filed(b" " * (MAX_LETTER_BYTES + 1), "p7"), "too large"),
    Poison(
        "another agency in the letter", filed(letter(MARK, agency="interpol-bureau"), "p8"), "another agency's name"
    ),
    Poison("another agency as source", filed(BODY, "p9", source="/interpol-bureau/x"), "another agency's name"),
    Poison("another agency as attribute", filed(BODY, "p10", agency="interpol-bureau"), "another agency's name"),
    Poison("empty", filed(b"", "p11"), "not a letter", is_told=True),
    Poison("not JSON", filed(b'{"a', "p12"), "not a letter", is_told=True),
    Poison("not UTF-8", filed(b'{"a": "\xff"}', "p13"), "not a letter", is_told=True),
    Poison("wrong shape", filed(letter(MARK, party=MARK), "p14"), "not a letter", is_told=True),
    Poison("NaN", filed(with_contents("NaN"), "p15"), "not a letter", is_told=True),
    Poison("lone surrogate", filed(with_contents(r'"\ud800"'), "p16"), "not a letter", is_told=True),
    Poison("NUL", filed(with_contents(r'"\u0000"'), "p17"), "not a letter", is_told=True),
    Poison("brackets", filed(b"[" * 10_000 + b"]" * 10_000, "p18"), "not a letter", is_told=True),
    Poison("70 bits", filed(with_contents(str(2**70)), "p19"), "not a letter", is_told=True),
    Poison("structured, not JSON", Said(b"{", STRUCTURED), "structured event is not JSON"),
    Poison("structured, a list", Said(b"[]", STRUCTURED), "structured event is not an object"),
    Poison("structured, brackets", Said(b"[" * 10_000, STRUCTURED), "structured event is not JSON"),
    Poison("structured, NaN", Said(b'{"data": NaN}', STRUCTURED), "NaN and Infinity are not JSON"),
    Poison("structured, base64", structured(data_base64="%%%"), "data_base64 is not base64"),
    Poison("structured, both", structured(data={}, data_base64="e30="), "data and data_base64 contradict each other"),
    Poison("structured, half a character", Said(rb'{"id": "\ud800"}', STRUCTURED), ""),
)


@dataclass(frozen=True)
class Aside:
    """What became of one poison: where it lay, and its entry."""

    poison: Poison
    place: tuple[int, int]
    entry: str
    event_id: str


@dataclass(frozen=True)
class Told:
    """What became of one batch in which every second record is poison."""

    system: System
    good: tuple[str, ...]
    aside: tuple[Aside, ...]
    heard: tuple[Heard, ...]
    counts: tuple[Mapping[str, float], Mapping[str, float]]


@pytest.fixture(scope="module")
async def told(services: System) -> Told:
    """Every poison once, each between two good letters, all in one batch."""
    good = [f"good-{n}" for n in range(len(POISONS) + 1)]
    batch: list[Said] = [filed(letter(good[0]), good[0])]
    for poison, reference in zip(POISONS, good[1:], strict=True):
        batch += [poison.said, filed(letter(reference), reference)]
    before = await services.metrics("intake")
    async with services.listening(ANSWERS, OPERATIONS, topics.ALERTS_RAISED) as ear:
        places = await services.produce(GATE, *batch)
        aside = tuple(
            Aside(
                poison,
                place,
                services.ids.quarantined("intake", GATE, *place, poison.said.value or b""),
                (dict(poison.said.headers).get("ce_id") or b"").decode(),
            )
            for poison, place in zip(POISONS, places[1::2], strict=True)
        )
        for reference in good:
            await ear.wait_for(of(services.ids.letter(AGENCY, reference)))
        for one in aside:
            await ear.wait_for(lambda heard, one=one: heard.topic == OPERATIONS and heard.data["about"] == one.entry)  # type: ignore[misc]
            if one.poison.is_told:
                await ear.wait_for(of(services.ids.refused_letter(AGENCY, f"/{AGENCY}", one.event_id)))
    after = await services.metrics("intake")
    return Told(services, tuple(good), aside, tuple(ear.heard), (before, after))


def one_of(told: Told, poison: Poison) -> Aside:
    """What became of a poison."""
    return next(one for one in told.aside if one.poison is poison)


def test_the_batch_around_the_poison_is_unharmed(told: Told) -> None:
    for reference in told.good:
        letter_id = told.system.ids.letter(AGENCY, reference)
        receipts = [one for one in told.heard if one.record == letter_id and one.type == ANSWER_RECEIPT]
        assert len(receipts) == 1


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_poison_is_set_aside_whole_with_its_reason(told: Told, poison: Poison) -> None:
    aside = one_of(told, poison)
    document = told.system.document("intake_quarantine", aside.entry)
    assert document is not None
    state = document["state"]
    assert (state["topic"], state["partition"], state["offset"]) == (GATE, *aside.place)
    assert (state["status"], state["size"]) == ("held", len(poison.said.value or b""))
    assert state["reason"] == poison.reason or not poison.reason

    key = told.system.sealer.key_of(aside.entry, document["key"])
    whole = json.loads(event_of(aside.entry, document["history"][0], key).content or b"")
    value = None if whole["value"] is None else base64.b64decode(whole["value"])
    headers = [(name, None if text is None else base64.b64decode(text)) for name, text in whole["headers"]]
    assert (value, headers, base64.b64decode(whole["key"])) == (poison.said.value, poison.said.headers, b"key")


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_operations_hears_of_poison_and_not_what_it_says(told: Told, poison: Poison) -> None:
    entry = one_of(told, poison).entry
    [alert] = [one for one in told.heard if one.topic == topics.ALERTS_RAISED and one.record == entry]
    [notice] = [one for one in told.heard if one.topic == OPERATIONS and one.data["about"] == entry]

    assert (alert.type, alert.data["kind"], alert.data["service"]) == (ALERT_RAISED, "quarantine", "intake")
    assert "content" not in alert.data
    assert notice.data["says"].startswith("Something that may be urgent could not be read and was set aside in intake:")
    assert MARK.encode() not in alert.value + notice.value


def test_poison_is_counted_by_reason(told: Told) -> None:
    before, after = told.counts
    grown = {name: after[name] - before[name] for name in after if name.startswith("rogatory_quarantined_total")}

    assert sum(grown.values()) == len(POISONS)
    for reason in ("null value", "undecodable header", "unknown event version", "too large"):
        assert grown[f"rogatory_quarantined_total{{reason={reason}}}"] == 1
    assert grown["rogatory_quarantined_total{reason=unknown event type}"] == 2
    assert grown["rogatory_quarantined_total{reason=another agency's name}"] == 3
    assert grown["rogatory_quarantined_total{reason=not a letter}"] == len([p for p in POISONS if p.is_told])


def test_who_sent_what_is_no_letter_is_told_so(told: Told) -> None:
    for one in told.aside:
        refused_id = told.system.ids.refused_letter(AGENCY, f"/{AGENCY}", one.event_id)
        answers = [heard for heard in told.heard if heard.record == refused_id]
        assert [heard.type for heard in answers] == ([ANSWER_REFUSED] if one.poison.is_told else []), one.poison.name
        for answer in answers:
            content = answer.data["content"]
            assert content["about"] == {"source": f"/{AGENCY}", "id": one.event_id}
            assert MARK not in json.dumps([*content["errors"], *answer.headers.values()])


def test_the_log_names_no_poison(told: Told) -> None:
    assert MARK not in told.system.log("intake")
    assert not told.system.has_said("intake", "bug")


async def test_the_router_sets_aside_what_is_no_letter_of_intake(services: System, prefix: str) -> None:
    gate = topics.letters_received(Lane.NORMAL)
    poisons = [
        Said(None, cloud_event("r1")),
        Said(b"{}", cloud_event("r2")),
        Said(b"{}", cloud_event("r3", event_type="weather.changed")),
        Said(b"{}", cloud_event("r4", dataschema="urn:somebody:else:v2")),
        Said(BODY, [("ce_id", b"\xff")]),
    ]
    places = await services.produce(gate, *poisons)
    entries = [
        services.ids.quarantined("router", gate, *at, one.value or b"") for at, one in zip(places, poisons, strict=True)
    ]

    found = await eventually(
        lambda: (
            (held := services.documents("router_quarantine", {"_id": {"$in": entries}})) and len(held) == 5 and held
        ),
        "the entries",
    )
    reasons = {one["_id"]: one["state"]["reason"] for one in found}
    assert [reasons[entry] for entry in entries] == [
        "null value",
        "not a letter",
        "unknown event type",
        "unknown event version",
        "undecodable header",
    ]
    assert (await services.post(letter(prefix))).status_code == 202
    await eventually(
        lambda: services.document("cases", services.ids.case(services.ids.letter(AGENCY, prefix), 1)), "the next case"
    )


async def test_what_is_no_case_event_is_set_aside_by_both_who_hear_it(services: System) -> None:
    gate = topics.case_events(Lane.NORMAL)
    poisons = [Said(b"{}", cloud_event("c1", event_type=CASE_ASSIGNED)), Said(None, []), Said(b"[", STRUCTURED)]
    places = await services.produce(gate, *poisons)
    for service in ("intake", "notifier"):
        entries = [
            services.ids.quarantined(service, gate, *at, one.value or b"")
            for at, one in zip(places, poisons, strict=True)
        ]
        await eventually(
            lambda service=service, entries=entries: (  # type: ignore[misc]
                len(services.documents(f"{service}_quarantine", {"_id": {"$in": entries}})) == len(entries)
            ),
            f"the entries of the {service}",
        )
    assert {name: services.has_said(name, "stopping") for name in services.services} == dict.fromkeys(
        services.services, False
    )
