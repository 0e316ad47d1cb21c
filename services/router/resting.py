"""What is left alone for a while: a case that does not move would come up at every look, and for ever."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 1_000


class Resting:
    """The names of what rests, each until a moment of the monotonic clock; the oldest gives way."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: OrderedDict[str, float] = OrderedDict()

    def leave(self, name: str, seconds: float) -> None:
        """Leave it alone for so long."""
        self._until[name] = self._monotonic() + seconds
        self._until.move_to_end(name)
        if len(self._until) > MOST:
            self._until.popitem(last=False)

    def names(self) -> list[str]:
        """Whatever rests now."""
        moment = self._monotonic()
        for name in [name for name, end in self._until.items() if end <= moment]:
            del self._until[name]
        return list(self._until)
