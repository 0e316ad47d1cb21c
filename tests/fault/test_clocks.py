"""Clocks under faults: each rings once, in time, whatever dies, and nobody is paged for what was done in time.

"Caught up" is the moment at which a router's own measure, `rogatory_updates_read_until_timestamp_seconds`, first shows
that all updates from before its start have been read; it is looked at every 0.1 s.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import times
from shared.events import CASE_CLOCK_MISSED, CASE_CLOCK_WARNED
from shared.mongo import Mongo as Connection
from shared.time_source import set_simulated
from shared.times import text_of
from shared.topics import notices_to
from tests.fault.checker import First
from tests.fault.openings import HOLDER, Opened, acknowledged
from tests.fault.rings import HISTORY, Due, Ring
from tests.fault.routers import ROUTERS, Routers
from tests.fault.scale import SCALE
from tests.fault.trial import Trial
from tests.fault.verdict import Fault, Kind, Verdict

pytestmark = pytest.mark.timeout(600)  # for a machine that has other things to do

REQUESTED, POLICY = "requested-deadline", "acknowledge-emergency"
PAGED = ("duty-officers", "operations")
"""Who hears of an urgent case's missed target."""
MORNING = datetime(2026, 3, 10, 8, tzinfo=UTC)


async def until(moment: datetime) -> None:
    """Sleep until then."""
    await asyncio.sleep(max(0.0, (moment - times.now()).total_seconds()))


async def test_every_router_is_killed_with_clocks_due_within_the_next_minute(
    own_kafka: Kafka, mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """Two routers, killed at once: what was due meanwhile rings at their return, and all else in its time."""
    rng = trial.rng
    async with Routers(tmp_path / "killed", own_kafka, mongo) as routers:
        begin = times.now() + timedelta(seconds=2 + SCALE.due / 100)
        asked = [_with_deadline(n, trial, begin) for n in range(SCALE.due)]
        wanted = {
            Ring(one.case(routers.ids), REQUESTED): Due(one.deadline, HOLDER, one.lane) for one in asked if one.deadline
        }
        await routers.open(asked)
        assert times.now() < begin or not SCALE.is_timed, "this machine is too slow to open the cases in time"
        every = SCALE.within / SCALE.kills
        for kill in range(SCALE.kills):
            await until(begin + timedelta(seconds=every * (kill + rng.uniform(0, 0.2 if kill else 0.01))))
            routers.kill()
            # What authorities say meanwhile waits in Kafka, and no clock may ring before it is read.
            await routers.say([acknowledged(one, routers.ids) for one in asked[kill :: SCALE.kills * 4]])
            await asyncio.sleep(rng.uniform(0, every / 6))
            routers.launch()
        last = max(due.at for due in wanted.values())
        await until(last)
        await routers.until(lambda: routers.count({"next_due": {"$lte": text_of(last)}}, 0), "the ringing")
        await asyncio.sleep(2)
        await routers.until_sent()
        verdict, _, found = await routers.judged(wanted)

    rung = sum(place == HISTORY for place, _ in found)
    trial.say("\n".join(map(str, routers.lives)))
    trial.say(
        f"{len(wanted)} clocks due over {SCALE.within} s, {rung} rang, within {routers.latest(wanted, found):.2f} s"
    )
    trial.results.kills["router"] += SCALE.kills * len(ROUTERS)
    trial.results.letters += len(asked)
    trial.results.clocks |= {"due": len(wanted), "rung": rung, "latest_seconds": routers.latest(wanted, found)}
    trial.pronounce(verdict)


def _with_deadline(number: int, trial: Trial, begin: datetime) -> Opened:
    deadline = begin + timedelta(seconds=trial.rng.uniform(0, SCALE.within))
    return Opened(f"due-{number:05d}", times.now(), trial.rng.choice(["normal", "urgent"]), deadline)


async def test_after_three_hours_without_a_router_nobody_is_paged_for_what_was_acknowledged(
    own_kafka: Kafka, mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """The acknowledgements wait in Kafka; the three hours are simulated, and the cases live in that time."""
    trial.pronounce(await three_hours_away(own_kafka, mongo, tmp_path, trial))


async def three_hours_away(kafka: Kafka, mongo: Mongo, folder: Path, trial: Trial, bug: str | None = None) -> Verdict:
    """What is wrong after two routers were away so long; `bug`: of `planted.BUGS`, for them to have."""
    count = SCALE.acknowledged + SCALE.forgotten
    asked = [Opened(f"away-{n:05d}", _before(MORNING, trial), "emergency") for n in range(count)]
    left = trial.rng.sample(asked, SCALE.forgotten)
    forgotten = {one.reference for one in left}
    told = {"ROGATORY_SIMULATION": "1"}
    routers = Routers(folder / "away", kafka, mongo, also=["notifier-1"], environment=told, bug=bug)
    wanted = {
        Ring(one.case(routers.ids), POLICY): Due(one.received_at + timedelta(minutes=30), HOLDER, one.lane)
        for one in left
    }
    connection = Connection(mongo.uri, routers.database)
    await set_simulated(connection, MORNING, rate=1)
    async with routers:
        await routers.open(asked)
        await routers.until_sent()
        routers.kill()
        in_time = [acknowledged(one, routers.ids, _within(trial)) for one in asked if one.reference not in forgotten]
        await routers.say(in_time)
        await set_simulated(connection, MORNING + timedelta(hours=3), rate=1)
        routers.launch()
        await routers.until(lambda: routers.count({"state.status": "acknowledged"}, len(in_time)), "the reading")
        due = {"next_due": {"$lte": text_of(MORNING + timedelta(hours=3))}}
        await routers.until(lambda: routers.count(due, 0), "the ringing of the rest")
        await asyncio.sleep(2)
        await routers.until_sent()
        verdict, first, _ = await routers.judged(wanted, MORNING + timedelta(hours=3))
    await connection.close()

    paged = _paged(first)
    trial.say(f"{len(in_time)} acknowledgements waited three hours, {len(left)} cases had none; paged for {len(paged)}")
    trial.results.kills["router"] += len(ROUTERS)
    trial.results.letters += count
    if bug is None:
        trial.results.clocks |= {"acknowledged": len(in_time), "forgotten": len(left), "paged": len(paged)}
    verdict.faults += _pages({ring.case for ring in wanted}, paged)
    return verdict


def _before(moment: datetime, trial: Trial) -> datetime:
    return moment - timedelta(seconds=trial.rng.uniform(0, 600))


def _within(trial: Trial) -> timedelta:
    """How long after its receipt a case is acknowledged: in time, and while no router is there."""
    return timedelta(minutes=trial.rng.uniform(10, 30))


def _paged(first: First) -> dict[str, list[str]]:
    """The cases of whose clocks somebody was told, with who was."""
    found: dict[str, list[str]] = {}
    for subscriber in PAGED:
        for seen in first[notices_to(subscriber)].values():
            if orjson.loads(seen.value)["facts"]["event"] in (CASE_CLOCK_MISSED, CASE_CLOCK_WARNED):
                found.setdefault(seen.subject, []).append(subscriber)
    return found


def _pages(wanted: Collection[str], paged: dict[str, list[str]]) -> Sequence[Fault]:
    """Everybody hears once of each case that nobody acknowledged, and of no other."""
    wrongly = [Fault(Kind.WRONG, f"paged for {case}, which was acknowledged") for case in paged.keys() - wanted]
    badly = [
        Fault(Kind.LOST, f"{case} was told to {paged.get(case)}")
        for case in wanted
        if sorted(paged.get(case, ())) != sorted(PAGED)
    ]
    return wrongly + badly
