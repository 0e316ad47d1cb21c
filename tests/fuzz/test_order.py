"""The count of batches by which a healthy record came late, held against orders that are made up."""

import pytest

from tests.fuzz.order import Handled, batches_late

PLACE = ("agency.a.letters.v1", 0)


def handled(*batches: tuple[int, ...], place: tuple[str, int] = PLACE) -> dict[int, Handled]:
    """Records by their offsets, as those batches handled them, one after another."""
    return {offset: Handled(place, offset, f"{at:02}") for at, batch in enumerate(batches) for offset in batch}


@pytest.mark.parametrize(
    ("batches", "late"),
    [
        ([(0, 1, 2), (3, 4)], 0),
        ([(0,), (1,), (2,), (3,)], 0),
        # The one of offset 1 waited until its batch was done, and for a second one.
        ([(0, 2), (1,), (3, 4)], 1),
        ([(0, 2), (3, 4), (1,)], 2),
    ],
)
def test_who_is_handled_behind_later_ones_is_late_by_their_batches(batches: list[tuple[int, ...]], late: int) -> None:
    found = handled(*batches)

    assert batches_late([found[1]], found.values()) == {found[1]: late}


def test_what_its_batch_sets_aside_a_moment_later_makes_nobody_late() -> None:
    letters, aside = handled((1,), (), (4,)), handled((), (0, 2), (), (3, 5))

    assert not any(batches_late(letters.values(), [*letters.values(), *aside.values()]).values())


def test_other_partitions_say_nothing() -> None:
    letter = handled((), (0,))[0]

    assert batches_late([letter], handled((5,), place=("agency.a.letters.v1", 1)).values()) == {letter: 0}
