"""The time: MongoDB's, carried on by the monotonic clock; a simulation starts anywhere, at any rate, never back."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.failures import TryAgain
from shared.time_source import Simulation, Time, set_simulated

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = datetime(2026, 3, 10, 8, tzinfo=UTC)
MS = timedelta(milliseconds=1)


class World:
    """A monotonic clock that the test moves, the process's own clock, and a MongoDB with a third."""

    def __init__(self, delay: float = 0.0) -> None:
        self.seconds, self.ahead, self.own_ahead = 1_000.0, timedelta(), timedelta()
        self.delay, self.is_away = delay, False
        self.documents: dict[tuple[str, str], Mapping[str, Any]] = {}

    @property
    def real(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1_000) + self.ahead

    def monotonic(self) -> float:
        return self.seconds

    def own(self) -> datetime:
        return self.real + self.own_ahead

    async def time(self) -> datetime:
        if self.is_away:
            raise TryAgain("away")
        answer = self.real
        self.seconds += self.delay
        return answer.replace(microsecond=answer.microsecond // 1000 * 1000)

    async def kept(self, collection: str, document: str) -> Mapping[str, Any] | None:
        return self.documents.get((collection, document))

    async def keep(self, collection: str, document: Mapping[str, Any]) -> None:
        self.documents[collection, document["_id"]] = document

    def process(self, is_simulated: bool = False) -> Time:
        return Time(is_simulated, self.monotonic, self.own)


def apart(one: datetime, other: datetime) -> timedelta:
    return abs(one - other)


async def test_before_mongodb_has_answered_the_time_is_the_process_s_own_and_said_to_be_unknown() -> None:
    world = World()
    world.own_ahead = timedelta(hours=1)
    process = world.process()

    assert (process.now(), process.is_known) == (START + timedelta(hours=1), False)

    await process.ask(world)

    assert process.is_known
    assert apart(process.now(), START) <= MS


async def test_a_jump_of_the_process_s_own_clock_changes_nothing() -> None:
    world = World()
    process = world.process()
    await process.ask(world)

    for jump in (timedelta(hours=1), timedelta(hours=-1)):
        world.own_ahead = jump
        world.seconds += 10

        assert apart(process.now(), world.real) <= MS


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_jump_of_mongodb_s_clock_is_followed(hours: int) -> None:
    world = World()
    process = world.process()
    await process.ask(world)

    world.ahead = timedelta(hours=hours)
    await process.ask(world)

    assert apart(process.now(), world.real) <= MS


async def test_the_time_goes_on_while_mongodb_is_away() -> None:
    world = World()
    process = world.process()
    await process.ask(world)
    world.is_away = True
    world.seconds += 3_600

    with pytest.raises(TryAgain):
        await process.ask(world)

    assert apart(process.now(), world.real) <= MS


async def test_a_slow_answer_is_wrong_by_no_more_than_half_of_its_way() -> None:
    world = World(delay=2.0)
    process = world.process()

    await process.ask(world)

    assert apart(process.now(), world.real) <= timedelta(seconds=1) + MS


async def test_a_slow_answer_does_not_spoil_what_a_quick_one_told() -> None:
    world = World()
    process = world.process()
    await process.ask(world)
    world.delay = 5.0

    for _ in range(5):
        await process.ask(world)

    assert apart(process.now(), world.real) <= MS


async def test_a_simulation_starts_at_its_day_and_runs_at_its_rate_in_every_process() -> None:
    world = World()
    await set_simulated(world, DAY, rate=3_600)
    processes = [world.process(is_simulated=True) for _ in range(2)]
    for process in processes:
        await process.ask(world)

    world.seconds += 10

    for process in processes:
        assert apart(process.now(), DAY + timedelta(hours=10)) <= 3_600 * MS
        assert apart(process.real(), world.real) <= MS


async def test_without_its_setting_a_simulation_is_not_seen() -> None:
    world = World()
    await set_simulated(world, DAY, rate=60)
    process = world.process()

    await process.ask(world)

    assert apart(process.now(), world.real) <= MS


async def test_simulated_time_never_goes_back_whatever_is_written_or_measured() -> None:
    world = World()
    await set_simulated(world, DAY, rate=60)
    process = world.process(is_simulated=True)
    await process.ask(world)
    world.seconds += 60
    before = process.now()

    with pytest.raises(ValueError, match="forward"):
        await set_simulated(world, DAY, rate=60)
    world.documents["simulation", "time"] = {**world.documents["simulation", "time"], "simulated": "2026-01-01T00:00Z"}
    await process.ask(world)
    world.ahead = timedelta(hours=-1)
    await process.ask(world)

    assert process.now() == before


async def test_a_simulation_can_be_moved_forward_and_run_at_another_rate() -> None:
    world = World()
    await set_simulated(world, DAY, rate=60)
    await set_simulated(world, DAY + timedelta(days=50), rate=1)
    process = world.process(is_simulated=True)
    await process.ask(world)

    assert apart(process.now(), DAY + timedelta(days=50)) <= 2 * MS


def test_a_simulation_does_not_run_before_it_begins() -> None:
    assert Simulation(START, DAY, 60).now(START - timedelta(seconds=1)) == DAY
