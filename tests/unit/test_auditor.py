"""What the auditor makes of an event by itself, what waits, which rules counted, and who is told of a gap."""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.notifier.audit import auditor
from services.notifier.audit.audit_gaps import ALERTS, OPEN_FOR, Gaps
from services.notifier.audit.audit_owed import Named, Seen, owing, seen_in, telling
from services.notifier.audit.audit_reading import BEHIND, Held
from services.notifier.audit.audit_rules import MOST, OVERLAP, RulesInForce, may_have_decided, remembered
from services.notifier.domain import due_of, facts_of
from services.notifier.measures import NotifierMetrics
from services.notifier.rules import alert_rules
from services.notifier.rules.alert_rules import AlertRules, Rule
from services.notifier.rules.members import Member
from shared.events import ALERT_RAISED, CASE_ASSIGNED, CASE_CLOCK_WARNED, CASE_TYPES, KINDS, schema_of
from shared.failures import TryAgain
from shared.payloads import AlertRaised, CaseEvent
from shared.times import read, text_of
from tests.unit.alerts import ROOT, rules
from tests.unit.alerts import facts as usual_facts

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TOPIC = "cases.events.v1"
CASE = "cas_" + "1" * 32
CHANNELS = {"operations": ("kafka",), "duty-officers": ("kafka", "webhook")}


def record(
    event_type: str, data: Any, offset: int = 0, timestamp: int = 0, place: int = 0, **attributes: str | None
) -> "ConsumerRecord[Any, Any]":
    """An event as one of our services puts it on its topic; an attribute that is None is left out."""
    said: dict[str, str | None] = {
        "specversion": "1.0",
        "type": event_type,
        "dataschema": schema_of(event_type),
        "id": "evt_1",
        "source": f"/{TOPIC}/{CASE}",
        "time": text_of(NOON),
        **attributes,
    }
    headers = tuple((f"ce_{name}", text.encode()) for name, text in said.items() if text is not None)
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return ConsumerRecord(TOPIC, place, offset, timestamp, 0, None, value, None, 0, len(value), headers)


def with_headers(value: bytes, *headers: Any) -> "ConsumerRecord[Any, Any]":
    return ConsumerRecord(TOPIC, 0, 0, 0, 0, None, value, None, 0, len(value), headers)


def case(event_type: str = CASE_ASSIGNED, **members: Any) -> dict[str, Any]:
    """What the event of a case says."""
    said = {"update": "u-1", "clock": "receipt", "kind": "policy", "step": "due", "due": text_of(NOON)}
    data = {**usual_facts(), "case": CASE, "status": "assigned", "said": said, "clocks": None, **members}
    data.pop("event")
    return data


# What an event says


words = st.sampled_from(["desk", "justice-ministry", "extradition", "FR", "received"])
cases = st.fixed_dictionaries(
    {
        "case": st.just(CASE),
        **dict.fromkeys(("type", "authority", "status", "party"), words),
        "lane": st.sampled_from(["normal", "urgent"]),
        "urgency": st.sampled_from(["normal", "urgent", "emergency"]),
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "said": st.fixed_dictionaries(
            {
                "clock": words,
                "kind": st.sampled_from(["statutory", "requested", "policy"]),
                "step": words,
                "due": st.none() | st.integers(-(10**7), 10**7).map(lambda s: text_of(NOON + timedelta(seconds=s))),
            }
        ),
        # What no rule may look at, though it is named like a fact.
        "kind": words,
        "service": words,
    }
)
alerts = st.fixed_dictionaries(
    {"alert": st.just("alt_1"), "kind": st.sampled_from(KINDS), "service": words},
    optional={"lane": st.sampled_from(["normal", "urgent"]), "rota": words, "type": words, "status": words},
)


@given(st.sampled_from(sorted(CASE_TYPES)), cases)
def test_two_ways_of_telling_the_facts_of_a_case_agree(event_type: str, data: Mapping[str, Any]) -> None:
    told = CaseEvent.model_validate_json(json.dumps(data)).model_dump()
    due = due_of(event_type, told)

    seen = seen_in(record(event_type, data))

    assert seen is not None
    assert seen.facts == facts_of(event_type, told)
    assert (seen.about, seen.cause) == (CASE, f"/{TOPIC}/{CASE}#evt_1")
    assert seen.left == (read(due) - NOON if due else None)


@given(alerts)
def test_two_ways_of_telling_the_facts_of_an_alert_agree(data: Mapping[str, Any]) -> None:
    told = AlertRaised.model_validate_json(json.dumps(data)).model_dump()

    seen = seen_in(record(ALERT_RAISED, data))

    assert seen is not None
    assert (seen.facts, seen.about) == (facts_of(ALERT_RAISED, told), "alt_1")


LEFT_TO_THE_NOTIFIER: dict[str, "ConsumerRecord[Any, Any]"] = {
    "a type of tomorrow": record("case.teleported", case()),
    "a type that others read": record("letter.received", case()),
    "another version": record(CASE_ASSIGNED, case(), dataschema="urn:rogatory:schema:case.assigned:v2"),
    "no schema": record(CASE_ASSIGNED, case(), dataschema=None),
    "no source": record(CASE_ASSIGNED, case(), source=None),
    "no headers at all": with_headers(b"{}"),
    "a null header": with_headers(b"{}", ("content-type", None)),
    "no JSON": record(CASE_ASSIGNED, b"{"),
    "no object": record(CASE_ASSIGNED, [1]),
    "no case": record(CASE_ASSIGNED, {name: value for name, value in case().items() if name != "case"}),
    "a case that is no text": record(CASE_ASSIGNED, case(case={"a": 1})),
    "a clock without a name": record(CASE_CLOCK_WARNED, case(said={"kind": "policy"})),
    "a time that is none": record(CASE_CLOCK_WARNED, case(), time="noon"),
}


@pytest.mark.parametrize("what", LEFT_TO_THE_NOTIFIER)
def test_what_is_not_known_or_cannot_be_read_is_left_to_the_notifier(what: str) -> None:
    assert seen_in(LEFT_TO_THE_NOTIFIER[what]) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([CASE_ASSIGNED, CASE_CLOCK_WARNED, ALERT_RAISED]),
    st.dictionaries(st.sampled_from([*case(), "alert", "kind", "service", "lane", "rota"]), json_values),
)
def test_whatever_stands_in_an_event_the_audit_goes_on(event_type: str, data: dict[str, Any]) -> None:
    seen = seen_in(record(event_type, {**case(), "alert": "alt_1", "kind": "stopped", "service": "a", **data}))

    if seen is not None:
        owing(seen, rules(), telling(rules(), CHANNELS))


def test_an_event_in_structured_mode_says_the_same() -> None:
    members = {"specversion": "1.0", "id": "evt_1", "source": f"/{TOPIC}/{CASE}", "type": CASE_ASSIGNED}
    whole = {**members, "dataschema": schema_of(CASE_ASSIGNED), "time": text_of(NOON), "data": case()}

    structured = with_headers(json.dumps(whole).encode(), ("content-type", b"application/cloudevents+json"))

    assert seen_in(structured) == seen_in(record(CASE_ASSIGNED, case()))


# What it owes


def test_a_rule_that_tells_nobody_owes_nothing_and_every_other_that_fires_does() -> None:
    tell = telling(rules(), CHANNELS)
    daily, emergency = Seen("c", CASE, usual_facts(event="case.closed"), None, 0), Seen("c", CASE, {}, None, 0)
    emergency.facts |= usual_facts(urgency="emergency")

    assert [rule.name for rule in rules().choose(daily.facts)] == ["daily-work"]
    assert owing(daily, rules(), tell) == []
    assert owing(emergency, rules(), tell) == [rule.name for rule in rules().choose(emergency.facts)]


def test_nothing_is_shared_with_the_fan_out_but_the_rules() -> None:
    files = [*(ROOT / "services/notifier/audit").glob("audit*.py")]
    imported = {
        node.module.removeprefix("services.notifier.")
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("services")
    }

    assert len(files) == 6
    assert {name for name in imported if not name.startswith("audit.")} == {"rules.alert_rules", "measures"}


# What waits


ONE, OTHER = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


def held(*records: "ConsumerRecord[Any, Any]") -> Held:
    one = Held()
    for each in records:
        one.add({TopicPartition(each.topic, each.partition): [each]})
    return one


def offsets(records: Sequence["ConsumerRecord[Any, Any]"]) -> list[tuple[int, int]]:
    return [(each.partition, each.offset) for each in records]


def at(place: int, offset: int, timestamp: int) -> "ConsumerRecord[Any, Any]":
    return record(CASE_ASSIGNED, case(), offset, timestamp, place)


def test_an_event_is_taken_when_it_is_old_enough_and_the_notifier_has_committed_it() -> None:
    waiting = held(at(0, 5, 100), at(0, 6, 200), at(0, 7, 300), at(1, 0, 50))

    assert offsets(waiting.ripe(250, {ONE: 6})) == [(0, 5)]
    assert waiting.places() == {ONE, OTHER}
    assert waiting.oldest() == 50
    assert offsets(waiting.ripe(250, {ONE: 8, OTHER: 1})) == [(0, 6), (1, 0)]
    assert waiting.places() == {ONE}
    assert offsets(waiting.ripe(300, {ONE: 8})) == [(0, 7)]
    assert waiting.oldest() is None


def test_no_partition_waits_for_another() -> None:
    waiting = held(at(0, 0, 900), at(1, 0, 100), at(1, 1, 100))

    assert offsets(waiting.ripe(500, {ONE: 1, OTHER: 2})) == [(1, 0), (1, 1)]


def test_where_the_notifier_stands_still_before_what_is_old_it_is_behind_and_where_it_moves_it_is_not() -> None:
    waiting = held(at(0, 5, 100), at(0, 6, 100), at(1, 0, 9_000))

    assert waiting.behind(200, 0) == {}
    assert waiting.behind(200, BEHIND - 1) == {}
    assert waiting.behind(200, BEHIND) == {ONE: 5}

    waiting.ripe(200, {ONE: 6})
    assert waiting.behind(200, BEHIND + 1) == {}
    assert waiting.behind(200, 2 * BEHIND + 1) == {ONE: 6}


# Which rules counted


class Keeper:
    """Remembers as MongoDB does."""

    def __init__(self) -> None:
        self.document: Mapping[str, Any] | None = None

    async def kept(self, _collection: str, _document: str) -> Mapping[str, Any] | None:
        return self.document

    async def keep(self, _collection: str, document: Mapping[str, Any]) -> None:
        self.document = json.loads(json.dumps(document))


def table(*rows: tuple[str, bool], left: timedelta | None = None) -> AlertRules:
    """Rules that all fire: their names, and whether they tell somebody."""
    told = [
        Rule(
            name=name,
            tell=("operations",) if tells else (),
            says={"en": "Look."},
            then_continue=True,
            headroom_under=left,
        )
        for name, tells in rows
    ]
    return AlertRules(tuple(told))


def seen_at(moment: datetime) -> Seen:
    return Seen("c", CASE, usual_facts(), timedelta(hours=1), moment.timestamp())


async def in_force(
    keeper: Keeper, one: AlertRules, moment: datetime, channels: Mapping[str, Sequence[str]] = CHANNELS
) -> RulesInForce:
    """A process that has these rules at that moment, and subscribers who are told by these channels."""
    made = RulesInForce(one, channels, keeper, lambda: moment)
    await made.hold()
    return made


async def test_what_came_before_the_first_audit_is_not_judged() -> None:
    keeper = Keeper()

    first = await in_force(keeper, table(("a", True)), NOON)
    again = await in_force(keeper, table(("a", True)), NOON + timedelta(days=1))

    assert first.began == again.began == NOON.timestamp()
    assert await again.others() == []


async def test_after_a_change_of_the_rules_the_old_ones_count_for_what_came_while_somebody_had_them() -> None:
    keeper = Keeper()
    old_rules, last = table(("a", True), ("b", False), left=timedelta(hours=2)), NOON + timedelta(hours=23)
    await in_force(keeper, old_rules, NOON)
    await in_force(keeper, old_rules, last)

    newer = await in_force(keeper, table(("c", True)), NOON + timedelta(days=1))
    [old] = await newer.others()

    assert newer.began == NOON.timestamp()
    assert newer.now_in_force.owed(seen_at(NOON)) == ["c"]
    assert old.owed(seen_at(NOON)) == ["a"]
    assert may_have_decided(old, seen_at(last + OVERLAP))
    assert not may_have_decided(old, seen_at(last + OVERLAP + timedelta(seconds=1)))


async def test_rules_that_were_taken_back_before_anybody_used_them_end_and_those_that_go_on_do_not() -> None:
    """The new process never got ready, and the old one ran on."""
    keeper = Keeper()
    minute, undone = timedelta(minutes=1), NOON + timedelta(hours=1)
    older = await in_force(keeper, table(("a", True)), NOON)
    await in_force(keeper, table(("b", True)), undone)
    older._now = lambda: undone + minute
    await older.hold()

    first, second = remembered(keeper.document).sets

    assert (first.owed(seen_at(NOON)), first.until) == (["a"], None)
    assert (second.owed(seen_at(NOON)), second.until) == (["b"], undone + OVERLAP)
    assert [one.owed(seen_at(NOON)) for one in await older.others()] == [["b"]]


async def test_whom_a_rule_names_is_remembered_with_it_and_another_channel_is_another_set() -> None:
    keeper = Keeper()
    await in_force(keeper, table(("a", True)), NOON)

    newer = await in_force(keeper, table(("a", True)), NOON + timedelta(days=1), {"operations": ("kafka", "webhook")})
    [old] = await newer.others()

    assert newer.now_in_force.tell == {"a": Named((("operations", "kafka"), ("operations", "webhook")))}
    assert old.tell == {"a": Named((("operations", "kafka"),))}


@pytest.mark.parametrize(
    "document",
    [
        {"_id": "rules", "sets": [{"rules": "[]", "since": "2026-03-01T12:00:00.000000Z"}]},
        {"_id": "rules", "sets": []},
        {"_id": "rules", "began": "today", "sets": [{"held": 1}]},
        {"_id": "rules", "began": "2026-03-01T12:00:00.000000Z", "sets": [{"rules": "{", "since": "", "held": ""}]},
    ],
    ids=["of an earlier build", "emptied", "none of ours", "damaged"],
)
async def test_what_cannot_be_read_of_the_rules_is_noted_anew_and_stops_nothing(document: Mapping[str, Any]) -> None:
    keeper = Keeper()
    keeper.document = document

    made = await in_force(keeper, table(("a", True)), NOON)

    assert made.began == NOON.timestamp()
    assert [one.owed(seen_at(NOON)) for one in remembered(keeper.document).sets] == [["a"]]
    assert await made.others() == []


async def test_only_so_many_sets_are_remembered_and_nothing_is_judged_that_others_may_have_decided() -> None:
    keeper = Keeper()
    for day in range(MOST + 3):
        last = await in_force(keeper, table((f"r{day}", True)), NOON + timedelta(days=day))

    assert len(await last.others()) == MOST - 1
    assert last.began == (NOON + timedelta(days=2) + OVERLAP).timestamp()


# Who is told of a gap


class Told:
    """Gaps whose alerts are written down."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, str, Mapping[str, str]]] = []
        self.moment, self.now, self.is_away = 0.0, NOON, False
        self.registry = CollectorRegistry()
        self.gaps = Gaps(NotifierMetrics(self.registry), self._alarm, lambda: self.now, lambda: self.moment)

    async def _alarm(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        if self.is_away:
            raise TryAgain("no primary")
        self.alarms.append((kind, key, facts))

    def counted(self, kind: str = "notice") -> float | None:
        return self.registry.get_sample_value("rogatory_audit_gaps_total", {"kind": kind})


async def test_a_gap_is_counted_and_told_of_once_and_is_open_until_it_closes() -> None:
    told = Told()

    for _ in range(3):
        await told.gaps.found("notice", "alt_1", {"rule": "urgent"}, "c/urgent")

    assert told.alarms == [("audit-gap", "notice/c/urgent", {"gap": "notice", "rule": "urgent"})]
    assert told.counted() == 1
    assert told.gaps.any_open
    told.gaps.closed("alt_1")
    assert not told.gaps.any_open


async def test_a_gap_that_nobody_closes_keeps_the_heartbeat_back_for_an_hour() -> None:
    told = Told()
    await told.gaps.found("notice", "alt_1", {}, "k")

    told.moment = OPEN_FOR - 1
    assert told.gaps.any_open
    told.moment = OPEN_FOR
    assert not told.gaps.any_open


async def test_a_gap_whose_alert_cannot_be_kept_is_not_yet_found() -> None:
    told = Told()
    told.is_away = True
    with pytest.raises(TryAgain):
        await told.gaps.found("notice", "alt_1", {}, "k")
    assert (told.counted(), told.gaps.any_open) == (0, False)

    told.is_away = False
    await told.gaps.found("notice", "alt_1", {}, "k")
    assert (told.counted(), len(told.alarms)) == (1, 1)


async def test_thousands_of_gaps_wake_people_a_bounded_number_of_times_and_are_all_counted() -> None:
    told = Told()
    for number in range(1_000):
        await told.gaps.found("notice", f"alt_{number}", {}, f"k{number}")

    assert told.counted() == 1_000
    assert len(told.alarms) == ALERTS + 1
    assert told.alarms[-1][1] == "notice/more/2026-03-10T12"

    await told.gaps.found("step", "alt_x", {}, "x")
    told.now += timedelta(hours=1)
    await told.gaps.found("notice", "alt_y", {}, "y")
    assert [alarm[1] for alarm in told.alarms[-2:]] == ["step/x", "notice/y"]


async def test_a_gap_without_a_key_is_counted_and_raises_no_alert() -> None:
    told = Told()

    await told.gaps.found("notice", "alt_1", {}, None)

    assert (told.alarms, told.counted()) == ([], 1)


# Judging


class Notices:
    """The alerts that have a notice, as a store."""

    def __init__(self) -> None:
        self.alerts: set[str] = set()
        self.looks = 0
        self.on_look: Callable[[int], None] = lambda _look: None

    async def find(self, query: Mapping[str, Any], *_: Any, **__: Any) -> list[dict[str, Any]]:
        self.looks += 1
        self.on_look(self.looks)
        return [{"state": {"alert": one}} for one in query["state.alert"]["$in"] if one in self.alerts]


class Ids:
    """Alerts that can be read."""

    def alert(self, rule: str, cause: str) -> str:
        return f"{rule}<{cause.rpartition('#')[2]}"


@pytest.fixture
async def judging(monkeypatch: pytest.MonkeyPatch) -> tuple[auditor.Auditor, Notices, Told]:
    """An auditor over the alerts file, without the pause between its looks."""
    monkeypatch.setattr(auditor, "AGAIN", 0.0)
    notices, told = Notices(), Told()
    one = auditor.Auditor(
        "localhost:1",
        "test",
        [],
        rules(),
        CHANNELS,
        notices,  # type: ignore[arg-type]  # in memory
        Keeper(),
        Ids(),  # type: ignore[arg-type]
        NotifierMetrics(CollectorRegistry()),
        told._alarm,
        lambda: NOON,
    )
    one.gaps = told.gaps
    await one.begin()
    return one, notices, told


def came(number: int, event_type: str = CASE_ASSIGNED, **members: Any) -> "ConsumerRecord[Any, Any]":
    milliseconds = int(NOON.timestamp() * 1000) + 1
    return record(event_type, case(event_type, **members), number, milliseconds, id=f"evt_{number}")


async def test_an_event_whose_notice_stands_has_no_gap_and_is_looked_for_once(
    judging: tuple[auditor.Auditor, Notices, Told],
) -> None:
    one, notices, told = judging
    notices.alerts = {"everything-else<evt_1", "emergency<evt_2"}

    await one.judge([came(1), came(2, urgency="emergency"), came(3, "case.closed")])

    assert (notices.looks, told.alarms, one.has_open_gaps) == (1, [], False)


async def test_what_is_missing_is_looked_for_twice_more_before_it_is_a_gap(
    judging: tuple[auditor.Auditor, Notices, Told],
) -> None:
    one, notices, told = judging
    notices.on_look = lambda look: notices.alerts.add("everything-else<evt_1") if look == 3 else None

    await one.judge([came(1), came(2)])

    [(kind, key, facts)] = told.alarms
    cause = f"/{TOPIC}/{CASE}#evt_2"
    assert (kind, key) == ("audit-gap", f"notice/{cause}/everything-else")
    assert facts == {"gap": "notice", "rule": "everything-else", "about": CASE, "of": cause, "lane": "normal"}
    assert one.has_open_gaps

    notices.alerts.add("everything-else<evt_2")
    await one.look_again()
    assert not one.has_open_gaps


async def test_an_alert_about_a_gap_that_is_lost_itself_is_counted_and_begins_no_chain(
    judging: tuple[auditor.Auditor, Notices, Told],
) -> None:
    one, _, told = judging
    data = {"alert": "alt_1", "kind": "audit-gap", "service": "notifier"}
    milliseconds = int(NOON.timestamp() * 1000) + 1

    await one.judge([record(ALERT_RAISED, data, 0, milliseconds)])

    assert (told.alarms, told.counted(), one.has_open_gaps) == ([], 1, True)


async def test_it_begins_only_once_its_rules_are_noted_however_long_that_takes(
    judging: tuple[auditor.Auditor, Notices, Told],
) -> None:
    one, _, _ = judging
    one._has_begun.clear()
    noted, hold = [], one._in_force.hold

    async def hold_at_last() -> None:
        noted.append(one._has_begun.is_set())
        if len(noted) == 1:
            raise TryAgain("away")
        await hold()

    one._in_force.hold = hold_at_last  # type: ignore[method-assign]

    await one.begin()

    assert noted == [False, False]
    assert one._has_begun.is_set()


def test_a_gap_has_a_rule_of_its_own_that_wakes() -> None:
    facts = {"event": ALERT_RAISED, "kind": "audit-gap", "service": "notifier"}

    [rule, *_] = rules().choose(facts)

    assert rules().is_never_held(facts)
    assert rule.name in telling(rules(), CHANNELS)


def test_a_recipient_by_any_way_makes_a_rule_one_that_tells() -> None:
    lone = Rule(name="lone", tell=("heads",), says={"en": "x"})
    audience = alert_rules.Audience(title="Heads", members=(Member(subscriber="operations"),))

    assert telling(AlertRules((lone,), {"heads": audience}), CHANNELS) == {"lone": Named((("operations", "kafka"),))}


def test_whoever_is_on_duty_is_not_named_and_a_system_and_a_ladder_are() -> None:
    on_duty = alert_rules.Audience(title="Duty", members=(Member(duty="desk", by=("email",)),))
    pager = alert_rules.Audience(title="Pager", members=(Member(system="pager", by=("log",)),), ladder="up")
    told = AlertRules(
        tuple(Rule(name=name, tell=(name,), says={"en": "x"}) for name in ("duty", "pager")),
        {"duty": on_duty, "pager": pager},
    )

    assert telling(told, CHANNELS) == {
        "duty": Named(people=True),
        "pager": Named((("system.pager", "log"),), climbs=True),
    }
