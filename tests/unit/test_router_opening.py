"""Who gets a case: one case per measure, to whom the law names, with the reason; and nothing of the other measures."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from services.router.domain import Rules, decide_by, evolve
from services.router.domain.opening import Opening, split
from services.router.handlers import on_letter
from shared.decisions import Decision, Message
from shared.events import CASE_ASSIGNED, LETTER_RECEIVED, Draft, schema_of
from shared.failures import NeverWill
from shared.ids import Ids
from shared.law import Law, load_law
from shared.life_cycle import load_life_cycle
from shared.payloads import LetterReceived
from shared.records import Record
from shared.sealing import Sealer
from shared.topics import carries_content, is_internal
from shared.vocabulary import Lane
from shared.yaml_file import read_yaml

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
IDS = Ids(b"k" * 32)


@cache
def law() -> Law:
    return load_law(ROOT / "laws/azerbaijan.yaml", [ROOT / "laws/assumptions/in-force.yaml"])


@cache
def rules() -> Rules:
    return Rules(law(), load_life_cycle(ROOT / "life-cycle.yaml", law()), IDS)


def received(
    *types: str, urgency: str = "normal", lane: str = "normal", at: str = "2026-03-10T08:00:00Z", **changed: Any
) -> LetterReceived:
    """An accepted letter: each measure says its number, so that a leak from one to another shows."""
    kinds = types or ("extradition",)
    sent = {
        "reference": "FR-1",
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "measures": [{"type": kind, "contents": {"facts": f"facts of {n}"}} for n, kind in enumerate(kinds, 1)],
    }
    return LetterReceived.model_validate(
        {
            "letter": "let_1",
            "agency": "contact-point",
            "received_at": at,
            "party": "FR",
            "direction": "incoming",
            "channel": "24/7",
            "urgency": urgency,
            "lane": lane,
            "digest": "0" * 64,
            "measures": [{"measure": n, "type": kind} for n, kind in enumerate(kinds, 1)],
            **changed,
            "content": {**sent, **changed.get("content", {})},
        }
    )


def opened(letter: LetterReceived) -> list[Draft]:
    """The first event of each case of a letter."""
    drafts = []
    for message in split(letter, "cause", IDS):
        (draft,) = decide_by(rules())(new(message), message, NOW).events
        drafts.append(draft)
    return drafts


def new(message: Message) -> Record:
    return Record(message.record, message.record, message.context)


# One case per measure


def test_a_letter_becomes_one_case_per_measure_each_with_an_id_of_its_own() -> None:
    messages = split(received("extradition", "testimony", "extradition"), "cause", IDS)

    assert [message.record for message in messages] == [IDS.case("let_1", n) for n in (1, 2, 3)]
    assert {message.cause for message in messages} == {"cause"}
    assert messages[1].context == {"letterid": "let_1", "agency": "contact-point", "measure": "2"}


def test_neither_authority_sees_the_others_part_nor_that_there_is_one() -> None:
    letter = received("extradition", "testimony", "service_of_documents")

    for n, draft in enumerate(opened(letter), 1):
        whole = f"{draft.data}{draft.content!r}"
        assert f"facts of {n}" in whole
        for other in {1, 2, 3} - {n}:
            assert f"facts of {other}" not in whole
        assert "let_1" not in whole
        assert "measures" not in whole


def test_what_a_case_is_about_stands_in_its_content_and_not_in_its_data() -> None:
    (draft,) = opened(received())

    assert "facts" not in str(draft.data)
    assert "FR-1" not in str(draft.data)
    assert isinstance(draft.content, Mapping)
    assert draft.content["measure"] == {"type": "extradition", "contents": {"facts": "facts of 1"}}


# To whom the law names


def test_a_case_goes_to_the_named_authority_and_to_those_who_watch_all_cases() -> None:
    (draft,) = opened(received("extradition"))

    assert (draft.type, draft.to) == (CASE_ASSIGNED, ("justice-ministry.cases.v1", "cases.events.v1"))
    assert [carries_content(topic) for topic in draft.to] == [True, False]
    assert [is_internal(topic) for topic in draft.to] == [False, True]


def test_the_decision_is_the_laws_own_with_its_rule_and_reason() -> None:
    (draft,) = opened(received("extradition"))
    named = law().decide("extradition", received().direction, law().day_of(received().received_at), party="FR")

    said = {name: draft.data[name] for name in ("authority", "rule", "law", "version", "because", "certainty", "gate")}
    assert said == {name: getattr(named, name) for name in said}
    assert draft.data["basis"] == list(named.basis)
    assert (draft.data["status"], draft.data["received_at"]) == ("received", "2026-03-10T08:00:00.000000Z")


@cache
def samples() -> Mapping[str, Any]:
    tree: Any = read_yaml(ROOT / "samples/expected.yaml").tree
    return dict(tree)


@pytest.mark.parametrize("name", [f"S{n:02}" for n in range(1, 16)])
def test_the_measures_of_a_sample_go_where_its_writer_says_by_the_law(name: str) -> None:
    expected = samples()[name]
    sent = orjson.loads((ROOT / "samples" / expected["file"]).read_bytes())
    urgency = sent.get("urgency", "normal")
    kinds = [measure["type"] for measure in sent["measures"]]
    letter = received(
        *kinds,
        urgency=urgency,
        **{part: sent[part] for part in ("party", "direction", "channel")},
        content=sent,
    )

    decided = [(draft.data["type"], draft.data["authority"], draft.data["lane"]) for draft in opened(letter)]

    assert decided == [(one["type"], one["authority"], one["lane"]) for one in expected["measures"]]


def test_what_the_law_gives_to_nobody_goes_to_the_desk_with_the_reason() -> None:
    (draft,) = opened(received("criminal_proceedings_transfer"))

    assert draft.to == ("desk.cases.v1", "cases.events.v1")
    assert draft.data["because"]


def test_a_case_whose_cited_treaty_is_unknown_goes_to_the_desk_with_whom_the_law_would_lean_to() -> None:
    (draft,) = opened(received("extradition", content={"treaty_basis": ["1884-postal"]}))

    assert (draft.data["authority"], draft.data["lean"]) == ("desk", "justice-ministry")
    assert draft.data["gate"].startswith("no basis: ")


def test_a_treaty_basis_of_null_counts_as_left_out() -> None:
    (without,) = opened(received("extradition"))
    (with_null,) = opened(received("extradition", content={"treaty_basis": None}))

    assert with_null == Draft(without.type, without.to, without.data, with_null.content)


def test_each_measure_has_its_own_lane_even_in_an_urgent_letter() -> None:
    extradition, preservation = opened(received("extradition", "data_preservation", lane="urgent"))

    assert (extradition.data["lane"], preservation.data["lane"]) == (Lane.NORMAL, Lane.URGENT)
    assert preservation.to == ("security-service.cases.urgent.v1", "cases.events.urgent.v1")


def test_the_law_of_the_day_of_receipt_counts_and_not_todays() -> None:
    (before,) = opened(received("extradition", at="2020-01-01T00:00:00Z"))

    assert before.data["authority"] == "desk"
    assert "before" in before.data["rule"]


def test_the_day_of_receipt_begins_at_midnight_in_the_laws_own_zone() -> None:
    """20:00 UTC is midnight in Baku; the law holds from 23 February 2026."""
    (eve,) = opened(received("extradition", at="2026-02-22T19:59:59Z"))
    (day,) = opened(received("extradition", at="2026-02-22T20:00:00Z"))

    assert (eve.data["authority"], day.data["authority"]) == ("desk", "justice-ministry")


def test_a_type_that_the_law_no_longer_knows_is_set_aside() -> None:
    with pytest.raises(NeverWill):
        opened(received("sorcery"))


# Once


def test_a_case_that_is_open_is_not_opened_again() -> None:
    (message,) = split(received(), "cause", IDS)
    record = new(message)
    (draft,) = decide_by(rules())(record, message, NOW).events
    record.append(draft, by="intake", cause="cause", now=NOW, evolve=evolve, sealer=Sealer(b"s" * 32))

    assert decide_by(rules())(record, message, NOW) == Decision()


def test_the_state_of_a_case_is_its_snapshot_without_content() -> None:
    (message,) = split(received(), "cause", IDS)
    record = new(message)
    (draft,) = decide_by(rules())(record, message, NOW).events
    record.append(draft, by="intake", cause="cause", now=NOW, evolve=evolve, sealer=Sealer(b"s" * 32))

    expected = {name: value for name, value in draft.data.items() if name != "case" and value is not None}
    earliest = min(step[0] for clock in draft.data["clocks"] for step in clock["steps"])
    assert record.state == {**expected, "changed_at": "2026-11-24T08:00:00.000000Z", "next_due": earliest}


def test_neither_the_time_of_the_decision_nor_the_process_makes_a_difference() -> None:
    (message,) = split(received(), "cause", IDS)
    later = datetime(2030, 1, 1, tzinfo=UTC)

    assert decide_by(rules())(new(message), message, NOW) == decide_by(rules())(new(message), message, later)


# What comes by Kafka


def heard(data: bytes, **attributes: str) -> "ConsumerRecord[Any, Any]":
    said = {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/letters.received.v1/let_1",
        "type": LETTER_RECEIVED,
        "dataschema": schema_of(LETTER_RECEIVED),
        **attributes,
    }
    headers = [(f"ce_{name}", value.encode()) for name, value in said.items()]
    return ConsumerRecord("letters.received.v1", 0, 0, 0, 0, None, data, None, 0, len(data), headers)


def test_an_accepted_letter_is_read_into_its_openings() -> None:
    (message,) = on_letter(IDS)(heard(received().model_dump_json().encode()))

    assert isinstance(message.body, Opening)
    assert message.cause == "intake/letters.received.v1/let_1#evt_1"


SET_ASIDE: dict[str, tuple[bytes, Mapping[str, str], str]] = {
    "another type": (b"{}", {"type": "letter.burnt"}, "unknown event type"),
    "a newer version": (b"{}", {"dataschema": "urn:rogatory:schema:letter.received:v2"}, "unknown event version"),
    "no version": (b"{}", {"dataschema": ""}, "unknown event version"),
    "no JSON": (b"{", {}, "not a letter"),
    "no letter": (b"{}", {}, "not a letter"),
}


@pytest.mark.parametrize("case", SET_ASIDE)
def test_what_is_no_accepted_letter_is_set_aside_with_its_reason(case: str) -> None:
    data, attributes, reason = SET_ASIDE[case]

    with pytest.raises(NeverWill) as refusal:
        on_letter(IDS)(heard(data, **attributes))

    assert str(refusal.value) == reason


@pytest.mark.parametrize("content", [{}, {"measures": []}, {"measures": "all"}, {"measures": [1]}], ids=repr)
def test_content_that_is_no_letters_is_set_aside(content: dict[str, Any]) -> None:
    said = {**orjson.loads(received().model_dump_json()), "content": content}

    with pytest.raises(NeverWill, match="not a letter"):
        on_letter(IDS)(heard(orjson.dumps(said)))


def test_a_newer_intake_may_say_more() -> None:
    said = {**orjson.loads(received().model_dump_json()), "weather": "fair"}

    assert len(on_letter(IDS)(heard(orjson.dumps(said)))) == 1
