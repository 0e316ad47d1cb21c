"""Claimed as raised: what can be sent soon needs no look, nothing is overtaken, and nothing that is claimed is lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.notifier.recipients import AHEAD, FIRST_PACE, IN_FLIGHT, TRUST, Claimed, Recipient
from shared.decisions import NEW, Message
from shared.failures import TryAgain
from shared.log import Away, logger
from shared.mongo import Change
from shared.records import Record
from tests.unit.test_delivery import DUTY, LALA, MANY, OPERATIONS, World, raising, some_looks, until

HERE = "notifier-0"


@pytest.fixture
def claiming() -> World:
    """A process that has a name may claim what it raises."""
    world = World()
    world.delivery = world.process(HERE)
    return world


def to(world: World, subscriber: str, channel: str = "webhook") -> Recipient:
    """A recipient as the process knows it."""
    return world.delivery._choosing.recipient(subscriber, channel)


def begun(world: World) -> list[str]:
    """The notices that were sent, in order."""
    return [notice for _, notice in world.recipients.begun]


def fails(world: World, monkeypatch: pytest.MonkeyPatch, which: int, after: timedelta = timedelta()) -> None:
    """MongoDB is away at the n-th write from now on, for so long."""
    write, writes = world.store.write, []

    async def written(changes: Sequence[Change]) -> bool:
        writes.append(len(changes))
        if len(writes) == which:
            world.now += after
            raise TryAgain("away")
        return await write(changes)

    monkeypatch.setattr(world.store, "write", written)


def some(subscriber: str, count: int, **more: Any) -> list[Message]:
    """Notices that are raised together."""
    return [raising(subscriber, f"not_{number:05x}", **more) for number in range(count)]


async def test_what_can_be_sent_soon_is_claimed_by_the_write_that_raises_it(claiming: World) -> None:
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {DUTY}
        await claiming.hears(*some(DUTY, IN_FLIGHT + 2))
        assert claiming.attempts() == [1] * (IN_FLIGHT + 2)
        await some_looks()
        assert claiming.recipients.count(DUTY) == IN_FLIGHT

        reads = claiming.store.reads
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == IN_FLIGHT + 2)
        assert claiming.store.reads - reads <= 4, "an outcome needs no look at what this process wrote itself"
    assert claiming.attempts() == [1] * (IN_FLIGHT + 2)


async def test_nothing_is_claimed_before_what_it_was_sending_when_it_died_is_taken_back(claiming: World) -> None:
    await claiming.hears(*some(DUTY, 1))

    assert claiming.attempts() == [0]
    async with claiming.delivering():
        await until(lambda: len(claiming.states("delivered")) == 1)


@pytest.mark.parametrize(
    "more",
    [{"rate": 5}, {"in_digest": True}, {"not_before": "2026-03-10T08:00:30.000Z"}, {"silence": "sil_1"}],
    ids=lambda more: next(iter(more)),
)
async def test_what_must_wait_is_not_claimed(claiming: World, more: dict[str, Any]) -> None:
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {LALA}
        await claiming.hears(*some(LALA, 1, channel="email", **more))
        (one,) = claiming.store.documents.values()
        assert one["version"] == 1


async def test_what_a_slow_recipient_cannot_have_soon_waits_unclaimed_and_what_comes_after_waits_behind_it(
    claiming: World,
) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        most = int(IN_FLIGHT * AHEAD / FIRST_PACE)
        await claiming.hears(*some(DUTY, most + 3))
        assert claiming.attempts() == [1] * most + [0] * 3
        await claiming.hears(raising(DUTY, "not_fffff"), raising(OPERATIONS, "not_ffffe"))
        assert claiming.attempts()[-2:] == [0, 1]

        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == most + 5)
        assert [name for who, name in claiming.recipients.begun if who == DUTY][-1] == "not_fffff"
        await some_looks()
        await claiming.hears(raising(DUTY, "not_ffffd"))
        assert claiming.attempts()[-1] == 1, "when nothing is due any more, what comes is claimed again"
        await until(lambda: len(claiming.states("delivered")) == most + 6)


async def test_what_nothing_holds_back_is_sent_before_what_was_claimed_earlier(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, IN_FLIGHT + 3))
        await claiming.hears(*[raising(DUTY, f"not_f000{n}", never_held=True) for n in range(2)])
        await until(lambda: claiming.recipients.count(DUTY) == IN_FLIGHT + 1)
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == IN_FLIGHT + 5)

    told = [name for _, name in claiming.recipients.begun]
    assert told[IN_FLIGHT : IN_FLIGHT + 2] == ["not_f0000", "not_f0001"]


async def test_two_that_are_claimed_together_about_one_case_go_one_after_the_other(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, 2, about="cas_1"), raising(DUTY, "not_a0000"))
        await some_looks()
        assert [name for _, name in claiming.recipients.begun] == ["not_00000", "not_a0000"]
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == 3)


async def test_what_waits_for_somebody_who_no_longer_answers_is_given_back_and_not_lost(claiming: World) -> None:
    claiming.recipients.broken = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, TRUST + 6))
        await until(lambda: claiming.recipients.count(DUTY) >= TRUST)
        await until(lambda: not claiming.states("attempting"))
        assert len(claiming.states("waiting")) == TRUST + 6

        claiming.recipients.broken = set()
        claiming.now += timedelta(minutes=2)
        await until(lambda: len(claiming.states("delivered")) == TRUST + 6)


async def test_what_waits_too_long_in_this_process_is_given_back(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, IN_FLIGHT + 2))
        monkeypatch.setattr("services.notifier.delivery.FRESH", 0.0)
        await until(lambda: len(claiming.states("waiting")) == 2)
        assert claiming.recipients.count(DUTY) == IN_FLIGHT


async def test_a_process_that_ends_gives_back_what_it_has_not_begun_to_send(claiming: World) -> None:
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {DUTY}
        await claiming.hears(*some(DUTY, IN_FLIGHT + 2))
        await some_looks()

    assert len(claiming.states("waiting")) == 2
    assert len(claiming.states("delivered")) == IN_FLIGHT


async def test_no_more_waits_in_one_process_than_it_can_hold(claiming: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.claiming.MOST_AHEAD", 3)
    claiming.recipients.silent = {DUTY, OPERATIONS}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, 3))
        await claiming.hears(raising(OPERATIONS, "not_a0000"), raising(DUTY, "not_b0000"))
        assert claiming.attempts() == [1, 1, 1, 1, 1], "three are in flight and none waits"
        await claiming.hears(*[raising(DUTY, f"not_c000{n}") for n in range(4)])
        assert claiming.attempts()[5:] == [1, 1, 1, 0]


async def test_of_a_flood_no_more_is_claimed_than_this_process_sends_soon(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.claiming.ALWAYS_AHEAD", 5)
    to(claiming, DUTY).pace = to(claiming, OPERATIONS).pace = 0.005  # for each of them thousands
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {DUTY, OPERATIONS}
        await claiming.hears(*some(DUTY, 20))
        assert claiming.attempts().count(1) == 5
        assert len(to(claiming, DUTY).ahead) == 5 - IN_FLIGHT
    assert len(claiming.states("waiting")) == 20 - IN_FLIGHT


async def test_who_sends_much_may_claim_as_much_for_a_moment(claiming: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.claiming.ALWAYS_AHEAD", 5)
    async with claiming.delivering():
        await some_looks()
        to(claiming, DUTY).pace = 0.005
        for _ in range(12):
            claiming.delivery._claiming.ended()
        claiming.recipients.silent = {DUTY}
        await claiming.hears(*some(DUTY, 20))
        assert claiming.attempts().count(1) == 12
        monkeypatch.setattr("services.notifier.claiming.WITHIN", -1.0)  # all of it is long ago
        assert claiming.delivery._claiming._may_wait() == 5


async def test_who_has_no_part_in_a_flood_and_what_nothing_holds_back_do_not_wait_for_its_end(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.claiming.ALWAYS_AHEAD", IN_FLIGHT + 2)
    to(claiming, DUTY).pace = 0.005
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {DUTY, OPERATIONS}
        await claiming.hears(*some(DUTY, 20))
        assert claiming.attempts().count(1) == IN_FLIGHT + 2
        monkeypatch.setattr("services.notifier.claiming.ALWAYS_AHEAD", 2)  # there is no room any more
        await claiming.hears(raising(OPERATIONS, "not_a0000"), raising(DUTY, "not_b0000", never_held=True))
        assert claiming.attempts().count(1) == IN_FLIGHT + 4


async def test_what_an_earlier_run_claimed_is_given_back_though_this_one_may_claim_nothing(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with claiming.delivering():
        await some_looks()
        one = raising(DUTY, "not_a0000")
        with monkeypatch.context() as patch:
            patch.setattr(claiming.delivery, "heard", lambda *_: None)  # its answer never came
            await claiming.hears(one)
        assert len(claiming.states("attempting")) == 1
        monkeypatch.setattr(Recipient, "may_claim", lambda *_, **__: False)
        await claiming.hears(one)
        await until(lambda: len(claiming.states("delivered")) == 1)


async def test_what_a_look_is_just_claiming_is_not_given_back_by_a_batch_that_comes_again(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, handle, again = raising(DUTY, "not_a0000"), claiming.loop.handle, list[str]()

    async def handled(messages: Sequence[Message], source: Any, patience: float = 60) -> Any:
        outcomes = await handle(messages, source, patience)
        if source == "clock" and messages and not again:
            again.append(source)
            await claiming.hears(one)
        return outcomes

    async with claiming.delivering():
        await some_looks()
        to(claiming, DUTY).line(never_held=False).behind = True
        monkeypatch.setattr(claiming.loop, "handle", handled)
        await claiming.hears(one)
        await until(lambda: len(claiming.states("delivered")) == 1)
        await some_looks()
    assert (again, begun(claiming)) == (["clock"], ["not_a0000"])


async def test_what_stands_twice_in_one_batch_is_sent_once(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    one = raising(DUTY, "not_a0000")
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(one, one)
        await until(lambda: begun(claiming) == ["not_a0000"])
        await some_looks()
        assert claiming.attempts() == [1]
        assert len(claiming.states("attempting")) == 1


# Nothing is overtaken


async def test_what_comes_during_a_look_does_not_overtake_what_is_due(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, go, looks = claiming.store.find, asyncio.Event(), asyncio.Event()

    async def slow(query: Any, projection: Any, **more: Any) -> Any:
        found = await find(query, projection, **more)
        if "$in" in query.get("state.subscriber", {}) and not go.is_set():
            looks.set()
            await go.wait()
        return found

    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.told(DUTY, *MANY[:5], about="cas_1")
        monkeypatch.setattr(claiming.store, "find", slow)
        to(claiming, DUTY).line(never_held=False).behind = True
        await looks.wait()
        await claiming.hears(raising(DUTY, "not_fffff", about="cas_1"))
        go.set()
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == 6)
    assert begun(claiming) == [*MANY[:5], "not_fffff"]


async def test_what_comes_after_a_restart_does_not_overtake_what_was_left(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    await claiming.told(DUTY, *MANY[:5], about="cas_1")
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(raising(DUTY, "not_fffff", about="cas_1"))
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == 6)
    assert begun(claiming) == [*MANY[:5], "not_fffff"]


async def test_while_mongodb_is_away_nobody_is_taken_for_caught_up(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, failed = claiming.store.find, asyncio.Event()

    async def away(query: Any, projection: Any, **more: Any) -> Any:
        if "$in" in query.get("state.subscriber", {}) and not failed.is_set():
            failed.set()
            raise TryAgain("away")
        return await find(query, projection, **more)

    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.told(DUTY, *MANY[:5], about="cas_1")
        await some_looks()
        monkeypatch.setattr(claiming.store, "find", away)
        to(claiming, DUTY).line(never_held=False).behind = True
        await failed.wait()
        await some_looks()
        assert to(claiming, DUTY).line(never_held=False).behind


async def test_what_is_given_back_takes_with_it_what_follows_about_the_same_case(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, IN_FLIGHT))
        await claiming.hears(raising(DUTY, "not_a0000", about="cas_1"))
        to(claiming, DUTY).ahead[0] = replace(to(claiming, DUTY).ahead[0], at=-1e9)
        await claiming.hears(raising(DUTY, "not_b0000", about="cas_1"))
        await until(lambda: claiming.states("waiting") == ["not_a0000", "not_b0000"])
        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == 6)
    assert begun(claiming).index("not_a0000") < begun(claiming).index("not_b0000")


async def test_a_rate_counts_what_was_claimed_as_well(claiming: World) -> None:
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(LALA, 3, channel="email"))
        await until(lambda: len(claiming.states("delivered")) == 3)
        await claiming.hears(raising(LALA, "not_fffff", channel="email", rate=3))
        await some_looks()
        assert len(claiming.states("delivered")) == 3


async def test_what_has_no_rate_does_not_overtake_what_has_one(claiming: World) -> None:
    async with claiming.delivering():
        await some_looks()
        rated = raising(LALA, "not_10000", "cas_1", channel="email", rate=3)
        await claiming.hears(rated, raising(LALA, "not_20000", "cas_1", channel="email"))
        await until(lambda: len(claiming.states("delivered")) == 2)
    assert begun(claiming) == ["not_10000", "not_20000"]


async def test_what_nothing_holds_back_and_was_not_claimed_has_its_place_all_the_same(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, IN_FLIGHT + 3))
        await claiming.told(DUTY, "not_a0000", never_held=True)
        await until(lambda: begun(claiming)[-1:] == ["not_a0000"])


# Nothing is lost, and nothing sent twice


async def test_a_batch_that_comes_again_with_something_new_is_sent_as_far_as_it_is_new(claiming: World) -> None:
    one, two = (replace(raising(DUTY, name), seen=NEW) for name in ("not_10000", "not_20000"))
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(one)
        await claiming.hears(one, two)
        await until(lambda: len(claiming.states("delivered")) == 2)
    assert begun(claiming) == ["not_10000", "not_20000"]


async def test_a_batch_of_which_a_part_landed_at_first_is_sent_whole(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, tries = claiming.store.keep, []

    async def half(changes: Sequence[Change]) -> bool:
        tries.append(len(changes))
        keep(changes[:1] if len(tries) == 1 else changes)
        return len(tries) > 1

    async with claiming.delivering():
        await some_looks()
        monkeypatch.setattr(claiming.store, "write", half)
        batch = [replace(raising(DUTY, name), seen=NEW) for name in ("not_10000", "not_20000")]
        outcomes = await claiming.loop.handle(claiming.delivery.claiming(batch), "kafka")
        assert [bool(outcome.record.fresh) for outcome in outcomes] == [True, True]
        assert tries == [2, 1]


async def test_a_claim_of_which_nobody_was_told_is_free_when_its_batch_comes_again(claiming: World) -> None:
    one = raising(DUTY, "not_10000")
    async with claiming.delivering():
        await some_looks()
        # The write landed, and the batch failed after it.
        await claiming.loop.handle(claiming.delivery.claiming([one]), "kafka")
        await claiming.hears(one)
        await until(lambda: claiming.states("delivered") == ["not_10000"])


async def test_a_claim_that_grew_old_while_mongodb_was_away_is_not_sent_by_two(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, claiming.delivery = claiming.process("notifier-1"), claiming.process(HERE)
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        fails(claiming, monkeypatch, which=1, after=timedelta(seconds=59))
        await claiming.hears(raising(DUTY, "not_10000"))
        await until(lambda: claiming.recipients.count(DUTY) == 1)
        claiming.now += timedelta(seconds=1.5)
        running = asyncio.create_task(other.run())
        await some_looks()
        assert claiming.recipients.count(DUTY) == 1
        claiming.recipients.heard.set()
        await some_looks()
        running.cancel()


async def test_of_a_digest_the_parts_that_were_won_are_sent_though_another_failed(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.delivery.LOOK_AT", 3)
    monkeypatch.setattr("services.notifier.delivery.CLAIM_PATIENCE", 0.0)
    await claiming.told(LALA, *MANY, channel="email", in_digest=True)
    fails(claiming, monkeypatch, which=2)
    async with claiming.delivering():
        await until(lambda: len(claiming.states("delivered")) == len(MANY))
    assert claiming.attempts() == [1] * len(MANY)


async def test_what_is_heard_after_the_end_is_given_back(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        late = claiming.delivery.claiming([raising(DUTY, "not_fffff", never_held=True)])
        outcomes = await claiming.loop.handle(late, "kafka")

    claiming.delivery.heard(late, outcomes)
    await until(lambda: claiming.states("waiting") == ["not_fffff"])
    assert begun(claiming) == []


async def test_what_is_heard_during_the_end_does_not_send_what_is_given_back(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_back = claiming.delivery._give_back
    async with claiming.delivering():
        await some_looks()
        claiming.recipients.silent = {DUTY}
        await claiming.hears(*some(DUTY, IN_FLIGHT + 2))
        late = claiming.delivery.claiming([raising(DUTY, "not_fffff")])
        outcomes = await claiming.loop.handle(late, "kafka")

        async def giving(waiting: Sequence[Record]) -> None:
            await give_back(waiting)
            if len(waiting) > 1:
                claiming.delivery.heard(late, outcomes)
                await some_looks()

        monkeypatch.setattr(claiming.delivery, "_give_back", giving)
    await until(lambda: len(claiming.states("waiting")) == 3)
    assert not set(begun(claiming)) & set(claiming.states("waiting"))


# Ahead of the places of who answers


def recipient(*ahead: str, answers: bool) -> Recipient:
    """Somebody for whom notices about these cases wait, claimed at the second 0; a request lasts a second."""
    found = Recipient(DUTY, "webhook", Away("it", logger(part="test")), answers=answers)
    for about in ahead:
        found.queue(Claimed(found, (), (), about, False, 0.0))
    return found


def test_what_waits_takes_no_place_that_is_free_from_who_has_not_answered() -> None:
    assert recipient("cas_1", answers=False).room_for(never_held=False) == IN_FLIGHT - 1
    assert recipient("cas_1", answers=False).room_for(never_held=True) == IN_FLIGHT + 1


def test_who_answers_may_have_more_claimed_once_half_of_it_has_gone() -> None:
    most = round(IN_FLIGHT * AHEAD)
    half, more = ([f"cas_{n}" for n in range(most // 2 + one)] for one in (0, 1))

    assert recipient(*half, answers=True).room_for(never_held=False) == IN_FLIGHT + most - len(half)
    assert recipient(*more, answers=True).room_for(never_held=False) == 0


def test_of_who_has_become_slow_no_more_is_claimed_than_there_is_room_for() -> None:
    slow = recipient("cas_1", "cas_2", answers=True)

    assert len(slow.too_late(oldest=1.0)) == 2
    assert slow.room_for(never_held=False) == IN_FLIGHT


async def test_a_look_leaves_out_what_is_about_cases_that_wait_already(claiming: World) -> None:
    choosing = claiming.delivery._choosing
    choosing.recipient(DUTY, "webhook").queue(Claimed(choosing.recipient(DUTY, "webhook"), (), (), "cas_1", False, 0.0))
    await claiming.told(DUTY, "not_10000", about="cas_1")
    await claiming.told(DUTY, "not_20000", about="cas_2")

    assert [one["_id"] for one in await choosing.due()] == ["not_20000"]
