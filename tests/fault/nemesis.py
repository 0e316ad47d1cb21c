"""Draws harms from a seed and does them to a system under load, one after another and some at once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from shared import times
from tests.fault.answering import Answering
from tests.fault.backlog import waiting
from tests.fault.harms import Harm
from tests.fault.load import Load
from tests.fault.reading import NEVER, Reading
from tests.fault.scale import SCALE
from tests.fault.system import System
from tests.fault.windows import Window

AT_ONCE = (1, 2, 2, 3, 3) if SCALE.is_timed else (6,)
"""How many harms may come together; drawn from these."""
_HOLD = 1.0 if SCALE.is_timed else 0.3
"""By this they hold shorter than they may."""
_CALM = (2.5, 4.0) if SCALE.is_timed else (0.2, 0.5)
"""Seconds from one to the next: where times are held to, what could ring after the one has its time before the next."""
_WARM, _USUAL = (20.0, 30.0) if SCALE.is_timed else (2.0, 0.0)
"""Seconds until all runs as it does at a rate, and then as long as it is looked at before the first harm."""
_AS_USUAL = 1.25
"""All is well again where no more is behind than so many times what was at most before the first harm."""
_CURRENT, _BEHIND = (timedelta(seconds=1), 1.0) if SCALE.is_timed else (NEVER, 12.0)
"""But so much is always well: read what was said so long ago, and no more behind than comes in so many seconds."""
_CASES = 1.5
"""Of a letter, about."""
_FIRST = 0.25
"""The share of the rate that the load begins with: what is behind is behind for long, so the way is up."""
SLOWEST = timedelta(seconds=3.5)
"""Where the load alone makes it further behind, it is too much: what is full has nothing left to catch up with.

Where 5.2 s were usual at 50 letters/s, harm was followed by 20 to 60 s of catching up, and once by more than 120; where
3.9 were at 25, by up to 36 and once by more than 40; where 3.4 were, by at most 20.
"""
_LEAST = 3.0
"""Letters a second; a machine that cannot take them well cannot be judged by times."""
_LOOK = 0.1
_TELLING = 20.0
"""Seconds after which it is said what waits, and again and again."""
_PATIENCE = 120.0 if SCALE.is_timed else 240.0
"""Seconds, for a machine that has other things to do."""


def chosen(rng: random.Random, harms: Sequence[Harm], is_whole: bool) -> list[Harm]:
    """Every harm as often as it should be done; or one of each kind."""
    if is_whole:
        return [harm for harm in harms for _ in range(harm.often)]
    kinds = {harm.kind: [other for other in harms if other.kind == harm.kind] for harm in harms}
    return [rng.choice(of_kind) for of_kind in kinds.values()]


def drawn(rng: random.Random, harms: Iterable[Harm]) -> list[list[Harm]]:
    """All of these harms in a random order, those together that may be: no two that concern the same process."""
    left = list(harms)
    rng.shuffle(left)
    rounds: list[list[Harm]] = []
    while left:
        together, most = [left.pop(0)], rng.choice(AT_ONCE)
        for harm in list(left):
            if len(together) < most and not any(harm.processes & other.processes for other in together):
                together.append(harm)
                left.remove(harm)
        rounds.append(together)
    return rounds


class Nemesis:
    """Does harm, and waits each time until all is well again."""

    def __init__(
        self, system: System, load: Load, answering: Answering, rng: random.Random, say: Callable[[str], None]
    ) -> None:
        self._system, self._load, self._answering, self._rng, self._say = system, load, answering, rng, say
        routers = [service for service in system.services.values() if service.name == "router"]
        self.reading = Reading(lambda: [router.port for router in routers])
        self.windows: list[Window] = []
        self.unjudged: list[Window] = []
        """While more came than may be well; nothing is held to a time that was due then."""
        self.measured = 0.0
        """Letters a second that came while harm was done."""
        self.kills: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """How often each kind of harm was done."""

    async def run(self, rounds: Sequence[Sequence[Harm]]) -> None:
        """One round after another, once it is known what is usual."""
        if SCALE.is_timed:
            began = times.now()
            await self._find_the_rate()
            self.unjudged.append(Window("finding the rate", began, times.now(), times.now()))
        else:
            await self._look_at_the_usual()
        for together in rounds:
            await self._do(together)
            await asyncio.sleep(self._rng.uniform(*_CALM))
        self.measured = self._load.measured

    async def rush(self, letters: int, rate: float) -> None:
        """More until there are so many, at a rate that may be too much; then nothing new, until all is answered."""
        began, left = times.now(), max(0, letters - len(self._load.filed))
        patience = _PATIENCE + left / _LEAST
        if left:
            self._say(f"  {left} more letters at {rate:g}/s, without harm")
            self._load.change(rate)
        while len(self._load.filed) < letters:  # noqa: ASYNC110 - a rate is not awaited otherwise
            await asyncio.sleep(_LOOK)
        await self._load.finish(patience)
        await self._answering.finish(self._load.cases_acknowledged, patience)
        ended = times.now()
        self.unjudged.append(Window("the rest of the letters", began, ended, await self.until_well(ended)))
        self._say(f"  {self.unjudged[-1]}")

    async def _find_the_rate(self) -> None:
        """As many letters a second as this machine takes well, at most those that are asked for."""
        wanted = self._load.rate
        self._load.change(wanted * _FIRST)
        usual = await self._look_at_the_usual()
        if usual > SLOWEST:  # everything has only just started
            usual = await self._look_at_the_usual()
        while usual <= SLOWEST and self._load.rate < wanted:
            self._load.change(self._load.rate * 2)
            usual = await self._look_at_the_usual()
        while usual > SLOWEST:
            assert self._load.rate / 2 >= _LEAST, "the load is too much for this machine"
            self._say(f"  so much is too much for this machine at {self._load.rate:g} letters/s: half of it")
            self._load.change(self._load.rate / 2)
            await self._until_behind(SLOWEST.total_seconds() * _CASES * self._load.rate)
            usual = await self._look_at_the_usual()

    async def _until_behind(self, cases: float) -> None:
        end = time.monotonic() + _PATIENCE
        while self.behind > cases:
            assert time.monotonic() < end, f"{self.behind} cases behind after {_PATIENCE:.0f} s"
            await asyncio.sleep(_LOOK)

    async def _look_at_the_usual(self) -> timedelta:
        """How far behind it is at most."""
        self.reading.usual, self._most_behind = _CURRENT, _BEHIND * self._load.rate
        await asyncio.sleep(_WARM)
        end = time.monotonic() + _USUAL
        while time.monotonic() < end:
            await asyncio.sleep(_LOOK)
            self.reading.usual = max(self.reading.usual, self.reading.behind * _AS_USUAL)
            self._most_behind = max(self._most_behind, self.behind * _AS_USUAL)
        if SCALE.is_timed:
            seconds = self.reading.usual.total_seconds()
            most = f"{self._most_behind:.0f} cases behind, read is what was said {seconds:.1f} s ago"
            self._say(f"  as usual at {self._load.rate:g} letters/s: {most}")
        return max(self.reading.usual, timedelta(seconds=self._most_behind / (_CASES * self._load.rate)))

    async def _do(self, together: Sequence[Harm]) -> None:
        self._all_run()
        began, left = times.now(), f"{self.behind} cases behind, {self._load.in_flight} posts in flight"
        await asyncio.gather(*(self._one(harm, self._rng.uniform(*harm.seconds) * _HOLD) for harm in together))
        ended = times.now()
        well = await self.until_well(ended)
        what = " + ".join(harm.name for harm in together)
        window = Window(what, began, ended, well, any(harm.moves_time for harm in together))
        self.windows.append(window)
        self.counts.update(harm.kind for harm in together)
        self.kills.update(kill for harm in together for kill in harm.kills)
        self._say(f"  {window} ({left})")

    async def _one(self, harm: Harm, seconds: float) -> None:
        await harm.strike()
        await asyncio.sleep(seconds)
        await harm.mend()

    @property
    def behind(self) -> int:
        """How many cases of acknowledged letters no authority has heard of yet."""
        return self._load.cases_acknowledged - len(self._answering.cases)

    async def until_well(self, moment: datetime) -> datetime:
        """When no more is behind than usual, and what was said until a moment is read."""
        began = told = time.monotonic()
        self._all_run()
        while self.behind > self._most_behind or not self._is_read(moment):
            said = f"{self.behind} cases behind, read is what was said until {self.reading.until}"
            assert time.monotonic() < began + _PATIENCE, f"not well after {_PATIENCE:.0f} s: {said}"
            if time.monotonic() > told + _TELLING:
                told = time.monotonic()
                ports = {instance: service.port for instance, service in self._system.services.items()}
                self._say(f"    after {told - began:.0f} s: {said}; waiting: {await asyncio.to_thread(waiting, ports)}")
            await asyncio.sleep(_LOOK)
            self._all_run()
        return times.now()

    def _all_run(self) -> None:
        """Raise where a service has ended by itself, which must not count as a kill."""
        for service in self._system.services.values():
            service.running().check()

    def _is_read(self, moment: datetime) -> bool:
        until = self.reading.until
        return until is not None and until >= moment and self.reading.behind <= self.reading.usual
