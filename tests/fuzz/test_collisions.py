"""Names and numbers that collide in tables take no more than their share of time (hash flooding).

Python salts the hashes of texts, and numbers are no names in JSON; so nothing that a caller chooses should collide. If
a reader ever made numbers of names, or kept numbers in a table, four times of these would take sixteen times the time.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from shared import strict_json
from shared.bad_letter import BadLetter
from tests.fuzz.steepness import LARGE, SMALL, compare

STEP = 2**61 - 1
"""What Python's hash of a number is taken from: multiples of it all have the hash 0."""
COLLIDING: dict[str, Callable[[int], object]] = {
    "names that are multiples": lambda n: {str(k * STEP): k for k in range(n)},
    "numbers that are multiples": lambda n: [k * STEP for k in range(n)],
    "numbers that end alike": lambda n: [k * 2**20 for k in range(n)],
    "names that end alike": lambda n: {f"{k:08}{'0' * 8}": k for k in range(n)},
    "objects of two such names": lambda n: [{"0": k, str(STEP): k} for k in range(n // 2)],
}


def read(raw: bytes) -> object:
    """A letter's JSON as it is read at the door."""
    try:
        strict_json.refuse_many(raw)
        return strict_json.read(raw)
    except BadLetter as bad:
        return bad


@pytest.mark.parametrize("kind", COLLIDING)
def test_four_times_as_many_take_about_four_times_the_time(kind: str) -> None:
    small, large = (json.dumps(COLLIDING[kind](size)).encode() for size in (SMALL, LARGE))

    compare(read, small, large)


def test_one_name_again_and_again_takes_no_longer_than_others() -> None:
    def same(n: int) -> Iterator[str]:
        yield from (f'"a":{k}' for k in range(n))

    small, large = ("{" + ",".join(same(size)) + "}" for size in (SMALL, LARGE))

    compare(read, small.encode(), large.encode())


def test_a_table_of_colliding_numbers_would_be_seen() -> None:
    """The test of the test: what nobody here does."""

    def careless(raw: bytes) -> object:
        return {int(name): value for name, value in json.loads(raw).items()}

    few, more = SMALL // 4, LARGE // 4  # enough: it is slow
    small, large = (json.dumps(COLLIDING["names that are multiples"](size)).encode() for size in (few, more))

    with pytest.raises(AssertionError):
        compare(careless, small, large)
