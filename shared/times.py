"""Times as they stand in events: UTC, ISO 8601, microseconds, fixed width, so that they sort as text (RFC 3339)."""

from datetime import UTC, datetime
from functools import lru_cache


def now() -> datetime:
    """The time, with its zone; called at the edges only, the pure parts get it passed in."""
    return datetime.now(UTC)


@lru_cache(maxsize=256)  # a batch has one time for all its events
def text_of(at: datetime) -> str:
    """`2026-11-24T16:47:53.123456Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read(text: str) -> datetime:
    """The time of such a text."""
    return datetime.fromisoformat(text)
