"""Silences: for a while, by somebody, for a reason; and never over what nothing may hold back."""

from datetime import timedelta
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.silences import LONGEST, End, evolve
from services.notifier.domain.subscriptions import Refused, Why
from services.notifier.rules.never_held import of_law
from shared.events import SILENCE_BEGUN, SILENCE_ENDED, Event
from shared.records import fold, stored_form
from shared.times import text_of
from tests.unit.kept_lists import NOW, Kept, begin, silence

BROAD = {"type": ["data_preservation"], "lane": ["normal"]}


def refused(kept: Kept) -> Refused:
    """Why nothing happened."""
    assert kept.types == []
    assert isinstance(kept.decided.reply, Refused)
    return kept.decided.reply


def test_a_silence_says_what_it_holds_back_until_when_by_whom_and_why() -> None:
    one = silence().hear(begin(BROAD)).silence

    assert (one.when, one.author, one.reason) == (BROAD, "AUTHOR-MARK", "REASON-MARK")
    assert (one.begun_at, one.until) == (NOW, NOW + timedelta(hours=1))


@pytest.mark.parametrize("matcher", of_law(["provisional_arrest"]), ids=lambda matcher: matcher.says)
def test_what_nothing_holds_back_cannot_be_silenced(matcher: Any) -> None:
    """Every member of the class, alone and narrowed."""
    when = {fact: sorted(values) for fact, values in matcher.when.items()}

    for narrower in (when, when | {"party": ["FR"]}, when | {"service": ["router"], "direction": ["incoming"]}):
        said = refused(silence().hear(begin(narrower)))

        assert said.why is Why.NEVER_HELD
        assert [error.pointer for error in said.errors] == ["/when"]


def test_a_silence_over_several_members_of_the_class_is_refused_as_well() -> None:
    both = {"event": ["case.clock_missed", "case.lapsed"]}

    assert refused(silence().hear(begin(both))).why is Why.NEVER_HELD
    assert silence().hear(begin({"event": ["case.clock_missed", "case.closed"]})).types == [SILENCE_BEGUN]


@pytest.mark.parametrize(
    "until", [NOW, NOW - timedelta(seconds=1), NOW + LONGEST + timedelta(microseconds=1), NOW + timedelta(days=400)]
)
def test_a_silence_ends_and_within_days(until: Any) -> None:
    said = refused(silence().hear(begin(BROAD, until=text_of(until))))

    assert [error.pointer for error in said.errors] == ["/until"]
    assert silence().hear(begin(BROAD, until=text_of(NOW + LONGEST))).types == [SILENCE_BEGUN]


def test_nobody_silences_everything() -> None:
    assert [error.pointer for error in refused(silence().hear(begin({}))).errors] == ["/when"]


def test_the_same_again_is_the_same_silence() -> None:
    kept = silence().hear(begin(BROAD)).hear(begin(BROAD), minutes=1)

    assert (kept.types, kept.decided.reply, kept.record.version) == ([], None, 1)


def test_a_silence_is_ended_once_and_can_be_begun_anew() -> None:
    kept = silence().hear(begin(BROAD)).hear(End(), minutes=10)
    assert (kept.types, kept.silence.until) == ([SILENCE_ENDED], NOW + timedelta(minutes=10))
    assert (kept.hear(End()).types, kept.decided.reply) == ([], None)

    kept.hear(begin(BROAD), minutes=10)

    assert (kept.types, kept.silence.until) == ([SILENCE_BEGUN], NOW + timedelta(hours=1))


def test_one_that_has_run_out_is_not_ended_and_one_that_never_was_is_unknown() -> None:
    assert silence().hear(begin(BROAD)).hear(End(), hours=1).types == []
    assert refused(silence().hear(End())) == Refused(Why.UNKNOWN)


def test_neither_author_nor_reason_stands_in_the_clear() -> None:
    kept = silence().hear(begin(BROAD))

    assert "MARK" not in repr([stored_form(event) for event in kept.record.fresh])
    assert "MARK" not in orjson.dumps(kept.state).decode()


@given(st.lists(st.tuples(st.sampled_from([begin(BROAD), End()]), st.integers(0, 40)), max_size=8))
def test_whatever_is_said_the_state_is_the_fold_of_the_history(said: Any) -> None:
    kept = silence()
    for body, minutes in said:
        kept.hear(body, minutes=minutes)

    assert fold(kept.record.fresh, evolve) == kept.state
    if kept.record.version:
        assert kept.silence.until <= NOW + timedelta(hours=1)


def test_evolve_takes_every_event_in_every_state() -> None:
    data = {SILENCE_BEGUN: {"when": {}, "until": text_of(NOW)}, SILENCE_ENDED: {}}
    for types in product(data, repeat=3):
        events = [
            Event(seq, type, text_of(NOW), "desk", "cause", {}, data[type], b"{}", None, None, b"")
            for seq, type in enumerate(types, 1)
        ]
        assert fold(events, evolve)["ends"] == text_of(NOW)
