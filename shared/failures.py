"""The named ways in which things fail; anything else is a bug."""

from collections.abc import Sequence
from typing import Any


class BadStart(Exception):
    """A setting or a file is wrong: the message is the one plain sentence that the operator reads (exit code 2)."""


class TryAgain(Exception):
    """The world is not ready (MongoDB or Kafka is away): asking again later can help."""


class NeverWill(Exception):
    """Asking again cannot help: the message goes to quarantine with this reason, which holds no personal data."""

    def __init__(self, reason: str, also: Sequence[Any] = ()) -> None:
        """`also`: messages that follow all the same, such as the answer to who sent it."""
        super().__init__(reason)
        self.also = also


class Bug(NeverWill):
    """Something failed that nobody foresaw: set aside like the rest, and counted, for it is ours to mend."""
