"""Bodies under way: what of requests that are not answered yet all callers together, and one alone, may have sent."""

from collections import Counter
from collections.abc import MutableMapping
from typing import Any

from shared import problems
from shared.problems import ProblemError

CALLER = "rogatory.caller"
"""Under this a route says in its scope who calls, once it knows: nobody alone may have more than half of the room."""


class Bodies:
    """The room for the bodies of one process."""

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self._most = most
        self._held = 0
        self._of: Counter[str] = Counter()

    def of(self, scope: MutableMapping[str, Any]) -> "Body":
        """The body of one request, of which nothing has come yet."""
        return Body(self, scope)

    def take(self, caller: str | None, size: int) -> None:
        """So much more has come; raises 503 where there is no room for it."""
        is_full = self._held + size > self._most
        if is_full or (caller is not None and self._of[caller] + size > self._most // 2):
            raise ProblemError(problems.queue_full())
        self._held += size
        if caller is not None:
            self._of[caller] += size

    def release(self, caller: str | None, size: int) -> None:
        """So much has been answered."""
        self._held -= size
        if caller is not None:
            self._of[caller] -= size
            if not self._of[caller]:
                del self._of[caller]


class Body:
    """What has come of one request's body."""

    __slots__ = ("_bodies", "_caller", "_scope", "_size")

    def __init__(self, bodies: Bodies, scope: MutableMapping[str, Any]) -> None:
        self._bodies, self._scope = bodies, scope
        self._caller: str | None = None
        self._size = 0

    def take(self, size: int) -> None:
        """So much more has come; raises 503 where there is no room for it."""
        if not self._size:
            self._caller = self._scope.get(CALLER)
        self._bodies.take(self._caller, size)
        self._size += size

    def release(self) -> None:
        """It has been answered."""
        if self._size:
            self._bodies.release(self._caller, self._size)
            self._size = 0
