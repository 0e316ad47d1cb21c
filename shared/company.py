"""Company: what several subscriptions hear while a batch is written is written together after it.

A batch costs MongoDB nearly the same for one record as for fifty, and two at once that change one record, as an
authority's word and what is to be answered on it do, would undo each other's work.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import PATIENCE, Loop, Outcome

MESSAGES = 2_000
"""Messages that are decided together at most."""


@dataclass(slots=True, eq=False)
class _Caller:
    messages: Sequence[Message]
    came: float
    outcomes: list[Outcome] | None = None
    error: BaseException | None = None


class Company:
    """The subscriptions of one lane whose messages go to one loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[_Caller] = []
        self._writing = asyncio.Lock()

    async def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """What `Loop.handle` returns and raises, for messages from Kafka; at most `MESSAGES` of them."""
        caller = _Caller(messages, time.monotonic())
        self._waiting.append(caller)
        try:
            async with self._writing:
                if caller in self._waiting:  # nobody has taken it along
                    await self._write(self._together())
        finally:
            if caller in self._waiting:  # who waited for it is gone
                self._waiting.remove(caller)
        if caller.error is not None:
            raise caller.error
        assert caller.outcomes is not None
        return caller.outcomes

    def _together(self) -> list[_Caller]:
        """As many as fit, the oldest first."""
        taken: list[_Caller] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].messages) <= MESSAGES):
            taken.append(self._waiting.pop(0))
            count += len(taken[-1].messages)
        return taken

    async def _write(self, callers: Sequence[_Caller]) -> None:
        # Nobody is held up longer than alone: Kafka gives a member's partitions away that is silent for too long.
        patience = max(0.0, callers[0].came + PATIENCE - time.monotonic())
        together = [message for one in callers for message in one.messages]
        try:
            outcomes = await self._loop.handle(together, "kafka", patience)
        except BaseException as error:
            for caller in callers:
                # Of what went wrong its name: its text may quote a letter, and it counts once.
                caller.error = error if isinstance(error, TryAgain) else TryAgain(type(error).__name__)
            raise
        at = 0
        for caller in callers:
            caller.outcomes = outcomes[at : at + len(caller.messages)]
            at += len(caller.messages)
