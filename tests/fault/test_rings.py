"""The checks on what rang find what they should: a ring that is missing, doubled, wrong, early or late."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from shared.events import CASE_CLOCK_MISSED
from shared.vocabulary import Lane
from tests.fault.evidence import Seen
from tests.fault.results import Results
from tests.fault.rings import Due, Life, Ring, could_ring, early, late, once_each, rung
from tests.fault.verdict import Fault, Kind

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
RING, STOPPED = Ring("cas_1", "requested-deadline"), Ring("cas_2", "requested-deadline")
WANTED = {RING: Due(NOON, "security-service", Lane.NORMAL)}
LIVES = [Life(NOON - timedelta(seconds=60), NOON - timedelta(seconds=55))]

Found = dict[tuple[str, Ring], list[datetime]]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def good(seconds: float = 0.5) -> Found:
    return {(place, RING): [at(seconds)] for place in WANTED[RING].places}


def doubled(found: Found) -> Found:
    return found | {("cases.events.v1", RING): [at(0.5), at(4)]}


def wrong(found: Found) -> Found:
    return found | {(place, STOPPED): [at(1)] for place in WANTED[RING].places}


def lost(found: Found) -> Found:
    return {where: times for where, times in found.items() if where[0] != "cases.events.v1"}


PLANTED: dict[str, tuple[Callable[[Found], Found], Kind]] = {
    "a ring of a clock was dropped": (lost, Kind.LOST),
    "a clock rang twice": (doubled, Kind.TWICE),
    "a clock rang that was stopped": (wrong, Kind.WRONG),
    "a clock rang before its time": (lambda _: good(-1), Kind.WRONG),
    "a clock rang late": (lambda _: good(2.1), Kind.LATE),
}


def faults(found: Found) -> list[Fault]:
    return [*once_each(WANTED, found), *early(WANTED, found), *late(WANTED, found, LIVES)]


def test_a_ring_in_time_that_is_once_in_each_place_is_no_fault() -> None:
    assert faults(good()) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_of_a_clock_is_found(name: str, results: Results) -> None:
    plant, kind = PLANTED[name]

    caught = {fault.kind for fault in faults(plant(good()))} == {kind}
    results.planted[name] = "caught" if caught else "missed"
    assert caught


def test_a_ring_waits_for_the_first_router_that_has_caught_up_and_lives_on() -> None:
    lives = [
        Life(at(-60), at(-55), killed=at(1)),  # it died before it had its two seconds
        Life(at(5), None, killed=at(9)),  # it never caught up
        Life(at(10), at(13)),
    ]

    assert could_ring(NOON, lives) == at(13)
    assert could_ring(at(-10), lives) == at(-10)
    assert could_ring(at(20), lives) == at(20)


def test_what_rang_is_read_from_a_topic_s_own_bytes() -> None:
    said = {"case": RING.case, "said": {"clock": RING.clock, "step": "due"}}
    headers = (("ce_type", CASE_CLOCK_MISSED.encode()), ("ce_subject", RING.case.encode()))
    seen = Seen("cases.events.v1", 0, 0, b"cas_1", orjson.dumps(said), headers, round(at(1).timestamp() * 1000))

    assert rung({"cases.events.v1": {("/cases.events.v1/cas_1", 2): seen}}, {"cases": {}}) == {
        ("cases.events.v1", RING): [at(1)]
    }
