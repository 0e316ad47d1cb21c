"""Which steps of which clocks may fire: what was due by the horizon, and policy after ten minutes of waiting."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.router.domain.clocking import Tick
from services.router.resting import MOST, Resting
from services.router.ticking import LATE_EVERY, Waited, steps_of
from shared.times import text_of

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def clock(name: str, kind: str, *steps: float, **marks: str) -> dict[str, Any]:
    """A clock whose steps lie so many minutes after noon, the last one its end."""
    named = [[text_of(at(minutes)), f"{minutes} min"] for minutes in steps[:-1]]
    return {"clock": name, "kind": kind, "steps": [*named, [text_of(at(steps[-1])), "due"]], **marks}


def case(*clocks: Mapping[str, Any]) -> dict[str, Any]:
    return {"_id": "cas_1", "state": {"clocks": list(clocks)}}


Expected = list[tuple[str, float, bool]]
ACK, LAW, ASKED = "acknowledgement", "preservation", "requested"
FIRES: dict[str, tuple[Sequence[Mapping[str, Any]], float, float | None, Expected]] = {
    "nothing before its time": ([clock(ACK, "policy", 10)], 9.9, None, []),
    "at its time": ([clock(ACK, "policy", 10)], 10, None, [(ACK, 10, False)]),
    "every step once, in order": (
        [clock(LAW, "statutory", 1, 5, 10)],
        10,
        None,
        [(LAW, 1, False), (LAW, 5, False), (LAW, 10, False)],
    ),
    "what is not read yet holds the law's and the sender's back": (
        [clock(LAW, "statutory", 1), clock(ASKED, "requested", 1)],
        0,
        60,
        [],
    ),
    "our own policy waits so long and no longer": ([clock(ACK, "policy", 1, 61)], 0, 60, [(ACK, 1, True)]),
    "what was read is not called delayed": (
        [clock(ACK, "policy", 1, 3)],
        2,
        60,
        [(ACK, 1, False), (ACK, 3, True)],
    ),
    "one that waits holds no other up": (
        [clock(LAW, "statutory", 1), clock(ACK, "policy", 2)],
        0,
        60,
        [(ACK, 2, True)],
    ),
    "the earliest first, whichever clock": (
        [clock(LAW, "statutory", 5), clock(ACK, "policy", 3, 7)],
        10,
        None,
        [(ACK, 3, False), (LAW, 5, False), (ACK, 7, False)],
    ),
    "not what was stopped": ([clock(ACK, "policy", 1, stopped_at="...")], 10, None, []),
    "not what was missed": ([clock(ACK, "policy", 1, missed_at="...")], 10, None, []),
    "no clocks": ([], 10, 60, []),
}


@pytest.mark.parametrize("name", FIRES)
def test_a_step_fires(name: str) -> None:
    clocks, until, late_until, expected = FIRES[name]

    found = steps_of(case(*clocks), at(until), None if late_until is None else at(late_until))

    assert [(f.message.body.clock, f.message.body.at, f.message.body.input_delayed) for f in found] == [
        (clock, text_of(at(minutes)), delayed) for clock, minutes, delayed in expected
    ]


def test_a_step_is_the_same_message_whoever_finds_it() -> None:
    [one] = steps_of(case(clock(ACK, "policy", 1)), at(2), None)
    [other] = steps_of(case(clock(ACK, "policy", 1)), at(0), at(3))

    assert one.message.cause == other.message.cause == "clock/acknowledgement/2026-03-10T12:01:00.000000Z"
    assert (one.message.record, one.message.by, one.kind) == ("cas_1", "clock", "policy")
    assert one.message.body == Tick(ACK, "2026-03-10T12:01:00.000000Z", input_delayed=False)


# How long a policy clock waits


def waits(minutes: float, rate: float = 1) -> tuple[Waited, datetime | None]:
    """A process that has looked for so long."""
    waited, by, moment = Waited(), None, 0.0
    while moment <= minutes * 60:
        by = waited.by(moment, NOON + timedelta(seconds=moment * rate))
        moment += LATE_EVERY
    return waited, by


def test_a_process_that_has_just_started_has_waited_for_nothing_however_old_a_clock_is() -> None:
    assert waits(9.9)[1] is None


def test_what_was_due_ten_minutes_ago_has_waited_long_enough() -> None:
    _, by = waits(25)

    assert by is not None
    assert abs(by - at(15)) <= timedelta(seconds=2 * LATE_EVERY)


def test_ten_minutes_are_real_ones_also_where_a_simulation_runs_fast() -> None:
    assert waits(9.9, rate=3_600)[1] is None
    _, by = waits(15, rate=3_600)

    assert by is not None
    assert abs(by - (NOON + timedelta(hours=300))) <= timedelta(hours=2 * LATE_EVERY)


def test_after_the_clock_was_put_back_nothing_has_waited() -> None:
    waited, by = waits(15)
    assert by is not None

    assert waited.by(15 * 60 + LATE_EVERY, by - timedelta(hours=1)) is None


# What is left alone


def test_what_rests_is_left_alone_for_a_while() -> None:
    moment = [0.0]
    resting = Resting(lambda: moment[0])
    resting.leave("a", 60)
    resting.leave("b", 600)

    assert set(resting.names()) == {"a", "b"}
    moment[0] = 60
    assert resting.names() == ["b"]


def test_no_more_rest_than_a_query_can_name() -> None:
    resting = Resting(lambda: 0.0)
    for n in range(MOST + 10):
        resting.leave(f"{n}", 60)

    assert len(resting.names()) == MOST
    assert "0" not in resting.names()
