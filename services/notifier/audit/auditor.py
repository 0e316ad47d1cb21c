"""The auditor: counts by a second way whether every event that needs a notice has one, and every step was taken.

It shares the rules with the fan-out, and nothing else: it reads Kafka anew, tells the facts anew, and looks into
MongoDB for what the notifier should have put there.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from services.notifier.audit.audit_gaps import Alarm, Gaps
from services.notifier.audit.audit_owed import Channels, Seen, owing, seen_in
from services.notifier.audit.audit_reading import AT_ONCE, Reading
from services.notifier.audit.audit_rules import Keeper, RulesInForce, may_have_decided
from services.notifier.audit.audit_steps import Steps
from services.notifier.measures import NotifierMetrics
from services.notifier.rules.alert_rules import AlertRules
from shared import topics
from shared.events import AUDIT_GAP
from shared.failures import TryAgain
from shared.ids import Ids
from shared.log import Away, logger
from shared.mongo import Store
from shared.vocabulary import Lane

LOOKS, AGAIN = 2, 10.0
"""So many more looks for what is missing, and seconds between them."""
STEPS_EVERY = 10.0
CLOSE_EVERY = HOLD_EVERY = 60.0
"""Seconds between looks for late steps, and for notices that were missing and have come; and between notes on rules."""
MOST_FOUND = 20_000
"""Records that one look brings; where there are more, the rest is asked for again."""
TOPICS = (topics.case_events(Lane.NORMAL), topics.case_events(Lane.URGENT), topics.ALERTS_RAISED)


@dataclass(slots=True)
class Owed:
    """A rule that fired on an event and tells somebody: at least one record must say so."""

    rule: str
    seen: Seen

    @property
    def facts(self) -> dict[str, str]:
        """As its alert says them."""
        lane = self.seen.facts.get("lane")
        told = {"rule": self.rule, "about": self.seen.about, "of": self.seen.cause}
        return told | ({"lane": lane} if lane else {})


class Auditor:
    """Audits until cancelled; several share the partitions among them. It may lag, and never stands in the way."""

    def __init__(
        self,
        bootstrap: str,
        client: str,
        groups: Sequence[str],
        rules: AlertRules,
        channels: Channels,
        notices: Store,
        keeper: Keeper,
        ids: Ids,
        metrics: NotifierMetrics,
        alarm: Alarm,
        now: Callable[[], datetime],
    ) -> None:
        """`groups`: by which the notifier reads what is audited; `keeper`: MongoDB; `now`: MongoDB's time."""
        self._connect = partial(Reading, bootstrap, f"{client}-audit", TOPICS, groups, now)
        self._notices, self._ids, self._metrics = notices, ids, metrics
        self._rules = rules
        self._in_force = RulesInForce(rules, channels, keeper, now)
        self._tell = self._in_force.now_in_force.tell
        self.gaps = Gaps(metrics, alarm, now)
        self._steps = Steps(notices, self.gaps, now)
        self._away = Away("Kafka", logger(part="audit"))
        self._open: dict[str, Owed] = {}
        self._has_begun = asyncio.Event()

    @property
    def has_open_gaps(self) -> bool:
        """Whether something that must have been told was not, as far as is known."""
        return self.gaps.any_open

    async def begin(self) -> None:
        """Note which rules are in force, however long MongoDB does not let us: no event is read before."""
        noting = Away("noting the alert rules in MongoDB", logger(part="audit"))
        while not self._has_begun.is_set():
            try:
                await self._in_force.hold()
                self._has_begun.set()
                noting.back()
            except TryAgain as reason:
                noting.lost(str(reason))
                await asyncio.sleep(1)

    async def run(self) -> None:
        """Audit from the beginning until cancelled."""
        await self._has_begun.wait()
        await asyncio.gather(self._events(), self._late(), self._close(), self._hold())

    async def _events(self) -> None:
        """Read and judge; a connection that fails is made anew, and what was not committed is judged again."""
        while True:
            reading = self._connect()
            try:
                await reading.start()
                self._away.back()
                while True:
                    await self._read(reading)
            except (KafkaError, TimeoutError, OSError) as error:
                self._away.lost(type(error).__name__)
            finally:
                await reading.stop()
            await asyncio.sleep(1)

    async def _read(self, reading: Reading) -> None:
        ripe = await reading.take()
        for at in range(0, len(ripe), AT_ONCE):
            await self._surely(ripe[at : at + AT_ONCE])
        if ripe:
            await reading.commit(ripe)
        for place, offset in reading.behind().items():
            where = f"{place.topic}/{place.partition}/{offset}"
            try:
                await self.gaps.found("behind", where, {"topic": place.topic, "before": where}, where)
            except TryAgain:
                continue  # found again at the next look
        if until := await reading.until():
            self._metrics.audit_read_until.set(until.timestamp())

    async def _surely(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Judge, as soon as MongoDB lets us."""
        while True:
            try:
                return await self.judge(records)
            except TryAgain:
                await asyncio.sleep(1)

    async def judge(self, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        """Whether every event of a batch has what it needs; raises `TryAgain`, and then the batch is to come again."""
        owed = self.owed(records)
        missing = await self._missing(owed)
        for _ in range(LOOKS):
            if not missing:
                return
            await asyncio.sleep(AGAIN)
            missing = await self._missing(missing)
        for alert in await self._decided_otherwise(missing):
            del missing[alert]
        for alert, one in missing.items():
            # An alert about an alert of ours that is lost would be lost as well, and so on for ever.
            key = f"{one.seen.cause}/{one.rule}"
            await self.gaps.found("notice", alert, one.facts, None if one.seen.facts.get("kind") == AUDIT_GAP else key)
            self._open[alert] = one

    def owed(self, records: Iterable[ConsumerRecord[Any, Any]]) -> dict[str, Owed]:
        """The alerts that must stand in MongoDB by the rules of now."""
        rules, tell, alert, began = self._rules, self._tell, self._ids.alert, self._in_force.began * 1000
        found = {}
        for record in records:
            if record.timestamp >= began and (seen := seen_in(record)):
                for rule in owing(seen, rules, tell):
                    found[alert(rule, seen.cause)] = Owed(rule, seen)
        return found

    async def _missing(self, owed: Mapping[str, Owed]) -> dict[str, Owed]:
        stand = await self._standing({alert: one.seen.about for alert, one in owed.items()})
        return {alert: one for alert, one in owed.items() if alert not in stand}

    async def _standing(self, about: Mapping[str, str]) -> set[str]:
        """Those of these alerts, each with what it is about, that have a notice or a ladder."""
        left, stand = dict(about), set[str]()
        while left:
            query = {"state.about": {"$in": list(set(left.values()))}, "state.alert": {"$in": list(left)}}
            found = await self._notices.find(query, {"_id": 0, "state.alert": 1}, limit=MOST_FOUND)
            came = {one["state"]["alert"] for one in found}
            stand |= came
            if len(found) < MOST_FOUND:
                break
            left = {alert: case for alert, case in left.items() if alert not in came}
        return stand

    async def _decided_otherwise(self, missing: Mapping[str, Owed]) -> list[str]:
        """Those that other rules have decided on, and as these want it: the file was changed about then."""
        sets = await self._in_force.others()
        wanted = [
            (alert, [self._ids.alert(rule, one.seen.cause) for rule in other.owed(one.seen)], one.seen.about)
            for alert, one in missing.items()
            for other in sets
            if may_have_decided(other, one.seen)
        ]
        stand = await self._standing({alert: about for _, alerts, about in wanted for alert in alerts})
        return list({alert for alert, alerts, _ in wanted if stand.issuperset(alerts)})

    async def _late(self) -> None:
        """Look for steps that were not taken."""
        while True:
            await asyncio.sleep(STEPS_EVERY)
            try:
                await self._steps.look()
            except TryAgain:
                self._steps.forget()

    async def _close(self) -> None:
        """Look whether what was missing has come: after a replay, for instance."""
        while True:
            await asyncio.sleep(CLOSE_EVERY)
            try:
                await self.look_again()
            except TryAgain:
                continue

    async def _hold(self) -> None:
        """Note again and again that these rules are in force: others end when nobody has them any more."""
        while True:
            await asyncio.sleep(HOLD_EVERY)
            with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so
                await self._in_force.hold()

    async def look_again(self) -> None:
        """Close the gaps whose notices have come; raises `TryAgain`."""
        for alert in await self._standing({alert: one.seen.about for alert, one in self._open.items()}):
            self.gaps.closed(alert)
            del self._open[alert]
