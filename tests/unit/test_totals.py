"""Running totals: whoever dies between which two writes, what is kept is what is there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pymongo.errors import DocumentTooLarge

from services.router.domain.accounts import terms_by as accounts_of_cases
from shared import recount
from shared.accounts import of_entry
from shared.failures import TryAgain
from shared.loop import Loop
from shared.mongo import Change, Mongo, Slots
from shared.totals import GIVEN_UP_AFTER, LEFT_AFTER, TAKEN_AFTER, Totals, pending_in
from tests.unit.test_loop import says
from tests.unit.totals import Killed, World

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.loop.random.uniform", lambda _low, _high: 0.0)


@pytest.fixture
def world() -> World:
    return World()


def dies(_changes: Sequence[Change] = ()) -> bool:
    """The process ends before anything is written."""
    raise Killed


def landing_in(world: World, failure: BaseException) -> Any:
    """The write lands, and nobody hears of it."""

    def landed(changes: Sequence[Change]) -> bool:
        world.store.keep(changes)
        raise failure

    return landed


async def test_what_landed_is_pending_until_the_next_note_settles_it(world: World) -> None:
    process, totals = world.start("router-1")

    await process.handle([says("one", "a"), says("two", "b", "cas_2")], "kafka")
    assert (world.settled(), world.kept()) == ({}, {"case/opened": 2, "case/open": 2})

    await process.handle([says("three", "c", "cas_3")], "kafka")
    assert world.settled() == {"case/opened": 2, "case/open": 2}

    await totals.flush(idle=0)
    assert world.settled() == {"case/opened": 3, "case/open": 3}
    assert world.is_settled()
    assert len(world.slots.documents) == 1


async def test_a_batch_is_one_note_however_many_records_it_has(world: World) -> None:
    process, _ = world.start("router-1")
    world.slots.faults = [lambda: True] * 10

    await process.handle([says("one", f"c{n}", f"cas_{n}") for n in range(200)], "kafka")

    assert len(world.slots.faults) == 9
    (slot,) = world.slots.documents.values()
    assert len(slot["deltas"]) == 1


async def test_what_changes_no_total_is_not_noted(world: World) -> None:
    process, _ = world.start("router-1")
    await process.handle([says("one", "a")], "kafka")
    before = dict(world.slots.documents)

    await process.handle([says("two", "b")], "kafka")

    assert world.slots.documents == before


async def test_who_dies_between_note_and_write_has_counted_nothing(world: World) -> None:
    process, _ = world.start("router-1")
    world.store.faults.append(dies)
    with pytest.raises(Killed):
        await process.handle([says("one", "a")], "kafka")

    _, successor = world.start("router-1")
    await successor.flush(idle=0)
    assert not world.is_settled()  # its write may still be on its way
    world.wait(GIVEN_UP_AFTER + MINUTE)
    await successor.flush(idle=0)

    assert world.is_settled()
    assert world.settled() == world.store.counted() == {}


async def test_who_dies_after_the_write_is_settled_by_its_successor(world: World) -> None:
    process, _ = world.start("router-1")
    world.store.faults.append(landing_in(world, Killed()))
    with pytest.raises(Killed):
        await process.handle([says("one", "a")], "kafka")

    _, successor = world.start("router-1")
    await successor.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 1, "case/open": 1}
    assert world.is_settled()


async def test_a_write_that_lands_after_its_process_has_died_is_counted(world: World) -> None:
    process, _ = world.start("router-1")

    def later(changes: Sequence[Change]) -> bool:
        world.store.late.append(changes)
        raise Killed

    world.store.faults.append(later)
    with pytest.raises(Killed):
        await process.handle([says("one", "a")], "kafka")
    _, successor = world.start("router-1")
    await successor.flush(idle=0)

    world.wait(MINUTE / 2)
    await successor.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 1, "case/open": 1}


@pytest.mark.parametrize("lands", [True, False])
async def test_a_write_without_an_answer_counts_once_whether_it_landed_or_not(world: World, lands: bool) -> None:
    process, totals = world.start("router-1")

    def silent(_changes: Sequence[Change]) -> bool:
        raise TryAgain("no answer")

    world.store.faults.append(landing_in(world, TryAgain("no answer")) if lands else silent)
    await process.handle([says("one", "a"), says("sealed", "b", "cas_2")], "kafka")

    await totals.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 2, "case/open": 2}
    assert world.is_settled()


async def test_who_loses_a_race_counts_what_it_wrote_in_the_end(world: World) -> None:
    (process, totals), (other, others) = world.start("router-1"), world.start("router-2")

    await asyncio.gather(
        *(process.handle([says("one", f"a{n}")], "kafka") for n in range(5)),
        *(other.handle([says("two", f"b{n}")], "kafka") for n in range(5)),
    )
    await totals.flush(idle=0)
    await others.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 1, "case/open": 1}


async def test_batches_under_way_at_once_have_slots_of_their_own_and_use_them_again(world: World) -> None:
    process, totals = world.start("router-1")

    for turn in range(3):
        await asyncio.gather(*(process.handle([says("one", f"{turn}", f"cas_{turn}_{n}")], "http") for n in range(4)))
    await totals.flush(idle=0)

    assert world.slots.documents.keys() == {f"cases/router-1/{n}" for n in range(1, 5)}
    assert world.settled() == {"case/opened": 12, "case/open": 12}


async def test_a_slot_that_another_has_taken_is_left_to_it(world: World) -> None:
    (process, totals), (_, other) = world.start("router-1"), world.start("router-2")
    await process.handle([says("one", "a")], "kafka")

    (document,) = await other.documents()
    await other.adopt(document)
    await process.handle([says("two", "b", "cas_2")], "kafka")
    for one in (totals, other):
        await one.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 2, "case/open": 2}
    assert {one["owner"] for one in world.slots.documents.values()} == {"router-1 #1", "router-2 #2"}


async def test_a_slot_that_its_living_owner_has_written_since_it_was_read_is_not_taken(world: World) -> None:
    (process, totals), (_, other) = world.start("router-1"), world.start("router-2")
    await process.handle([says("one", "a")], "kafka")

    (document,) = await other.documents()
    await process.handle([says("two", "b", "cas_2")], "kafka")
    await other.adopt(document)

    assert world.is_right()
    assert {one["owner"] for one in world.slots.documents.values()} == {"router-1 #1"}
    for one in (totals, other):
        await one.flush(idle=0)
    assert world.settled() == world.store.counted() == {"case/opened": 2, "case/open": 2}


async def test_a_slot_of_a_build_that_counted_no_revisions_is_taken(world: World) -> None:
    process, _ = world.start("router-1")
    await process.handle([says("one", "a")], "kafka")
    del world.slots.documents["cases/router-1/1"]["revision"]

    _, successor = world.start("router-1")
    await successor.flush(idle=0)

    assert world.settled() == {"case/opened": 1, "case/open": 1}


async def test_what_a_process_left_that_never_comes_back_is_known_after_five_minutes(world: World) -> None:
    process, _ = world.start("router-1")
    await process.handle([says("one", "a")], "kafka")
    _, other = world.start("router-2")

    (document,) = await other.documents()
    assert not other.is_left(document)
    world.wait(LEFT_AFTER + MINUTE)
    assert other.is_left(document)
    await other.adopt(document)
    await other.flush(idle=0)

    assert world.settled() == {"case/opened": 1, "case/open": 1}


async def test_a_slot_of_a_name_that_is_gone_is_used_again_after_a_day(world: World) -> None:
    process, totals = world.start("pod-a1b2")
    await process.handle([says("one", "a")], "kafka")
    await totals.flush(idle=0)
    world.wait(TAKEN_AFTER + MINUTE)

    successor, its = world.start("pod-c3d4")
    await successor.handle([says("two", "b", "cas_2")], "kafka")
    await its.flush(idle=0)

    assert world.slots.documents.keys() == {"cases/pod-a1b2/1"}
    assert world.settled() == {"case/opened": 2, "case/open": 2}


async def test_a_note_that_was_rolled_back_is_written_anew_by_the_next(world: World) -> None:
    process, totals = world.start("router-1")
    await process.handle([says("one", "a")], "kafka")
    world.slots.documents.clear()

    await process.handle([says("two", "b", "cas_2")], "kafka")
    await totals.flush(idle=0)

    assert world.settled() == world.store.counted() == {"case/opened": 2, "case/open": 2}


async def test_a_batch_whose_tries_do_not_fit_into_one_slot_is_noted_in_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.totals.MOST_PENDING", 3)
    process, totals = world.start("router-1")

    def unanswered(changes: Sequence[Change]) -> bool:
        world.store.keep(changes[:2])
        raise TryAgain("no answer")

    world.store.faults = [unanswered, unanswered]
    await process.handle([says("sealed", f"c{n}", f"cas_{n}") for n in range(5)], "kafka")

    assert len(world.slots.documents) > 1
    assert all(len(pending_in(one)) <= 3 for one in world.slots.documents.values())
    assert world.is_right()
    await totals.flush(idle=0)
    assert world.settled() == world.store.counted() == {"case/opened": 5, "case/open": 5}


async def test_what_is_tried_again_unchanged_stands_in_one_slot_and_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.totals.MOST_PENDING", 2)
    process, totals = world.start("router-1")

    def silent(_changes: Sequence[Change]) -> bool:
        raise TryAgain("no answer")

    world.store.faults = [silent, silent]
    await process.handle([says("one", f"c{n}", f"cas_{n}") for n in range(3)], "kafka")

    assert len(world.slots.documents) == 2
    await totals.flush(idle=0)
    assert world.settled() == world.store.counted() == {"case/opened": 3, "case/open": 3}


class TooSmall:
    """A collection of the driver's that takes no document."""

    name = "totals"

    def __getitem__(self, _name: str) -> "TooSmall":
        return self

    def with_options(self, **_options: Any) -> "TooSmall":
        return self

    async def replace_one(self, *_what: Any, **_how: Any) -> None:
        raise DocumentTooLarge("quotes a letter")

    insert_one = replace_one


async def test_a_note_that_is_too_large_is_no_bug_and_the_reason_names_it() -> None:
    with pytest.raises(TryAgain, match=r"^DocumentTooLarge at the notes in totals$"):
        await Slots(TooSmall()).put({"_id": "cases/a/1"}, "one")
    mongo = Mongo("mongodb://localhost:1", "none")
    mongo._database = TooSmall()
    with pytest.raises(TryAgain, match=r"^DocumentTooLarge at the notes in router_unanchored$"):
        await mongo.note("router_unanchored", {"_id": "1"})
    await mongo.close()


class Interleavings(RuleBasedStateMachine):
    """Two processes that write, are killed, lose answers and come back, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World()
        self.processes: dict[str, tuple[Loop, Totals]] = {}
        self.said = 0

    def teardown(self) -> None:
        """In the end everything is settled, and right."""
        self.runner.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        world = self.world
        world.store.faults.clear()
        world.slots.faults.clear()
        world.wait(LEFT_AFTER)
        for name in ("a", "b"):
            _, totals = world.start(name)
            await totals.flush(idle=0)
        assert world.is_settled()
        assert world.settled() == world.store.counted()

    def _process(self, name: str) -> tuple[Loop, Totals]:
        if name not in self.processes:
            self.processes[name] = self.world.start(name)
        return self.processes[name]

    @invariant()
    def nothing_is_lost_and_nothing_counts_twice(self) -> None:
        """At every moment the slots and the records say the same."""
        assert self.world.is_right(), (self.world.kept(), self.world.store.counted())

    @rule(
        names=st.lists(st.sampled_from("ab"), min_size=1, max_size=4),
        records=st.lists(st.sampled_from(("cas_1", "cas_2", "cas_3")), min_size=1, max_size=4),
        word=st.sampled_from(("one", "sealed")),
        writes=st.lists(st.sampled_from(("fine", "lost", "unseen", "half", "late", "dies", "dies after")), max_size=4),
        notes=st.lists(st.sampled_from(("fine", "lost", "dies")), max_size=4),
        patience=st.sampled_from((0, 60)),
    )
    def work(
        self, names: list[str], records: list[str], word: str, writes: list[str], notes: list[str], patience: int
    ) -> None:
        """Several batches at once, each with its trouble."""
        self.world.store.faults = [self._write(how) for how in writes]
        self.world.slots.faults = [self._note(how) for how in notes]
        batches = []
        for name in names:
            self.said += 1
            batch = [says(word, f"{self.said}-{n}", record) for n, record in enumerate(records)]
            batches.append((name, batch))
        self.runner.run(self._work(batches, patience))
        self.world.store.faults.clear()
        self.world.slots.faults.clear()

    async def _work(self, batches: list[tuple[str, list[Any]]], patience: int) -> None:
        running = [self._one(self._process(name)[0], batch, patience) for name, batch in batches]
        ended = await asyncio.gather(*running)
        for (name, _), died in zip(batches, ended, strict=True):
            if died:
                self.processes.pop(name, None)

    async def _one(self, process: Loop, batch: list[Any], patience: int) -> bool:
        try:
            await process.handle(batch, "kafka", patience)
        except TryAgain:
            return False
        except Killed:
            return True
        return False

    def _write(self, how: str) -> Any:
        store = self.world.store

        def write(changes: Sequence[Change]) -> bool:
            if how in ("fine", "unseen", "dies after"):
                landed = store.keep(changes)
            if how == "half":
                store.keep(changes[: len(changes) // 2])
            if how == "late":
                store.late.append(changes)
            if how in ("dies", "dies after"):
                raise Killed
            if how != "fine":
                raise TryAgain("no answer")
            return landed

        return write

    def _note(self, how: str) -> Any:
        def note() -> bool:
            if how == "dies":
                raise Killed
            return how == "fine"

        return note

    @rule(name=st.sampled_from("ab"))
    def settle(self, name: str) -> None:
        """A process looks after its slots."""
        self.runner.run(self._process(name)[1].flush(idle=0))

    @rule(name=st.sampled_from("ab"))
    def take_over(self, name: str) -> None:
        """A process takes over what another has left, which may be alive."""
        self.runner.run(self._take_over(self._process(name)[1]))

    async def _take_over(self, totals: Totals) -> None:
        for document in await totals.documents():
            if totals.is_left(document):
                await totals.adopt(document)

    @rule(name=st.sampled_from("ab"))
    def restart(self, name: str) -> None:
        """A process is killed while it does nothing."""
        self.processes.pop(name, None)

    @rule(minutes=st.sampled_from((0, 2, 10)))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.world.wait(timedelta(minutes=minutes))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)


class _Moment:
    """A moment at which MongoDB holds these documents."""

    def __init__(self, **collections: list[dict[str, Any]]) -> None:
        self.collections = collections

    @asynccontextmanager
    async def moment(self) -> AsyncIterator["_Moment"]:
        """It stands in for `Mongo` too."""
        yield self

    async def find(self, collection: str, _query: Any, _projection: Any = None) -> AsyncIterator[dict[str, Any]]:
        """All of a collection."""
        for document in self.collections.get(collection, []):
            yield document


@pytest.mark.parametrize("damage", [{}, {"state": None}, {"state": 7}, {"state": {"status": []}}], ids=repr)
async def test_a_record_that_is_none_of_ours_is_named_and_stops_no_recount(damage: dict[str, Any]) -> None:
    moment: Any = _Moment(cases=[{"_id": "cas_1", **damage}, {"_id": "cas_2", "state": {"status": "closed"}}])

    found = await recount.recount(moment, "cases", accounts_of_cases({"closed"}))

    assert (found.records, found.damaged) == (2, ["cas_1"])
    assert found.counted == {"case/opened": 1, "case/ended": 1}


async def test_a_status_that_is_none_is_damage_and_not_a_term_of_its_own() -> None:
    entry = {"kind": "quarantine", "status": "held"}
    moment: Any = _Moment(entries=[{"_id": "q1", "state": entry}, {"_id": "q2", "state": {**entry, "status": "lost"}}])

    found = await recount.recount(moment, "entries", of_entry)

    assert (found.counted, found.damaged) == ({"quarantine/kept": 1, "quarantine/held": 1}, ["q2"])
