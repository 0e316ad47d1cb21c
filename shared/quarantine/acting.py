"""Acting: what people do with entries, each act by somebody and for a reason; and what a replay would do."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord

from shared.arrivals import Reader, Taken
from shared.decisions import Message
from shared.events import QUARANTINE_REPLAY_PROPOSED
from shared.failures import NewerBuild, TryAgain, place_of
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.quarantine.copies import original
from shared.quarantine.deciding import Act, Discard, Look, Refused, Replay, Status
from shared.quarantine.foreseeing import Foreseen, foreseen, refused
from shared.quarantine.opening import opened
from shared.quarantine.reading import Wanted
from shared.quarantine.replaying import NEWER, NOBODY, Replaying, record_of
from shared.sealing import Broken, Sealer
from shared.times import text_of

PATIENCE = 10.0
MOST_AT_ONCE = 10_000
"""Entries that one call marks for replay; whoever wants more calls again."""
MOST_FORESEEN = 1_000
_PAGE = 200
_LOOKED_AT_ONCE = 50

_Record = ConsumerRecord[Any, Any]
_WHOLE: Mapping[str, Any] = {"state.cut": {"$exists": False}}
_PLACE = ("state.topic", "state.partition", "state.offset")


class Acting:
    """What people do with the entries of one service."""

    def __init__(
        self,
        entries: Loop,
        replaying: Replaying,
        readers: Mapping[str, Reader],
        sealer: Sealer,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._entries, self._replaying, self._readers = entries, replaying, readers
        self._sealer, self._metrics, self._now = sealer, metrics, now
        self._log = logger(collection=entries.store.name)

    async def act(self, entry: str, act: Act, caller: str) -> Outcome:
        """Say one thing to one entry; raises `TryAgain`."""
        if isinstance(act, Replay):
            act = replace(act, asked_at=text_of(self._now()))
        (outcome,) = await self._entries.handle([_message(entry, act, caller)], "http", PATIENCE)
        if isinstance(act, Replay):
            self._replaying.wake()
        self._count(act, outcome)
        return outcome

    async def replay_all(self, wanted: Wanted, asked: Replay, caller: str) -> tuple[int, bool]:
        """Mark every held entry that is meant, in the order of their places; how many, and whether there are more."""
        asked = replace(asked, asked_at=text_of(self._now()))
        marked, seen = 0, 0
        while seen < MOST_AT_ONCE:
            found = await self._held(wanted, _PAGE, {"state.asked_at": {"$ne": asked.asked_at}, **_WHOLE})
            if not found:
                return marked, False
            messages = [_message(one["_id"], asked, caller) for one in found]
            outcomes = await self._entries.handle(messages, "http", PATIENCE)
            fresh = sum(outcome.fresh for outcome in outcomes)
            if not fresh:
                return marked, True  # what is left takes no more events
            marked += fresh
            seen += len(found)
            self._replaying.wake()
        return marked, True

    async def foresee(self, entry: str, asked: Replay, caller: str) -> Foreseen | None:
        """What a replay of one entry would do now; None where there is no such entry."""
        (outcome,) = await self._entries.foresee([_message(entry, asked, caller)])
        if isinstance(outcome.reply, Refused):
            return None if not outcome.record.version else refused(entry, outcome.reply.says.rstrip("."))
        if outcome.refused is not None:
            return refused(entry, str(outcome.refused))
        found = await self._foreseen(await self._entries.store.histories([entry]), asked)
        if found and any(event.type == QUARANTINE_REPLAY_PROPOSED for event in outcome.record.fresh):
            found[0].says = f"Somebody else must confirm it first. {found[0].says}"
        return found[0] if found else None

    async def foresee_all(self, wanted: Wanted) -> tuple[list[Foreseen], bool]:
        """What a replay of all that are meant would do, as far as `MOST_FORESEEN`; and whether there are more.

        Each is judged for itself: what one of them would change for a later one is not seen.
        """
        heads = await self._held(wanted, MOST_FORESEEN + 1)
        ids = [head["_id"] for head in heads[:MOST_FORESEEN]]
        found: list[Foreseen] = []
        for at in range(0, len(ids), _LOOKED_AT_ONCE):
            chunk = ids[at : at + _LOOKED_AT_ONCE]
            documents = {one["_id"]: one for one in await self._entries.store.histories(chunk)}
            found += await self._foreseen([documents[entry] for entry in chunk if entry in documents], None)
        return found, len(heads) > MOST_FORESEEN

    async def _held(self, wanted: Wanted, limit: int, more: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        query = replace(wanted, status=Status.HELD).query | (more or {})
        return await self._entries.store.find(query, {"state": 1}, limit=limit, sort=_PLACE)

    async def _foreseen(self, documents: Sequence[Mapping[str, Any]], asked: Replay | None) -> list[Foreseen]:
        found: list[Foreseen] = []
        for document in documents:
            entry, state = document["_id"], document["state"]
            reader = self._readers.get(state["topic"])
            if reader is None:
                found.append(refused(entry, NOBODY))
                continue
            try:
                copy = original(opened(document, self._sealer))
            except Broken:
                found.append(refused(entry, "what is sealed does not open"))
                continue
            if asked is not None:
                copy = copy.edited(asked.value, asked.headers)
            record = record_of(state, copy)
            try:
                taken: Taken = await reader.foresee([record])
            except NewerBuild:
                found.append(refused(entry, NEWER))
            except TryAgain:
                raise
            except Exception as error:  # noqa: BLE001 - a replay would be held for it, and who looks must see the rest
                self._log.error("bug", record=entry, error=type(error).__name__, place=place_of(error))
                found.append(refused(entry, f"unexpected {type(error).__name__}"))
            else:
                found.append(foreseen(entry, record, taken))
        return found

    def _count(self, act: Act, outcome: Outcome) -> None:
        if isinstance(act, Look) and outcome.fresh:
            self._metrics.looks.labels(act.how).inc()
        if isinstance(act, Discard):
            is_done = outcome.record.state.get("status") == Status.DISCARDED
            if outcome.fresh:
                self._metrics.discards.labels("discarded" if is_done else "proposed").inc()
            elif isinstance(outcome.reply, Refused):
                self._metrics.discards.labels("refused").inc()


def _message(entry: str, act: Act, caller: str) -> Message:
    """Each call is heard anew: that the same twice changes nothing is decided by how the entry stands."""
    return Message(entry, f"http/{caller}/{uuid.uuid4()}", caller, act)
