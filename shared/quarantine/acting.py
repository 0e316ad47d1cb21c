"""Acting: what people do with entries, each act by somebody and for a reason; and what a replay would do."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import BaseModel

from shared import times
from shared.arrivals import Reader, Taken
from shared.decisions import Message
from shared.events import QUARANTINE_REPLAY_PROPOSED
from shared.failures import NewerBuild, TryAgain, place_of
from shared.log import logger
from shared.loop import Loop, Outcome
from shared.metrics import Metrics
from shared.quarantine.copies import original
from shared.quarantine.deciding import Act, Discard, Look, Refused, Replay, Status
from shared.quarantine.foreseeing import Forecast, Foreseen, counted, foreseen, refused, unchanged
from shared.quarantine.opening import opened
from shared.quarantine.reading import Wanted
from shared.quarantine.replaying import NEWER, NOBODY, Replaying, record_of
from shared.sealing import Broken, Sealer
from shared.times import text_of

PATIENCE = 10.0
MOST_AT_ONCE = 10_000
"""Entries that one call marks for replay; whoever wants more calls again."""
LONGEST_ASKING = timedelta(hours=1)
"""For which calls may go on with a replay of many."""
MOST_FORESEEN, MOST_TOLD = 1_000, 100
_PAGE = 200
_LOOKED_AT_ONCE = 50

_Record = ConsumerRecord[Any, Any]
_Head = Mapping[str, Any]
_PLACE = ("state.topic", "state.partition", "state.offset", "_id")


class Marked(BaseModel):
    """What one call has marked for replay, and where the next goes on."""

    marked: int = 0
    cut: int = 0
    """Those of which only the beginning is kept: each needs an edited copy, so they are left out."""
    refused: int = 0
    """Those that take no more events, or that are damaged: `show` says why."""
    more: bool = False
    next: str | None = None
    """Sent as `after` with the same filter, it goes on where this call ended; None: there are no more."""


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

    async def replay_all(
        self, wanted: Wanted, asked: Replay, caller: str, asked_at: str | None = None, after: _Head | None = None
    ) -> Marked:
        """Mark every held entry that is meant, in the order of their places.

        `asked_at`, `after`: when the call before was asked for and the last entry that it came to. All calls are then
        one asking: none meets again what has failed meanwhile, and what failed holds those of its key behind it.
        """
        now = text_of(self._now())
        asked = replace(asked, asked_at=now if asked_at is None else min(asked_at, now))
        told, seen, last = Marked(), 0, after
        while seen < MOST_AT_ONCE:
            found = await self._held(wanted, _PAGE, {"state.asked_at": {"$ne": asked.asked_at}}, last)
            whole = [one["_id"] for one in found if not one["state"].get("cut")]
            outcomes = await self._entries.handle([_message(one, asked, caller) for one in whole], "http", PATIENCE)
            told.marked += sum(outcome.fresh for outcome in outcomes)
            told.refused += sum(
                isinstance(outcome.reply, Refused) or outcome.refused is not None for outcome in outcomes
            )
            told.cut += len(found) - len(whole)
            self._replaying.wake()
            told.more = len(found) == _PAGE
            if not told.more:
                break
            seen, last = seen + len(found), found[-1]
        if told.more and last is not None:
            told.next = f"{asked.asked_at}~{last['_id']}"
        return told

    def still_asked(self, begun: str) -> str:
        """When the asking began that is gone on with; raises `ValueError` for what is no time of the last hour.

        All that was heard since then counts as heard by this replay.
        """
        try:
            at = times.read(begun)
        except ValueError:
            at = None
        if at is None or at < self._now() - LONGEST_ASKING:
            raise ValueError("Is no place in an asking of the last hour: ask without it.")
        return text_of(at)

    async def foresee(self, entry: str, asked: Replay, caller: str) -> Foreseen | None:
        """What a replay of one entry would do now; None where there is no such entry."""
        (outcome,) = await self._entries.foresee([_message(entry, asked, caller)])
        if isinstance(outcome.reply, Refused):
            return None if not outcome.record.version else refused(entry, outcome.reply.says.rstrip("."))
        if outcome.refused is not None:
            return refused(entry, str(outcome.refused))
        if not outcome.fresh:
            return unchanged(entry, outcome.record.state["status"])
        found = await self._foreseen(await self._entries.store.histories([entry]), asked)
        if found and any(event.type == QUARANTINE_REPLAY_PROPOSED for event in outcome.record.fresh):
            found[0].says = f"Somebody else must confirm it first. {found[0].says}"
        return found[0] if found else None

    async def foresee_all(self, wanted: Wanted) -> Forecast:
        """What a replay of all that are meant would do, as far as `MOST_FORESEEN`; the first are told one by one.

        Each is judged for itself: what one of them would change for a later one is not seen.
        """
        heads = await self._held(wanted, MOST_FORESEEN + 1)
        looked_at = heads[:MOST_FORESEEN]
        ids = [head["_id"] for head in looked_at if not head["state"].get("cut")]
        found: list[Foreseen] = []
        for at in range(0, len(ids), _LOOKED_AT_ONCE):
            chunk = ids[at : at + _LOOKED_AT_ONCE]
            documents = {one["_id"]: one for one in await self._entries.store.histories(chunk)}
            found += await self._foreseen([documents[entry] for entry in chunk if entry in documents], None)
        return Forecast(
            entries=found[:MOST_TOLD],
            counts=counted(found),
            cut=len(looked_at) - len(ids),
            more=len(heads) > MOST_FORESEEN,
        )

    async def _held(
        self, wanted: Wanted, limit: int, more: Mapping[str, Any] = MappingProxyType({}), last: _Head | None = None
    ) -> list[dict[str, Any]]:
        query = {**replace(wanted, status=Status.HELD).query, **more}
        query = query if last is None else _behind(last, query)
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


def _behind(last: _Head, query: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a query that stand behind this entry in the order of places.

    The whole query in each branch: so MongoDB begins at the place, and reads nothing before it.
    """
    values = [*(last["state"][name.removeprefix("state.")] for name in _PLACE[:-1]), last["_id"]]
    same = [dict(zip(_PLACE[:n], values, strict=False)) for n in range(len(_PLACE))]
    return {"$or": [{"$and": [query, {**same[n], name: {"$gt": values[n]}}]} for n, name in enumerate(_PLACE)]}


def _message(entry: str, act: Act, caller: str) -> Message:
    """Each call is heard anew: that the same twice changes nothing is decided by how the entry stands."""
    return Message(entry, f"http/{caller}/{uuid.uuid4()}", caller, act)
