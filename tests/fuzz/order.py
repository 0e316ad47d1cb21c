"""Whether a healthy record was handled with the batch that it was read in: counted in batches, not in seconds.

Everything that one batch decides has one time in MongoDB, and one partition's batches are handled one after another.
So what stands behind a record and has an earlier time was in a batch that was handled before it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

Place = tuple[str, int]
"""A topic and its partition."""


@dataclass(frozen=True)
class Handled:
    """A record, and when it was handled as its service has noted it."""

    place: Place
    offset: int
    at: str


def batches_late(healthy: Iterable[Handled], others: Collection[Handled]) -> Mapping[Handled, int]:
    """By how many batches each healthy record came late."""
    return {one: len({other.at for other in others if _is_behind(other, one) and other.at < one.at}) for one in healthy}


def _is_behind(other: Handled, one: Handled) -> bool:
    return other.place == one.place and other.offset > one.offset
