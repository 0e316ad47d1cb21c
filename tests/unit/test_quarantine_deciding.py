"""What becomes of an entry: acts say who and why, what may be urgent takes two to discard, nothing happens twice."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.notifier.domain.facts import facts_of
from shared import topics
from shared.decisions import Message
from shared.events import (
    ALERT_RAISED,
    ANSWER_UNREADABLE,
    QUARANTINE_DISCARD_PROPOSED,
    QUARANTINE_DISCARDED,
    QUARANTINE_HELD,
    QUARANTINE_LOOKED,
    QUARANTINE_REPLAY_PROPOSED,
    QUARANTINE_REPLAYED,
    QUARANTINE_REPLAYING,
)
from shared.quarantine import evolve
from shared.quarantine.copies import at_attempt, edits, original
from shared.quarantine.deciding import Alert, Discard, Look, Refused, Replay, Settled, Why
from shared.records import MAX_RECORD_EVENTS, chain_holds, fold
from shared.vocabulary import Lane
from tests.unit.alerts import rules
from tests.unit.entries import GATE, Entry, consumed, entry, messages_of

UPDATES = topics.updates_from("security-service", Lane.NORMAL)
REPLAY = Replay("Anna", "the sender mended it", asked_at="2026-03-10T09:00:00.000000Z")


def both(one: Entry, asked: Replay) -> None:
    """Two people want the same copy to be tried."""
    one.hear(asked)
    one.hear(replace(asked, by="Bela"))


def refusal(said: object) -> Why | None:
    return said.why if isinstance(said, Refused) else None


async def test_what_is_set_aside_is_held_and_its_agency_is_told_where_it_lies_and_nothing_of_what_it_says() -> None:
    one = await entry(b'{"name": "Maud Vernier"}')

    alert, told = one.record.fresh
    assert (one.status, alert.type, told.type) == ("held", ALERT_RAISED, ANSWER_UNREADABLE)
    assert list(told.to) == ["agency.contact-point.answers.v1"]
    assert told.data.keys() == {"topic", "partition", "offset", "reason", "sha256"}
    assert told.content is None
    assert b"Maud" not in alert.data_json + told.data_json


@pytest.mark.parametrize("topic", [UPDATES, "letters.received.v1", "cases.events.v1", "acknowledgements.operations.v1"])
async def test_nobody_is_told_of_what_no_agency_sent(topic: str) -> None:
    one = await entry(topic=topic)

    assert one.types == [ALERT_RAISED]


@pytest.mark.parametrize(
    ("topic", "urgent"),
    [
        (GATE, True),
        (topics.letters_from("interpol-bureau", Lane.URGENT), True),
        (topics.ALERTS_RAISED, True),
        (topics.updates_from("desk", Lane.URGENT), True),
        (UPDATES, True),
        (topics.updates_from("desk", Lane.NORMAL), True),
        (topics.acknowledgements_of("operations"), True),
        ("letters.received.v1", False),
        ("cases.events.v1", False),
        ("answers.due.v1", False),
        ("security-service.cases.v1", False),
        ("notices.operations.v1", False),
        ("agency.contact-point.answers.v1", False),
    ],
)
async def test_what_cannot_be_read_may_be_urgent_where_its_topic_does_not_tell(topic: str, urgent: bool) -> None:
    state = (await entry(topic=topic)).record.state

    assert (state["urgent"], state["lane"], state["topic"]) == (urgent, "urgent" if urgent else "normal", topic)


@pytest.mark.parametrize(
    ("topic", "rule", "never_held"),
    [
        (GATE, "urgent-letter-set-aside", True),
        (UPDATES, "urgent-letter-set-aside", True),
        ("letters.received.urgent.v1", "urgent-letter-set-aside", True),
        ("letters.received.v1", "something-is-wrong", False),
    ],
)
async def test_what_may_be_urgent_rings_the_desk_and_no_silence_hides_it(
    topic: str, rule: str, never_held: bool
) -> None:
    raised = (await entry(b"EMERGENCY, not JSON", topic=topic)).record.fresh[0]

    facts = facts_of(raised.type, raised.data)

    assert [one.name for one in rules().choose(facts)] == [rule]
    assert rules().is_never_held(facts) is never_held


async def test_a_replay_marks_the_entry_once_and_what_came_of_it_is_said_once() -> None:
    one = await entry()

    one.hear(REPLAY)
    assert (one.status, one.hear(REPLAY).events) == ("replaying", ())
    attempt = one.record.state["attempt"]
    one.hear(Settled(attempt, "taken", ["let_1"]), "intake")
    one.hear(Settled(attempt, "taken", ["let_1"]), "intake")
    one.hear(REPLAY)

    assert one.status == "replayed"
    assert one.types[2:] == [QUARANTINE_REPLAYING, QUARANTINE_REPLAYED]
    asked = one.record.fresh[2]
    assert (asked.by, asked.data["by"], asked.data["reason"]) == ("desk", "Anna", "the sender mended it")


async def test_what_fails_again_is_held_for_its_new_reason_and_can_be_tried_again() -> None:
    one = await entry()
    one.hear(REPLAY)

    one.hear(Settled(one.record.state["attempt"], reason="no such case"), "router")
    again = one.hear(REPLAY)

    assert [draft.type for draft in again.events] == [QUARANTINE_REPLAYING]
    assert one.types[-2] == QUARANTINE_HELD
    assert one.record.state["reason"] == "no such case"


async def test_what_stands_behind_a_failed_one_keeps_its_own_reason() -> None:
    one = await entry()
    one.hear(REPLAY)

    one.hear(Settled(one.record.state["attempt"], reason="behind qua_1", behind="qua_1"))

    assert (one.status, one.record.state["reason"], one.record.state["behind"]) == ("held", "not a letter", "qua_1")


async def test_what_one_replica_heard_was_heard_though_another_says_that_it_failed() -> None:
    first, second = await entry(), await entry()
    for one, answers in ((first, (None, "no")), (second, ("no", None))):
        one.hear(REPLAY)
        for reason in answers:
            one.hear(Settled(one.record.state["attempt"], "taken", reason=reason))

    assert (first.status, second.status) == ("replayed", "replayed")


async def test_what_came_of_an_earlier_attempt_changes_nothing() -> None:
    one = await entry()
    one.hear(REPLAY)
    earlier = one.record.state["attempt"]
    one.hear(Settled(earlier, reason="no"))
    one.hear(REPLAY)

    assert one.hear(Settled(earlier, "taken")).events == ()
    assert one.status == "replaying"


async def test_an_edited_copy_keeps_the_original_and_says_what_differs_and_both_are_sealed() -> None:
    one = await entry(b'{"type": "letter", "facts": "Maud"}', headers=[("ce_type", b"odd"), ("ce_id", b"1")])
    edited = Replay("Anna", "wrong type", value=b'{"type": "letter", "facts": "Maud V."}', headers={"CE_TYPE": b"good"})

    both(one, edited)

    [(_, copy, difference)] = edits(one.record.fresh)
    asked = one.record.fresh[-2]
    assert original(one.record.fresh).value == b'{"type": "letter", "facts": "Maud"}'
    assert copy.value == edited.value
    assert copy.headers == (("ce_id", b"1"), ("CE_TYPE", b"good"))
    assert difference["changes"] == [{"op": "replace", "path": "/facts", "was": "Maud", "value": "Maud V."}]
    assert asked.sealed is not None
    assert b"Maud" not in asked.data_json
    assert asked.data["edited"]["from"]["size"] == len(b'{"type": "letter", "facts": "Maud"}')
    assert at_attempt(one.record.fresh, one.record.state["attempt"]) == copy


@pytest.mark.parametrize("levels", [100, 101, 254, 300, 1_000])
@pytest.mark.parametrize("turned", [False, True])
async def test_an_edited_copy_of_a_deeply_nested_record_is_tried_and_shown_like_any_other(
    levels: int, turned: bool
) -> None:
    deep, plain = b'{"a":' * levels + b"1" + b"}" * levels, b'{"a": 1}'
    before, after = (plain, deep) if turned else (deep, plain)
    one = await entry(before)

    both(one, Replay("Anna", "mended", value=after))

    [(_, copy, difference)] = edits(one.record.fresh)
    assert (one.status, copy.value) == ("replaying", after)
    assert (difference["from"]["size"], difference["to"]["size"]) == (len(before), len(after))


async def test_a_difference_that_cannot_be_written_is_told_by_sizes_and_digests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.quarantine.difference.DEEPEST", 2_000)
    one = await entry(b"[" * 300 + b"]" * 300)

    both(one, Replay("Anna", "mended", value=b"{}"))

    [(_, _, difference)] = edits(one.record.fresh)
    assert (one.status, difference.keys()) == ("replaying", {"from", "to", "headers"})


@pytest.mark.parametrize("topic", [GATE, "letters.received.v1"])
@pytest.mark.parametrize("first", [REPLAY, replace(REPLAY, value=b"second")])
async def test_another_copy_is_not_dropped_in_silence_once_one_is_tried_or_was_heard(topic: str, first: Replay) -> None:
    one = await entry(b"first", topic=topic)
    both(one, first)

    for says in ("It is being tried: this copy was not taken.", "It was heard already: this copy was not taken."):
        for other in (replace(REPLAY, value=b"third"), replace(first, headers={"ce_type": b"letter.received"})):
            refused = one.hear(other)
            assert (refusal(refused.reply), getattr(refused.reply, "says", "")) == (Why.NOT_NOW, says)
            assert refused.events == ()
        for again in (first, REPLAY, replace(first, value=first.value or b"first")):
            assert (one.hear(again).events, one.hear(again).reply) == ((), None)
        one.hear(Settled(one.record.state["attempt"], "taken"))

    assert one.status == "replayed"


async def test_a_replay_without_a_copy_tries_what_was_set_aside_also_after_an_edited_one_failed() -> None:
    one = await entry(b"first")
    both(one, Replay("Anna", "edited", value=b"second"))
    one.hear(Settled(one.record.state["attempt"], reason="no"))

    one.hear(REPLAY)

    assert at_attempt(one.record.fresh, one.record.state["attempt"]).value == b"first"


EDITED = Replay("Mallory", "mended", asked_at="t", value=b"{}", headers={"ce_type": b"letter.received"})


async def test_nobody_gets_rid_of_what_may_be_urgent_by_a_copy_that_asks_for_nothing() -> None:
    one = await entry(b"EMERGENCY, not JSON")
    both(one, EDITED)

    one.hear(Settled(one.record.state["attempt"], "nothing to do"), "intake")

    assert (one.status, one.record.state["reason"], one.types[-1]) == ("held", "nothing to do", QUARANTINE_HELD)
    one.hear(Discard("Mallory", "rubbish"))
    assert refusal(one.hear(Discard("Mallory", "rubbish")).reply) is Why.SECOND


async def test_what_was_heard_wins_over_another_replica_that_found_nothing_left_to_do() -> None:
    for outcomes in (["nothing to do", "taken"], ["taken", "nothing to do"]):
        one = await entry()
        both(one, EDITED)
        for outcome in outcomes:
            one.hear(Settled(one.record.state["attempt"], outcome))

        assert (one.status, one.record.state["outcome"]) == ("replayed", "taken")


@pytest.mark.parametrize(
    ("topic", "asked"), [(GATE, REPLAY), ("letters.received.v1", EDITED), ("letters.received.v1", REPLAY)]
)
async def test_what_was_heard_before_or_is_not_urgent_is_replayed_with_nothing_to_do(topic: str, asked: Replay) -> None:
    one = await entry(topic=topic)
    both(one, EDITED)
    one.hear(Settled(one.record.state["attempt"], reason="no"))
    both(one, asked)

    one.hear(Settled(one.record.state["attempt"], "nothing to do"))

    assert (one.status, one.record.state["outcome"]) == ("replayed", "nothing to do")


async def test_what_is_kept_in_part_is_replayed_as_an_edited_copy_only() -> None:
    [first] = await messages_of(consumed(b"x" * 2_000))
    body = first.body
    cut = Alert(body.kind, {**body.facts, "cut": True}, body.content)
    one = Entry(Message(first.record, first.cause, first.by, cut))

    assert refusal(one.hear(REPLAY).reply) is Why.NOT_NOW
    both(one, Replay("Anna", "whole again", value=b"x" * 10))

    assert one.status == "replaying"


async def test_one_person_discards_what_is_not_urgent() -> None:
    one = await entry(topic=topics.letters_received(Lane.NORMAL))

    one.hear(Discard("Anna", "a test of theirs"))
    one.hear(Discard("Anna", "a test of theirs"))

    assert (one.status, one.types.count(QUARANTINE_DISCARDED)) == ("discarded", 1)
    assert refusal(one.hear(REPLAY).reply) is Why.NOT_NOW


@pytest.mark.parametrize(
    "again",
    [
        *("Anna", "anna", " ANNA ", "Ａｎｎａ", "Anna\u200b", "\ufeffAn\u00adna", "A\u202ennA"),
        *("An\tna", "Ann\na", "A nna", "An\u034fna", "Ann\ufe0fa", "Ånna"),
    ],
)
async def test_two_people_discard_what_may_be_urgent_and_nobody_is_two_people(again: str) -> None:
    one = await entry()

    one.hear(Discard("Anna", "rubbish"))
    assert (one.status, one.types[-1]) == ("held", QUARANTINE_DISCARD_PROPOSED)
    assert refusal(one.hear(Discard(again, "rubbish")).reply) is Why.SECOND
    one.hear(Discard("Bela", "rubbish indeed"))

    assert one.status == "discarded"
    assert one.record.fresh[-1].data["proposed_by"] == "Anna"


async def test_one_account_under_two_names_is_one_person() -> None:
    one = await entry()

    one.hear(Discard("Anna", "rubbish", "account-1"))

    assert refusal(one.hear(Discard("Bela", "rubbish", "account-1")).reply) is Why.SECOND
    assert refusal(one.hear(Discard("Bela", "rubbish")).reply) is Why.SECOND
    assert refusal(one.hear(Discard("Bela", "rubbish", "account-2")).reply) is None
    assert one.status == "discarded"


COPY = Replay("Anna", "mended", "account-1", value=b"another letter", headers={"ce_type": b"letter.received"})


async def test_two_people_try_a_copy_of_what_may_be_urgent_and_it_is_that_copy_which_is_tried() -> None:
    one = await entry(b"EMERGENCY, not JSON")

    one.hear(COPY)
    assert (one.status, one.types[-1]) == ("held", QUARANTINE_REPLAY_PROPOSED)
    assert b"another letter" not in one.record.fresh[-1].data_json
    for again in (COPY, replace(COPY, by=" ANNA ", account=None), replace(COPY, by="Bela")):
        assert refusal(one.hear(again).reply) is Why.SECOND
    one.hear(replace(COPY, by="Bela", account="account-2"))

    assert (one.status, one.record.fresh[-1].data["proposed_by"]) == ("replaying", "Anna")
    assert at_attempt(one.record.fresh, one.record.state["attempt"]).value == b"another letter"
    [(_, copy, difference)] = edits(one.record.fresh)
    assert copy.value == b"another letter"
    assert difference["headers"][-1] == {"name": "ce_type", "was": None, "value": ["letter.received"]}
    assert fold(one.record.fresh, evolve) == one.record.state


@pytest.mark.parametrize("other", [{"value": b"a third letter"}, {"value": None}, {"headers": {}}])
async def test_who_sends_another_copy_confirms_nothing(other: dict[str, Any]) -> None:
    one = await entry()
    one.hear(COPY)

    one.hear(replace(COPY, by="Bela", account=None, **other))

    assert (one.status, one.record.state["proposal"]["by"]) == ("held", "Bela")


async def test_a_proposal_to_discard_and_one_to_try_a_copy_do_not_confirm_each_other() -> None:
    one = await entry()
    one.hear(Discard("Anna", "rubbish"))
    one.hear(replace(COPY, by="Bela", account=None))
    assert one.types[-2:] == [QUARANTINE_DISCARD_PROPOSED, QUARANTINE_REPLAY_PROPOSED]
    one.hear(Discard("Anna", "rubbish"))

    assert (one.status, one.types[-1]) == ("held", QUARANTINE_DISCARD_PROPOSED)


async def test_one_person_tries_a_copy_of_what_is_not_urgent_and_the_original_of_what_is() -> None:
    normal, urgent = await entry(topic=topics.letters_received(Lane.NORMAL)), await entry()

    normal.hear(COPY)
    urgent.hear(COPY)
    urgent.hear(REPLAY)

    assert (normal.status, urgent.status, "proposal" in urgent.record.state) == ("replaying", "replaying", False)
    assert at_attempt(urgent.record.fresh, urgent.record.state["attempt"]).value == b"{}"


async def test_a_proposal_does_not_outlive_a_replay() -> None:
    one = await entry()
    one.hear(Discard("Anna", "rubbish"))
    one.hear(REPLAY)
    assert refusal(one.hear(Discard("Bela", "rubbish")).reply) is Why.NOT_NOW
    one.hear(Settled(one.record.state["attempt"], reason="no"))

    one.hear(Discard("Bela", "rubbish"))

    assert (one.status, one.record.state["proposal"]["by"]) == ("held", "Bela")


async def test_who_looked_is_kept_and_changes_nothing_else() -> None:
    one = await entry()
    before = dict(one.record.state)

    one.hear(Look("Anna", "the sender rang", how="export"))

    looked = one.record.fresh[-1]
    assert (looked.type, one.record.state) == (QUARANTINE_LOOKED, before)
    assert looked.data == {"by": "Anna", "reason": "the sender rang", "how": "export"}


async def test_people_cannot_fill_a_record_so_that_nothing_can_come_of_its_replay() -> None:
    one = await entry()
    for _ in range(MAX_RECORD_EVENTS):
        one.hear(Look("Anna", "again"))

    assert one.record.version < MAX_RECORD_EVENTS - 10
    assert refusal(one.hear(REPLAY).reply) is Why.NOT_NOW
    one.hear(Discard("Anna", "full"))
    one.hear(Discard("Bela", "full"))
    assert one.status == "discarded"


@pytest.mark.parametrize("act", [REPLAY, Discard("Anna", "x"), Look("Anna", "x")])
async def test_an_alert_of_another_kind_is_no_entry(act: Replay | Discard | Look) -> None:
    alert = Alert("event-refused", {"record": "cas_1", "reason": "too large"})
    one = Entry(Message("alt_1", "cause", "intake", alert))

    assert (one.status, refusal(one.hear(act).reply)) == ("raised", Why.UNKNOWN)


async def test_the_state_is_the_fold_of_the_history_and_the_chain_holds() -> None:
    one = await entry()
    one.hear(Discard("Anna", "rubbish"))
    one.hear(REPLAY)
    one.hear(Settled(one.record.state["attempt"], reason="no"))
    both(one, Replay("Anna", "edited", value=b"[]"))
    one.hear(Settled(one.record.state["attempt"], "taken", ["let_1"]))

    assert fold(one.record.fresh, evolve) == one.record.state
    assert chain_holds(one.record.id, one.record.fresh)
    assert json.loads(one.record.fresh[-1].data_json) == {"outcome": "taken", "records": ["let_1"], "count": 1}
