"""The store keeps its promises on both drivers: what lands, what loses a race, what is never half there."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pymongo
import pytest

from deploy.local.mongo import Mongo as Server
from shared.events import Draft, Event
from shared.failures import BadStart, NeverWill, TryAgain
from shared.mongo import Driver, Mongo, Store
from shared.records import Record, State, chain_holds, event_of, fold, record_of
from shared.sealing import Sealer
from tests.service.running import eventually

NOW = datetime(2026, 3, 10, 8, 0, 0, 123456, UTC)
SEALER = Sealer(bytes(32))
TOPIC = "somewhere.v1"


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Both drivers, one after the other."""
    chosen: Driver = request.param
    return chosen


@pytest.fixture
async def store(mongo: Server, database: str, driver: Driver) -> AsyncIterator[Store]:
    """An empty store."""
    connection = Mongo(mongo.uri, database, driver)
    store = connection.store("records")
    await store.prepare([{"keys": [("state.colour", 1)], "name": "colour"}])
    yield store
    await connection.close()


def evolve(state: State, event: Event) -> State:
    """The last data wins."""
    return {**state, **event.data}


def say(record: Record, cause: str, to: tuple[str, ...] = (TOPIC,), **data: Any) -> Record:
    """Put an event at the end of a record."""
    draft = Draft("test.said", to, data, {"name": "somebody"})
    record.append(draft, by="test", cause=cause, now=NOW, evolve=evolve, sealer=SEALER)
    return record


def new(record: str, cause: str = "first", **data: Any) -> Record:
    """A record with one event."""
    return say(Record(record, record, {"agency": "a"}), cause, **data)


async def write(store: Store, *records: Record) -> bool:
    """Write records in one batch."""
    return await store.write([store.change(record, NOW) for record in records])


async def read(store: Store, record: str) -> Record:
    """One record's head."""
    [head] = await store.read([record])
    return record_of(head, SEALER)


async def test_a_new_record_is_kept_whole(store: Store) -> None:
    record = new("one", colour="red")

    assert await write(store, record)

    kept = await read(store, "one")
    assert (kept.version, kept.published, kept.state, kept.sent) == (1, 0, {"colour": "red"}, {TOPIC: 1})
    assert (kept.chain, kept.causes, kept.context, kept.subject) == (record.chain, {"first"}, {"agency": "a"}, "one")
    assert (kept.size, kept.stored_version) == (record.size, 1)


async def test_a_history_comes_back_to_the_byte_and_to_the_microsecond(store: Store) -> None:
    record = say(new("one", colour="red"), "second", colour="blue", text="ə\u202e€")
    await write(store, record)

    [document] = await store.histories(["one"])
    head = await read(store, "one")
    events = [event_of("one", form, head.key) for form in document["history"]]
    assert events == record.fresh
    assert events[0].at == "2026-03-10T08:00:00.123456Z"
    assert chain_holds("one", events)
    assert fold(events, evolve) == head.state


async def test_the_head_is_read_without_the_history(store: Store) -> None:
    await write(store, say(new("one"), "second"))

    [head] = await store.read(["one", "nobody"])

    assert "history" not in head
    assert head["causes"] == ["first", "second"]


async def test_an_update_lands_where_nobody_was_faster(store: Store) -> None:
    await write(store, new("one", colour="red"))
    record = say(await read(store, "one"), "second", colour="blue")

    assert await write(store, record)

    kept = await read(store, "one")
    assert (kept.version, kept.state, kept.sent[TOPIC], kept.causes) == (2, {"colour": "blue"}, 2, {"first", "second"})


async def test_who_loses_a_race_is_told_and_changes_nothing(store: Store) -> None:
    await write(store, new("one", colour="red"))
    winner, loser = await read(store, "one"), await read(store, "one")
    say(winner, "won", colour="green")
    say(loser, "lost", colour="blue")

    assert await write(store, winner)
    assert not await write(store, loser)

    kept = await read(store, "one")
    assert (kept.version, kept.state, kept.causes) == (2, {"colour": "green"}, {"first", "won"})


async def test_two_writers_of_one_new_record_make_one(store: Store) -> None:
    landed = await asyncio.gather(*(write(store, new("one", f"writer-{n}")) for n in range(8)))

    assert landed.count(True) == 1
    assert (await read(store, "one")).version == 1


async def test_a_duplicate_spares_its_neighbours(store: Store) -> None:
    await write(store, new("two", "earlier"))

    assert not await write(store, new("one"), new("two", "later"), new("three"))

    assert {head["_id"] for head in await store.read(["one", "two", "three"])} == {"one", "two", "three"}
    assert (await read(store, "two")).causes == {"earlier"}


async def test_inserts_land_beside_an_update_that_lost(store: Store) -> None:
    await write(store, new("old"))
    loser = await read(store, "old")
    await write(store, say(await read(store, "old"), "won"))

    assert not await write(store, new("one"), say(loser, "lost"))

    assert (await read(store, "one")).version == 1
    assert (await read(store, "old")).causes == {"first", "won"}


@pytest.mark.parametrize(
    "data",
    [{"number": 2**70}, {"text": "\ud800"}, {"nul\0name": 1}],
    ids=["70 bits", "lone surrogate", "NUL in a name"],
)
async def test_what_bson_cannot_hold_is_refused_before_it_joins_a_batch(store: Store, data: Mapping[str, Any]) -> None:
    bad = new("bad")
    bad.state = {**bad.state, **data}

    with pytest.raises(NeverWill, match="MongoDB cannot store it"):
        store.change(bad, NOW)

    await write(store, new("old"))
    late = say(await read(store, "old"), "second")
    late.state = {**late.state, **data}
    with pytest.raises(NeverWill, match="MongoDB cannot store it"):
        store.change(late, NOW)


async def test_an_insert_is_already_encoded(store: Store) -> None:
    change = store.change(new("one", colour="red"), NOW)

    assert change.update is None
    assert change.insert is not None
    assert bson.decode(change.insert.raw)["state"]["colour"] == "red"


async def test_what_is_to_be_sent_is_found_by_age_the_oldest_first(store: Store) -> None:
    for minute, name in ((3, "late"), (1, "early"), (2, "middle")):
        change = store.change(new(name), NOW + timedelta(minutes=minute))
        await store.write([change])
    await store.write([store.change(say(Record("silent", "silent", {}), "first", to=()), NOW)])

    found = await store.unsent(NOW + timedelta(minutes=2, seconds=1), limit=10)

    assert [document["_id"] for document in found] == ["early", "middle"]
    assert [document["_id"] for document in await store.unsent(NOW + timedelta(hours=1), limit=1, skip=1)] == ["middle"]
    count, oldest = await store.count_unsent()
    assert count == 3
    assert oldest is not None
    assert abs(oldest - (NOW + timedelta(minutes=1))) < timedelta(milliseconds=1)


async def test_a_record_that_says_nothing_to_any_topic_is_never_unsent(store: Store) -> None:
    await store.write([store.change(say(Record("silent", "silent", {}), "first", to=()), NOW)])

    kept = await read(store, "silent")
    assert (kept.version, kept.published, kept.unsent_since) == (1, 1, None)
    assert await store.count_unsent() == (0, None)


async def test_a_mark_takes_a_record_off_the_list(store: Store) -> None:
    await write(store, new("one"), new("two"), say(new("three"), "second"))

    await store.mark_sent({1: ["one"], 2: ["three"]})

    async def left() -> bool:
        return [one["_id"] for one in await store.unsent(NOW + timedelta(hours=1), limit=10)] == ["two"]

    await eventually(left, "a majority's seeing the marks")
    assert (await read(store, "three")).published == 2


async def test_a_record_that_has_moved_on_stays_unsent_from_there_on(store: Store) -> None:
    await write(store, new("one"), new("two"))
    await write(store, say(await read(store, "one"), "second"))

    await store.mark_sent({1: ["one", "two"]})
    await write(store, new("later"))  # when a majority has it, it has the mark too

    kept = await read(store, "one")
    assert (kept.version, kept.published, kept.unsent_since is not None) == (2, 1, True)
    assert (await read(store, "two")).unsent_since is None


async def test_a_late_mark_takes_nothing_back(store: Store) -> None:
    await write(store, new("one"))
    await write(store, say(await read(store, "one"), "second"))
    await store.mark_sent({2: ["one"]})

    await store.mark_sent({1: ["one"]})
    await write(store, new("later"))

    kept = await read(store, "one")
    assert (kept.published, kept.unsent_since) == (2, None)


async def test_a_mark_between_read_and_write_leaves_the_new_event_unsent(store: Store) -> None:
    await write(store, new("one"))
    held = await read(store, "one")
    await store.mark_sent({1: ["one"]})

    assert await write(store, say(held, "second"))

    kept = await read(store, "one")
    assert (kept.published, kept.version, kept.unsent_since is not None) == (1, 2, True)  # the write waited for both


async def test_a_clock_that_is_no_more_leaves_the_index(store: Store) -> None:
    await write(store, new("one", next_due="2026-03-11T00:00:00Z"))
    [document] = await store.histories(["one"])
    assert document["next_due"] == "2026-03-11T00:00:00Z"

    record = await read(store, "one")
    record.append(
        Draft("test.settled", (), {}), by="test", cause="second", now=NOW, evolve=lambda *_: {}, sealer=SEALER
    )
    await write(store, record)

    [document] = await store.histories(["one"])
    assert "next_due" not in document


async def test_the_indexes_may_be_made_again(store: Store, mongo: Server, database: str) -> None:
    await store.prepare([{"keys": [("state.colour", 1)], "name": "colour"}])

    with pymongo.MongoClient[dict[str, Any]](mongo.uri) as client:
        assert {"unsent", "colour"} <= client[database].records.index_information().keys()


async def test_nothing_asked_for_is_no_round_trip(store: Store) -> None:
    assert await store.read([]) == []
    assert await store.histories([]) == []


async def test_a_look_for_sure_waits_until_a_majority_has_what_it_finds(mongo3: Server, driver: Driver) -> None:
    """The others of the set stand still: a read by majority, as at once after an election, does not know the latest."""
    connection = Mongo(mongo3.uri, "sure", driver)
    store = connection.store(f"records_{driver}")
    await store.prepare()
    await write(store, new("one"))
    others = [child for node, child in mongo3._nodes.items() if node != mongo3.primary()]
    with pymongo.MongoClient[dict[str, Any]](mongo3.uri) as client:
        records = client["sure"][f"records_{driver}"]
        try:
            for child in others:
                child.signal(signal.SIGSTOP)
            records.with_options(write_concern=pymongo.WriteConcern(1)).update_one(
                {"_id": "one"}, {"$set": {"version": 2}}
            )
            [by_majority] = await store.read(["one"])
            sure = asyncio.ensure_future(store.versions(["one", "nobody"]))
            await asyncio.sleep(0.2)
            waited = not sure.done()
        finally:
            for child in others:
                child.signal(signal.SIGCONT)

    assert (by_majority["version"], waited) == (1, True)
    assert await sure == {"one": 2}
    await connection.close()


async def test_a_record_of_another_deployment_does_not_open(store: Store) -> None:
    await write(store, new("one"))
    [head] = await store.read(["one"])

    with pytest.raises(Exception, match="does not open"):
        record_of(head, Sealer(bytes([1]) * 32))


async def test_a_server_that_is_not_there_is_to_be_tried_again(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.mongo.connection.PATIENCE_MS", 100)
    connection = Mongo("mongodb://127.0.0.1:9/?replicaSet=nowhere", "nothing", driver)
    store = connection.store("records")

    for call in (
        connection.ping(),
        store.prepare(),
        store.read(["one"]),
        store.versions(["one"]),
        store.count_unsent(),
        store.write([store.change(new("one"), NOW)]),
        store.mark_sent({1: ["one"]}),
    ):
        with pytest.raises(TryAgain):
            await call
    await connection.close()


def test_what_is_no_address_is_refused_without_repeating_it(driver: Driver) -> None:
    for address in ("mongo://user:secret@host", "mongodb://user:secret@host:notaport/", "mongodb://"):
        with pytest.raises(BadStart) as refused:
            Mongo(address, "nothing", driver)
        assert "secret" not in str(refused.value)
