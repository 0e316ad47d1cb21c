"""Every router dies in the middle of a bulk replay from the quarantine: nothing is lost, nothing is heard twice.

Updates came before their cases, so all were set aside; now the cases are there and the desk asks for all of them at
once. A kill counts only while some have been tried and others have not.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import times
from shared.events import QUARANTINE_REPLAYED, QUARANTINE_REPLAYING
from shared.quarantine.deciding import Status
from tests.fault.openings import Opened, acknowledged, assigned
from tests.fault.routers import ROUTERS, Routers
from tests.fault.scale import SCALE
from tests.fault.trial import Trial
from tests.fault.verdict import Fault, Kind

pytestmark = pytest.mark.timeout(600)  # for a machine that has other things to do

ENTRIES = "router_quarantine"
HELD, WAITING, DONE = ({"state.status": one} for one in (Status.HELD, Status.REPLAYING, Status.REPLAYED))
ASKED = {"state.status": {"$ne": Status.HELD}}
REPLAY = "/v1/quarantine/replay"
ALL = {"filter": {"reason": "no such case"}, "by": "Anna", "reason": "the cases are there now"}
_KINDS = {-1: Kind.LOST, 0: Kind.OUT_OF_ORDER, 1: Kind.TWICE}
"""By whether there are fewer events than wanted, as many, or more."""
_CLOSELY = 0.002
"""Seconds between two looks at what lasts a second."""


async def test_every_router_is_killed_while_the_quarantine_is_replayed(
    own_kafka: Kafka, mongo: Mongo, tmp_path: Path, trial: Trial
) -> None:
    """Two updates on each case, which must keep their order."""
    asked = [
        Opened(f"aside-{n:05d}", times.now(), trial.rng.choice(["normal", "urgent"])) for n in range(SCALE.replayed)
    ]
    count = 2 * len(asked)
    async with Routers(tmp_path / "replays", own_kafka, mongo) as routers:
        await routers.say([update(one, routers.ids) for one in asked for update in (acknowledged, assigned)])
        await routers.until(lambda: _are(routers, HELD, count), "the setting aside")
        await routers.open(asked)

        asking = asyncio.create_task(_ask(routers, trial))
        await _until(routers, ASKED, 1)
        for n in range(SCALE.replays_killed):
            await _until(routers, DONE, count * n // (SCALE.replays_killed + 1))
            trial.say(await _killed(routers))
            await asyncio.sleep(trial.rng.uniform(0, 0.5))
            routers.launch()
        await asking
        await routers.until(lambda: _are(routers, DONE, count), "the replay of all")
        await routers.until_sent()
        verdict, _, _ = await routers.judged({})
        entries = await routers.histories(ENTRIES)
        cases = await routers.histories("cases")

    set_aside = verdict.of(Kind.QUARANTINED)
    verdict.faults = [fault for fault in verdict.faults if fault.kind is not Kind.QUARANTINED]
    verdict.faults += _once(entries, [QUARANTINE_REPLAYING, QUARANTINE_REPLAYED])
    verdict.faults += _once(cases, ["case.acknowledged", "case.officer_assigned"])
    trial.results.kills["router"] += SCALE.replays_killed * len(ROUTERS)
    trial.pronounce(verdict)
    assert (len(set_aside), len(entries), len(cases)) == (count, count, len(asked))


async def _ask(routers: Routers, trial: Trial) -> None:
    """Whoever gets no answer asks again, until all are marked."""
    while True:
        with suppress(httpx.HTTPError):
            if not (await routers.ask(trial.rng.choice(ROUTERS), REPLAY, ALL))["more"]:
                return
        await asyncio.sleep(0.05)


async def _killed(routers: Routers) -> str:
    """Kill both, and say what was left."""
    routers.signal(signal.SIGSTOP)
    held, waiting = [await routers.number(ENTRIES, query) for query in (HELD, WAITING)]
    assert held + waiting, "all were replayed before anybody was killed"
    routers.kill()
    return f"kill -9 of both routers: {held} not marked yet, {waiting} marked and to be replayed"


async def _are(routers: Routers, query: Mapping[str, object], right: int) -> bool:
    return await routers.number(ENTRIES, query) == right


async def _until(routers: Routers, query: Mapping[str, object], at_least: int) -> None:
    async def are_there() -> bool:
        return await routers.number(ENTRIES, query) >= at_least

    await routers.until(are_there, f"the replay of {at_least}", _CLOSELY)


def _once(histories: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> list[Fault]:
    """Each of these events is in each history once, and in this order."""
    faults = []
    for record, types in histories.items():
        found = [one for one in types if one in wanted]
        if found != list(wanted):
            faults.append(Fault(_KINDS[(len(found) > len(wanted)) - (len(found) < len(wanted))], f"{record}: {found}"))
    return faults
