"""Subscriptions: added once, held back where they may be, their keys rotated, and nothing of theirs in the clear."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.subscription_state import Paused, Status, evolve
from services.notifier.domain.subscriptions import (
    FULL,
    FULL_SOON,
    MOST_KEYS,
    OLD_KEY_SIGNS,
    ONLY_NEVER_HELD,
    TAKEN_UNTIL,
    Gone,
    Left,
    Pause,
    Refused,
    Remove,
    Resume,
    RotateKey,
    Why,
)
from services.notifier.rules.never_held import of_law
from shared import topics
from shared.events import (
    ALERT_RAISED,
    SUBSCRIBER_LEFT,
    SUBSCRIPTION_ADDED,
    SUBSCRIPTION_GONE,
    SUBSCRIPTION_KEY_ROTATED,
    SUBSCRIPTION_PAUSED,
    SUBSCRIPTION_REMOVED,
    SUBSCRIPTION_RESUMED,
    Draft,
    Event,
)
from shared.records import MAX_RECORD_EVENTS, fold, stored_form
from shared.times import text_of
from tests.unit.kept_lists import (
    ADDRESS,
    KEY,
    NEXT_KEY,
    NOW,
    PAUSE,
    SEALER,
    Kept,
    add,
    added,
    left_address,
    subscription,
)

ELSEWHERE = "https://other.example/"
THERE = Gone(1)


def refused(kept: Kept) -> Refused:
    """Why nothing happened."""
    assert kept.types == []
    assert isinstance(kept.decided.reply, Refused)
    return kept.decided.reply


def test_one_that_is_added_is_served_where_it_was_told() -> None:
    kept = added(rate=5, group=600, language="az")

    one = kept.subscription

    assert kept.types == [SUBSCRIPTION_ADDED]
    assert (one.recipient, one.state, one.address, one.keys) == ("subscription.ministry", "active", ADDRESS, (KEY,))
    assert (one.language, one.rate, one.group) == ("az", 5, timedelta(minutes=10))


def test_the_same_again_changes_nothing_though_its_new_key_is_another() -> None:
    kept = added().hear(add(key=NEXT_KEY), hours=1)

    assert (kept.types, kept.decided.reply) == ([], None)
    assert kept.subscription.keys == (KEY,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", ELSEWHERE),
        ("hears", {"audience": "duty"}),
        ("language", "fr"),
        ("group", 60),
        ("rate", 1),
        ("signs", "v1a"),
        ("channel", "alertmanager"),
    ],
)
def test_another_one_under_the_same_name_is_refused_with_the_field_that_differs(field: str, value: Any) -> None:
    said = refused(added().hear(add(**{field: value})))

    assert said.why is Why.TAKEN
    assert [error.pointer for error in said.errors] == [f"/{field}"]


def test_a_name_can_be_used_anew_after_removal_and_its_history_goes_on() -> None:
    kept = added().hear(RotateKey(NEXT_KEY)).hear(Remove()).hear(add(address=ELSEWHERE, key="whsec_YW5ldw=="), days=1)

    assert kept.types == [SUBSCRIPTION_ADDED]
    assert kept.record.version == 4
    assert (kept.subscription.address, kept.subscription.keys) == (ELSEWHERE, ("whsec_YW5ldw==",))


@pytest.mark.parametrize("body", [PAUSE, Resume(), RotateKey(NEXT_KEY), Remove(), THERE])
@pytest.mark.parametrize("kept", [subscription(), added().hear(Remove())], ids=["never added", "removed"])
def test_what_is_not_there_is_unknown(kept: Kept, body: Any) -> None:
    assert refused(kept.hear(body)) == Refused(Why.UNKNOWN)


def test_pausing_and_resuming_twice_are_as_once() -> None:
    kept = added().hear(PAUSE)
    assert (kept.types, kept.state["status"]) == ([SUBSCRIPTION_PAUSED], "paused")
    assert (kept.hear(PAUSE).types, kept.decided.reply) == ([], None)
    assert (kept.hear(Resume()).types, kept.state["status"]) == ([SUBSCRIPTION_RESUMED], "active")
    assert (kept.hear(Resume()).types, kept.decided.reply) == ([], None)


def test_a_pause_says_since_when_by_whom_why_and_until_when() -> None:
    until = text_of(NOW + timedelta(days=1))
    pause = added().hear(Pause("leyla", "They move", until)).subscription.pause
    assert pause == Paused("leyla", "They move", text_of(NOW), until)

    assert added().hear(PAUSE).subscription.pause == Paused("AUTHOR-MARK", "REASON-MARK", text_of(NOW), None)
    assert added().subscription.pause is None


def test_who_pauses_again_has_the_last_word() -> None:
    kept = added().hear(PAUSE).hear(Pause("leyla", "They move", text_of(NOW + timedelta(hours=2))), hours=1)

    assert kept.types == [SUBSCRIPTION_PAUSED]
    assert kept.subscription.pause is not None
    assert (kept.subscription.pause.author, kept.subscription.pause.since) == ("leyla", text_of(kept.now))


def test_a_pause_that_has_ended_can_begin_anew_and_one_cannot_end_before_it_begins() -> None:
    pause = Pause("leyla", "They move", text_of(NOW + timedelta(hours=1)))
    kept = added().hear(pause)
    ended = text_of(NOW + timedelta(hours=1))
    assert (kept.subscription.at(ended).state, kept.subscription.at(ended).pause) == ("active", None)

    said = refused(kept.hear(pause, hours=1))
    assert (said.why, [error.pointer for error in said.errors]) == (Why.WRONG, ["/until"])
    assert kept.hear(PAUSE).types == [SUBSCRIPTION_PAUSED]
    assert kept.subscription.at("9").state == "paused"


@pytest.mark.parametrize("after", [Resume(), Resume(ELSEWHERE), THERE])
def test_nothing_is_left_of_a_pause_that_is_over(after: Any) -> None:
    kept = added().hear(Pause("leyla", "They move", text_of(NOW + timedelta(hours=1)))).hear(after)

    assert kept.subscription.pause is None
    assert not [name for name in kept.state if name.startswith("paused")]


def test_a_pause_of_before_is_read_without_author_reason_and_end() -> None:
    kept = added()
    kept.record.append(
        Draft(SUBSCRIPTION_PAUSED, (), {}), by="desk", cause="before", now=NOW, evolve=evolve, sealer=SEALER
    )

    assert (kept.subscription.state, kept.subscription.pause) == ("paused", Paused(None, None, text_of(NOW), None))
    kept.record.state = {name: value for name, value in kept.state.items() if not name.startswith("paused_")}
    assert kept.subscription.pause == Paused(None, None, None, None)
    assert kept.subscription.at("9").state == "paused"
    assert kept.hear(PAUSE).types == [SUBSCRIPTION_PAUSED]


@pytest.mark.parametrize("matcher", of_law(["provisional_arrest"]), ids=lambda matcher: matcher.says)
def test_who_hears_only_what_nothing_holds_back_cannot_be_paused(matcher: Any) -> None:
    """Every member of the class, alone and narrowed."""
    when = {fact: sorted(values) for fact, values in matcher.when.items()}

    for hears in (when, when | {"party": ["FR"]}):
        kept = added(hears={"when": hears}).hear(PAUSE)

        assert refused(kept) == Refused(Why.NEVER_HELD, ONLY_NEVER_HELD)
        assert kept.state["status"] == "active"


def test_who_hears_all_of_the_class_cannot_be_paused_by_its_audience_either() -> None:
    assert refused(added(hears={"audience": "woken"}).hear(PAUSE)).why is Why.NEVER_HELD
    assert added(hears={"audience": "duty"}).hear(PAUSE).types == [SUBSCRIPTION_PAUSED]


def test_a_new_key_comes_first_and_the_old_one_signs_for_a_day() -> None:
    kept = added().hear(RotateKey(NEXT_KEY), hours=1)
    rotated = kept.now

    assert kept.types == [SUBSCRIPTION_KEY_ROTATED]
    assert kept.subscription.keys == (NEXT_KEY, KEY)
    last = text_of(rotated + OLD_KEY_SIGNS - timedelta(microseconds=1))
    assert kept.subscription.at(last).keys == (NEXT_KEY, KEY)
    assert kept.subscription.at(text_of(rotated + OLD_KEY_SIGNS)).keys == (NEXT_KEY,)


def test_rotating_again_and_again_takes_no_recipients_key_away_early() -> None:
    kept = added()
    for number in range(MOST_KEYS - 1):
        kept.hear(RotateKey(f"key-{number}"), hours=1)
    assert [*kept.subscription.keys] == ["key-1", "key-0", KEY]

    assert refused(kept.hear(RotateKey("one too many"))).why is Why.FORBIDDEN

    kept.hear(RotateKey("later"), hours=24)
    assert [*kept.subscription.keys] == ["later", "key-1"]
    assert [key["seq"] for key in kept.state["keys"]] == [4, 3]


def test_what_is_not_signed_has_no_key_to_rotate() -> None:
    mail = added(channel="email", address="duty@ministry.example", key=None, signs=None)

    assert mail.subscription.keys == ()
    assert refused(mail.hear(RotateKey(KEY))).why is Why.FORBIDDEN


def test_one_that_is_gone_needs_a_new_address() -> None:
    kept = added().hear(THERE)
    assert (kept.types, kept.state["status"]) == ([SUBSCRIPTION_GONE], "gone")
    assert kept.hear(THERE).types == []
    assert kept.hear(PAUSE).types == []

    assert [error.pointer for error in refused(kept.hear(Resume())).errors] == ["/address"]
    assert refused(kept.hear(Resume(ADDRESS))).why is Why.FORBIDDEN

    kept.hear(Resume(ELSEWHERE))
    assert (kept.subscription.state, kept.subscription.address, kept.subscription.keys) == ("active", ELSEWHERE, (KEY,))


def test_an_answer_of_the_old_address_says_nothing_of_the_new_one() -> None:
    kept = added().hear(Resume(ELSEWHERE))

    assert kept.hear(THERE).types == []
    assert kept.hear(Gone(kept.subscription.address_seq)).types == [SUBSCRIPTION_GONE]


def test_resuming_at_another_address_moves_it_in_every_state() -> None:
    for before in ([], [PAUSE], [THERE]):
        kept = added()
        for body in before:
            kept.hear(body)
        assert kept.hear(Resume(ELSEWHERE)).subscription.address == ELSEWHERE


def test_an_address_that_a_subscriber_has_left_is_noted_once() -> None:
    kept = left_address("duty-officers", ADDRESS)

    assert (kept.types, kept.state) == ([SUBSCRIBER_LEFT], {"status": "left", "subscriber": "duty-officers"})
    assert kept.hear(Left("duty-officers")).types == []
    assert refused(kept.hear(PAUSE)).why is Why.UNKNOWN


# A record that fills


def paused_and_resumed_until(version: int) -> Kept:
    """A subscription after a long everyday."""
    kept = added()
    while kept.record.version < version:
        kept.hear(Resume() if kept.state["status"] == "paused" else PAUSE, hours=1)
    return kept


def test_somebody_is_told_once_and_in_time_that_a_record_fills() -> None:
    kept = paused_and_resumed_until(TAKEN_UNTIL[Pause])

    (alert,) = [event for event in kept.record.fresh if event.type == ALERT_RAISED]
    assert alert.seq == FULL_SOON + 1
    assert alert.to == {topics.ALERTS_RAISED: 1}
    assert alert.data == {
        "alert": kept.record.id,
        "kind": "subscription-full",
        "service": "notifier",
        "subscriber": "ministry",
    }
    assert kept.subscription.address == ADDRESS


def test_what_a_full_record_cannot_take_is_refused_aloud_and_what_must_not_be_lost_is_taken() -> None:
    kept = paused_and_resumed_until(TAKEN_UNTIL[Pause] - 1)
    assert kept.hear(RotateKey(NEXT_KEY)).types == [SUBSCRIPTION_KEY_ROTATED]
    assert (kept.hear(PAUSE).decided.reply, kept.state["status"]) == (None, "paused")
    assert refused(kept.hear(RotateKey(NEXT_KEY))) == Refused(Why.FORBIDDEN, FULL)

    assert kept.hear(Resume()).types == [SUBSCRIPTION_RESUMED]
    assert refused(kept.hear(PAUSE)) == Refused(Why.FORBIDDEN, FULL)
    while kept.state["status"] == "active":
        assert kept.hear(Gone(kept.subscription.address_seq)).types == [SUBSCRIPTION_GONE]
        kept.hear(Resume(f"{ELSEWHERE}{kept.record.version}"))
    assert refused(kept) == Refused(Why.FORBIDDEN, FULL)
    assert kept.hear(Remove()).types == [SUBSCRIPTION_REMOVED]
    assert refused(kept.hear(add())) == Refused(Why.FORBIDDEN, FULL)
    assert kept.record.version < MAX_RECORD_EVENTS


def test_neither_address_nor_host_nor_key_nor_who_paused_it_and_why_stands_in_the_clear() -> None:
    kept = (
        added(address=ADDRESS)
        .hear(PAUSE)
        .hear(RotateKey(NEXT_KEY))
        .hear(Resume("https://new.ministry.example/ADDRESS-MARK"))
    )

    stored = repr([stored_form(event) for event in kept.record.fresh]) + orjson.dumps(kept.state).decode()

    for secret in (
        "AUTHOR-MARK",
        "REASON-MARK",
        "ADDRESS-MARK",
        "ministry.example",
        KEY,
        KEY.removeprefix("whsec_"),
        NEXT_KEY,
    ):
        assert secret not in stored


ENDING = Pause("leyla", "They move", text_of(NOW + timedelta(hours=40)))
BODIES = (
    add(),
    add(address=ELSEWHERE),
    PAUSE,
    ENDING,
    Resume(),
    Resume(ELSEWHERE),
    RotateKey(NEXT_KEY),
    Remove(),
    THERE,
)


@given(st.lists(st.tuples(st.sampled_from(BODIES), st.integers(0, 30)), max_size=12))
def test_whatever_is_said_in_whatever_order_the_state_is_the_fold_of_the_history(said: Any) -> None:
    kept = subscription()
    for body, hours in said:
        kept.hear(body, hours=hours)

    assert fold(kept.record.fresh, evolve) == kept.state
    if kept.state.get("status", Status.REMOVED) != Status.REMOVED:
        one = kept.subscription
        assert one.address in (ADDRESS, ELSEWHERE)
        assert 1 <= len(one.at(text_of(kept.now)).keys) <= MOST_KEYS
        assert one.signing[0].until is None


DATA: Mapping[str, Mapping[str, Any]] = {
    SUBSCRIPTION_ADDED: {"name": "a", "signs": "v1", "channel": "webhook", "hears": {"when": {}}},
    SUBSCRIPTION_PAUSED: {},
    SUBSCRIPTION_RESUMED: {"moved": True},
    SUBSCRIPTION_KEY_ROTATED: {"until": text_of(NOW)},
    SUBSCRIPTION_GONE: {},
    SUBSCRIPTION_REMOVED: {},
    ALERT_RAISED: {},
}


def test_evolve_takes_every_event_in_every_state() -> None:
    """No order of events, however wrong, stops a record from being read."""
    for types in product(DATA, repeat=3):
        events = [
            Event(seq, type, text_of(NOW), "desk", "cause", {}, DATA[type], b"{}", None, None, b"")
            for seq, type in enumerate(types, 1)
        ]
        assert "status" in fold(events, evolve) or {SUBSCRIPTION_KEY_ROTATED, ALERT_RAISED} & {*types}
