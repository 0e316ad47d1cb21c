"""The watch over the roster: each gap is raised once, ahead of its time, also when it cannot be raised at first."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from services.notifier.duty import roster_watch
from services.notifier.duty.roster_watch import RosterWatch
from shared.events import ROSTER_GAP
from shared.failures import TryAgain
from tests.unit.test_roster import GOOD, HOUR, at, roster_of


class Alarms:
    """What was raised, as the quarantine would keep it."""

    def __init__(self, away: int = 0) -> None:
        """`away`: how often it cannot."""
        self.raised: list[tuple[str, str, Mapping[str, str]]] = []
        self.are_two = asyncio.Event()
        self._away = away

    async def __call__(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        if self._away:
            self._away -= 1
            raise TryAgain("MongoDB is away")
        self.raised.append((kind, key, facts))
        if len(self.raised) == 2:
            self.are_two.set()


def watched(folder: Path, alarms: Alarms, now: list[datetime]) -> RosterWatch:
    """A watch over a desk that has shifts alone: nobody is on from noon to two."""
    cut = GOOD[GOOD.index("    turns:\n") : GOOD.index("    shifts:\n")]
    text = GOOD.replace(cut, "").replace("from: 2026-05-04 12:00", "from: 2026-05-04 14:00")
    text = text[: text.index("    holidays:")] + text[text.index("  heads:") :]
    return RosterWatch(roster_of(folder, text), alarms, lambda: now[0])


async def test_each_gap_of_the_next_seven_days_is_raised_once(tmp_path: Path) -> None:
    alarms, now = Alarms(), [at("2026-05-04 09:00")]
    watch = watched(tmp_path, alarms, now)

    for _ in range(3):
        await watch.look()
        now[0] += HOUR

    since, noon = "2026-05-04T10:00:00.000000Z", "2026-05-04T12:00:00.000000Z"
    evening = "2026-05-04T18:00:00.000000Z"
    assert alarms.raised == [
        (ROSTER_GAP, f"desk/{since}/{noon}", {"rota": "desk", "since": since, "until": noon}),
        (ROSTER_GAP, f"desk/{evening}", {"rota": "desk", "since": evening}),
    ]


async def test_a_gap_is_raised_when_it_comes_within_seven_days(tmp_path: Path) -> None:
    alarms = Alarms()
    watch = RosterWatch(roster_of(tmp_path), alarms, lambda: now[0])
    now = [at("2027-12-24 20:00")]

    await watch.look()
    assert alarms.raised == []

    now[0] += HOUR
    await watch.look()
    assert [facts["rota"] for _, _, facts in alarms.raised] == ["desk"]


async def test_what_could_not_be_raised_is_raised_later(tmp_path: Path) -> None:
    alarms, now = Alarms(away=1), [at("2026-05-04 09:00")]
    watch = watched(tmp_path, alarms, now)

    with pytest.raises(TryAgain):
        await watch.look()
    await watch.look()

    assert len(alarms.raised) == 2


async def test_the_watch_goes_on_when_an_alert_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_watch, "AGAIN", 0.0)
    alarms, now = Alarms(away=3), [at("2026-05-04 09:00")]
    watching = asyncio.create_task(watched(tmp_path, alarms, now).run())

    await asyncio.wait_for(alarms.are_two.wait(), 5)

    assert not watching.done()
    watching.cancel()
