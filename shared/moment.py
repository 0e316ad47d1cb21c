"""A time as callers write it: a date, a time of day and a zone (RFC 3339), never a number of seconds."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def _moment(value: object) -> datetime:
    """Seconds may be left out; pydantic alone would also take `400`, as seconds since 1970."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise PydanticCustomError("ours", "Must be a time like 2026-03-10T08:00:00+01:00.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("ours", "Must be a time that exists.") from None
    if moment.tzinfo is None:
        raise PydanticCustomError("ours", "Needs a zone, like +01:00 or Z.")
    if not 1970 <= moment.year <= 9998:
        raise PydanticCustomError("ours", "Must lie between the years 1970 and 9998.")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time with its zone."""
