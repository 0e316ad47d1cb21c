"""Who keeps books on what a loop writes: told before a batch is written, and of what became of it."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from shared.records import Record


class Booking(Protocol):
    """The books on one batch, over all tries of it."""

    async def before(self, records: Sequence[Record]) -> None:
        """Note that these records are about to be written, each with the events that are new; raises `TryAgain`.

        Called before every try. What returns from here was noted by the same primary before the batch, so whoever
        keeps the batch keeps the note.
        """
        ...

    def close(self, landed: Sequence[Record] | None) -> None:
        """The records as they were written; None where the outcome is unknown. The last call of a batch."""
        ...


class Bookkeeper(Protocol):
    """Opens the books on every batch of one collection."""

    def open(self) -> Booking:
        """The books on a new batch."""
        ...


async def note(bookings: Sequence[Booking], records: Sequence[Record]) -> None:
    """Let everybody note a batch at once; raises the first failure when all have come back."""
    if not bookings or not records:
        return
    noting: list[Awaitable[None]] = [booking.before(records) for booking in bookings]
    for failure in await asyncio.gather(*noting, return_exceptions=True):
        if isinstance(failure, BaseException):
            raise failure
