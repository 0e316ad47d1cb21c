"""Notices in a real store, put there as the notifier does, and a stand-in for whoever takes acknowledgements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.notifier.acknowledgement.acknowledging import Acknowledged
from services.notifier.domain import decide, evolve
from services.notifier.domain.bodies import Ack, Raising, Resolved
from services.notifier.domain.ladders import FIRST, Begin, Told
from shared.decisions import Message
from shared.failures import TryAgain
from shared.ids import Ids
from shared.mongo import Store
from shared.records import Record, record_of
from shared.sealing import Sealer
from shared.times import text_of

IDS, SEALER = Ids(bytes(32)), Sealer(bytes(32))
BEGAN = datetime(2026, 3, 10, 8, tzinfo=UTC)
FACTS = {
    "event": "case.clock_warned",
    "type": "data_preservation",
    "authority": "security-service",
    "clock_kind": "statutory",
    "step": "2 hours",
}


@dataclass
class Kept:
    """A store of notices and ladders, each a minute after the one before."""

    store: Store
    at: datetime = BEGAN
    count: int = 0

    async def notice(
        self,
        subscriber: str = "operations",
        *,
        rule: str = "legal-deadline-near",
        says: str = "A deadline of the law is near.",
        cause: str = "",
        channel: str = "webhook",
        facts: Mapping[str, str] = FACTS,
        due: str | None = "2026-03-10T10:00:00.000000Z",
    ) -> str:
        """Raise one; its id."""
        self.count += 1
        alert = IDS.alert(rule, cause or f"event {self.count}")
        notice = IDS.notice(alert, subscriber, channel)
        await self.hear(notice, Raising(alert, rule, says, subscriber, channel, facts, due=due), self.case(cause))
        return notice

    def case(self, cause: str = "") -> str:
        """The case that a notice is about."""
        return IDS.case(cause or f"event {self.count}", 1)

    async def ladder(self, notice: str) -> str:
        """Let the notice's alert climb a ladder; the alert's id."""
        state = await self.state(notice)
        happened_at = text_of(self.at - timedelta(minutes=1))
        begin = Begin(state["rule"], "desk", "Says", FACTS, happened_at, [], timedelta(minutes=10), None)
        await self.hear(state["alert"], begin, state["about"])
        await self.hear(state["alert"], Told(FIRST), state["about"])
        return str(state["alert"])

    async def end(self, record: str, why: str) -> None:
        """What a notice or a ladder is about is over."""
        await self.hear(record, Resolved(why, text_of(self.at + timedelta(minutes=1))))

    async def hear(self, record_id: str, body: Any, about: str = "") -> bool:
        """Say something to a record; whether anything came of it."""
        self.at += timedelta(minutes=1)
        heads = await self.store.read([record_id])
        record = record_of(heads[0], SEALER) if heads else Record(record_id, about or record_id, {})
        cause = f"{type(body).__name__} at {self.at}"
        for draft in decide(record, Message(record_id, cause, "test", body), self.at).events:
            record.append(draft, by="test", cause=cause, now=self.at, evolve=evolve, sealer=SEALER)
        if record.fresh:
            assert await self.store.write([self.store.change(record, self.at)])
        return bool(record.fresh)

    async def state(self, record: str) -> Mapping[str, Any]:
        """How a record stands."""
        [head] = await self.store.read([record])
        state: Mapping[str, Any] = head["state"]
        return state


@dataclass
class StandIn:
    """Not the notifier's own way: says at once what becomes of an acknowledgement, one after the other."""

    kept: Kept
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    raises: Exception | None = None

    async def acknowledge(self, notice: str, by: str, via: str) -> Acknowledged | None:
        """As `Acknowledging` says."""
        self.asked.append((notice, by, via))
        if self.raises:
            raise self.raises
        if not await self.kept.store.read([notice]):
            return None
        fresh = await self.kept.hear(notice, Ack(by, via))
        state = await self.kept.state(notice)
        if await self.kept.store.read([state["alert"]]):
            await self.kept.hear(state["alert"], Ack(by, via))
            ended = (await self.kept.state(state["alert"])).get("reason")
        else:
            ended = None
        return Acknowledged(
            notice,
            state["alert"],
            state["subscriber"],
            state["acknowledged_at"],
            state["acknowledged_by"],
            not fresh,
            ended,
        )


AWAY = TryAgain("no primary")
