"""What it is to acknowledge, for the three ways in: the signed link, the API, Kafka."""

import re
from dataclasses import dataclass
from typing import Protocol

LINK, API, KAFKA = "link", "api", "kafka"
"""By which way an acknowledgement came."""
WHO = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
"""What can say who acknowledged: an id, for a record holds no names of persons."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How a notice stands after somebody acknowledged it."""

    notice: str
    alert: str
    subscriber: str
    """Whose notice it is."""
    acknowledged_at: str
    by: str
    """Who did it first."""
    already: bool
    """It was acknowledged before: this time changed nothing."""
    ended: str | None
    """Why there is nothing to be done any more: its case is closed, or has moved on. None while there is."""


class Acknowledging(Protocol):
    """Takes acknowledgements and keeps them."""

    async def acknowledge(self, notice: str, by: str, via: str) -> Acknowledged | None:
        """How it stands now; None where there is no such notice. Raises `TryAgain` and `QueueFull`."""
        ...


def who(caller: str, by: str | None) -> str:
    """What is kept as `by`: the one whom we know, and after a slash whom it names."""
    return f"{caller}/{by}" if by and by != caller else caller
