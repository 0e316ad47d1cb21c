"""The directory: the subscriptions and silences of this moment, in memory, so that deciding asks no database.

Every second it looks which records are new or changed and opens only those. While MongoDB is away the last view
stands: a silence ends by its own time all the same.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from services.notifier.domain.subscription_state import LEFT, LIVE
from services.notifier.lists.listed import (
    Heard,
    Silence,
    Subscription,
    heard_by,
    silence_of,
    silenced_by,
    subscription_of,
)
from shared.events import Event
from shared.failures import TryAgain
from shared.ids import Ids
from shared.log import logger
from shared.mongo import Store
from shared.records import Record, event_of, record_of
from shared.sealing import Broken, Sealer
from shared.times import text_of

__all__ = ["Directory", "Silence", "Subscription"]

EVERY = 1.0
"""Seconds between looks: so long another process may not know what this one was told."""
PAGE = 1_000
"""Records that are read at a time; all are read, however many there are."""
MOST_CACHED = 8_192

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
Facts = Mapping[str, str]


class Directory:
    """Who hears beside the files, and what is silenced."""

    SUBSCRIPTION_INDEX: ClassVar[Mapping[str, Any]] = {"keys": [("state.status", 1)], "name": "status"}
    SILENCE_INDEX: ClassVar[Mapping[str, Any]] = {"keys": [("state.ends", 1)], "name": "ends"}

    def __init__(
        self,
        subscriptions: Store,
        silences: Store,
        sealer: Sealer,
        is_never_held: Callable[[Facts], bool],
        now: Callable[[], datetime],
        ids: Ids,
    ) -> None:
        self._of_subscriptions = subscriptions
        self._subscriptions = _View(subscriptions, sealer, subscription_of)
        self._silences = _View(silences, sealer, silence_of)
        self._is_never_held, self._now, self._ids = is_never_held, now, ids
        self._heard: dict[tuple[frozenset[tuple[str, str]], frozenset[str]], Heard] = {}
        self._silenced: dict[frozenset[tuple[str, str]], tuple[Silence, ...]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._loaded = asyncio.Event()

    subscriptions: Mapping[str, Subscription] = MappingProxyType({})
    """By name; all but the removed ones."""
    silences: Sequence[Silence] = ()
    """Those not yet ended at the last look, the first to end first."""
    _left: Collection[str] = frozenset()

    def hearing(self, facts: Facts, audiences: Collection[str]) -> list[Subscription]:
        """Who is to be told now: of the paused ones only those whose pause may not hold this back, no gone one."""
        return list(self._hearing(facts, audiences).told) if self.subscriptions else []

    def held_back(self, facts: Facts, audiences: Collection[str]) -> list[Subscription]:
        """Who would be told, were it not paused or gone."""
        return list(self._hearing(facts, audiences).held) if self.subscriptions else []

    def silence_for(self, facts: Facts, now: datetime) -> Silence | None:
        """The silence that holds this back; none does where nothing may."""
        if not self.silences:
            return None
        key = frozenset(facts.items())
        found = self._silenced.get(key)
        if found is None:
            matching = silenced_by(self.silences, facts)
            found = () if matching and self._is_never_held(facts) else matching
            _keep(self._silenced, key, found)
        return next((silence for silence in found if silence.begun_at <= now < silence.until), None)

    def has_left(self, subscriber: str, address: str) -> bool:
        """Whether the system of a subscriber of the partners file has said that it is gone from there."""
        return bool(self._left) and self._ids.left(subscriber, address) in self._left

    def _hearing(self, facts: Facts, audiences: Collection[str]) -> Heard:
        key = frozenset(facts.items()), frozenset(audiences)
        found = self._heard.get(key)
        if found is None:
            found = heard_by(self.subscriptions.values(), facts, key[1], self._is_never_held(facts))
            _keep(self._heard, key, found)
        return found

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(TryAgain):  # MongoDB is away: the loops say so
                await self.refresh()
            await asyncio.sleep(EVERY)

    async def loaded(self) -> None:
        """Wait for the first look: before it, nobody would hear."""
        await self._loaded.wait()

    async def refresh(self, *, sure: bool = False) -> None:
        """Look now; raises `TryAgain`, and then the last view stands.

        `sure`: for an answer that rests on it, as `Store.find` has it; the next look sees what this one did not.
        """
        async with self._one_at_a_time:
            await self._subscriptions.look({"state.status": {"$in": [*LIVE]}}, sure=sure)
            left = await versions_of(self._of_subscriptions, {"state.status": {"$in": [LEFT]}}, sure=sure)
            self._left = frozenset(left)
            self._show(text_of(self._now()))
            if await self._silences.look({"state.ends": {"$gt": text_of(self._now())}}, sure=sure):
                self.silences = tuple(sorted(self._silences.open.values(), key=lambda one: one.until))
                self._silenced.clear()
            self._loaded.set()

    def _show(self, at: str) -> None:
        """Put the subscriptions into the view where one has changed, or a key has run out."""
        live = (one.at(at) for one in self._subscriptions.open.values() if one.state in LIVE)
        shown = {one.name: one for one in sorted(live, key=lambda one: one.name)}
        if shown != self.subscriptions:
            self.subscriptions = MappingProxyType(shown)
            self._heard.clear()


class _View(Generic[T]):
    """The opened records of one collection that match a query; only new and changed ones are read whole."""

    def __init__(self, store: Store, sealer: Sealer, made_of: Callable[[Record, Sequence[Event]], T]) -> None:
        self._store, self._sealer, self._made_of = store, sealer, made_of
        self._versions: dict[str, int] = {}
        self.open: dict[str, T] = {}
        self._log = logger(collection=store.name)

    async def look(self, query: Mapping[str, Any], *, sure: bool) -> bool:
        """Whether anything is new, changed or no longer there."""
        versions = await versions_of(self._store, query, sure=sure)
        if versions == self._versions:
            return False
        changed = [record for record, version in versions.items() if self._versions.get(record) != version]
        for at in range(0, len(changed), PAGE):
            for document in await self._store.histories(changed[at : at + PAGE], sure=sure):
                self._open(document)
                # What was read may be newer than what was seen.
                versions[document["_id"]] = document["version"]
        self.open = {record: one for record, one in self.open.items() if record in versions}
        self._versions = versions
        return True

    def _open(self, document: Mapping[str, Any]) -> None:
        """One that does not open is left out and said: nobody can be told at an address that nobody can read."""
        try:
            record = record_of({**document, "causes": (), "chain": b""}, self._sealer)
            self.open[record.id] = self._made_of(
                record, [event_of(record.id, form, record.key) for form in document["history"]]
            )
        except Broken:
            self._log.error("does not open", record=document["_id"])
            self.open.pop(document["_id"], None)


async def versions_of(store: Store, query: Mapping[str, Any], *, sure: bool = False) -> dict[str, int]:
    """Every record that matches and its version, page after page: one that is left out would never be told."""
    versions: dict[str, int] = {}
    last = ""
    while True:
        page = {**query, "_id": {"$gt": last}}
        heads = await store.find(page, {"version": 1}, limit=PAGE, sort=["_id"], sure=sure)
        versions |= {head["_id"]: head["version"] for head in heads}
        if len(heads) < PAGE:
            return versions
        last = heads[-1]["_id"]


def _keep(cache: dict[K, V], key: K, value: V) -> None:
    """Facts are closed lists, so few combinations come again and again; where they are not, begin anew."""
    if len(cache) >= MOST_CACHED:
        cache.clear()
    cache[key] = value
