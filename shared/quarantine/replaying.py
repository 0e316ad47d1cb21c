"""Replaying: what people asked to be tried again is heard as if it had just come, on today's state.

Every replica looks for entries that are to be replayed and feeds their bytes to the same reader and loop as a new
record; whoever is second finds everything heard before, and the guarded write keeps one outcome. The records of one key
go in the order of their offsets: where one fails again, those behind it that were asked for by then are held too.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import ConsumerRecord

from shared import topics
from shared.arrivals import Reader, Taken
from shared.decisions import Message
from shared.failures import NewerBuild, TryAgain, place_of
from shared.log import logger
from shared.loop import Loop
from shared.metrics import Metrics
from shared.quarantine.copies import Copy, at_attempt
from shared.quarantine.deciding import NOTHING, Settled, Status
from shared.quarantine.opening import opened
from shared.sealing import Broken, Sealer

EVERY = 2.0
"""Seconds between two looks."""
AT_ONCE = 500
"""Entries of one look."""
IN_A_WAVE, IN_A_WAVE_BYTES = 50, 8_000_000
"""Entries that are tried together, each of another key."""
PATIENCE = 10.0
TAKEN, HELD = "taken", "held"
NOBODY = "nobody here reads this topic now"
NEWER = "only a newer build knows it"

_Record = ConsumerRecord[Any, Any]
Entry = Mapping[str, Any]

INDEXES: tuple[Mapping[str, Any], ...] = (
    {
        "keys": [("state.status", 1), ("state.topic", 1), ("state.partition", 1), ("state.offset", 1), ("_id", 1)],
        "name": "place",
    },
    {"keys": [("state.order", 1), ("state.status", 1), ("state.failed_at", 1)], "name": "order"},
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one record."""

    reason: str | None
    """Why it could not be taken; None: it was."""
    records: tuple[str, ...] = ()
    """The records that it changed."""
    known: tuple[tuple[str, str], ...] = ()
    """What had been heard before: records and causes."""

    @property
    def is_nothing(self) -> bool:
        """It asked for nothing that had not been done before."""
        return self.reason is None and not self.records


class Replaying:
    """Tries entries again until cancelled; every replica does."""

    def __init__(
        self, service: str, entries: Loop, readers: Mapping[str, Reader], sealer: Sealer, metrics: Metrics
    ) -> None:
        """`readers`: what the service does with the records of each topic."""
        self._service, self._entries, self._readers = service, entries, readers
        self._sealer, self._metrics = sealer, metrics
        self._awake = asyncio.Event()
        self._others: set[tuple[str, str]] = set()
        """What this look has taken: another entry that says the same has nothing to do."""
        self._log = logger(collection=entries.store.name)

    def wake(self) -> None:
        """Something was asked for here: it need not wait for the next look."""
        self._awake.set()

    async def run(self, is_open: Callable[[], bool]) -> None:
        """Try until cancelled, once it is known what the service must know before it hears anything."""
        while True:
            settled = 0
            if is_open():
                with contextlib.suppress(TryAgain):  # MongoDB is away: the loop says so
                    settled = await self.look()
            if settled < AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), EVERY)
                self._awake.clear()

    async def look(self) -> int:
        """Try what is to be tried, in order; of how many entries it is known what came of them. Raises `TryAgain`."""
        self._others.clear()
        waiting: Sequence[Entry] = await self._asked()
        settled = 0
        while waiting:
            wave, waiting = _wave(waiting)
            failed = await self._failed_before(wave)
            behind = [(entry, failed[entry["_id"]]) for entry in wave if entry["_id"] in failed]
            settled += await self._settle([_behind(entry, other) for entry, other in behind])
            tried = [entry for entry in wave if entry["_id"] not in failed]
            if tried:
                settled += await self._try([entry["_id"] for entry in tried])
        return settled

    async def _asked(self) -> Sequence[Entry]:
        """What is to be tried in this look, by its places; what may be urgent first, which goes by the topic alone."""
        urgent = [topic for topic in self._readers if topics.may_be_urgent(topic)]
        first = await self._marked({"state.topic": {"$in": urgent}}, AT_ONCE) if urgent else []
        return [*first, *await self._marked({"state.topic": {"$nin": urgent}}, AT_ONCE - len(first))]

    async def _marked(self, query: Mapping[str, Any], limit: int) -> Sequence[Entry]:
        order = ("state.topic", "state.partition", "state.offset")
        query = {"state.status": Status.REPLAYING.value, **query}
        return await self._entries.store.find(query, {"state": 1}, limit=limit, sort=order)

    async def _failed_before(self, wave: Sequence[Entry]) -> dict[str, str]:
        """Which of these stand behind one of their key that has failed since they were asked for."""
        ordered = {entry["state"]["order"]: entry for entry in wave if "order" in entry["state"]}
        if not ordered:
            return {}
        since = min(entry["state"]["asked_at"] for entry in ordered.values())
        if not await self._failed({"state.order": {"$in": list(ordered)}}, since):
            return {}
        found: dict[str, str] = {}
        for order, entry in ordered.items():  # each by itself: of one key thousands may have failed
            before = {"state.order": order, "state.offset": {"$lt": entry["state"]["offset"]}}
            for other in await self._failed(before, entry["state"]["asked_at"]):
                found[entry["_id"]] = other["state"].get("behind", other["_id"])
        return found

    async def _failed(self, query: Mapping[str, Any], since: str) -> Sequence[Entry]:
        """One of these that has failed since a time, if any."""
        query = {**query, "state.status": Status.HELD.value, "state.failed_at": {"$gte": since}}
        return await self._entries.store.find(query, {"state.behind": 1}, limit=1, sure=True)

    async def _try(self, ids: Sequence[str]) -> int:
        copies: list[tuple[Entry, _Record]] = []
        settled: list[tuple[str, Settled]] = []
        found = {document["_id"]: document for document in await self._entries.store.histories(ids)}
        for document in (found[entry] for entry in ids if entry in found):
            state = document["state"]
            if state["status"] != Status.REPLAYING:
                continue  # another replica was quicker
            try:
                copy = at_attempt(opened(document, self._sealer), state["attempt"])
            except Broken:
                settled.append((document["_id"], Settled(state["attempt"], reason="what is sealed does not open")))
            except Exception as error:  # noqa: BLE001 - one odd entry must not stop the service, nor the others
                self._log.error("bug", record=document["_id"], error=type(error).__name__, place=place_of(error))
                settled.append(
                    (document["_id"], Settled(state["attempt"], reason=f"unexpected {type(error).__name__}"))
                )
            else:
                copies.append((document, record_of(state, copy)))
        for entry, tried in await self._feed(copies):
            attempt = entry["state"]["attempt"]
            if tried.reason is None:
                outcome = TAKEN if tried.records else NOTHING
                settled.append((entry["_id"], Settled(attempt, outcome, tried.records)))
            else:
                settled.append((entry["_id"], Settled(attempt, reason=tried.reason)))
        return await self._settle(settled)

    async def _feed(self, copies: Sequence[tuple[Entry, _Record]]) -> list[tuple[Entry, Tried]]:
        found: list[tuple[Entry, Tried]] = []
        by_reader: dict[int, list[tuple[Entry, _Record]]] = {}
        for entry, record in copies:
            reader = self._readers.get(record.topic)
            if reader is None:
                found.append((entry, Tried(NOBODY)))
            else:
                by_reader.setdefault(id(reader), []).append((entry, record))
        for group in by_reader.values():
            reader = self._readers[group[0][1].topic]

            async def take(records: Sequence[_Record], reader: Reader = reader) -> Taken:
                taken = await reader.take(records, "replay")
                if reader.heard:
                    reader.heard(taken.messages, taken.outcomes)
                return taken

            tried = await self._each([record for _, record in group], take)
            found += await self._cut_short(
                [(entry, one) for (entry, _), one in zip(group, tried, strict=True)], reader.loop
            )
        return found

    async def _cut_short(self, tried: Sequence[tuple[Entry, Tried]], loop: Loop) -> list[tuple[Entry, Tried]]:
        """The same, with what an earlier look had taken since they were asked for, and died before it said so."""
        names = {name for _, one in tried if one.is_nothing for name, _ in one.known}
        if not names:
            return list(tried)
        wanted = {"history.cause": 1, "history.at": 1}
        documents = await loop.store.find({"_id": {"$in": list(names)}}, wanted, limit=len(names), sure=True)
        heard = {(of["_id"], form["cause"]): form["at"] for of in documents for form in of["history"]}
        found = []
        for entry, one in tried:
            asked_at = entry["state"]["asked_at"]
            mine = [one for one in one.known if one not in self._others and heard.get(one, "") >= asked_at]
            since = tuple(dict.fromkeys(name for name, _ in mine))
            found.append((entry, replace(one, records=since) if one.is_nothing else one))
        return found

    async def _each(
        self, records: Sequence[_Record], take: Callable[[Sequence[_Record]], Awaitable[Taken]]
    ) -> list[Tried]:
        """What came of each; one that fails in a way nobody foresaw does not take the others with it."""
        try:
            taken = await take(records)
        except TryAgain:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must cost its record only
            if len(records) > 1:
                return [(await self._each([record], take))[0] for record in records]
            if isinstance(error, NewerBuild):
                return [Tried(NEWER)]
            self._log.error("bug", error=type(error).__name__, place=place_of(error))
            return [Tried(f"unexpected {type(error).__name__}")]
        reasons: dict[int, str] = {}
        for record, reason in taken.aside:
            reasons.setdefault(id(record), reason)
        changed: dict[int, dict[str, None]] = {id(record): {} for record in records}
        known: dict[int, list[tuple[str, str]]] = {id(record): [] for record in records}
        for origin, message, outcome in zip(taken.origins, taken.messages, taken.outcomes, strict=True):
            if origin is not None and outcome.fresh:
                changed[id(origin)][message.record] = None
                self._others.add((message.record, message.cause))
            elif origin is not None:
                known[id(origin)].append((message.record, message.cause))
        return [Tried(reasons.get(one), tuple(changed[one]), tuple(known[one])) for one in map(id, records)]

    async def _settle(self, settled: Sequence[tuple[str, Settled]]) -> int:
        if not settled:
            return 0
        messages = [
            # The same for every replica: the second finds it said.
            Message(entry, f"replay/{one.attempt}/{_became(one)}", self._service, one)
            for entry, one in settled
        ]
        outcomes = await self._entries.handle(messages, "replay", PATIENCE)
        for (entry, one), outcome in zip(settled, outcomes, strict=True):
            if outcome.fresh:
                became = HELD if outcome.record.state["status"] == Status.HELD else one.outcome
                self._metrics.replays.labels(became).inc()
                self._log.info("replayed", entry=entry, outcome=became)
        return sum(outcome.fresh for outcome in outcomes)


def record_of(state: Mapping[str, Any], copy: Copy) -> _Record:
    """The record as the consumer would hand it out again."""
    return copy.as_record(state["topic"], state["partition"], state["offset"])


def _wave(waiting: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The first entry of each key, not too many, and the rest."""
    wave: list[Entry] = []
    rest: list[Entry] = []
    keys: set[str] = set()
    size = 0
    for entry in waiting:
        key = entry["state"].get("order", entry["_id"])
        size += entry["state"]["size"]
        is_full = len(wave) >= IN_A_WAVE or size > IN_A_WAVE_BYTES
        if key in keys or (wave and is_full):
            rest.append(entry)
        else:
            wave.append(entry)
        keys.add(key)
    return wave, rest


def _behind(entry: Entry, other: str) -> tuple[str, Settled]:
    return entry["_id"], Settled(entry["state"]["attempt"], reason=f"behind {other}", behind=other)


def _became(settled: Settled) -> str:
    """Apart from each other: one replica may find nothing left to do where another's hearing is still to be said."""
    if settled.reason:
        return HELD
    return "nothing" if settled.outcome == NOTHING else "heard"
