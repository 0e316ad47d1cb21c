"""What may be late while something was wrong, and what may not."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.vocabulary import Lane
from tests.fault.harms import Harm
from tests.fault.load import Load
from tests.fault.nemesis import Nemesis, chosen, drawn
from tests.fault.reading import Reading
from tests.fault.rings import Due, Ring, early
from tests.fault.scale import WHOLE
from tests.fault.verdict import Kind
from tests.fault.windows import Window, by_one_clock, could_ring, late, lateness, slow

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
RING = Ring("cas_1", "requested-deadline")


def second(n: float) -> datetime:
    return NOON + timedelta(seconds=n)


def window(began: float, ended: float, well: float, *, moves_time: bool = False) -> Window:
    return Window("something", second(began), second(ended), second(well), moves_time)


def of(due: float, rang: float, *windows: Window) -> list[Kind]:
    wanted = {RING: Due(second(due), "desk", Lane.NORMAL)}
    found = {("desk.cases.v1", RING): [second(rang)]}
    return [fault.kind for fault in late(lateness(wanted, found, windows))]


def test_near_a_jump_of_mongodbs_clock_nobody_can_say_what_is_early() -> None:
    wanted = {RING: Due(second(100), "desk", Lane.NORMAL)}
    found = {("desk.cases.v1", RING): [second(99)]}

    def kinds(*windows: Window) -> list[Kind]:
        return [fault.kind for fault in early(by_one_clock(wanted, windows), found)]

    assert kinds() == [Kind.WRONG]
    assert kinds(window(60, 65, 69, moves_time=True)) == [Kind.WRONG]
    assert kinds(window(60, 65, 71, moves_time=True)) == []
    assert kinds(window(60, 65, 71)) == [Kind.WRONG]


def test_what_is_due_while_nothing_is_wrong_rings_in_time() -> None:
    assert of(100, 101.9, window(10, 20, 25)) == []
    assert of(100, 102.1, window(10, 20, 25)) == [Kind.LATE]


def test_what_is_due_while_something_is_wrong_rings_when_all_is_well() -> None:
    assert of(12, 26.9, window(10, 20, 25)) == []
    assert of(12, 27.1, window(10, 20, 25)) == [Kind.LATE]


def test_a_window_that_follows_at_once_counts_on() -> None:
    assert could_ring(second(12), [window(26, 30, 40), window(10, 20, 25)]) == second(40)


def test_a_clock_may_wait_until_what_was_said_before_it_was_due_is_read() -> None:
    reading = Reading(list)
    for at, until in ((11, 10), (12, 11), (13, None), (14, 11.5), (15, 12), (16, 11), (17, 16)):
        reading.see(second(at), None if until is None else second(until))

    assert reading.passed(second(12), second(12)) == second(14)
    assert reading.passed(second(12), second(15)) == second(15)
    assert reading.passed(second(9), second(12)) == second(12)
    assert reading.passed(second(9), second(11.5)) == second(11.5)
    assert could_ring(second(12), [], reading) == second(14)
    assert could_ring(second(12), [window(10, 12, 13)], reading) == second(14)
    assert could_ring(second(12), [window(14, 16, 18)], reading) == second(18)
    reading.usual = timedelta(seconds=1)
    assert could_ring(second(12), [], reading) == second(13)


def test_around_a_jump_of_the_time_that_counts_nothing_is_late() -> None:
    assert of(12, 50, window(10, 20, 25, moves_time=True)) == []
    assert of(100, 150, window(10, 20, 25, moves_time=True)) == [Kind.LATE]


def test_half_a_minute_after_a_fault_all_goes_as_before() -> None:
    assert list(slow([window(10, 20, 50)])) == []
    assert [fault.kind for fault in slow([window(10, 20, 50.1)])] == [Kind.SLOW]


def test_in_the_short_run_each_kind_of_harm_is_done_once() -> None:
    harms = [Harm(kind, f"{kind} {n}", frozenset(), _nothing, _nothing, often=3) for kind in "ab" for n in range(5)]

    assert [harm.kind for harm in chosen(random.Random(7), harms, is_whole=False)] == ["a", "b"]
    assert len(chosen(random.Random(7), harms, is_whole=True)) == 30


async def _nothing() -> None:
    pass


def test_all_harms_are_drawn_and_none_at_once_with_another_of_the_same_process() -> None:
    harms = [Harm("any", f"{n}", frozenset({f"process {n % 4}"}), _nothing, _nothing) for n in range(40)]

    rounds = drawn(random.Random(7), harms)

    assert sorted(harm.name for together in rounds for harm in together) == sorted(harm.name for harm in harms)
    for together in rounds:
        assert len({process for harm in together for process in harm.processes}) == len(together)
    assert max(map(len, rounds)) > 1
    assert [[harm.name for harm in one] for one in drawn(random.Random(7), harms)] == [
        [harm.name for harm in one] for one in rounds
    ]


@pytest.mark.parametrize(
    ("seconds", "rates"),
    [
        ([1, 2, 3], [12.5, 25.0, 50.0]),
        ([1, 2, 9, 2], [12.5, 25.0, 50.0, 25.0]),
        ([9, 3, 9, 2], [12.5, 12.5, 25.0, 12.5]),
        ([9, 9, 3], [12.5, 12.5, 6.25]),
        ([9, 9, 9, 9], None),
    ],
    ids=["all", "half", "just started", "less", "never"],
)
async def test_the_load_is_as_much_as_the_machine_takes_well(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], rates: list[float] | None
) -> None:
    monkeypatch.setattr("tests.fault.nemesis.SCALE", WHOLE)
    load: Any = Load([], {}, "", iter(()), random.Random(1))
    load.change(50.0)
    nemesis: Any = object.__new__(Nemesis)
    nemesis._load, nemesis._say, tried = load, lambda _: None, []

    async def usual() -> timedelta:
        tried.append(load.rate)
        return timedelta(seconds=seconds[len(tried) - 1])

    async def until_behind(cases: float) -> None:
        assert cases > 0

    nemesis._look_at_the_usual, nemesis._until_behind = usual, until_behind
    if rates is None:
        with pytest.raises(AssertionError, match="too much for this machine"):
            await nemesis._find_the_rate()
    else:
        await nemesis._find_the_rate()
        assert tried == rates
