"""Nobody starves: neither by newer notices, nor by a digest, nor by another recipient who hangs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.notifier.delivery import FRESH
from services.notifier.recipients import AHEAD, GATHERING, IN_FLIGHT, Recipient
from shared.failures import TryAgain
from shared.log import Away, logger
from tests.unit.test_claiming import begun, claiming, some, to
from tests.unit.test_delivery import DUTY, LALA, OPERATIONS, World, raising, some_looks, until, world

__all__ = ["claiming", "world"]


async def test_of_what_nothing_may_hold_back_the_older_goes_first(claiming: World) -> None:
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        to(claiming, DUTY).pace = IN_FLIGHT * AHEAD / 6
        await claiming.hears(*some(DUTY, 9, never_held=True))
        assert claiming.attempts() == [1] * 6 + [0] * 3
        await claiming.hears(raising(DUTY, "not_a0000", never_held=True), raising(DUTY, "not_b0000"))
        assert claiming.attempts()[-2:] == [0, 1], "it waits behind them; what may be held back has a line of its own"

        claiming.recipients.heard.set()
        await until(lambda: len(claiming.states("delivered")) == 11)
        told = [name for name in begun(claiming) if name != "not_b0000"]
        assert told == [*(f"not_{n:05x}" for n in range(9)), "not_a0000"]

        await some_looks()
        await claiming.hears(raising(DUTY, "not_c0000", never_held=True))
        assert claiming.attempts()[-1] == 1, "when nothing of it is due any more, what comes is claimed again"


async def test_for_somebody_who_is_away_nothing_is_claimed_as_it_is_raised(claiming: World) -> None:
    async with claiming.delivering():
        await some_looks()
        to(claiming, DUTY).away.lost("HTTP 500")
        claiming.recipients.broken = {DUTY}
        await claiming.hears(raising(DUTY, "not_10000", never_held=True), raising(DUTY, "not_20000"))
        assert claiming.attempts() == [0, 0]


async def test_who_hangs_with_much_that_is_due_keeps_nobody_else_behind(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 5)
    claiming.recipients.silent = {DUTY}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(*some(DUTY, 30))
        to(claiming, OPERATIONS).line(never_held=False).behind = True
        await until(lambda: not to(claiming, OPERATIONS).line(never_held=False).behind)
        assert to(claiming, DUTY).line(never_held=False).behind


async def test_a_digest_that_is_gathered_hides_no_notice_that_is_due_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.choosing.LOOK_AT", 5)
    await world.told(LALA, *[f"not_d{number:04x}" for number in range(30)], channel="email", in_digest=True)
    await world.told(DUTY, "not_fffff")
    gathering, goes_on = asyncio.Event(), asyncio.Event()

    async def more(_: Sequence[Any]) -> list[dict[str, Any]]:
        gathering.set()
        await goes_on.wait()
        return []

    monkeypatch.setattr(world.delivery._choosing, "more", more)
    async with world.delivering():
        await gathering.wait()
        assert GATHERING in to(world, LALA, "email").busy
        await until(lambda: world.states("delivered") == ["not_fffff"])
        goes_on.set()


async def test_a_digest_that_is_claimed_slowly_goes_in_parts_and_uses_up_no_attempts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.delivery.LOOK_AT", 10)
    monkeypatch.setattr("services.notifier.delivery.CLAIM_PATIENCE", FRESH)  # after one part there is no time for more
    await world.told(LALA, *[f"not_d{number:04x}" for number in range(30)], channel="email", in_digest=True)
    async with world.delivering():
        await until(lambda: len(world.states("delivered")) == 30)
    assert world.recipients.count(LALA) == 3
    assert set(world.attempts()) == {1}


async def test_a_claim_of_which_its_process_never_heard_is_given_back_long_before_it_ends(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.delivery.FORGOTTEN_EVERY", 0.001)
    claiming.recipients.silent = {OPERATIONS}
    async with claiming.delivering():
        await some_looks()
        await claiming.hears(raising(OPERATIONS, "not_10000"))
        unheard = claiming.delivery.claiming([raising(DUTY, "not_20000")])
        await claiming.loop.handle(unheard, "kafka")  # and its answer never came
        await some_looks()
        assert claiming.states("delivered") == [], "it may be young, and just be on its way"

        claiming.now += timedelta(seconds=FRESH + 0.1)
        await until(lambda: claiming.states("delivered") == ["not_20000"])
        assert claiming.attempts() == [1, 2], "what is in flight is known, however long it takes"


async def test_what_was_sent_and_could_not_be_kept_is_not_sent_again_before_its_claim_ends(
    claiming: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.delivery.FORGOTTEN_EVERY", 0.001)

    async def never(*_: Any, **__: Any) -> None:
        raise TryAgain("away")

    async with claiming.delivering():
        await some_looks()
        monkeypatch.setattr(claiming.sending, "_keep", never)
        await claiming.hears(raising(DUTY, "not_10000"))
        await until(lambda: begun(claiming) == ["not_10000"])
        claiming.now += timedelta(seconds=FRESH + 0.1)
        await some_looks()
        assert begun(claiming) == ["not_10000"]


def test_what_was_sent_long_ago_is_not_remembered_of_anybody() -> None:
    one = Recipient("ops", "webhook", Away("ops", logger(part="test")))
    for second in range(1_000):
        one.was_sent(float(second))

    assert len(one.sent) == 61
