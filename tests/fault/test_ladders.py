"""Ladders under faults: two notifiers die again and again while steps come due, and every step is taken once, in time.

About half of the alerts are acknowledged over HTTP, or something is done on their cases. "Recovery" is the moment at
which a notifier that was started again first answers; for the first step, which Kafka brings, at which it first
consumes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from services.notifier.domain.ladders import LADDER
from services.notifier.following import NOTHING_DONE
from shared import times, topics
from shared.events import CASE_ASSIGNED, LADDER_ACKNOWLEDGED, LADDER_ENDED, NOTICE_GIVEN_UP, of_case
from shared.vocabulary import Urgency
from tests.fault.case_events import happened
from tests.fault.checker import Held, Histories, firsts, opened, records_hold, sequences, topics_against_histories
from tests.fault.climbing import NOBODY, Climbed, Ladder, Taken, climbed, late
from tests.fault.evidence import Evidence
from tests.fault.notifiers import NOTIFIERS, Notifiers, ladders
from tests.fault.openings import Said
from tests.fault.scale import SCALE
from tests.fault.trial import Trial
from tests.fault.verdict import Fault, Kind, Verdict

pytestmark = pytest.mark.timeout(600)  # for a machine that has other things to do

PACE = timedelta(seconds=SCALE.pace)
BEGUN = of_case("begun")
BOTH = 0.25
"""The share of kills that both notifiers die of."""
OWING = 0.8
"""The share of kills that wait until a step was taken and its notices are still to be raised."""
ACKNOWLEDGED, DONE = 0.3, 0.25
"""The shares of alerts that are acknowledged, and on whose cases something is done; some are both."""


@dataclass
class Alerts:
    """What was said, and when."""

    urgency: dict[str, Urgency] = field(default_factory=dict)
    """By case."""
    said_at: dict[str, datetime] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


@dataclass
class Found:
    """What came of it."""

    verdict: Verdict
    climbed: Sequence[Climbed]
    counts: Mapping[str, float]


async def test_no_step_is_missed_and_none_is_taken_twice_whoever_is_killed(
    own_kafka: Kafka, mongo: Mongo, database: str, tmp_path: Path, trial: Trial
) -> None:
    found = await climb(own_kafka, mongo, database, tmp_path, trial)

    trial.results.kills["notifier"] += SCALE.notifiers_killed
    trial.results.ladders |= found.counts
    trial.say(", ".join(f"{name} {count:g}" for name, count in found.counts.items()))
    trial.pronounce(found.verdict)
    if SCALE.is_timed:
        assert found.counts["taken_over"] > 0, "no kill came between a step and its notices"


async def climb(kafka: Kafka, mongo: Mongo, database: str, folder: Path, trial: Trial, bug: str | None = None) -> Found:
    """Ladders, kills, and what is wrong; `bug`: of `planted.BUGS`, for the notifiers to have."""
    rng, alerts = trial.rng, Alerts()
    async with Notifiers(folder / "ladders", kafka, mongo, database, PACE, bug) as notifiers:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
        await producer.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_kill(notifiers, random.Random(rng.random()), trial.say))
                await _say(notifiers, producer, alerts, random.Random(rng.random()), group)
        finally:
            await producer.stop()
        await _rest(notifiers, bug)
        now, lives = times.now(), notifiers.lives
        evidence = await notifiers.evidence()
    histories, broken = opened(evidence, notifiers.sealer)
    first, repeats = firsts(evidence.topics)
    verdict = Verdict(0, len(alerts.said_at), sum(map(len, first.values())), repeats, broken)
    verdict.faults += [*sequences(evidence.topics), *topics_against_histories(first, histories)]
    verdict.faults += [*records_hold(histories), *_other_alerts(evidence), *_ends(alerts, histories)]
    all_climbed = _climbed(alerts, histories, now)
    verdict.faults += [fault for one in all_climbed for fault in one.faults]
    if SCALE.is_timed and bug is None:
        verdict.faults += [*late(all_climbed, lives), *_undelivered(histories, evidence)]
    steps = [step for one in all_climbed for step in one.steps]
    if verdict.faults:  # what could be said of their times means nothing
        return Found(verdict, all_climbed, {})
    by_clock = [lives.lateness(step).total_seconds() for step in steps if not step.began]
    by_kafka = [lives.lateness(step).total_seconds() for step in steps if step.began]
    delivered = [(step.delivered - step.told).total_seconds() for step in steps if step.delivered and step.told]
    counts: dict[str, float] = {
        "ladders": len(all_climbed),
        "acknowledged": len(alerts.acknowledged),
        "done": len(alerts.done),
        "kills": SCALE.notifiers_killed,
        "steps": len(steps),
        "notices": len(histories["notices"]) - len(all_climbed),
        "taken_over": sum(step.was_taken_over for step in steps),
        "late_median_seconds": round(median(by_clock), 3),
        "late_most_seconds": round(max(by_clock), 3),
        "first_median_seconds": round(median(_after(step) for step in steps if step.began), 3),
        "first_late_most_seconds": round(max(by_kafka), 3),
        "delivered_median_seconds": round(median(delivered), 3),
        "delivered_most_seconds": round(max(delivered), 3),
    }
    return Found(verdict, all_climbed, counts)


def _after(step: Taken) -> float:
    return ((step.told or step.at) - step.due).total_seconds()


async def _say(
    notifiers: Notifiers, producer: AIOKafkaProducer, alerts: Alerts, rng: random.Random, group: asyncio.TaskGroup
) -> None:
    """Alerts in bursts, so that many steps come due together; each has its own fate at a moment of its own."""
    for burst in range(SCALE.bursts):
        for _ in range(burst, SCALE.ladders, SCALE.bursts):
            case = f"cas_{rng.getrandbits(128):032x}"
            alerts.urgency[case] = rng.choice([Urgency.URGENT, Urgency.EMERGENCY])
            alerts.said_at[case] = times.now()
            await _put(producer, happened(CASE_ASSIGNED, case, times.now(), alerts.urgency[case]))
            fate = random.Random(rng.random())
            group.create_task(_meet(case, notifiers, producer, alerts, fate))
        await asyncio.sleep(SCALE.pace * rng.uniform(0.5, 0.8))


async def _meet(
    case: str, notifiers: Notifiers, producer: AIOKafkaProducer, alerts: Alerts, rng: random.Random
) -> None:
    """Perhaps somebody acknowledges; perhaps something is done."""
    fate, ladder_lasts = rng.random(), 5 * SCALE.pace
    moments = sorted(rng.uniform(0, ladder_lasts) for _ in range(2))
    if fate < ACKNOWLEDGED:
        await asyncio.sleep(moments[0])
        if await notifiers.acknowledge(case, rng):
            alerts.acknowledged.add(case)
        moments[1] -= moments[0]
    if ACKNOWLEDGED * 0.8 < fate < ACKNOWLEDGED + DONE:
        await asyncio.sleep(moments[1])
        await _put(producer, happened(BEGUN, case, times.now(), alerts.urgency[case]))
        alerts.done.add(case)


async def _put(producer: AIOKafkaProducer, said: Said) -> None:
    await producer.send_and_wait(said.topic, said.value, key=said.key, headers=list(said.headers))


async def _kill(notifiers: Notifiers, rng: random.Random, say: Callable[[str], None]) -> None:
    """Kill one or both, most often between a step and its notices; they come back soon."""
    left = SCALE.notifiers_killed
    while left:
        names = list(NOTIFIERS) if left > 1 and rng.random() < BOTH else [rng.choice(NOTIFIERS)]
        await notifiers.until(notifiers.are_ready, "the return of the killed")
        await asyncio.sleep(rng.uniform(0, SCALE.pace / 6))
        is_owed = await notifiers.kill_owing(names, SCALE.pace if rng.random() < OWING else 0)
        left -= len(names)
        say(f"kill -9 {' and '.join(names)}{': notices of a step are still to be raised' if is_owed else ''}")
        await asyncio.sleep(rng.uniform(0, SCALE.pace / 3))
        notifiers.launch(names)


def _climbed(alerts: Alerts, histories: Histories, now: datetime) -> list[Climbed]:
    known = ladders(PACE)
    of_alert: dict[str, list[Held]] = {}
    records: dict[str, Held] = {}
    for held in histories["notices"].values():
        state = held.record.state
        if state.get("record") == LADDER:
            records[state["about"]] = held
        elif state["rule"] != "rest":  # which tells of ladders that nobody answered
            of_alert.setdefault(state["alert"], []).append(held)
    result = []
    for case, said_at in alerts.said_at.items():
        held_of_case = records.get(case)
        if held_of_case is None:
            result.append(Climbed([], [Fault(Kind.LOST, f"no ladder began for {case}")]))
            continue
        alert = held_of_case.record.id
        ladder: Ladder = known[alerts.urgency[case]]
        result.append(climbed(alert, held_of_case, of_alert.pop(alert, []), ladder, said_at, now))
    strange = [Fault(Kind.WRONG, f"notices of {alert}, which no event said") for alert in of_alert]
    return [*result, Climbed([], strange)] if strange else result


def _ends(alerts: Alerts, histories: Histories) -> list[Fault]:
    """Who was acknowledged was stopped; where something was done, that ended it; nobody else was left in peace."""
    faults = []
    for held in histories["notices"].values():
        state = held.record.state
        if state.get("record") != LADDER:
            continue
        reasons = [event.data["reason"] for event in held.history if event.type == LADDER_ENDED]
        is_acknowledged = any(event.type == LADDER_ACKNOWLEDGED for event in held.history)
        case = state["about"]
        # It may have been done or acknowledged when the ladder was at its end already.
        right = {NOBODY} | ({BEGUN} if case in alerts.done else set())
        if is_acknowledged:  # so late that no step is left when it reminds
            right.add(NOTHING_DONE)
        stays_acknowledged = is_acknowledged and state["status"] == "acknowledged" and not reasons
        if is_acknowledged and case not in alerts.acknowledged:
            faults.append(Fault(Kind.WRONG, f"{held.record.id} is acknowledged, and nobody did"))
        if not (stays_acknowledged or (len(reasons) == 1 and reasons[0] in right)):
            faults.append(Fault(Kind.WRONG, f"{held.record.id} ended by {reasons}, and {right} was to end it"))
    return faults


def _other_alerts(evidence: Evidence) -> list[Fault]:
    """That nobody came is an alert; nothing else is: the auditor above all finds no gap."""
    alerts = [orjson.loads(seen.value) for seen in evidence.topics[topics.ALERTS_RAISED]]
    kinds = Counter(alert["kind"] for alert in alerts if alert["kind"] != NOTICE_GIVEN_UP)
    return [Fault(Kind.QUARANTINED, f"{count} alerts: {kind}") for kind, count in kinds.items()]


def _undelivered(histories: Histories, evidence: Evidence) -> list[Fault]:
    """Every notice that a webhook was to bring came, unless it was acknowledged before."""
    return [
        Fault(Kind.LOST, f"{notice} never came by webhook")
        for notice, held in histories["notices"].items()
        if held.record.state.get("channel") == "webhook"
        and "acknowledged_at" not in held.record.state
        and not evidence.webhooks.get(notice)
    ]


async def _rest(notifiers: Notifiers, bug: str | None) -> None:
    """Wait for the end of all ladders; with a bug some may never end."""
    if bug is None:
        await notifiers.until_at_rest(is_all_delivered=SCALE.is_timed)
    else:
        await asyncio.sleep(6 * SCALE.pace)
