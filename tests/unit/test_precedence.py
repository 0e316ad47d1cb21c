"""How many normal records go at a time while something urgent is about; the time is passed in."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared import precedence
from shared.precedence import AGAIN, FOR, LEAST, QUICK, SLOW, Portion, Precedence

MOST = 500


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    made: Any = SimpleNamespace(now=1_000.0, monotonic=lambda: made.now)
    monkeypatch.setattr(precedence, "time", made)
    return made


def sizes(urgent: Precedence, portion: Portion, *seconds: float) -> list[int]:
    """Of the batches that take so long, one after the other."""
    found = []
    for took in seconds:
        urgent.came()
        found.append(portion.size())
        portion.took(took)
    return found


def test_while_nothing_urgent_is_about_all_goes_however_long_it_takes(clock: Any) -> None:
    portion = Portion(Precedence(), MOST)
    found = []
    for took in (0.01, 0.2, 9.0):
        found.append(portion.size())
        portion.took(took)

    assert found == [MOST] * 3


def test_small_ones_stay_small_while_they_are_quick(clock: Any) -> None:
    urgent = Precedence()

    assert sizes(urgent, Portion(urgent, MOST), *[QUICK / 2] * 4) == [LEAST] * 4


def test_where_small_ones_take_long_they_grow_up_to_all(clock: Any) -> None:
    urgent = Precedence()

    assert sizes(urgent, Portion(urgent, MOST), *[SLOW * 3] * 6) == [50, 100, 200, 400, 500, 500]


def test_in_between_the_size_stays_and_what_becomes_quick_shrinks_again(clock: Any) -> None:
    urgent, between = Precedence(), (QUICK + SLOW) / 2
    took = [SLOW * 3, between, between, QUICK / 2, QUICK / 2, between]

    assert sizes(urgent, Portion(urgent, MOST), *took) == [50, 100, 100, 100, 50, 50]


def test_after_a_while_the_smallest_are_tried_anew(clock: Any) -> None:
    urgent = Precedence()
    portion = Portion(urgent, MOST)
    grown = sizes(urgent, portion, *[SLOW * 3] * 5)
    clock.now += AGAIN + 1

    assert (grown[-1], sizes(urgent, portion, SLOW * 3)) == (MOST, [LEAST])


def test_when_nothing_urgent_came_for_a_while_all_goes_again_and_the_next_begins_small(clock: Any) -> None:
    urgent = Precedence()
    portion = Portion(urgent, MOST)
    sizes(urgent, portion, SLOW * 3)
    clock.now += FOR + 0.1
    calm = portion.size()

    assert (calm, sizes(urgent, portion, QUICK)) == (MOST, [LEAST])


def test_where_few_go_at_a_time_as_many_go_among_urgent_ones(clock: Any) -> None:
    urgent = Precedence()

    assert sizes(urgent, Portion(urgent, 20), SLOW * 3, QUICK / 2) == [20, 20]
