"""An alert on its ladder: each step once, until somebody acknowledges or something is done."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain import decide, evolve
from services.notifier.domain.bodies import Ack, Resolved
from services.notifier.domain.ladders import (
    FIRST,
    OWED,
    Begin,
    NobodyCame,
    Place,
    Step,
    Told,
    next_place,
    place_of,
)
from shared.decisions import Message
from shared.events import ALERT_RAISED, LADDER_BEGUN, LADDER_ENDED, LADDER_STEPPED
from shared.records import Record, fold
from shared.sealing import Sealer
from shared.times import text_of

NOW = datetime(2026, 3, 10, 3, tzinfo=UTC)
SEALER = Sealer(b"s" * 32)
MINUTES = timedelta(minutes=1)
DESK = {"subscriber": "person.a", "channel": "apprise", "then": ["email"]}
HEAD = {"subscriber": "person.b", "channel": "apprise"}


class Alert:
    """One ladder, and what is said to it."""

    def __init__(self, **members: Any) -> None:
        self.record = Record("alt_" + "1" * 32, "cas_" + "2" * 32, {})
        self.now = NOW
        self._said = 0
        told: dict[str, Any] = {
            "rule": "emergency",
            "ladder": "desk",
            "says": "Answer now.",
            "facts": {"event": "case.assigned", "urgency": "emergency"},
            "happened_at": text_of(NOW - timedelta(seconds=1)),
            "tells": [DESK],
            "next_after": 10 * MINUTES,
            "remind_after": 120 * MINUTES,
            "never_held": True,
        } | members
        self.hear(Begin(**told))

    def hear(self, body: Any, after: timedelta = timedelta()) -> list[str]:
        """What follows when something is said, by type."""
        self.now += after
        self._said += 1
        message = Message(self.record.id, f"test/{self._said}", "test", body, self.record.subject)
        events = decide(self.record, message, self.now).events
        for draft in events:
            self.record.append(draft, by="test", cause=message.cause, now=self.now, evolve=evolve, sealer=SEALER)
        assert fold(self.record.fresh, evolve) == self.record.state
        return [draft.type for draft in events]

    @property
    def state(self) -> dict[str, Any]:
        return self.record.state

    def step(
        self, at: Place, *, after: timedelta = timedelta(), next_after: timedelta | None = 10 * MINUTES
    ) -> list[str]:
        """The clock rings."""
        self.now += after
        return self.hear(Step(self.state.get("follow_at", ""), at, [HEAD], next_after))


def test_an_alert_begins_owing_its_first_step_and_goes_on_when_that_stands() -> None:
    alert = Alert()
    assert (alert.state["status"], alert.state["owed"]) == ("climbing", [DESK])
    assert alert.state["follow_at"] == text_of(NOW + OWED)

    alert.hear(Told(FIRST))
    assert "owed" not in alert.state
    assert alert.state["follow_at"] == text_of(NOW + 10 * MINUTES)


def test_the_same_event_begins_one_ladder() -> None:
    alert = Alert()
    assert alert.hear(Begin("emergency", "desk", "", {}, text_of(NOW), [], None, None)) == []


def test_a_step_is_taken_once_however_many_see_its_clock() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    due = alert.state["follow_at"]
    alert.now += 10 * MINUTES
    assert alert.hear(Step(due, Place(0, 1), [HEAD], 10 * MINUTES)) == [LADDER_STEPPED]
    assert alert.hear(Step(due, Place(0, 1), [HEAD], 10 * MINUTES)) == []
    assert (place_of(alert.state), alert.state["owed"]) == (Place(0, 1), [HEAD])


def test_no_step_is_taken_while_the_one_before_is_owed() -> None:
    alert = Alert()
    assert alert.step(Place(0, 1)) == []


def test_what_stands_is_noted_for_its_own_step_only() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    alert.step(Place(0, 1), after=10 * MINUTES)
    assert alert.hear(Told(FIRST)) == []
    assert alert.hear(Told(Place(0, 1))) != []


def test_an_acknowledgement_stops_the_climbing_until_the_reminder() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    alert.hear(Ack("person.a", "link"), 2 * MINUTES)
    assert alert.state["status"] == "acknowledged"
    assert alert.state["acknowledged_by"] == "person.a"
    assert alert.state["follow_at"] == text_of(alert.now + 120 * MINUTES)
    assert alert.hear(Ack("person.b", "link")) == []
    assert next_place(alert.state, 3, 20, has_again=True) == Place(1, 0)
    assert alert.step(Place(1, 0), after=120 * MINUTES) == [LADDER_STEPPED]
    assert alert.state["status"] == "climbing"
    assert "acknowledged_at" not in alert.state


def test_an_acknowledgement_before_the_first_notices_stand_ends_what_was_owed() -> None:
    alert = Alert()
    alert.hear(Ack("person.a", "api"))
    assert alert.hear(Told(FIRST)) == []
    assert "owed" not in alert.state


def test_without_a_reminder_an_acknowledgement_is_the_last_word() -> None:
    alert = Alert(remind_after=None)
    alert.hear(Told(FIRST))
    alert.hear(Ack("person.a", "link"))
    assert "follow_at" not in alert.state


def test_something_done_on_the_case_ends_it_but_not_what_was_done_before() -> None:
    alert = Alert()
    assert alert.hear(Resolved("case.begun", text_of(NOW - 5 * MINUTES))) == []
    assert alert.hear(Resolved("case.begun", text_of(NOW + MINUTES))) == [LADDER_ENDED]
    assert (alert.state["status"], alert.state["reason"]) == ("ended", "case.begun")
    assert "follow_at" not in alert.state
    assert alert.hear(Ack("person.a", "link")) == []


def test_what_is_done_after_an_acknowledgement_ends_it_and_keeps_who_it_was() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    alert.hear(Ack("person.a", "link"))
    alert.hear(Resolved("case.acknowledged", text_of(NOW + MINUTES)))
    assert (alert.state["status"], alert.state["acknowledged_by"]) == ("ended", "person.a")


def test_a_ladder_that_nobody_answers_ends_with_an_alert_of_its_own_once() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    due = alert.state["follow_at"]
    assert alert.hear(NobodyCame(due, "nobody acknowledged"), 10 * MINUTES) == [LADDER_ENDED, ALERT_RAISED]
    failed = Alert(facts={"event": ALERT_RAISED, "kind": "notice-failed"})
    failed.hear(Told(FIRST))
    due = failed.state["follow_at"]
    assert failed.hear(NobodyCame(due, "nobody acknowledged"), 10 * MINUTES) == [LADDER_ENDED]


def test_a_silenced_alert_stands_and_climbs_nowhere() -> None:
    alert = Alert(silence="sil_1")
    assert alert.state["status"] == "silenced"
    assert "owed" not in alert.state
    assert "follow_at" not in alert.state


def test_the_ways_up() -> None:
    state: dict[str, Any] = {"round": 0, "step": 0, "status": "climbing"}
    assert next_place(state, 3, 20, has_again=True) == Place(0, 1)
    assert next_place({**state, "step": 2}, 3, 20, has_again=True) == Place(1, 2)
    assert next_place({**state, "step": 2}, 3, 20, has_again=False) is None
    assert next_place({**state, "step": 2, "round": 20}, 3, 20, has_again=True) is None
    assert next_place({**state, "step": 2, "status": "acknowledged"}, 3, 20, has_again=False) == Place(1, 0)


BODIES = st.one_of(
    st.builds(Told, st.builds(Place, st.integers(0, 2), st.integers(0, 2))),
    st.builds(Ack, st.just("person.a"), st.just("link")),
    st.builds(Resolved, st.just("case.begun"), st.sampled_from([text_of(NOW - MINUTES), text_of(NOW + MINUTES)])),
    st.builds(NobodyCame, st.just(text_of(NOW + OWED)), st.just("nobody acknowledged")),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(BODIES, st.just("clock")), max_size=12))
def test_whatever_is_said_no_step_is_taken_twice_and_an_end_is_an_end(said: list[Any]) -> None:
    alert = Alert()
    places = [FIRST]
    for body in said:
        was_ended = alert.state["status"] == "ended"
        if body == "clock":
            at = next_place(alert.state, 3, 2, has_again=True)
            if at is None:
                continue
            if alert.step(at, after=MINUTES):
                places.append(at)
        else:
            alert.hear(body)
        if was_ended:
            assert alert.state["status"] == "ended"
    assert len(set(places)) == len(places)
    assert [event.type for event in alert.record.fresh].count(LADDER_BEGUN) == 1


def test_an_alert_that_somebody_has_taken_ends_without_another_one() -> None:
    alert = Alert()
    alert.hear(Told(FIRST))
    alert.hear(Ack("person.a", "link"))
    due = alert.state["follow_at"]
    assert alert.hear(NobodyCame(due, "acknowledged, and nothing was done"), 120 * MINUTES) == [LADDER_ENDED]
