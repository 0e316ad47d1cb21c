"""Every change of a record is anchored, whatever dies in between."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.checkpoints import anchoring, keeping
from shared.checkpoints.anchoring import OTHERS_AFTER, OWN_AFTER, Anchoring
from shared.checkpoints.checkpoint import Checkpoint, Leaf, SigningKey
from shared.checkpoints.measures import CheckpointMetrics
from shared.failures import TryAgain
from shared.ids import Ids
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Change, Mongo
from shared.sealing import Sealer
from tests.unit.test_loop import Fed, MemoryStore, loop, says

KEY = SigningKey(b"k" * 32)
START = datetime(2026, 3, 10, 8, tzinfo=UTC)
EVERY = 60.0


class Cases(MemoryStore):
    """Records in memory that can be looked for."""

    name = "cases"

    def __init__(self, name: str = "cases") -> None:
        super().__init__()
        self.name = name

    async def find(
        self,
        query: Mapping[str, Any],
        projection: Any,
        *,
        limit: int,
        sort: Sequence[str] = (),
        skip: int = 0,
        sure: bool = False,
    ) -> list[dict[str, Any]]:
        if self.is_away:
            raise TryAgain("away")
        if "_id" in query:
            assert sure
            return await self.read(query["_id"]["$in"])
        found = [one for one in self.documents.values() if one["state"]["instance"] == query["state.instance"]]
        return sorted(found, key=lambda one: int(one["state"]["number"]), reverse=True)[:limit]


class Noted(Mongo):
    """The notes in memory, and the time."""

    def __init__(self) -> None:
        self.notes: dict[str, Mapping[str, Any]] = {}
        self.now = START
        self.is_away = self.keeps = False

    async def note(self, collection: str, document: Mapping[str, Any]) -> None:
        if self.is_away:
            raise TryAgain("away")
        assert document["_id"] not in self.notes
        self.notes[document["_id"]] = document

    async def prepare_notes(self, collection: str) -> None:
        if self.is_away:
            raise TryAgain("away")

    async def noted(self, collection: str, query: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
        own, others = query["$or"]

        def is_meant(note: Mapping[str, Any]) -> bool:
            of_own: bool = note["instance"] == own["instance"] and note["at"] < own["at"]["$lt"]
            return bool(note["life"] != query["life"]["$ne"]) and (of_own or bool(note["at"] < others["at"]["$lt"]))

        return [dict(note) for note in self.notes.values() if is_meant(note)][:limit]

    async def forget(self, collection: str, ids: Sequence[str]) -> None:
        if self.keeps:
            raise TryAgain("keeps all notes")
        for one in ids:
            self.notes.pop(one, None)


class Process:
    """One process of a service, over what outlives it."""

    def __init__(self, world: "World", instance: str) -> None:
        self.fed = Fed()
        own = Loop(world.checkpoints, keeping.decide, keeping.evolve, Sealer(b"s" * 32), self.fed, Metrics("test"))
        self.loop = loop(world.cases, Fed())
        measures = CheckpointMetrics(CollectorRegistry())
        ids = Ids(b"i" * 32)
        self.anchoring = Anchoring(
            "router", instance, EVERY, KEY, own, world.mongo, ids, measures, lambda: world.mongo.now
        )
        self.anchoring.watch(self.loop)

    async def hear(self, *told: tuple[str, str]) -> None:
        """Messages, each a record and what is said to it."""
        messages = [says(body, f"{record}/{body}", record) for record, body in told]
        await self.loop.handle(messages, "kafka", patience=0)


class World:
    """What outlives a process: the records, the checkpoints, the notes."""

    def __init__(self) -> None:
        self.cases, self.checkpoints, self.mongo = Cases(), Cases("router_checkpoints"), Noted()

    def process(self, instance: str = "router-0") -> Process:
        return Process(self, instance)

    def later(self, time: timedelta) -> None:
        self.mongo.now += time

    @property
    def published(self) -> list[Checkpoint]:
        documents = sorted(self.checkpoints.documents.values(), key=lambda one: int(one["state"]["number"]))
        return [Checkpoint.read(one["history"][0]["data"]) for one in documents]

    @property
    def anchored(self) -> list[list[tuple[str, int]]]:
        return [[(record, version) for record, version, _ in one.leaves] for one in self.published]

    def leaf(self, record: str) -> Leaf:
        last = self.cases.documents[record]["history"][-1]
        return (record, last["seq"], last["chain"].hex())


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.loop.random.uniform", lambda _low, _high: 0.0)


async def test_a_checkpoint_holds_the_heads_of_what_changed_in_their_order() -> None:
    world = World()
    process = world.process()
    await process.hear(("cas_2", "a"), ("cas_1", "a"))
    await process.hear(("cas_2", "b"))

    assert await process.anchoring.anchor() == 1

    [checkpoint] = world.published
    assert list(checkpoint.leaves) == [world.leaf("cas_1"), world.leaf("cas_2")]
    assert world.leaf("cas_2")[1] == 2
    assert checkpoint.holds()
    assert checkpoint.is_signed_by(KEY.public)
    assert process.fed.events(checkpoint_record(world)) == [1]
    assert world.mongo.notes == {}


def checkpoint_record(world: World) -> str:
    [record] = world.checkpoints.documents
    return record


async def test_where_nothing_has_changed_no_checkpoint_is_made() -> None:
    world = World()
    process = world.process()
    await process.hear(("cas_1", "a"))

    assert [await process.anchoring.anchor() for _ in range(3)] == [1, 0, 0]


async def test_each_checkpoint_names_the_one_before_also_over_a_restart() -> None:
    world = World()
    for body in "ab":
        process = world.process()
        for again in "12":
            await process.hear(("cas_1", body + again))
            await process.anchoring.anchor()

    first, *rest = world.published
    assert first.head.previous is None
    assert [one.head.number for one in world.published] == [1, 2, 3, 4]
    assert [one.head.previous for one in rest] == [one.head.digest for one in world.published[:-1]]


async def test_two_processes_count_for_themselves() -> None:
    world = World()
    for instance in ("router-0", "router-1"):
        process = world.process(instance)
        await process.hear(("cas_1", instance))
        await process.anchoring.anchor()

    assert [(one.head.instance, one.head.number) for one in world.published] == [("router-0", 1), ("router-1", 1)]


async def test_many_changes_become_several_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "MAX_LEAVES", 2)
    world = World()
    process = world.process()
    await process.hear(*((f"cas_{n}", "a") for n in range(5)))

    assert await process.anchoring.anchor() == 3

    assert world.anchored == [[("cas_0", 1), ("cas_1", 1)], [("cas_2", 1), ("cas_3", 1)], [("cas_4", 1)]]


async def test_a_process_that_dies_leaves_what_the_next_of_its_name_anchors() -> None:
    world = World()
    await world.process().hear(("cas_1", "a"), ("cas_2", "a"))
    after = world.process()

    assert await after.anchoring.anchor() == 0, "what it had under way may not have landed yet"
    world.later(OWN_AFTER + timedelta(seconds=1))
    await after.anchoring.anchor()

    assert world.anchored == [[("cas_1", 1), ("cas_2", 1)]]
    assert world.mongo.notes == {}


async def test_what_a_process_leaves_that_never_comes_back_another_anchors() -> None:
    world = World()
    await world.process("router-7").hear(("cas_1", "a"))
    other = world.process("router-0")

    world.later(timedelta(seconds=3 * EVERY) + OTHERS_AFTER - timedelta(seconds=1))
    assert await other.anchoring.anchor() == 0
    world.later(timedelta(seconds=2))
    await other.anchoring.anchor()

    assert world.anchored == [[("cas_1", 1)]]


async def test_a_process_that_dies_between_the_note_and_the_write_leaves_nothing_wrong() -> None:
    world = World()
    process = world.process()
    process.loop.bookkeepers[0].open()
    await world.mongo.note("router_unanchored", left_note(world))
    world.later(OWN_AFTER + timedelta(seconds=1))

    assert await process.anchoring.anchor() == 0
    assert world.mongo.notes == {}


def left_note(world: World) -> dict[str, Any]:
    note = {"_id": "before/1", "life": "before", "instance": "router-0", "at": world.mongo.now}
    return note | {"collection": "cases", "records": ["cas_never"]}


async def test_all_that_was_left_is_anchored_at_once_however_many_notes_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "NOTES_AT_ONCE", 2)
    world = World()
    gone = world.process()
    for n in range(5):
        await gone.hear((f"cas_{n}", "a"))
    assert len(world.mongo.notes) == 5
    world.later(OWN_AFTER + timedelta(seconds=1))

    await world.process().anchoring.anchor()

    assert [leaf for one in world.anchored for leaf in one] == [(f"cas_{n}", 1) for n in range(5)]
    assert world.mongo.notes == {}


async def test_notes_that_do_not_go_are_forgotten_the_next_time_and_anchored_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anchoring, "NOTES_AT_ONCE", 1)
    world = World()
    await world.process().hear(("cas_0", "a"))
    world.later(OWN_AFTER + timedelta(seconds=1))
    process = world.process()
    await process.hear(("cas_1", "a"))
    world.mongo.keeps = True

    assert [await process.anchoring.anchor() for _ in range(2)] == [1, 0]
    assert len(world.mongo.notes) == 2
    world.mongo.keeps = False

    assert await process.anchoring.anchor() == 0
    assert world.anchored == [[("cas_0", 1), ("cas_1", 1)]]
    assert world.mongo.notes == {}


async def test_a_write_that_lands_after_its_process_has_died_is_not_forgotten() -> None:
    world = World()
    under_way: list[Sequence[Change]] = []

    def never_answered(changes: Sequence[Change]) -> bool:
        under_way.append(changes)
        raise TryAgain("no answer")

    world.cases.faults.append(never_answered)
    with pytest.raises(TryAgain):
        await world.process().hear(("cas_1", "a"))
    after = world.process()
    world.later(timedelta(seconds=20))
    assert await after.anchoring.anchor() == 0

    world.cases.keep(under_way[0])
    world.later(timedelta(seconds=20))
    await after.anchoring.anchor()

    assert list(world.published[0].leaves) == [world.leaf("cas_1")]


async def test_what_was_noted_once_is_not_noted_again_until_it_is_anchored() -> None:
    world = World()
    process = world.process()
    for body in "abc":
        await process.hear(("cas_1", body))
    assert len(world.mongo.notes) == 1

    await process.anchoring.anchor()
    await process.hear(("cas_1", "d"))

    assert len(world.mongo.notes) == 1


async def test_a_batch_that_is_under_way_keeps_its_note_and_is_anchored_once_it_has_landed() -> None:
    world = World()
    process = world.process()
    booking = process.loop.bookkeepers[0].open()
    other = loop(world.cases, Fed())
    await other.handle([says("a", "1", "cas_1")], "kafka")
    [record] = [outcome.record for outcome in await other.handle([says("b", "2", "cas_1")], "kafka")]
    await booking.before([record])

    assert await process.anchoring.anchor() == 0
    assert len(world.mongo.notes) == 1
    booking.close([record])
    await process.anchoring.anchor()

    assert world.anchored == [[("cas_1", 2)]]
    assert world.mongo.notes == {}


async def test_after_an_unknown_outcome_the_record_is_read() -> None:
    world = World()
    process = world.process()

    def landed_unseen(changes: Sequence[Change]) -> bool:
        world.cases.keep(changes)
        raise TryAgain("no answer")

    world.cases.faults.append(landed_unseen)
    with pytest.raises(TryAgain):
        await process.hear(("cas_1", "a"))
    await process.anchoring.anchor()

    assert list(world.published[0].leaves) == [world.leaf("cas_1")]


async def test_while_mongodb_is_away_everything_waits_and_is_anchored_then() -> None:
    world = World()
    process = world.process()
    await process.hear(("cas_1", "a"))
    world.checkpoints.is_away = True
    with pytest.raises(TryAgain):
        await process.anchoring.anchor()
    world.checkpoints.is_away = False
    await process.hear(("cas_2", "a"))

    await process.anchoring.anchor()

    assert [leaf for one in world.anchored for leaf in one] == [("cas_1", 1), ("cas_2", 1)]


async def test_a_checkpoint_of_which_nobody_learns_that_it_was_kept_breaks_no_chain() -> None:
    world = World()
    process = world.process()
    await process.hear(("cas_1", "a"))

    def landed_unseen(changes: Sequence[Change]) -> bool:
        world.checkpoints.keep(changes)
        raise TryAgain("no answer")

    world.checkpoints.faults.append(landed_unseen)
    await process.anchoring.anchor()
    await process.hear(("cas_1", "b"))
    await process.anchoring.anchor()

    first, second = world.published
    assert second.head.previous == first.head.digest


async def test_a_number_that_a_twin_has_taken_is_left_to_it() -> None:
    world = World()
    one, twin = world.process(), world.process()
    for process in (one, twin):
        await process.hear(("cas_1", "first" if process is one else "second"))
        await process.anchoring.anchor()
    await one.hear(("cas_1", "third"))

    with pytest.raises(TryAgain):
        await one.anchoring.anchor()
    await one.anchoring.anchor()

    numbers = [checkpoint.head.number for checkpoint in world.published]
    assert numbers == [1, 2, 3]
    assert world.published[2].head.previous == world.published[1].head.digest
