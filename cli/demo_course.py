"""The demo's course: each letter on its own day, and then the days go by until every case has come to its end.

Time never jumps over what somebody is still at work on: before it moves, everybody has done what the day asked for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta

from cli.demo_board import Board
from cli.demo_letters import Doors, Refused, Sample
from cli.demo_time import SimulatedTime
from simulate.play import Play

PATIENCE = 30.0
"""Seconds after which what has not come will not come."""
RUN = 2 * 86_400.0
"""So fast does the time run where somebody watches: two days in a second."""
_AFTER = timedelta(minutes=1)
_A_DAY_S_WORK = 5.0
"""Seconds for which the time waits at most before it moves on."""
_STILL = 0.3
"""Seconds of silence after which nobody has anything more to say: an answer of one calls for that of another."""


class Course:
    """What happens in the demo, and when."""

    def __init__(
        self,
        board: Board,
        samples: Sequence[Sample],
        simulated: SimulatedTime,
        play: Play,
        tick: Callable[[], Awaitable[None]],
    ) -> None:
        """`tick`: waits for a moment, and raises if something has ended that should not."""
        self._board, self._time, self._play, self._tick = board, simulated, play, tick
        self._samples = sorted(samples, key=lambda sample: sample.sent_at)
        self._last_word = time.monotonic()

    async def file(self, doors: Doors, between: float) -> None:
        """File every letter on its day."""
        for sample in self._samples:
            await self._move(sample.sent_at + _AFTER)
            self._board.filed(sample.name, time.monotonic(), time.time())
            try:
                letter = await doors.file(sample)
            except Refused as refused:
                self._board.troubles.append(str(refused))
            else:
                if letter:
                    self._board.received(letter, sample.agency, sample.reference)
            await asyncio.sleep(between)

    async def live_on(self, runs: bool) -> None:
        """Let the days go by until every case has ended; `runs`: fast, but so that one sees it."""
        if runs and self._board.lacks():
            await self._work(lambda: self._board.has_opened_all() and self._is_still())
            await self._time.run(RUN)
        end = time.monotonic() + PATIENCE
        while self._board.lacks() and time.monotonic() < end:
            if (
                not runs
                and self._board.has_opened_all()
                and self._is_still()
                and (ends := self._board.next_end()) is not None
            ):
                await self._move(ends + _AFTER)
            await self._tick()
        if runs:
            await self._time.run(1.0)

    async def _move(self, moment: datetime) -> None:
        await self._work(lambda: self._may_move(moment))
        await self._time.go_to(moment)

    async def _work(self, is_done: Callable[[], bool]) -> None:
        """Let everybody do what the day asks for."""
        self._last_word = time.monotonic()
        end = self._last_word + _A_DAY_S_WORK
        while time.monotonic() < end and not is_done():
            await self._tick()

    def _may_move(self, moment: datetime) -> bool:
        """Whether everybody has done what the time would otherwise jump over."""
        board = self._board
        if not board.has_opened_all() or board.is_to_ring(self._time.now()):
            return False
        ending = board.ending_by(moment)
        return not ending or self._is_still(ending)

    def _is_still(self, subjects: Collection[str] | None = None) -> bool:
        """Whether nobody has anything more to say, of these or of any; a moment's silence might still be a pause."""
        if not self._play.is_quiet(subjects):
            self._last_word = time.monotonic()
        return time.monotonic() - self._last_word > _STILL
