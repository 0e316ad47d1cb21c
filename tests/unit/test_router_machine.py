"""Random lives of cases, doubled and interleaved, against a model that was written apart from the table."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.router.domain import accounts, decide_by, evolve
from services.router.domain.clocking import Tick
from services.router.domain.linking import CaseHead, FollowUpDecided, Link, LinkedBy, SameElsewhere
from services.router.domain.opening import split
from services.router.domain.updating import Heard
from shared.accounts import adds_up, total
from shared.clocks import is_running
from shared.decisions import Message
from shared.failures import NeverWill
from shared.life_cycle import BadUpdate
from shared.records import Record, chain_holds, event_of, fold, stored_form
from shared.times import text_of
from tests.unit.cases import DESK, IDS, MINISTRY, SEALER, SERVICE, START, letter, rules

# The model: written from the Convention and the life cycle as people tell it, not from the table.

ENDS = {"executed", "refused", "withdrawn", "lapsed"}
AT_HOME = {
    "received",
    "acknowledged",
    "completeness_check",
    "returned_for_supplement",
    "assigned",
    "forwarded",
    "domestic_authorisation",
    "in_execution",
    "consultation",
    "postponed",
    "partially_executed",
}
ABROAD = {"dispatched", "transmitted", "acknowledged_abroad"}
OPEN = AT_HOME | ABROAD | {"triage"}
LEADS_TO = {
    "check_begun": "completeness_check",
    "officer_assigned": "assigned",
    "forwarded": "forwarded",
    "authorisation_requested": "domestic_authorisation",
    "authorised": "in_execution",
    "authorisation_denied": "assigned",
    "begun": "in_execution",
    "preserved": "in_execution",
    "released": "executed",
    "arrested": "in_execution",
    "consultation_opened": "consultation",
    "postponed": "postponed",
    "partially_executed": "partially_executed",
    "executed": "executed",
    "refused": "refused",
    "withdrawn": "withdrawn",
    "closed": "closed",
    "dispatched": "dispatched",
    "transmitted": "transmitted",
    "acknowledged_abroad": "acknowledged_abroad",
    "asked_abroad": "returned_for_supplement",
    "refused_abroad": "refused",
    "not_sent": "refused",
}
STAYS = {
    "extended",
    "documents_received",
    "endangered",
    "dismissed",
    "condition_offered",
    "status_inquired",
    "status_answered",
    "urgency_changed",
    "confidentiality_breached",
    "extension_requested",
    "confirmed_in_writing",
    "consented",
    "reuse_recorded",
    "linked",
    "duplicate_suspected",
    "follow_up_decided",
    "clock_warned",
    "clock_missed",
}
DATA_TYPES = {"data_preservation", "stored_data_access"}


def may_follow(before: str, what: str, after: str) -> bool:
    """Whether a status may come after another by something that happened."""
    if what in ("assigned", "reassigned"):
        return before in OPEN and after in ("received", "triage")
    if what == "lapsed":
        return before in OPEN and after == "lapsed"
    if what == "acknowledged":
        return after == ("acknowledged" if before == "received" else before) and before in OPEN
    if what in ("preserved", "arrested") and before in ("returned_for_supplement", "consultation", "postponed"):
        return before == after
    if what in ("preserved", "arrested") and before in ABROAD | {"partially_executed", "domestic_authorisation"}:
        return after in (before, "in_execution")
    if what == "acknowledged_abroad" and before == "partially_executed":
        return before == after
    if what in ("triage_decided", "misdirected"):
        return before in OPEN and after == "received"
    if what == "released" and before == "withdrawn":
        return after == "withdrawn"
    if what == "linked" and before == "lapsed":
        return after in ("lapsed", "in_execution")
    if what == "supplement_requested":
        return after == ("triage" if before == "triage" else "returned_for_supplement")
    if what == "supplement_received":
        return after == ("completeness_check" if before == "returned_for_supplement" else before)
    if what in ("resumed", "condition_accepted"):
        return before in ("consultation", "postponed") and after in AT_HOME - {"consultation", "postponed"}
    if what in STAYS:
        return before == after
    if before == "closed":
        return False
    if what == "closed":
        return before in ENDS and after == "closed"
    return before in OPEN and after == LEADS_TO[what]


ACTORS = st.sampled_from([SERVICE, MINISTRY, DESK])
KINDS = st.sampled_from(
    [
        ("data_preservation", "incoming"),
        ("stored_data_access", "incoming"),
        ("provisional_arrest", "incoming"),
        ("extradition", "outgoing"),
        ("joint_investigation", "incoming"),
        ("testimony", "incoming"),
    ]
)


@st.composite
def said(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Any update with fields that can be read, sensible or not."""
    by = rules()
    name = draw(st.sampled_from(sorted(by.life.updates)))
    fields: dict[str, Any] = {}
    for field, one in by.life.updates[name].text.fields.items():
        if one.need != "required" and draw(st.booleans()):
            continue
        days = st.integers(-100, 200).map(lambda n: text_of(START + timedelta(days=n)))
        codes: dict[str | None, list[str]] = {
            "grounds": list(by.law.text.refusal_grounds),
            "outcomes": list(by.law.text.outcomes),
            "executing_bodies": list(by.law.executing_bodies),
            "authorities": [SERVICE, MINISTRY, DESK],
            "types": ["data_preservation", "extradition", "joint_investigation"],
            "urgencies": ["normal", "urgent", "emergency"],
        }
        one_of = st.sampled_from(list(one.one_of) or codes.get(one.of) or ["x"])
        kinds: dict[str, st.SearchStrategy[Any]] = {
            "text": st.just("SECRET words"),
            "name": st.just("SECRET name"),
            "moment": days,
            "code": one_of,
            "codes": st.lists(one_of, min_size=1, max_size=2),
            "words": st.just(["facts"]),
            "flag": st.booleans(),
            "case": st.just("cas_" + "3" * 32),
            "files": st.just([{"sha256": "0" * 64, "link": "SECRET"}]),
            "contents": st.just({"facts": "SECRET"}),
        }
        fields[field] = draw(kinds[one.kind])
    return name, fields


class Lives(RuleBasedStateMachine):
    """Three cases and whatever anybody says about them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.sent: list[Message] = []
        self.now = START
        self.count = 0

    @initialize(kinds=st.lists(KINDS, min_size=1, max_size=3))
    def open(self, kinds: list[tuple[str, str]]) -> None:
        """The letters come."""
        for n, (type, direction) in enumerate(kinds):
            (message,) = split(letter(type, direction=direction, letter=f"let_{n}"), "opening", IDS)
            self.records.append(Record(message.record, message.record, message.context))
            self.say(message)

    @rule(which=st.integers(0, 2), update=said(), actor=ACTORS)
    def an_authority_says(self, which: int, update: tuple[str, dict[str, Any]], actor: str) -> None:
        """Whoever says whatever."""
        self.heard(which, update, actor, "authority")

    @rule(which=st.integers(0, 2), update=said(), role=st.sampled_from(["agency", "gateway"]))
    def a_sender_says(self, which: int, update: tuple[str, dict[str, Any]], role: str) -> None:
        """The other side."""
        self.heard(which, update, "contact-point", role)

    @rule(which=st.integers(0, 2), update=said())
    def its_holder_says(self, which: int, update: tuple[str, dict[str, Any]]) -> None:
        """Most of what is said comes from who has the case."""
        record = self.records[which % len(self.records)]
        self.heard(which, update, record.state["authority"], "authority")

    @rule(
        which=st.integers(0, 2),
        body=st.sampled_from(["link", "linked", "same", "decided"]),
        other=st.sampled_from(["7", "8", "9"]),
        type=st.sampled_from(["stored_data_access", "data_preservation", "testimony"]),
    )
    def something_is_found(self, which: int, body: str, other: str, type: str) -> None:
        """Cases that belong together."""
        self.find(which, body, CaseHead("cas_" + other * 32, type, SERVICE, "received", "incoming"))

    def find(self, which: int, body: str, other: CaseHead) -> None:
        bodies = {
            "link": Link(other),
            "linked": LinkedBy(other),
            "same": SameElsewhere(other.case, other.type),
            "decided": FollowUpDecided((other.case,)),
        }
        self.say(self.message(which, bodies[body], "router"))

    @rule(hours=st.sampled_from([1, 30, 24 * 8, 24 * 40]))
    def time_passes(self, hours: int) -> None:
        """And every clock that is due rings, more than once."""
        self.now += timedelta(hours=hours)
        for record in self.records:
            for clock in list(record.state.get("clocks", ())):
                for at, _ in clock["steps"]:
                    if is_running(clock) and at <= text_of(self.now):
                        cause = f"clock/{clock['clock']}/{at}"
                        tick = Message(record.id, cause, "clock", Tick(clock["clock"], at))
                        self.say(tick)
                        self.say(tick)

    @rule(data=st.data())
    def something_is_heard_again(self, data: st.DataObject) -> None:
        """A redelivery changes nothing."""
        if self.sent:
            message = data.draw(st.sampled_from(self.sent))
            record = next(one for one in self.records if one.id == message.record)
            before, known = record.version, message.cause in record.causes
            self.say(message)
            assert record.version == before or not known

    def heard(self, which: int, update: tuple[str, dict[str, Any]], actor: str, role: Any) -> None:
        try:
            read = rules().life.read(*update)
        except BadUpdate:
            return
        self.say(self.message(which, Heard(read, actor, role), actor))

    def message(self, which: int, body: Any, by: str) -> Message:
        self.count += 1
        return Message(self.records[which % len(self.records)].id, f"c{self.count}", by, body)

    def say(self, message: Message) -> None:
        """As the loop does: once per cause, all events or none."""
        record = next(one for one in self.records if one.id == message.record)
        if message.cause in record.causes:
            return
        self.sent.append(message)
        record.history = []
        try:
            decision = decide_by(rules())(record, message, self.now)
        except NeverWill:
            return
        for draft in decision.events:
            record.append(draft, by=message.by, cause=message.cause, now=self.now, evolve=evolve, sealer=SEALER)

    @invariant()
    def every_status_follows_from_the_one_before(self) -> None:
        for record in self.records:
            status = None
            for event in record.fresh:
                family, _, what = event.type.partition(".")
                if family == "case":
                    if status is not None:
                        assert may_follow(status, what, event.data["status"]), (status, what, event.data["status"])
                    status = event.data["status"]
            assert status == record.state["status"]

    @invariant()
    def every_case_is_open_or_has_ended_and_every_clock_runs_or_has_not(self) -> None:
        totals = total(accounts.terms_by(ENDS | {"closed"})(record.state) for record in self.records)
        assert adds_up("case", totals)
        assert adds_up("clock", totals)
        assert totals.get("case/opened", 0) == sum(bool(record.version) for record in self.records)

    @invariant()
    def nothing_is_refused_or_postponed_without_consultation(self) -> None:
        for record in self.records:
            about: set[str] = set()
            for event in record.fresh:
                if event.type == "case.assigned":
                    about = set()
                if event.type == "case.consultation_opened":
                    about |= set(event.data["said"]["about"])
                if event.type in ("case.refused", "case.postponed"):
                    assert {"case.refused": "refusal", "case.postponed": "postponement"}[event.type] in about

    @invariant()
    def who_need_not_know_never_does(self) -> None:
        for record in self.records:
            for event in record.fresh:
                for topic in event.to:
                    if topic.startswith(f"{MINISTRY}."):
                        assert event.data.get("type", record.state["type"]) not in DATA_TYPES or event.type in (
                            "case.reassigned",
                            "update.rejected",
                        )

    @invariant()
    def what_is_kept_is_kept_for_sixty_days_and_not_let_go_while_held(self) -> None:
        for record in self.records:
            held = False
            for event in record.fresh:
                phase = (event.data.get("preservation") or {}).get("phase")
                if event.type == "case.preserved" and "until" in event.data["said"]:
                    span = _time(event.data["said"]["until"]) - _time(event.data["said"]["preserved_from"])
                    assert span >= timedelta(days=60)
                if held:
                    assert event.type not in (
                        "case.released",
                        "case.executed",
                        "case.lapsed",
                        "case.refused",
                        "case.withdrawn",
                    )
                held = phase == "hold" if phase else held

    @invariant()
    def nothing_kept_ends_before_sixty_days_but_by_its_sender(self) -> None:
        for record in self.records:
            since, kept = None, False
            for event in record.fresh:
                if event.type in ("case.released", "case.executed", "case.lapsed", "case.refused") and kept and since:
                    assert _time(event.at) - since >= timedelta(days=60)
                if now_kept := event.data.get("preservation"):
                    kept = now_kept["phase"] in ("preserved", "extended", "hold", "decided")
                    since = _time(now_kept["from"])

    @invariant()
    def no_authority_hears_of_a_case_that_it_need_not_know(self) -> None:
        for record in self.records:
            for event in record.fresh:
                link = event.data.get("link")
                told = [*event.data.get("related", ()), *event.data.get("links", ()), *([link] if link else ())]
                if any(topic.startswith(f"{MINISTRY}.") for topic in event.to):
                    assert not [one for one in told if one["type"] in DATA_TYPES]

    @invariant()
    def a_running_clock_has_no_step_that_was_heard_already(self) -> None:
        for record in self.records:
            for clock in record.state.get("clocks", ()):
                if is_running(clock):
                    assert f"clock/{clock['clock']}/{clock['steps'][0][0]}" not in record.causes

    @invariant()
    def every_topic_is_gapless_and_begins_with_a_snapshot(self) -> None:
        for record in self.records:
            topics: dict[str, list[tuple[int, str]]] = defaultdict(list)
            for event in record.fresh:
                for topic, sequence in event.to.items():
                    topics[topic].append((sequence, event.type))
            for topic, seen in topics.items():
                assert [sequence for sequence, _ in seen] == list(range(1, len(seen) + 1))
                if ".cases." in topic:
                    assert seen[0][1] == "case.assigned"

    @invariant()
    def the_stored_bytes_give_the_state_and_the_chain_holds(self) -> None:
        for record in self.records:
            stored = [event_of(record.id, orjson_round(stored_form(event))) for event in record.fresh]
            assert fold(stored, evolve) == record.state
            assert chain_holds(record.id, stored)

    @invariant()
    def nothing_sealed_stands_in_the_state_or_in_what_everybody_reads(self) -> None:
        for record in self.records:
            assert "SECRET" not in str(record.state)
            for event in record.fresh:
                assert b"SECRET" not in event.data_json

    @invariant()
    def no_clock_runs_after_the_end(self) -> None:
        for record in self.records:
            if record.state["status"] in ENDS | {"closed"}:
                running = [clock for clock in record.state["clocks"] if is_running(clock)]
                assert {clock["kind"] for clock in running} <= {"statutory"}
                held = record.state.get("arrest") and "released_at" not in record.state["arrest"]
                assert not running or held or record.state.get("cycle") == "appearance"


def orjson_round(form: dict[str, Any]) -> dict[str, Any]:
    """Through bytes, as MongoDB would keep it."""
    return {**form, "data": bytes(form["data"]), "to": orjson.loads(orjson.dumps(form["to"]))}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


Lives.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase
