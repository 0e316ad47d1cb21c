"""The task that makes checkpoints: every so often, of all records that this process has changed since the last time.

What a process that died had changed and not anchored stands in its notes; the next one of its name finds them, or any
other replica later. Whoever anchors a record twice does no harm.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from shared.checkpoints.checkpoint import MAX_LEAVES, Checkpoint, Leaf, SigningKey
from shared.checkpoints.heads import Heads, Known, Span
from shared.checkpoints.measures import CheckpointMetrics
from shared.decisions import Message
from shared.failures import TryAgain
from shared.ids import Ids
from shared.log import logger
from shared.loop import Loop
from shared.mongo import Mongo, Store
from shared.times import text_of

OWN_AFTER = timedelta(seconds=30)
"""What an earlier process of our name had under way has landed by then, or never will."""
OTHERS_AFTER = timedelta(minutes=3)
"""Beside three of its intervals: who has not anchored by then is gone."""
NOTES_AT_ONCE, READ_AT_ONCE = 200, 500
_HEAD = {"version": 1, "chain": {"$last": "$history.chain"}}


class Anchoring:
    """The checkpoints of one process."""

    def __init__(
        self,
        service: str,
        instance: str,
        every: float,
        key: SigningKey,
        loop: Loop,
        mongo: Mongo,
        ids: Ids,
        metrics: CheckpointMetrics,
        real: Callable[[], datetime],
    ) -> None:
        """`loop`: over the checkpoints, with the domain of `keeping`; `real`: the time in which notes grow old."""
        self._service, self._instance, self._every, self._key = service, instance, every, key
        self._loop, self._mongo, self._ids, self._metrics, self._real = loop, mongo, ids, metrics, real
        self._notes = f"{service}_unanchored"
        self._life = secrets.token_hex(8)
        self._counter = count(1)
        self._heads: dict[Store, Heads] = {}
        self._last: tuple[int, str | None] | None = None
        self._is_prepared = False
        self._unforgotten: dict[str, None] = {}
        """Notes of what is anchored; they go as soon as MongoDB lets them go."""
        self._log = logger(part="checkpoints")

    def watch(self, loop: Loop) -> None:
        """Anchor the records of a loop from now on."""
        heads = Heads(partial(self._note, loop.store.name), lambda: f"{self._life}/{next(self._counter)}")
        self._heads[loop.store] = heads
        loop.bookkeepers.append(heads)

    async def run(self) -> None:
        """Make checkpoints until cancelled."""
        self._log.info("checkpoints", key=self._key.id, public_key=self._key.public.hex(), every=self._every)
        while True:
            await asyncio.sleep(self._every * random.uniform(0.9, 1.0))  # noqa: S311 - replicas should not step together
            # While MongoDB is away nothing changes either; what waits is anchored the next time.
            with contextlib.suppress(TryAgain):
                await self.anchor()

    async def anchor(self) -> int:
        """Make checkpoints of all that waits; how many were made. Raises `TryAgain`, and then all of it waits still."""
        if not self._is_prepared:
            await self._mongo.prepare_notes(self._notes)
            self._is_prepared = True
        made = 0
        while True:
            left = await self._left()
            made += await self._round([note for note in left if note["_id"] not in self._unforgotten])
            if not await self._forget() or len(left) < NOTES_AT_ONCE:
                return made

    async def _round(self, left: Sequence[Mapping[str, Any]]) -> int:
        """Make checkpoints of what this process has changed and of these notes; how many were made."""
        began = self._real()
        spans = {store: heads.cut() for store, heads in self._heads.items()}
        found: list[Leaf] = []
        for store, cut in spans.items():
            forgotten = [record for note in left if note["collection"] == store.name for record in note["records"]]
            found += await self._leaves(store, _latest(cut, forgotten))
        found.sort()
        made = 0
        for at in range(0, len(found), MAX_LEAVES):
            await self._keep(found[at : at + MAX_LEAVES])
            made += 1
        for store, cut in spans.items():
            self._heads[store].done(cut)
        anchored = [span for cut in spans.values() for span in cut]
        self._unforgotten |= dict.fromkeys(note for span in anchored for note in span.notes)
        self._unforgotten |= dict.fromkeys(note["_id"] for note in left)
        self._metrics.waiting.set(sum(heads.count for heads in self._heads.values()))
        self._metrics.anchored.inc(len(found))
        self._metrics.until.set(began.timestamp())
        return made

    async def _forget(self) -> bool:
        """Let the notes of what is anchored go; False if they stay until the next time."""
        try:
            if self._unforgotten:
                await self._mongo.forget(self._notes, list(self._unforgotten))
        except TryAgain as reason:
            self._log.warning("notes stay until the next time", notes=self._notes, reason=str(reason))
            return False
        self._unforgotten.clear()
        return True

    async def _note(self, collection: str, note: str, records: Sequence[str]) -> None:
        document = {"_id": note, "life": self._life, "instance": self._instance, "at": self._real()}
        await self._mongo.note(self._notes, document | {"collection": collection, "records": list(records)})

    async def _left(self) -> list[dict[str, Any]]:
        """The notes that nobody else will take: of an earlier process of our name, and of who has long been gone."""
        now = self._real()
        own = {"instance": self._instance, "at": {"$lt": now - OWN_AFTER}}
        others = {"at": {"$lt": now - OTHERS_AFTER - timedelta(seconds=3 * self._every)}}
        names = [store.name for store in self._heads]
        # The time once more for all, by which the index finds them.
        query = {"at": own["at"], "life": {"$ne": self._life}, "collection": {"$in": names}, "$or": [own, others]}
        return await self._mongo.noted(self._notes, query, NOTES_AT_ONCE)

    async def _leaves(self, store: Store, latest: dict[str, Known]) -> list[Leaf]:
        """The leaves of records of one collection; one that was never written has none."""
        leaves = [(record, known[0], known[1].hex()) for record, known in latest.items() if known is not None]
        unread = [record for record, known in latest.items() if known is None]
        for at in range(0, len(unread), READ_AT_ONCE):
            some = unread[at : at + READ_AT_ONCE]
            heads = await store.find({"_id": {"$in": some}}, _HEAD, limit=len(some), sure=True)
            leaves += [(head["_id"], head["version"], head["chain"].hex()) for head in heads]
        return leaves

    async def _keep(self, leaves: Sequence[Leaf]) -> None:
        """Sign and publish one checkpoint under the next number of this instance; raises `TryAgain`."""
        number, previous = self._last or await self._newest()
        self._last = None
        checkpoint = Checkpoint.make(
            leaves,
            self._key,
            service=self._service,
            instance=self._instance,
            number=number + 1,
            previous=previous,
            at=text_of(self._loop.now()),
        )
        message = Message(
            self._ids.checkpoint(self._service, self._instance, number + 1),
            f"checkpoint/{checkpoint.head.digest}",
            self._service,
            checkpoint,
            f"{self._service}/{self._instance}",
        )
        [outcome] = await self._loop.handle([message], "clock")
        if outcome.refused:
            self._log.error("refused", record=message.record, reason=str(outcome.refused))
            raise TryAgain("a checkpoint is refused")
        if outcome.record.state["digest"] != checkpoint.head.digest:
            self._log.error("two processes of one name", instance=self._instance)
            raise TryAgain("somebody else has this number")
        self._last = (number + 1, checkpoint.head.digest)

    async def _newest(self) -> tuple[int, str | None]:
        """The number and the digest of the last checkpoint of this instance."""
        found = await self._loop.store.find(
            {"state.instance": self._instance}, {"state": 1}, limit=1, sort=["-state.number"]
        )
        return (found[0]["state"]["number"], found[0]["state"]["digest"]) if found else (0, None)


def _latest(spans: Iterable[Span], forgotten: Iterable[str]) -> dict[str, Known]:
    """How each record stood last; None for one that must be read."""
    latest: dict[str, Known] = dict.fromkeys(forgotten)
    for span in spans:
        for record, known in span.known.items():
            before = latest.get(record, (0, b""))
            if known is None or before is None:
                latest[record] = None
            elif before[0] < known[0]:
                latest[record] = known
    return latest
