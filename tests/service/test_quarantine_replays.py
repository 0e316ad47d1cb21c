"""What was set aside is tried again on a real store: in order, once, by whichever replica is first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from deploy.local.mongo import Mongo as Server
from shared.events import (
    QUARANTINE_DISCARDED,
    QUARANTINE_HELD,
    QUARANTINE_REPLAYED,
    QUARANTINE_REPLAYING,
)
from shared.failures import TryAgain
from shared.mongo import Mongo
from shared.quarantine import replaying
from shared.quarantine.acting import Marked
from shared.quarantine.deciding import Discard, Replay, Settled
from shared.quarantine.reading import Wanted
from tests.service.running import eventually
from tests.service.set_aside import Bench
from tests.unit.entries import GATE, IDS, consumed, messages_of

ASKED = Replay("Anna", "it was mended")


@pytest.fixture
async def bench(mongo: Server, database: str) -> AsyncIterator[Bench]:
    """An empty quarantine and an empty collection of letters."""
    connection = Mongo(mongo.uri, database)
    made = Bench(connection)
    await made.prepare()
    yield made
    await connection.close()


async def ask(bench: Bench, *entries: str, replay: Replay = ASKED) -> None:
    for entry in entries:
        await bench.acting.act(entry, replay, "desk")


async def set_aside_cut(bench: Bench, offset: int) -> str:
    """An entry of which only the beginning is kept."""
    [message] = await messages_of(consumed(b"beginning", offset=offset, key=None))
    body = replace(message.body, facts={**message.body.facts, "cut": True})
    await bench.entries.handle([replace(message, body=body)], "kafka")
    return message.record


async def is_over(bench: Bench, *entries: str) -> bool:
    return "replaying" not in await bench.statuses(*entries)


async def test_what_can_be_read_now_is_heard_as_if_it_had_just_come(bench: Bench) -> None:
    [entry] = await bench.set_aside(b"one")
    await ask(bench, entry)

    await bench.replaying.look()

    [state] = await bench.states(entry)
    letter = IDS.letter("contact-point", b"one".hex())
    assert (state["status"], state["outcome"]) == ("replayed", "taken")
    assert [one["_id"] for one in await bench.letters.store.histories([letter])] == [letter]
    assert (await bench.story(entry))[-2:] == [QUARANTINE_REPLAYING, QUARANTINE_REPLAYED]


async def test_asking_and_looking_again_changes_nothing(bench: Bench) -> None:
    [entry] = await bench.set_aside(b"one")
    for _ in range(2):
        await ask(bench, entry)
        await ask(bench, entry)
        await bench.replaying.look()
        await bench.replaying.look()

    assert (await bench.story(entry)).count(QUARANTINE_REPLAYED) == 1
    assert bench.world.heard == [b"one"]


async def test_what_was_heard_another_way_meanwhile_changes_nothing_and_is_said_so(bench: Bench) -> None:
    [first, again] = await bench.set_aside(b"one", b"one", key=None)
    await ask(bench, first)
    await bench.replaying.look()
    await ask(bench, again)
    await bench.replaying.look()

    assert [state["outcome"] for state in await bench.states(first, again)] == ["taken", "nothing to do"]


async def test_the_records_of_one_key_go_in_order_and_one_that_fails_holds_those_behind_it(bench: Bench) -> None:
    entries = await bench.set_aside(b"a", b"b", b"c", b"d")
    others = await bench.set_aside(b"x", b"y", first=100, key=b"another key")
    bench.world.refuses = {b"b"}
    await ask(bench, *reversed(entries), *others)

    await bench.replaying.look()

    states = await bench.states(*entries)
    assert [state["status"] for state in states] == ["replayed", "held", "held", "held"]
    assert [state["reason"] for state in states[1:]] == ["still not a letter", "not a letter", "not a letter"]
    assert [state.get("behind") for state in states[1:]] == [None, entries[1], entries[1]]
    assert await bench.statuses(*others) == ["replayed", "replayed"]

    bench.world.refuses = set()
    await ask(bench, *entries)
    await bench.replaying.look()
    assert await bench.statuses(*entries) == ["replayed"] * 4
    assert bench.world.heard == [b"a", b"x", b"y", b"b", b"c", b"d"]


async def test_what_is_asked_for_anew_does_not_stand_behind_what_failed_before(bench: Bench) -> None:
    first, second = await bench.set_aside(b"a", b"b")
    bench.world.refuses = {b"a"}
    await ask(bench, first, second)
    await bench.replaying.look()

    await ask(bench, second)
    await bench.replaying.look()

    assert await bench.statuses(first, second) == ["held", "replayed"]


async def test_one_call_marks_all_that_match_and_none_goes_before_a_failed_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.quarantine.acting._PAGE", 3)
    entries = await bench.set_aside(*(b"%d" % n for n in range(10)))
    other = await bench.set_aside(b"other", first=50, reason="too large", key=b"other")
    bench.world.refuses = {b"4"}
    looking = asyncio.create_task(bench.replaying.run(lambda: True))

    marked = await bench.acting.replay_all(Wanted(GATE, "not a letter"), ASKED, "desk")
    await eventually(lambda: is_over(bench, *entries), "the replay's end")
    looking.cancel()

    assert marked == Marked(marked=10)
    assert await bench.statuses(*entries) == ["replayed"] * 4 + ["held"] * 6
    assert await bench.statuses(*other) == ["held"]


async def test_who_asks_on_meets_nothing_again_and_the_order_of_keys_goes_through_all_calls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.quarantine.acting._PAGE", 2)
    monkeypatch.setattr("shared.quarantine.acting.MOST_AT_ONCE", 4)
    [first] = await bench.set_aside(b"a", first=0)
    between = await bench.set_aside(*(b"%d" % n for n in range(7)), first=1, key=None)
    [last] = await bench.set_aside(b"b", first=8)
    entries = [first, *between, last]
    cut = [await set_aside_cut(bench, offset) for offset in (100, 101)]
    bench.world.refuses = {b"%d" % n for n in range(7)} | {b"a"}

    calls: list[Marked] = []
    asked_at, after = None, None
    while not calls or calls[-1].more:
        calls.append(await bench.acting.replay_all(Wanted(), ASKED, "desk", asked_at, after))
        await bench.replaying.look()
        if calls[-1].next:
            asked_at, _, place = calls[-1].next.partition("~")
            [after] = await bench.entries.store.histories([place])

    assert [(one.marked, one.cut, one.more) for one in calls] == [(4, 0, True), (4, 0, True), (1, 2, False)]
    stories = [await bench.story(entry) for entry in entries]
    assert [story.count(QUARANTINE_REPLAYING) for story in stories] == [1] * 9
    assert await bench.statuses(*entries, *cut) == ["held"] * 11
    assert (await bench.states(last))[0]["behind"] == first


async def test_a_dry_run_of_many_leaves_out_what_a_replay_of_many_leaves_out_and_both_say_how_many(
    bench: Bench,
) -> None:
    cut = [await set_aside_cut(bench, offset) for offset in range(2)]
    await bench.set_aside(*(b"%d" % n for n in range(3)), first=5, key=None)

    dry = await bench.acting.foresee_all(Wanted())
    marked = await bench.acting.replay_all(Wanted(), ASKED, "desk")
    nothing_left = await bench.acting.replay_all(Wanted(), ASKED, "desk")

    assert (dry.counts, dry.cut, dry.more) == ({"begin a letter": 3}, 2, False)
    assert marked == Marked(marked=3, cut=2)
    assert nothing_left == Marked(cut=2)
    assert await bench.statuses(*cut) == ["held"] * 2


async def test_what_may_be_urgent_is_tried_before_what_is_not_and_keys_keep_their_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AT_ONCE", 3)
    normal = "aaa.cases.v1"  # first by its place
    bench.readers[normal] = bench.readers[GATE]
    backlog = await bench.set_aside(*(b"n%d" % n for n in range(4)), topic=normal, key=None)
    urgent = await bench.set_aside(b"u1", b"u2", first=50)
    await ask(bench, *backlog, *reversed(urgent))

    await bench.replaying.look()
    assert bench.world.heard == [b"u1", b"n0", b"u2"]
    await bench.replaying.look()
    await bench.replaying.look()

    assert await bench.statuses(*backlog, *urgent) == ["replayed"] * 6


async def test_two_replicas_try_the_same_and_one_outcome_is_kept(mongo: Server, bench: Bench, database: str) -> None:
    connection = Mongo(mongo.uri, database)
    other = Bench(connection)
    entries = [entry for n in range(20) for entry in await bench.set_aside(b"%d" % n, first=n, key=b"%d" % n)]
    bench.world.refuses = other.world.refuses = {b"7"}
    await ask(bench, *entries)

    await asyncio.gather(bench.replaying.look(), other.replaying.look())

    expected = ["held" if n == 7 else "replayed" for n in range(20)]
    assert await bench.statuses(*entries) == expected
    for entry, status in zip(entries, expected, strict=True):
        story = await bench.story(entry)
        assert story.count(QUARANTINE_REPLAYED) + story.count(QUARANTINE_HELD) == 1, status
    assert len(await bench.letters.store.find({}, {"version": 1}, limit=100)) == 19
    await connection.close()


@pytest.mark.parametrize("is_edited", [False, True])
async def test_who_dies_between_the_letter_and_the_entry_leaves_it_to_be_tried_again(
    bench: Bench, is_edited: bool
) -> None:
    [entry] = await bench.set_aside(b"bad")
    bench.world.refuses = {b"bad"}
    if is_edited:
        for by in ("Anna", "Bela"):
            await ask(bench, entry, replay=Replay(by, "mended", value=b"good"))
    else:
        bench.world.refuses = set()
        await ask(bench, entry)
    with pytest.MonkeyPatch.context() as dying:

        async def die(settled: Sequence[object]) -> int:
            if settled:
                raise TryAgain("killed")
            return 0

        dying.setattr(bench.replaying, "_settle", die)
        with pytest.raises(TryAgain):
            await bench.replaying.look()
    assert await bench.statuses(entry) == ["replaying"]

    await bench.replaying.look()

    [state] = await bench.states(entry)
    assert (state["status"], state["outcome"]) == ("replayed", "taken")


async def test_a_bug_costs_its_own_entry_alone_and_never_stops_the_service(bench: Bench) -> None:
    values = [b"%d" % n for n in range(12)]
    entries = [entry for n, value in enumerate(values) for entry in await bench.set_aside(value, first=n, key=value)]
    bench.world.fails = set(values[1:])
    await ask(bench, *entries)

    await bench.replaying.look()

    assert await bench.statuses(*entries) == ["replayed"] + ["held"] * 11
    assert [state["reason"] for state in await bench.states(*entries[1:])] == ["unexpected KeyError"] * 11
    assert not bench.letters.broken.is_set()


async def test_what_nobody_reads_any_more_is_held_for_that(bench: Bench) -> None:
    [entry] = await bench.set_aside(b"one")
    del bench.readers[GATE]
    await ask(bench, entry)

    await bench.replaying.look()

    assert (await bench.states(entry))[0]["reason"] == replaying.NOBODY


async def test_an_edited_copy_is_tried_in_the_place_of_what_was_set_aside(bench: Bench) -> None:
    [entry] = await bench.set_aside(b"bad")
    bench.world.refuses = {b"bad"}
    for by in ("Anna", "Bela"):
        await ask(bench, entry, replay=Replay(by, "mended", value=b"good"))

    await bench.replaying.look()

    assert await bench.statuses(entry) == ["replayed"]
    assert bench.world.heard == [b"good"]


async def test_what_was_discarded_is_not_tried(bench: Bench) -> None:
    [entry] = await bench.set_aside(b"one", topic="letters.received.v1")
    await bench.acting.act(entry, Discard("Anna", "rubbish"), "desk")
    await ask(bench, entry)

    await bench.replaying.look()

    assert (await bench.story(entry))[-1] == QUARANTINE_DISCARDED


# What it would do


async def test_a_dry_run_says_what_a_replay_would_do_and_changes_nothing(bench: Bench) -> None:
    new, known, bad = await bench.set_aside(b"new", b"known", b"bad", key=None)
    bench.world.refuses = {b"bad"}
    await ask(bench, known)
    await bench.replaying.look()
    [again] = await bench.set_aside(b"known", first=1, key=None, topic=GATE)
    before = await bench.entries.store.find({}, None, limit=10, sort=("_id",))
    asked = Replay("nobody", "a dry run")

    told = [await bench.acting.foresee(entry, asked, "desk") for entry in (new, bad)]
    mended = await bench.acting.foresee(bad, Replay("nobody", "a dry run", value=b"good"), "desk")

    letter = IDS.letter("contact-point", b"new".hex())
    assert [one and one.says for one in told] == [
        f"It would begin the letter {letter}: letter.received.",
        "It would be refused: still not a letter.",
    ]
    assert mended is not None
    assert [one.what for one in mended.would] == ["begin"]
    assert again == known
    assert await bench.entries.store.find({}, None, limit=10, sort=("_id",)) == before
    assert await bench.letters.store.histories([letter]) == []
    assert await bench.acting.foresee("qua_none", asked, "desk") is None


async def test_a_dry_run_of_many_is_counted(bench: Bench) -> None:
    await bench.set_aside(*(b"%d" % n for n in range(5)), key=None)
    bench.world.refuses = {b"2", b"3"}

    told = await bench.acting.foresee_all(Wanted(GATE))

    assert sorted(one.would[0].what for one in told.entries) == ["begin"] * 3 + ["refused"] * 2
    assert (told.cut, told.more) == (0, False)


async def test_what_came_of_an_attempt_is_counted_once(bench: Bench) -> None:
    entries = await bench.set_aside(b"a", b"b", key=None)
    bench.world.refuses = {b"b"}
    await ask(bench, *entries)
    await bench.replaying.look()
    [state] = await bench.states(entries[0])
    await bench.replaying._settle([(entries[0], Settled(state["attempt"], "taken"))])

    def number(outcome: str) -> float:
        name = "rogatory_quarantine_replays_total"
        return bench.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

    assert (number("taken"), number("held")) == (1, 1)
