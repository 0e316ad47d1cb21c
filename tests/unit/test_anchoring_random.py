"""Whatever two processes write, fail at and die of: in the end every record is anchored as it stands."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.failures import TryAgain
from shared.loop import Loop
from shared.mongo import Change
from tests.unit.test_anchoring import Cases, Process, World
from verify.anchored import link_of, unlinked

RECORDS = ("cas_1", "cas_2", "cas_3")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(0, 1), st.sampled_from(RECORDS), st.sampled_from(["", "hold", "lose"])),
        st.tuples(st.just("land")),
        st.tuples(st.just("anchor"), st.integers(0, 1), st.sampled_from(["", "away", "lose"])),
        st.tuples(st.just("die"), st.integers(0, 1), st.sampled_from(["now", "later", "never"])),
        st.tuples(st.just("wait"), st.sampled_from([1, 29, 31, 400])),
    ),
    max_size=40,
)


class Slow(Cases):
    """A store in which writes may stay under way until they are let land."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = False
        self.under_way: list[tuple[Sequence[Change], asyncio.Event]] = []

    async def write(self, changes: Sequence[Change]) -> bool:
        if not self.holds:
            return await super().write(changes)
        self.holds = False
        landing = asyncio.Event()
        self.under_way.append((changes, landing))
        await landing.wait()
        return self.keep(changes)

    def loses(self, changes: Sequence[Change]) -> bool:
        """The write lands, and nobody learns it."""
        self.keep(changes)
        raise TryAgain("no answer")


class Machine:
    """Two processes over one world."""

    def __init__(self) -> None:
        self.world = World()
        self.cases = self.world.cases = Slow()
        self.processes: list[Process] = [self.world.process(f"router-{n}") for n in range(2)]
        self.tasks: list[list[asyncio.Task[None]]] = [[], []]
        self.left_behind: list[Sequence[Change]] = []
        """What dead processes had under way."""
        self.said = 0

    async def hear(self, process: int, record: str, how: str) -> None:
        """A message to a record: its write lands, stays under way, or lands unseen."""
        self.said += 1
        self.cases.holds = how == "hold"
        if how == "lose":
            self.cases.faults.append(self.cases.loses)
        task = asyncio.create_task(_tried(self.processes[process].hear((record, str(self.said)))))
        self.tasks[process].append(task)
        await _rest()
        self.cases.holds = False
        self.cases.faults.clear()

    async def land(self) -> None:
        """What is under way the longest lands."""
        if self.left_behind:
            self.cases.keep(self.left_behind.pop(0))
        elif self.cases.under_way:
            self.cases.under_way.pop(0)[1].set()
            await _rest()

    async def anchor(self, process: int, how: str) -> None:
        """A process makes its checkpoints, or fails to."""
        checkpoints = self.world.checkpoints
        checkpoints.is_away = how == "away"
        if how == "lose":
            checkpoints.faults.append(lambda changes: Slow.loses(checkpoints, changes))  # type: ignore[arg-type]
        await _tried(self.processes[process].anchoring.anchor())
        checkpoints.is_away = False
        checkpoints.faults.clear()

    async def die(self, process: int, lands: str) -> None:
        """A process is killed and begins anew; what it had under way lands now, in a while, or never."""
        others = [task for task in self.tasks[1 - process] if not task.done()]
        for task in self.tasks[process]:
            task.cancel()
        await _rest()
        if not others:
            left = [changes for changes, _ in self.cases.under_way]
            self.cases.under_way.clear()
            if lands != "never":
                self.left_behind += left
            while lands == "now" and self.left_behind:
                await self.land()
        self.tasks[process] = []
        self.processes[process] = self.world.process(f"router-{process}")

    async def wait(self, seconds: int) -> None:
        """Time passes; nothing stays under way for long."""
        if seconds > 20:
            while self.cases.under_way or self.left_behind:
                await self.land()
        self.world.later(timedelta(seconds=seconds))

    async def come_to_rest(self) -> None:
        """Both go on in peace for a while."""
        for _ in range(3):
            await self.wait(400)
            for process in (0, 1):
                await self.anchor(process, "")


async def _tried(doing: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(TryAgain):
        await doing


async def _rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.loop.random.uniform", lambda _low, _high: 0.0)
    # A checkpoint is tried for a minute while MongoDB is away: here nothing brings it back before the try is over.
    monkeypatch.setattr(Loop.handle, "__defaults__", (0.0,))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_in_the_end_every_record_is_anchored_as_it_stands(steps: list[tuple[Any, ...]]) -> None:
    async def story() -> Machine:
        machine = Machine()
        for name, *how in steps:
            await getattr(machine, name)(*how)
        await machine.come_to_rest()
        return machine

    machine = asyncio.run(story())

    world = machine.world
    documents = world.checkpoints.documents.values()
    published = world.published
    anchored = {leaf for one in published for leaf in one.leaves}
    assert {world.leaf(record) for record in world.cases.documents} <= anchored
    assert all(_stood(world, *leaf) for leaf in anchored)
    assert world.mongo.notes == {}
    for instance in {document["state"]["instance"] for document in documents}:
        row = [link_of(one) for one in published if one.head.instance == instance]
        assert list(unlinked(row, from_the_beginning=True)) == []


def _stood(world: World, record: str, version: int, chain: str) -> bool:
    """Whether a leaf says what the history says."""
    history = world.cases.documents[record]["history"]
    return bool(history[version - 1]["chain"].hex() == chain)
