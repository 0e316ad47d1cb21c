"""Running totals on a real mongod: what dies in the middle is settled, and a recount finds what was kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.mongo import Mongo as Server
from shared.accounts import total
from shared.decisions import Decision, Message
from shared.events import Draft, Event
from shared.failures import TryAgain
from shared.loop import Loop
from shared.metrics import Metrics
from shared.mongo import Change, Driver, Mongo
from shared.parcels import Parcel
from shared.records import Record, State
from shared.recount import mend, recount
from shared.sealing import Sealer
from shared.sender import Sender
from shared.totals import COLLECTION, GIVEN_UP_AFTER, Totals

SEALER = Sealer(bytes(32))
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


class Unfed(Sender):
    """A sender that takes nothing: no Kafka is needed here."""

    def __init__(self) -> None:
        pass

    def feed(self, parcels: Iterable[Parcel]) -> None:
        """Nothing is sent."""


def decide(_record: Record, message: Message, _now: datetime) -> Decision:
    """What is said happens; content is sealed, so that no two attempts have the same chain."""
    return Decision([Draft("test.said", (), {"status": message.body}, {"officer": "somebody"})])


def evolve(_state: State, event: Event) -> State:
    """The last word counts."""
    return {"status": event.data["status"]}


def terms(state: Mapping[str, Any]) -> Mapping[str, int]:
    """Open or ended."""
    return {"case/opened": 1, f"case/{state['status']}": 1} if state else {}


class Killed(BaseException):
    """The process died there."""


@dataclass
class Process:
    """One process of a service."""

    mongo: Mongo
    loop: Loop
    totals: Totals
    sooner: timedelta = timedelta()

    def dies(self, at: Callable[[Sequence[Change]], Any]) -> None:
        """It dies at its next write, after this was done."""
        store, write = self.loop.store, self.loop.store.write

        async def once(changes: Sequence[Change]) -> bool:
            store.write = write  # type: ignore[method-assign]
            await at(changes)
            raise Killed

        store.write = once  # type: ignore[method-assign]

    async def says(self, *said: tuple[str, str]) -> None:
        """Hear words, each for a record."""
        causes = [f"{id(self)}/{id(said)}/{n}" for n in range(len(said))]
        messages = [Message(record, c, "test", word) for c, (record, word) in zip(causes, said, strict=True)]
        await self.loop.handle(messages, "kafka")


Start = Callable[[str], Process]


@pytest.fixture(params=["motor", "pymongo"])
async def start(mongo: Server, database: str, request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Makes processes on one database."""
    made: list[Process] = []
    driver: Driver = request.param

    def process(instance: str) -> Process:
        connection = Mongo(mongo.uri, database, driver)
        loop = Loop(connection.store("cases"), decide, evolve, SEALER, Unfed(), Metrics("test"))
        new = Process(connection, loop, None)  # type: ignore[arg-type]
        slots = connection.slots(COLLECTION)
        new.totals = Totals(slots, loop.store, terms, instance, lambda: datetime.now(UTC) + new.sooner)
        loop.bookkeepers.append(new.totals)
        made.append(new)
        return new

    yield process
    for one in made:
        await one.mongo.close()


async def settled(process: Process) -> dict[str, int]:
    """The sum of all slots."""
    return total(document["totals"] for document in await process.totals.documents())


async def test_what_is_kept_is_what_is_there(start: Start) -> None:
    one, two = start("router-1"), start("router-2")

    async def work(process: Process, name: str) -> None:
        for turn in range(10):
            await process.says(*((f"{name}-{turn}-{n}", "open") for n in range(20)))
            await process.says(*((f"{name}-{turn}-{n}", "ended") for n in range(5)), ("both", "open"))

    await asyncio.gather(
        *(work(process, name) for process in (one, two) for name in (f"{id(process)}a", f"{id(process)}b"))
    )
    await one.totals.flush(idle=0)
    await two.totals.flush(idle=0)

    assert await settled(one) == {"case/opened": 801, "case/open": 601, "case/ended": 200}
    found = await recount(one.mongo, "cases", terms)
    assert (found.records, found.differs) == (801, {})


async def test_who_dies_between_note_and_write_has_counted_nothing(start: Start) -> None:
    one = start("router-1")

    async def nothing(_changes: Sequence[Change]) -> None:
        pass

    one.dies(nothing)
    with pytest.raises(Killed):
        await one.says(("cas_1", "open"))

    assert (await recount(one.mongo, "cases", terms)).differs == {}
    successor = start("router-1")
    successor.sooner = GIVEN_UP_AFTER + timedelta(seconds=1)
    await successor.totals.flush(idle=0)
    assert await settled(successor) == {}
    assert [one["pending"] for one in await successor.totals.documents()] == [b""]


async def test_who_dies_after_the_write_is_settled_by_its_successor(start: Start) -> None:
    one = start("router-1")
    write = one.loop.store.write
    one.dies(write)
    with pytest.raises(Killed):
        await one.says(("cas_1", "open"), ("cas_2", "ended"))

    assert (await recount(one.mongo, "cases", terms)).differs == {}  # pending, and it has landed
    successor = start("router-1")
    await successor.totals.flush(idle=0)

    assert await settled(successor) == {"case/opened": 2, "case/open": 1, "case/ended": 1}
    assert (await recount(one.mongo, "cases", terms)).differs == {}


async def test_a_write_without_an_answer_counts_once(start: Start) -> None:
    one = start("router-1")
    write = one.loop.store.write

    async def silent(changes: Sequence[Change]) -> bool:
        one.loop.store.write = write  # type: ignore[method-assign]
        await write(changes[:3])
        raise TryAgain("no answer")

    one.loop.store.write = silent  # type: ignore[method-assign]
    await one.says(*((f"cas_{n}", "open") for n in range(6)))
    await one.totals.flush(idle=0)

    assert await settled(one) == {"case/opened": 6, "case/open": 6}
    assert (await recount(one.mongo, "cases", terms)).differs == {}


async def test_a_recount_of_what_works_meanwhile_finds_no_difference(start: Start) -> None:
    one, found = start("router-1"), []

    async def work(name: str) -> None:
        for turn in range(40):
            await one.says(*((f"{name}-{turn}-{n}", "open") for n in range(25)))
            await one.says(*((f"{name}-{turn}-{n}", "ended") for n in range(25)))

    working = asyncio.gather(work("a"), work("b"))
    while not working.done():
        found.append(await recount(one.mongo, "cases", terms))
    await working

    assert len(found) > 2
    assert [each.differs for each in found] == [{}] * len(found)
    assert found[-1].records > found[0].records


async def test_what_was_never_counted_is_put_right_once_and_with_its_author(start: Start) -> None:
    one = start("router-1")
    one.loop.bookkeepers.clear()
    await one.says(("cas_1", "open"), ("cas_2", "ended"))
    one.loop.bookkeepers.append(one.totals)
    await one.says(("cas_2", "open"))

    found = await recount(one.mongo, "cases", terms)
    assert found.differs == {"case/opened": 2, "case/open": 1, "case/ended": 1}
    await mend(one.mongo, found, "Maud Vernier", NOW)
    with pytest.raises(TryAgain):
        await mend(one.mongo, found, "somebody else", NOW)  # would add it twice
    await one.says(("cas_1", "ended"))

    again = await recount(one.mongo, "cases", terms)
    assert again.differs == {}
    assert again.corrections is not None
    assert [(each["by"], each["difference"]["case/opened"]) for each in again.corrections["corrections"]] == [
        ("Maud Vernier", 2)
    ]
    await mend(one.mongo, again, "Maud Vernier", NOW)
    assert len((await recount(one.mongo, "cases", terms)).corrections["corrections"]) == 2  # type: ignore[index]


async def test_a_mended_slot_is_nobodys_to_take(start: Start) -> None:
    one = start("router-1")
    one.loop.bookkeepers.clear()
    await one.says(("cas_1", "open"))
    await mend(one.mongo, await recount(one.mongo, "cases", terms), "somebody", NOW)

    successor = start("router-2")
    successor.sooner = timedelta(days=30)
    await successor.totals.flush(idle=0)

    (slot,) = await successor.totals.documents()
    assert (slot["instance"], successor.totals.is_left(slot)) == ("mended", False)


async def test_a_slot_belongs_to_one_owner(start: Start) -> None:
    slots = start("router-1").mongo.slots(COLLECTION)

    assert await slots.put({"_id": "cases/a/1", "owner": "one"}, "one")
    assert await slots.put({"_id": "cases/a/1", "owner": "one", "totals": {}}, "one")
    assert not await slots.put({"_id": "cases/a/1", "owner": "two"}, "two")
    assert await slots.put({"_id": "cases/a/1", "owner": "two"}, "one", safe=True)
    assert not await slots.put({"_id": "cases/a/1", "owner": "one"}, "one")
    assert await slots.put({"_id": "cases_of_others/a/1", "owner": "one"}, "one")

    assert await slots.of("cases") == [{"_id": "cases/a/1", "owner": "two"}]


async def test_the_slots_answer_try_again_while_mongodb_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.mongo.connection.PATIENCE_MS", 50)
    away = Mongo("mongodb://127.0.0.1:1/", "nothing")
    slots = away.slots(COLLECTION)

    for call in (slots.of("cases"), slots.put({"_id": "cases/a/1"}, "one"), recount(away, "cases", terms)):
        with pytest.raises(TryAgain):
            await call
    await away.close()
