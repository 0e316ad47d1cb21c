"""Somebody sets the wall clock by an hour, both ways: no clock rings twice, and only MongoDB's time makes one ring.

The clocks of whole processes are really moved here (`skew.py`): that of the routers, then that of mongod.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import times
from shared.mongo import Mongo as Connection
from tests.fault import skew
from tests.fault.openings import HOLDER, Opened, acknowledged
from tests.fault.rings import Due, Ring
from tests.fault.routers import ROUTERS, Routers
from tests.fault.scale import SCALE
from tests.fault.skew import Skew
from tests.fault.test_clocks import REQUESTED
from tests.fault.trial import Trial

pytestmark = [
    pytest.mark.timeout(600),  # for a machine that has other things to do
    pytest.mark.skipif(skew.compiler() is None, reason="no C compiler (cc), with which a clock is moved"),
]

HOUR = timedelta(hours=1)
JUMPS = (HOUR, timedelta(), -HOUR, HOUR, timedelta()) if SCALE.is_timed else (HOUR, timedelta(), HOUR, timedelta())
"""By how much the clock differs from the machine's, one after the other."""
MISSED = {"state.clocks.missed_at": {"$exists": True}}
SETTLE = 1.2
"""Seconds in which routers ask MongoDB for its time, look how far they have read, and ring what they believe is due."""


@dataclass(frozen=True)
class Clocks:
    """The wall clocks of the routers and of mongod, and a mongod of its own."""

    routers: Skew
    mongod: Skew
    mongo: Mongo


@pytest.fixture
def clocks(needs_mongod: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    """A mongod whose clock can be moved."""
    library = skew.build(tmp_path)
    routers, mongod = Skew(library, tmp_path / "routers"), Skew(library, tmp_path / "mongod")
    for name, value in mongod.environment.items():
        monkeypatch.setenv(name, value)
    mongo = Mongo(tmp_path / "mongo").start()
    for name in mongod.environment:
        monkeypatch.delenv(name)
    yield Clocks(routers, mongod, mongo)
    mongo.kill()  # asked to end, one whose clock was moved takes its time


def test_a_process_s_clock_moves_and_moves_back(tmp_path: Path) -> None:
    clock = Skew(skew.build(tmp_path), tmp_path / "clock")
    program = "import sys, time; [print(time.time(), flush=True) for _ in sys.stdin]"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, **clock.environment},
    ) as child:
        assert child.stdin
        assert child.stdout
        told = []
        for by in (timedelta(), HOUR, -HOUR, timedelta()):
            clock.move(by)
            child.stdin.write("\n")
            told.append(datetime.fromtimestamp(float(child.stdout.readline()), UTC) - times.now() - by)

    assert all(abs(off) < timedelta(seconds=30) for off in told)


async def test_a_jump_of_the_wall_clock_by_an_hour_both_ways_rings_nothing_twice(
    own_kafka: Kafka, clocks: Clocks, tmp_path: Path, trial: Trial
) -> None:
    """A third is due soon, a third within the hour, a third much later."""
    third, after = SCALE.jumped // 3, (timedelta(seconds=3), HOUR / 2, HOUR * 3)
    environment = clocks.routers.environment
    async with Routers(tmp_path / "jumped", own_kafka, clocks.mongo, environment=environment) as routers:
        now = times.now()
        asked = [Opened(f"jump-{n:05d}", now, "normal", now + after[n % 3]) for n in range(third * 3)]
        await routers.open(asked)
        await routers.until(lambda: routers.count(MISSED, third), "the ringing of what is due soon")
        await _routers_clock_jumps(routers, clocks.routers, asked, third)
        await _mongods_clock_jumps(routers, clocks.mongod, third)
        await routers.until_sent()
        wanted = {
            Ring(one.case(routers.ids), REQUESTED): Due(one.deadline, HOLDER, one.lane)
            for one in asked
            if one.deadline and one.deadline < now + HOUR
        }
        verdict, _, _ = await routers.judged(wanted, times.now())

    restarts = len(routers.lives) - 1
    trial.say(f"{len(asked)} cases, {restarts} restarts between the jumps: {len(wanted)} clocks rang once")
    trial.results.kills["router"] += restarts * len(ROUTERS)
    trial.results.letters += len(asked)
    trial.results.clocks |= {"jumped": len(wanted)}
    trial.pronounce(verdict)


async def _routers_clock_jumps(routers: Routers, clock: Skew, asked: Sequence[Opened], rung: int) -> None:
    """Nothing rings by it, and what is said meanwhile is heard; a router that starts knows no other time at first."""
    for heard, by in enumerate(JUMPS[:3], 1):
        clock.move(by)
        if heard == 1:
            routers.kill()
            routers.launch()
        await routers.say([acknowledged(asked[heard], routers.ids)])
        await routers.until(partial(routers.count, {"state.status": "acknowledged"}, heard), "the reading")
        await asyncio.sleep(SETTLE)
        assert await routers.count(MISSED, rung), "the routers' own clock made a clock ring"
    clock.move(timedelta())


async def _mongods_clock_jumps(routers: Routers, clock: Skew, third: int) -> None:
    """What is due within the hour rings once, when MongoDB's clock has jumped for the first time."""
    connection = Connection(routers.mongo.uri, routers.database)
    for by in JUMPS:
        clock.move(by)
        off = await connection.time() - times.now() - by
        assert abs(off) < timedelta(seconds=30), "mongod's clock did not move"
        if by == -HOUR:
            routers.kill()
            routers.launch()
        if by == HOUR:
            await routers.until(lambda: routers.count(MISSED, third * 2), "the ringing of what is due in the hour")
        await asyncio.sleep(SETTLE)
        assert by == HOUR or await routers.count(MISSED, third * 2)
    await connection.close()
