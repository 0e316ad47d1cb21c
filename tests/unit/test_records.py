"""A record is its history: appending, limits, the chain, the fold, and the documents that are written."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake import domain as intake
from services.notifier import domain as notifier
from services.notifier.domain import bodies, ladders
from services.router import domain as router
from services.router.domain.clocking import Tick
from services.router.domain.opening import split
from services.router.domain.updating import Heard
from shared import records
from shared.decisions import Decide, Message, NeedsHistory
from shared.events import ALERT_RAISED, UPDATE_REJECTED, Draft, Event
from shared.failures import NeverWill
from shared.ids import Ids
from shared.letter import FieldError, parse_letter
from shared.payloads import CaseEvent
from shared.records import Evolve, Record, State, chain_holds, event_of, fold, insertion, stored_form, update
from shared.sealing import Broken, Sealer
from shared.times import text_of
from tests.unit.cases import Case as CaseStory
from tests.unit.cases import letter, rules

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SEALER = Sealer(b"s" * 32)
IDS = Ids(b"k" * 32)
OPEN, CLOSED = "security-service.cases.v1", "cases.events.v1"


def draft(*to: str, data: Mapping[str, Any] | None = None, content: Mapping[str, Any] | bytes | None = None) -> Draft:
    return Draft(ALERT_RAISED, to, data or {}, content)


def count(state: State, event: Event) -> State:
    """An evolve that shows how far it came."""
    return {**state, "seen": event.seq, **event.data}


def appended(record: Record, *drafts: Draft, cause: str = "cause", evolve: Evolve = count) -> Record:
    for one in drafts:
        record.append(one, by="somebody", cause=cause, now=NOW, evolve=evolve, sealer=SEALER)
    return record


def record(*drafts: Draft) -> Record:
    return appended(Record("cas_1", "cas_1", {"letterid": "let_1"}), *drafts)


def kept(record: Record) -> Record:
    """The record as the next batch reads it: through its own document."""
    document = insertion(record, NOW)
    history = document["history"]
    head = {**document, "causes": [form["cause"] for form in history], "chain": history[-1]["chain"]}
    return records.record_of(head, SEALER)


def head_of(record: Record) -> dict[str, Any]:
    """Everything of a record that a refused append might have touched."""
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)} | {
        "causes": set(record.causes),
        "fresh": list(record.fresh),
    }


# Appending


def test_an_event_says_when_by_whom_and_because_of_what() -> None:
    made = appended(record(), draft(OPEN, data={"a": 1}), cause="agency/1")

    (event,) = made.fresh
    assert (event.seq, event.at, event.by, event.cause) == (1, "2026-03-10T08:00:00.000000Z", "somebody", "agency/1")
    assert (made.version, made.state, made.causes) == (1, {"seen": 1, "a": 1}, {"agency/1"})
    assert event.data_json == b'{"a":1}'


def test_sequences_have_no_gap_on_any_topic_whatever_goes_where() -> None:
    made = record(draft(OPEN), draft(CLOSED), draft(), draft(OPEN, CLOSED))
    again = appended(kept(made), draft(CLOSED), draft(OPEN))

    for topic in (OPEN, CLOSED):
        said = [event.to[topic] for event in (*made.fresh, *again.fresh) if topic in event.to]
        assert said == list(range(1, len(said) + 1))
    assert again.sent == {OPEN: 3, CLOSED: 3}


def test_content_is_sealed_under_one_key_of_the_record_that_is_made_when_it_is_needed() -> None:
    plain = record(draft(OPEN))
    assert plain.key is None

    sealed = appended(plain, draft(OPEN, content={"officer": "Maud"}), draft(OPEN, content=b'{"as":"bytes"}'))

    assert [event.content for event in sealed.fresh] == [None, b'{"officer":"Maud"}', b'{"as":"bytes"}']
    assert b"Maud" not in repr(insertion(sealed, NOW)).encode()
    assert kept(sealed).key is not None


REFUSED: dict[str, tuple[Callable[[], Record], Draft]] = {
    "an event too large for a topic": (record, draft(OPEN, data={"a": "x" * records.MAX_EVENT_BYTES})),
    "content too large for a topic": (record, draft(OPEN, content=b"x" * (records.MAX_EVENT_BYTES + 1))),
    "a record full of events": (lambda: record(*[draft()] * records.MAX_RECORD_EVENTS), draft()),
    "a record full of bytes": (
        lambda: record(*[draft(content=b"x" * 999_000)] * 4),
        draft(content=b"x" * 10_000),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_append_changes_nothing(case: str) -> None:
    build, too_much = REFUSED[case]
    full = build()
    before = head_of(full)

    with pytest.raises(NeverWill):
        appended(full, too_much, cause="another")

    assert head_of(full) == before


def test_rejected_updates_do_not_fill_a_record() -> None:
    def counting(state: State, event: Event) -> State:
        return {"rejections": state.get("rejections", 0) + (event.type == UPDATE_REJECTED)}

    rejected = Draft(UPDATE_REJECTED, (), {})
    full = Record("cas_1", "cas_1", {})
    appended(full, *[draft()] * (records.MAX_RECORD_EVENTS - 1), *[rejected] * 50, evolve=counting)

    appended(full, draft(), rejected, evolve=counting)
    with pytest.raises(NeverWill, match="full"):
        appended(full, draft(), evolve=counting)
    appended(full, rejected, evolve=counting)

    assert full.version == records.MAX_RECORD_EVENTS + 52


def test_a_bug_in_evolve_changes_nothing_either() -> None:
    def broken(_state: State, _event: Event) -> State:
        raise KeyError

    whole = record(draft(OPEN))
    before = head_of(whole)

    with pytest.raises(KeyError):
        appended(whole, draft(OPEN, content={}), cause="another", evolve=broken)

    assert head_of(whole) == before


def test_what_goes_to_no_topic_may_be_larger_than_a_topic_takes() -> None:
    assert record(draft(content=b"x" * (records.MAX_EVENT_BYTES + 1))).version == 1


# The chain

CHANGES: dict[str, Callable[[Event], dict[str, Any]]] = {
    "seq": lambda e: {"seq": e.seq + 1},
    "type": lambda _: {"type": "case.closed"},
    "at": lambda _: {"at": "2026-03-10T08:00:00.000001Z"},
    "by": lambda _: {"by": "somebody else"},
    "cause": lambda _: {"cause": "another"},
    "to": lambda _: {"to": {OPEN: 9}},
    "to nobody": lambda _: {"to": {}},
    "data": lambda _: {"data_json": b'{"a":2}'},
    "sealed": lambda e: {"sealed": (e.sealed or b"")[:-1] + b"?"},
    "sealed away": lambda _: {"sealed": None},
    "chain": lambda _: {"chain": b"\0" * 32},
}


def history() -> list[Event]:
    return record(*(draft(OPEN, data={"a": 1}, content={"n": n}) for n in range(3))).fresh


def test_the_chain_of_a_history_holds() -> None:
    assert chain_holds("cas_1", history())
    assert chain_holds("cas_1", [])


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_the_chain_shows_any_change_to_any_event(change: str, at: int) -> None:
    events = history()
    events[at] = dataclasses.replace(events[at], **CHANGES[change](events[at]))

    assert not chain_holds("cas_1", events)


def test_the_chain_shows_what_is_missing_moved_or_another_records() -> None:
    one, two, three = history()

    assert not chain_holds("cas_1", [two, three])
    assert not chain_holds("cas_1", [one, three])
    assert not chain_holds("cas_1", [two, one, three])
    assert not chain_holds("cas_2", [one, two, three])


def test_data_and_sealed_content_cannot_run_into_each_other() -> None:
    def link(data: bytes, sealed: bytes | None) -> bytes:
        return records.link(b"", "cas_1", 1, ALERT_RAISED, "", "", "", {}, data, sealed)

    assert link(b'{"a":1}', b"x") != link(b'{"a":1}x', b"")


# Stored and read again


def test_an_event_comes_back_from_its_stored_form_as_it_was() -> None:
    made = record(draft(OPEN, CLOSED, data={"a": 1}, content={"officer": "Maud"}))

    (event,) = made.fresh
    assert event_of("cas_1", stored_form(event), made.key) == event
    assert event_of("cas_1", stored_form(event)) == dataclasses.replace(event, content=None)


def test_content_moved_to_another_record_or_event_does_not_open() -> None:
    made = record(draft(OPEN, content={}))
    form = stored_form(made.fresh[0])

    with pytest.raises(Broken):
        event_of("cas_2", form, made.key)
    with pytest.raises(Broken):
        event_of("cas_1", {**form, "seq": 2}, made.key)


def test_a_record_is_read_as_it_was_written() -> None:
    made = record(draft(OPEN, content={}), draft(CLOSED))

    again = kept(made)

    assert (again.version, again.stored_version, again.published) == (2, 2, 0)
    assert (again.state, again.sent, again.chain, again.causes, again.size) == (
        made.state,
        made.sent,
        made.chain,
        made.causes,
        made.size,
    )
    assert (again.subject, again.context, again.unsent_since, again.fresh) == ("cas_1", {"letterid": "let_1"}, NOW, [])


def test_a_record_whose_key_is_another_records_is_not_read() -> None:
    document = insertion(record(draft(OPEN, content={})), NOW)
    stolen = SEALER.new_key("cas_2").wrapped

    with pytest.raises(Broken):
        records.record_of({**document, "key": stolen, "causes": (), "chain": b""}, SEALER)


# What stands in the documents


def test_a_new_record_with_something_to_send_is_unsent_from_now() -> None:
    document = insertion(record(draft(OPEN)), NOW)

    assert (document["version"], document["published"], document["unsent_since"]) == (1, 0, NOW)


def test_a_new_record_with_nothing_to_send_is_published_at_once() -> None:
    document = insertion(record(draft(), draft()), NOW)

    assert (document["version"], document["published"]) == (2, 2)
    assert "unsent_since" not in document


def test_the_subject_is_written_only_where_it_is_not_the_record_itself() -> None:
    notice = appended(Record("not_1", "cas_1", {}), draft())

    assert insertion(notice, NOW)["subject"] == "cas_1"
    assert kept(notice).subject == "cas_1"
    assert "subject" not in insertion(record(draft()), NOW)


def stored(version: int, published: int, unsent_since: datetime | None = None) -> Record:
    made = kept(record(*[draft(OPEN)] * version))
    made.published, made.unsent_since = published, unsent_since
    return made


UPDATES: dict[str, tuple[Record, Draft, dict[str, Any]]] = {
    "all sent before, nothing to send now": (stored(2, 2), draft(), {"published": 3}),
    "all sent before, something to send now": (stored(2, 2), draft(OPEN), {"unsent_since": LATER}),
    "some unsent before, nothing to send now": (stored(2, 1, NOW), draft(), {"unsent_since": NOW}),
    "some unsent before, something to send now": (stored(2, 1, NOW), draft(OPEN), {"unsent_since": NOW}),
    "unsent before, but the mark was just taken away": (stored(2, 1), draft(OPEN), {"unsent_since": LATER}),
}


@pytest.mark.parametrize("case", UPDATES)
def test_an_update_counts_as_published_only_what_nobody_has_to_send(case: str) -> None:
    before, one, expected = UPDATES[case]

    change = update(appended(before, one), LATER)["$set"]

    assert {name: change[name] for name in ("published", "unsent_since") if name in change} == expected
    assert change["version"] == 3


def test_an_update_pushes_the_fresh_events_alone_and_leaves_no_clock_that_has_ended() -> None:
    ticking = appended(record(), draft(data={"next_due": "2026"}))
    assert insertion(ticking, NOW)["next_due"] == "2026"

    def stop(state: State, _event: Event) -> State:
        return {name: value for name, value in state.items() if name != "next_due"}

    change = update(appended(kept(ticking), draft(), evolve=stop), LATER)

    assert [form["seq"] for form in change["$push"]["history"]["$each"]] == [2]
    assert change["$unset"] == {"next_due": ""}


def test_a_clock_that_runs_on_is_set_and_not_unset() -> None:
    change = update(appended(stored(1, 1), draft(data={"next_due": "2027"})), LATER)

    assert change["$set"]["next_due"] == "2027"
    assert "$unset" not in change


def test_the_last_sequences_stand_in_the_state_but_never_reach_evolve() -> None:
    made = record(draft(OPEN))

    assert insertion(made, NOW)["state"] == {"seen": 1, "sent": {OPEN: 1}}
    assert kept(made).state == {"seen": 1}


# The fold


REC = "rec_" + "0" * 32
"""An id whose waits are no longer than they must be."""
LETTER = {
    "reference": "FR-1",
    "party": "FR",
    "direction": "incoming",
    "channel": "24/7",
    "sent_at": "2026-03-10T08:00:00+01:00",
    "measures": [{"type": "data_preservation", "contents": {"facts": "..."}}, {"type": "extradition"}],
}


EVENT = intake.AgencyEvent("/fr", "1")


def filing(event: intake.AgencyEvent | None, party: str = "FR") -> intake.Filing:
    letter = parse_letter(orjson.dumps({**LETTER, "party": party}), rules().law.request_types)
    return intake.Filing("contact-point", letter, event)


def opened() -> CaseStory:
    return CaseStory.open("data_preservation")


def news(measure: int) -> intake.CaseNews:
    return intake.CaseNews("contact-point", measure, CaseEvent.model_validate(opened().history[0].data))


def updated(update: str, **fields: Any) -> Heard:
    return Heard(rules().life.read(update, fields), opened().state["authority"], "authority")


def message(body: Any, cause: str = "cause") -> Message:
    return Message(REC, cause, "somebody", body)


def raising(channel: str, **more: Any) -> bodies.Raising:
    return bodies.Raising("alt_1", "urgent", "Urgent.", "duty-officers", channel, {"type": "extradition"}, **more)


TELL, TEN_LATER = {"subscriber": "person.lala", "channel": "apprise"}, NOW + timedelta(minutes=10)


def begin(**more: Any) -> ladders.Begin:
    minutes = timedelta(minutes=10)
    return ladders.Begin("urgent", "desk", "Urgent.", {}, text_of(NOW), [TELL], minutes, 2 * minutes, **more)


DUE = ("2026-03-10T08:00:00.000000Z", "2026-03-10T08:01:00.000000Z", "2026-03-10T08:00:01.000000Z")


@cache
def services() -> Mapping[str, tuple[Decide, Evolve, Sequence[Any]]]:
    """Each service's own functions, and what can be said to it."""
    refusal = intake.Refusal("contact-point", (FieldError("/party", "This field is required."),), EVENT, None)
    heard = (filing(None), filing(EVENT), filing(EVENT, party="MA"), news(1), news(2))
    told = (
        raising("kafka"),
        raising("webhook"),
        raising("email", then=["log"], give_up_at=DUE[1]),
        raising("webhook", silence="sil_1"),
        *(bodies.Attempt(due) for due in DUE),
        bodies.Delivered(1),
        bodies.Failed(1, "HTTP 500"),
        bodies.Failed(2, "HTTP 410", for_good=True),
        bodies.HandedOn("log"),
        bodies.Ack("person.lala", "link"),
        bodies.Resolved("case.begun", DUE[1]),
    )
    climbed = (
        begin(),
        begin(silence="sil_1"),
        ladders.Told(ladders.FIRST),
        *(ladders.Step(text_of(due), ladders.Place(0, 1), [TELL], None) for due in (NOW + ladders.OWED, TEN_LATER)),
        ladders.Told(ladders.Place(0, 1)),
        ladders.NobodyCame(text_of(TEN_LATER), "nobody acknowledged"),
        bodies.Ack("person.lala", "link"),
        bodies.Resolved("case.begun", DUE[1]),
    )
    case = opened()
    cases = (
        *(message.body for message in split(letter("data_preservation"), "cause", IDS)),
        updated("acknowledged"),
        updated("begun"),
        updated("closed"),
        *(Tick(clock["clock"], at) for clock in case.state["clocks"] for at, _ in clock["steps"]),
    )
    return {
        "intake": (intake.decide_by(rules().law), intake.evolve, heard),
        # A letter that could not be taken has an id of its own, to which nothing else is ever said.
        "intake, not taken": (intake.decide_by(rules().law), intake.evolve, (refusal,)),
        "router": (router.decide_by(rules()), router.evolve, cases),
        "notifier": (notifier.decide, notifier.evolve, told),
        "notifier, a ladder": (notifier.decide, notifier.evolve, climbed),
    }


def lived(decide: Decide, evolve: Evolve, bodies: Sequence[Any]) -> tuple[Record, list[Mapping[str, Any]]]:
    """A record after a life of messages, each in a batch of its own, and its history as MongoDB keeps it."""
    life, forms = Record(REC, REC, {}), list[Mapping[str, Any]]()
    for n, body in enumerate(bodies):
        said = message(body, f"cause/{n}")
        try:
            decision = decide(life, said, NOW)
        except NeedsHistory:
            life.history = [event_of(life.id, form, life.key) for form in forms]
            decision = decide(life, said, NOW)
        except NeverWill:
            continue
        appended(life, *decision.events, cause=said.cause, evolve=evolve)
        forms += [stored_form(event) for event in life.fresh]
        life.fresh, life.stored_version, life.history = [], life.version, None
    return life, forms


@pytest.mark.parametrize("service", ["intake", "intake, not taken", "router", "notifier", "notifier, a ladder"])
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_the_fold_of_the_stored_history_is_the_stored_state(service: str, data: st.DataObject) -> None:
    decide, evolve, bodies = services()[service]
    chosen = data.draw(st.lists(st.sampled_from(bodies), max_size=8))

    life, forms = lived(decide, evolve, chosen)

    read = [event_of(REC, form) for form in forms]
    assert fold(read, evolve) == life.state
    assert chain_holds(REC, read)
    assert [event.seq for event in read] == list(range(1, life.version + 1))
