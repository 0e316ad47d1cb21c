"""What ends a ladder from outside: something was done about it, or somebody acknowledged one of its notices.

Which ladders that concerns stands in MongoDB; it is looked up once per batch, and only where a batch holds such a
message.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notifier.acknowledgement.acknowledging import KAFKA
from services.notifier.domain.bodies import Ack, Raising, Resolved
from services.notifier.domain.ladders import LADDER, Begin
from shared.decisions import Message
from shared.mongo import Store
from shared.partners import NoticeChannel
from shared.vocabulary import DESK

_OPEN = ["climbing", "acknowledged"]


@dataclass(frozen=True, slots=True)
class Moved:
    """Something was done about what an alert tells: the message stands for those to its open ladders."""

    why: str
    at: str


class Moving:
    """Finds what a batch's messages concern beside their own records."""

    def __init__(self, notices: Store, owns: Callable[[str, str], bool]) -> None:
        """`owns`: whether a recipient belongs to the audience whose ladder a rule begins."""
        self._notices, self._owns = notices, owns

    async def enrich(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages with those to ladders; raises `TryAgain`."""
        moved = [message for message in messages if isinstance(message.body, Moved)]
        acks = [message for message in messages if isinstance(message.body, Ack)]
        if not moved and not acks:
            return messages
        rest = [message for message in messages if not isinstance(message.body, Moved)]
        return [*rest, *await self._of_cases(moved, messages), *await self.of_acks(acks)]

    async def _of_cases(self, moved: Sequence[Message], batch: Iterable[Message]) -> list[Message]:
        """To every open ladder about a case, and to what burns at an Alertmanager; to those that begin now as well."""
        if not moved:
            return []
        cases = sorted({message.record for message in moved})
        query = {
            "state.about": {"$in": cases},
            "$or": [
                {"state.record": LADDER, "state.status": {"$in": _OPEN}},
                {"state.channel": NoticeChannel.ALERTMANAGER.value, "state.resolved_at": {"$exists": False}},
            ],
        }
        # What is not found here is told to nobody, and nothing looks for it again.
        found = await self._notices.find(query, {"state.about": 1}, limit=100 * len(cases), sure=True)
        of_case: dict[str, set[str]] = {}
        for one in found:
            of_case.setdefault(one["state"]["about"], set()).add(one["_id"])
        for message in batch:
            if isinstance(message.body, Begin) or _burns(message.body):
                of_case.setdefault(message.subject, set()).add(message.record)
        return [
            Message(record, f"{message.cause}/moved", message.by, Resolved(message.body.why, message.body.at))
            for message in moved
            for record in sorted(of_case.get(message.record, ()))
        ]

    async def of_acks(self, acks: Sequence[Message]) -> list[Message]:
        """To the ladders of the notices that somebody acknowledges."""
        if not acks:
            return []
        notices = await self._states([ack.record for ack in acks])
        ladders = await self._states({state["alert"] for state in notices.values() if "alert" in state})
        messages = []
        for ack in acks:
            state = notices.get(ack.record)
            ladder = ladders.get(state["alert"]) if state else None
            is_theirs = state is not None and ack.body.only in (None, state["subscriber"])
            if state and ladder and is_theirs and ladder.get("record") == LADDER and self._may_stop(state, ack.body.by):
                # Once in each round: who was reminded acknowledges anew. What Kafka gives again is the same.
                again = f"{ack.record}/ack/{ladder['round']}"
                cause = f"{ack.cause}/ladder" if ack.body.via == KAFKA else again
                messages.append(Message(state["alert"], cause, ack.by, ack.body))
        return messages

    def _may_stop(self, state: Mapping[str, Any], by: str) -> bool:
        """A system that only listens along has seen its own notice; that is no reason to let people sleep."""
        is_desk = by.partition("/")[0] == DESK
        return "step" in state or is_desk or self._owns(state["rule"], state["subscriber"])

    async def _states(self, ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        found = await self._notices.find({"_id": {"$in": wanted}}, {"state": 1}, limit=len(wanted), sure=True)
        return {one["_id"]: one["state"] for one in found}


def _burns(body: Any) -> bool:
    return isinstance(body, Raising) and body.channel == NoticeChannel.ALERTMANAGER
