"""The named ways in which things fail; anything else is a bug."""

from collections.abc import Sequence
from typing import Any

DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What the look at a document raises that is none of ours: whatever stands there, the rest is looked at."""


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


class NewerBuild(NeverWill):
    """An event of ours that only a newer build knows: this one must stop and leave it where it is."""

    def __init__(self, reason: str, schema: str) -> None:
        super().__init__(reason)
        self.schema = schema


class NotForUs(Exception):
    """An event that is well known and means nothing to this reader: it is passed over."""


def place_of(error: BaseException) -> str:
    """Where an unexpected error arose: its text may quote a letter, so its type and place are what may be logged."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 3)[-1]}:{trace.tb_lineno}" if trace else "?"
