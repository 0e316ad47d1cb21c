"""Who is played answers by the script, once, in the words of the life cycle; and the samples live on as scripted."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.envelope import Envelope, read_envelope
from shared.failures import BadStart
from shared.law import load_law
from shared.life_cycle import load_life_cycle
from shared.partners import load_partners
from shared.times import text_of
from simulate.actor import Actor, Part, Saying, facts_of
from simulate.roles import role_of
from simulate.script import Rule, filled, load_script, match

ROOT = Path(__file__).parents[2]
LAW = load_law(ROOT / "laws/azerbaijan.yaml")
LIFE = load_life_cycle(ROOT / "life-cycle.yaml", LAW)
PARTNERS = load_partners(ROOT / "partners.yaml")
SCRIPT = load_script(ROOT / "samples/authorities.yaml")
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
SERVICE, CASE, LETTER = "security-service", "cas_" + "1" * 32, "let_" + "2" * 32
TOPIC = f"{SERVICE}.cases.urgent.v1"


def rule(name: str = "a", /, *, once: bool = False, then: Any = ({"say": "acknowledged"},), **when: str) -> Rule:
    return Rule.model_validate({"name": name, "once": once, "when": {n: (w,) for n, w in when.items()}, "then": then})


def event(kind: str, sequence: int = 1, *, case: str = CASE, at: datetime = NOW, **data: Any) -> Envelope:
    attributes = {"sequence": f"{sequence:010}", "time": text_of(at)}
    return Envelope(str(sequence), f"/{TOPIC}/{case}", kind, attributes, orjson.dumps({"case": case, **data}))


def actor(*rules: Rule, role: str = SERVICE) -> Actor:
    return Actor(role_of(role, LAW, PARTNERS), rules)


def heard(played: Actor, *events: Envelope, topic: str = TOPIC) -> list[Part]:
    return [part for one in events if (part := played.hear(topic, one, 0.0))]


def said(played: Actor, part: Part, number: int = 0) -> tuple[Saying, Envelope, dict[str, Any]]:
    saying = played.say(part, number, 0.0)
    envelope = read_envelope(saying.headers, saying.value)
    return saying, envelope, orjson.loads(envelope.data)


def test_an_authority_answers_on_its_own_topic_in_the_case_s_lane() -> None:
    played = actor(rule(event="case.assigned"))
    (part,) = heard(played, event("case.assigned", lane="urgent", content={"reference": "FR-1"}))

    saying, envelope, data = said(played, part)

    assert (saying.topic, saying.key) == (f"{SERVICE}.updates.urgent.v1", CASE.encode())
    assert (envelope.type, envelope.source, data) == ("update.acknowledged", f"/simulate/{SERVICE}", {"case": CASE})
    assert saying.line == f"{SERVICE}  FR-1  acknowledged"


def test_a_gateway_answers_under_the_name_that_heard_it_on_the_letter_and_its_measure() -> None:
    played = actor(rule(event="answer.outgoing", then=({"say": "transmitted", "at": "{now}"},)), role="gateway")
    outgoing = event("answer.outgoing", letter=LETTER, measure=2, lane="urgent")
    (part,) = heard(played, outgoing, topic="agency.contact-point.answers.v1")

    saying, envelope, data = said(played, part)

    assert saying.topic == "agency.contact-point.letters.urgent.v1"
    assert envelope.type == "letter.message"
    assert data == {"message": "transmitted", "letter": LETTER, "measures": [2], "at": text_of(NOW)}


def test_the_first_rule_that_matches_answers_and_none_where_none_does() -> None:
    rules = [rule("one", event="x", type="a"), rule("two", event="x"), rule("three", event="x", type="a")]

    assert match(rules, {"event": "x", "type": "a"}) is rules[0]
    assert match(rules, {"event": "x"}) is rules[1]
    assert match(rules, {"type": "a"}) is None


def test_a_rule_answers_once_for_each_case() -> None:
    played = actor(rule(event="case.assigned"))

    parts = heard(played, event("case.assigned", 1), event("case.assigned", 2), event("case.assigned", 1, case="cas_2"))

    assert [part.subject for part in parts] == [CASE, "cas_2"]


def test_a_rule_that_says_once_answers_for_one_case_only() -> None:
    played = actor(rule(event="case.assigned", once=True))

    assert len(heard(played, event("case.assigned"), event("case.assigned", case="cas_2"))) == 1


def test_what_kafka_says_again_is_not_heard_again() -> None:
    played = actor(rule("one", event="case.begun"), rule("two", event="case.closed"))

    assert len(heard(played, event("case.closed", 2), event("case.begun", 1), event("case.closed", 2))) == 1


def test_what_was_said_of_a_case_before_is_still_known_but_not_what_only_that_event_said() -> None:
    played = actor(
        rule(event="case.begun", type="extradition", missing="true", reference="FR-1"), rule("b", step="7 days")
    )
    first = event("case.clock_warned", 1, type="extradition", missing=[{"field": "x"}], content={"reference": "FR-1"})

    (part,) = heard(played, first, event("case.begun", 2, status="in_execution"))

    assert part.facts["status"] == "in_execution"
    assert not heard(played, event("case.clock_warned", 3, said={"clock": "x"}))
    assert heard(played, event("case.clock_warned", 4, said={"step": "7 days"}))


def test_a_letter_s_reference_is_known_for_each_of_its_measures() -> None:
    played = actor(rule(event="answer.status", reference="FR-1"), role="gateway")
    topic = "agency.contact-point.answers.v1"
    receipt = orjson.dumps({"letter": LETTER, "content": {"reference": "FR-1"}})
    received = Envelope("1", "/answers/1", "answer.receipt", {"sequence": "1", "time": text_of(NOW)}, receipt)

    heard(played, received, topic=topic)

    assert heard(played, event("answer.status", 2, letter=LETTER, measure=1), topic=topic)


def test_the_same_is_said_under_the_same_id_also_after_a_restart() -> None:
    ids = []
    for _ in range(2):
        played = actor(rule(event="case.assigned", then=({"say": "acknowledged"}, {"say": "begun"}, {"say": "begun"})))
        (part,) = heard(played, event("case.assigned"))
        ids.append([said(played, part, number)[1].id for number in range(3)])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


def test_it_is_quiet_only_when_all_that_was_said_is_answered() -> None:
    played = actor(rule(event="case.assigned"))
    (part,) = heard(played, event("case.assigned", 1))
    assert played.is_answered()

    played.say(part, 0, 0.0)
    assert not played.is_answered()
    assert played.is_answered({"cas_2"})

    heard(played, event("update.rejected", 2, update="acknowledged", says="No."))
    assert played.is_answered()


def test_the_time_is_the_latest_that_an_event_told_carried_on() -> None:
    played = actor()
    with pytest.raises(LookupError):
        played.now(0.0)
    played.hear(TOPIC, event("case.assigned", 1), 100.0)
    played.hear(TOPIC, event("case.begun", 2, at=NOW.replace(day=9)), 100.0)

    assert played.now(105.0) == NOW.replace(second=5)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("{now}", "2026-03-10T08:00:00.000000Z"),
        ("{now + 60 days}", "2026-05-09T08:00:00.000000Z"),
        ("{now - 1 hour}", "2026-03-10T07:00:00.000000Z"),
        ("until {until + 1 day}", "until 2026-06-02T00:00:00.000000Z"),
        ("no {such} place", "no {such} place"),
        ("true", True),
        ({"words": ["{case}"]}, {"words": ["c1"]}),
    ],
)
def test_places_are_filled_in(written: Any, becomes: Any) -> None:
    assert filled(written, {"until": "2026-06-01T00:00:00Z", "case": "c1"}, NOW) == becomes


def test_facts_are_words() -> None:
    data = {
        "case": "c1",
        "measure": 2,
        "missing": [],
        "said": {"until": "t"},
        "preservation": {"phase": "hold"},
        "x": [],
    }

    assert facts_of("case.extended", data) == {
        "event": "case.extended",
        "case": "c1",
        "measure": "2",
        "missing": "false",
        "until": "t",
        "phase": "hold",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("desk:\n  - {name: a, when: {event: [x]}, then: [{after: soon, say: begun}]}", r":2: 'after' must be like"),
        ("desk:\n  - {name: a, when: {}}\n  - {name: a, when: {}}", r":3: a rule 'a' stands here for the second time"),
        ("desk:\n  - {name: a, wehn: {}}", r":2: 'wehn' is not a key here; did you mean 'when'"),
        ("desk:\n  - {name: a, when: {}, then: [{say: Begun}]}", r":2: "),
    ],
)
def test_a_mistake_in_a_script_is_one_sentence_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "script.yaml").write_text(text)

    with pytest.raises(BadStart, match=said):
        load_script(tmp_path / "script.yaml")


def test_who_can_be_played_comes_from_law_and_partners() -> None:
    assert role_of("desk", LAW, PARTNERS).is_authority
    assert set(role_of("gateway", LAW, PARTNERS).names) == {n for n, one in PARTNERS.agencies.items() if one.gateway}
    with pytest.raises(BadStart, match="nobody is called 'secutity-service' here; did you mean 'security-service'"):
        role_of("secutity-service", LAW, PARTNERS)


def sayings() -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for role, rules in SCRIPT.items():
        for one in rules:
            for number, step in enumerate(one.then):
                yield role, f"{role}: {one.name}, {number}", step.say, step.fields


@pytest.mark.parametrize(("role", "says", "fields"), [pytest.param(r, s, f, id=i) for r, i, s, f in sayings()])
def test_the_samples_script_speaks_in_the_words_of_the_life_cycle(role: str, says: str, fields: Any) -> None:
    is_authority = role_of(role, LAW, PARTNERS).is_authority
    update = says if is_authority else LIFE.messages[says]
    facts = {"until": "2026-06-01T00:00:00Z", "short": "123456"}

    read = LIFE.read(update, filled(dict(fields), facts, NOW))

    assert {"holder", "desk"} & {*LIFE.updates[read.name].text.by} if is_authority else True


def test_the_samples_script_plays_every_authority_the_desk_and_the_gateways() -> None:
    assert {*LAW.authorities, "desk", "gateway"} <= SCRIPT.keys()
    for role in SCRIPT:
        role_of(role, LAW, PARTNERS)
