"""What the files of this package share: how safely something is written, and what a driver's errors become."""

import inspect
from typing import Any, Literal

from bson.errors import BSONError
from pymongo import WriteConcern
from pymongo.errors import PyMongoError

Driver = Literal["motor", "pymongo"]

SAFE = WriteConcern("majority", j=True, wtimeout=15_000)
"""How everything is written that somebody is told of: by majority and journal."""
SURE_MS = 15_000
"""How long a read that must be sure waits for a majority, as a write does."""
QUICK = WriteConcern(1)
DUPLICATE_KEY = 11000
UNKEPT = (PyMongoError, BSONError)
"""Why a note was not kept; one that is too large the driver refuses with an error that is none of its own."""
PATIENCE_MS = 5_000
"""How long a call waits for a primary before it says `TryAgain`."""


def at_notes(error: Exception, notes: str) -> str:
    """A reason that names the notes: where they alone fail, whoever reads it looks there."""
    return f"{type(error).__name__} at the notes in {notes}"


async def settled(result: Any) -> Any:
    """The result of a call that one driver awaits and the other does not."""
    return (await result) if inspect.isawaitable(result) else result
