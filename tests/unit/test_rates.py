"""How fast a caller may come: over any stretch of time no faster than the rate, after a pause a burst."""

from hypothesis import given
from hypothesis import strategies as st

from shared.rates import BURST, Rates


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_comes_at_once_and_the_next_one_waits() -> None:
    clock = Clock()
    rates = Rates(2.0, clock)

    for _ in range(int(2 * BURST)):
        assert rates.wait("a") == 0
        rates.spend("a")

    assert rates.wait("a") == 1
    clock.now += 0.5
    assert rates.wait("a") == 0


def test_nobody_pays_for_another() -> None:
    rates = Rates(1.0, Clock())
    rates.spend("a", 1_000)

    assert rates.wait("a") > 900
    assert rates.wait("b") == 0


def test_what_was_overdrawn_is_paid_back_before_the_next_one_comes() -> None:
    clock = Clock()
    rates = Rates(10.0, clock)
    rates.spend("a", 1_050)

    wait = rates.wait("a")
    assert wait == 101
    clock.now += wait
    assert rates.wait("a") == 0


def test_many_together_come_only_while_there_is_room_for_all_of_them() -> None:
    clock = Clock()
    rates = Rates(300.0, clock)
    came = 0
    for _ in range(1_400):
        rates.spend("a")  # at the headers, of all bodies at once
    for _ in range(1_400):
        if not rates.wait("a", 1_000, taken=1):
            rates.spend("a", 999)
            came += 1

    assert came == 0
    clock.now += (wait := rates.wait("a", 1_000))
    assert wait == 3
    rates.spend("a")
    assert rates.wait("a", 1_000, taken=1) == 0
    rates.spend("a", 999)
    assert rates.wait("a", 1_000, taken=1) >= 3


def test_more_than_there_ever_is_room_for_come_after_a_pause() -> None:
    clock = Clock()
    rates = Rates(2.0, clock)
    rates.spend("a")
    assert rates.wait("a", 1_000, taken=1) == 0
    rates.spend("a", 999)

    clock.now += (wait := rates.wait("a", 1_000))
    assert wait == 500
    assert rates.wait("a", 1_000) == 0


def test_a_rate_of_nothing_is_no_limit() -> None:
    rates = Rates(0.0, Clock())
    for _ in range(10_000):
        rates.spend("a", 1_000)

    assert rates.wait("a") == rates.wait("a", 1_000) == 0


@given(st.floats(0.01, 1_000), st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5), st.booleans()), max_size=60))
def test_who_waits_as_long_as_it_is_told_may_come(rate: float, asks: list[tuple[float, int, bool]]) -> None:
    clock = Clock()
    rates = Rates(rate, clock)
    came, began = 0, clock.now
    for pause, count, together in asks:
        clock.now += pause
        at_once = count if together else 1
        if wait := rates.wait("a", at_once):
            clock.now += wait
            assert rates.wait("a", at_once) == 0
        rates.spend("a", count)
        came += count
        # The last one may have overdrawn.
        assert came - count <= rate * (clock.now - began) + max(1, rate * BURST) + 1e-3
