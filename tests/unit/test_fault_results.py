"""What the fault tests counted in several runs, in one file."""

from collections import Counter
from typing import Any

import pytest

from tests.fault.results import Results, added


def run(seed: int, *tests: str, failed: tuple[str, ...] = (), **counted: Any) -> dict[str, Any]:
    return Results(seed, tests=list(tests), failed=list(failed), **counted).summary()


def test_what_other_tests_counted_stays() -> None:
    before = run(1, "clocks", letters=10, kills=Counter(router=2), clocks={"due": 5}, planted={"a bug": "caught"})
    now = run(2, "nemesis", letters=7, kills=Counter(router=1, broker=1), nemesis={"clocks": 3})

    told = added(before, now)

    assert (told["verdict"], told["seed"], told["letters"]) == ("ok", 2, 17)
    assert told["kills"] == {"broker": 1, "router": 3}
    assert (told["clocks"], told["nemesis"], told["planted"]) == ({"due": 5}, {"clocks": 3}, {"a bug": "caught"})
    assert [(one["seed"], one["tests"]) for one in told["runs"]] == [(1, ["clocks"]), (2, ["nemesis"])]


def test_what_failed_and_counted_nothing_stays_too() -> None:
    before = run(1, "nemesis", failed=("test_checker", "nemesis"))

    told = added(before, run(2, "nemesis"))

    assert (told["verdict"], told["runs"][0]["failed"]) == ("failed", ["test_checker"])


@pytest.mark.parametrize("again", [True, False])
def test_what_failed_has_failed_until_it_is_made_again(again: bool) -> None:
    before = run(1, "clocks", "nemesis", failed=("nemesis",))

    told = added(before, run(2, "nemesis" if again else "ladders"))

    assert told["verdict"] == ("ok" if again else "failed")
    assert told["runs"][0]["failed"] == ([] if again else ["nemesis"])
