"""One verification from its beginning to its end: read the topics, check the shards, look again, report."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notifier.audit.audit_rules import KEPT_AS, remembered
from shared.failures import BadStart
from shared.time_source import KEPT_AS as SIMULATION
from shared.time_source import Simulation
from shared.times import read, text_of
from verify.across import Across, Delays
from verify.arriving import Arriving
from verify.checkpoints import Checkpoints
from verify.deployment import Deployment
from verify.documents import Documents
from verify.findings import Finding, Kind, Report, Tally
from verify.scanning import Scan
from verify.sending import Missing, Sending
from verify.shard import Checked, Checker
from verify.shards import Shards, digits_for
from verify.topics import Topics
from verify.world import COLLECTIONS, Bounds, Place, Rules, as_json, of_json

SAVE_EVERY = 200_000
"""Kafka records between two notes of how far the reading has come."""
MOST_MISSING = 100_000
"""Events not seen that are looked for once more; beyond that nothing can be right any more."""
WAITS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 22.0)
"""Seconds before each further look at what may settle: a minute in all."""
GONE = 2**62
"""Later than every time: of a partition of which nothing is left."""

Told = Callable[[str, int, int], None]
"""Told how far a part of the work has come: its name, done, of so many."""


@dataclass(frozen=True)
class Asked:
    """What is to be verified."""

    since: datetime | None = None
    only: Sequence[str] = tuple(COLLECTIONS)

    @property
    def name(self) -> str:
        """The same for the same question."""
        return f"{text_of(self.since) if self.since else ''} {','.join(self.only)}"


class Verification:
    """Goes on where the state in `shards` stands."""

    def __init__(
        self,
        deployment: Deployment,
        topics: Topics,
        documents: Documents,
        shards: Shards,
        asked: Asked,
        told: Told = lambda *_: None,
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._deployment, self._topics, self._documents = deployment, topics, documents
        self._shards, self._asked, self._told, self._waits = shards, asked, told, waits
        self._checkpoints = Checkpoints(deployment.checkpoint_keys, deployment.ids, shards, documents)
        self._numbers = {topic: n for n, topic in enumerate(deployment.outputs)}

    async def run(self) -> Report:
        """Everything; raises `BadStart`, and `TryAgain` where MongoDB or Kafka is away."""
        note = self._shards.note
        if not note:
            await self._begin(note)
        elif note["of"] != self._of:
            raise BadStart("the state in this folder is of another deployment, or of another question")
        bounds = of_json(note["bounds"])
        if note["phase"] == "reading":
            await self._read(note, bounds)
        report = await self._check(note, bounds)
        self._shards.clear()
        return report

    @property
    def _of(self) -> str:
        return f"{self._deployment.name} {self._asked.name}"

    async def _begin(self, note: dict[str, Any]) -> None:
        since = int(self._asked.since.timestamp() * 1000) if self._asked.since else None
        bounds = await self._topics.bounds(self._deployment.topics, self._deployment.groups, since)
        for place, start in bounds.starts.items():
            if start and start == bounds.ends[place]:
                bounds.first_at.setdefault(place, GONE)
        count = sum(end - bounds.starts[place] for place, end in bounds.ends.items())
        count += sum(self._documents.count(name) for name in self._asked.only)
        self._shards.digits = digits_for(count)
        note |= {
            "of": self._of,
            "phase": "reading",
            "bounds": as_json(bounds),
            "positions": [[*place, start] for place, start in bounds.starts.items()],
            "checked": [],
            "missing": [],
            "tally": Tally().as_json(),
        }
        self._shards.save()

    async def _read(self, note: dict[str, Any], bounds: Bounds) -> None:
        """The first pass."""
        positions: dict[Place, int] = {(topic, n): offset for topic, n, offset in note["positions"]}
        tally = Tally.of_json(note["tally"])
        scan = self._scan(tally)
        whole = sum(end - bounds.starts[place] for place, end in bounds.ends.items())
        saved = done = sum(offset - bounds.starts[place] for place, offset in positions.items())
        async for batch in self._topics.records(positions, bounds.ends):
            for record in batch:
                scan.take(record)
            if not batch:
                continue
            place = batch[0].topic, batch[0].partition
            if batch[0].offset > positions[place]:
                bounds.first_at[place] = batch[0].timestamp  # retention has moved on meanwhile
            elif bounds.starts[place] and positions[place] == bounds.starts[place]:
                bounds.first_at.setdefault(place, batch[0].timestamp)
            positions[place] = batch[-1].offset + 1
            done += len(batch)
            self._told("reading topics", done, whole)
            if done - saved >= SAVE_EVERY:
                saved = done
                self._note_reading(note, bounds, positions, tally)
        note["phase"] = "checking"
        self._note_reading(note, bounds, positions, tally)

    def _note_reading(self, note: dict[str, Any], bounds: Bounds, positions: Mapping[Place, int], tally: Tally) -> None:
        note["positions"] = [[*place, offset] for place, offset in positions.items()]
        note["bounds"], note["tally"] = as_json(bounds), tally.as_json()
        self._shards.save()

    def _scan(self, tally: Tally) -> Scan:
        deployment, only = self._deployment, self._asked.only
        sets, began = remembered(self._documents.one(*KEPT_AS))
        prefixes = {prefix.encode() for name in only for prefix in COLLECTIONS[name].prefixes}
        return Scan(
            self._numbers,
            deployment.inputs,
            only,
            Rules(sets, began),
            deployment.ids,
            self._shards,
            tally,
            prefixes,
            self._checkpoints,
        )

    async def _check(self, note: dict[str, Any], bounds: Bounds) -> Report:
        """The second pass, shard by shard, and a last look at what may have settled meanwhile."""
        checker = self._checker(bounds)
        tally = Tally.of_json(note["tally"])
        missing = [Missing(*one) for one in note["missing"]]
        for shard in range(self._shards.count):
            if shard in note["checked"]:
                continue
            checked = checker.check(shard)
            tally.add(checked.tally)
            room = MOST_MISSING - len(missing)
            missing += checked.missing[:room]
            tally.found(one.finding for one in checked.missing[room:])
            note["checked"].append(shard)
            note["tally"], note["missing"] = tally.as_json(), [list(_row(one)) for one in missing]
            self._shards.save()
            self._told("checking records", len(note["checked"]), self._shards.count)
            await asyncio.sleep(0)
        tally.found(self._outside())
        tally.found(await self._still_missing(missing, bounds))
        await self._settle(tally, bounds)
        return Report(tally)

    def _checker(self, bounds: Bounds) -> Checker:
        deployment = self._deployment
        arriving = Arriving(deployment.inputs, bounds, self._documents, deployment.ids)
        return Checker(
            self._shards,
            self._documents,
            Sending(self._numbers, bounds, deployment.ids),
            arriving,
            Across(self._documents, arriving, deployment.ids, deployment.life.ends, self._delays(arriving, bounds)),
            self._checkpoints,
            bounds,
            deployment.outputs,
            self._asked.only,
            deployment.ids,
            deployment.sealer,
            self._times(),
        )

    def _delays(self, arriving: Arriving, bounds: Bounds) -> Delays:
        """What waits, by a word in its topics' names."""

        def is_behind(service: str, word: str) -> bool:
            return any(
                arriving.is_in_flight(number, place[1], end - 1)
                for number, one in enumerate(self._deployment.inputs)
                if one.service == service and word in one.topic
                for place, end in bounds.ends.items()
                if place[0] == one.topic and end > bounds.starts[place]
            )

        def has(service: str, word: str) -> bool:
            return is_behind(service, word) or self._documents.has_set_aside(service, word)

        return Delays(
            updates=is_behind("router", ".updates."),
            letters=has("router", "letters.received."),
            news=has("intake", "cases.events."),
        )

    def _times(self) -> dict[bool, datetime]:
        """The real time and the one in which letters and cases live."""
        real, found = self._documents.now(), self._documents.one(*SIMULATION)
        if not found:
            return {False: real, True: real}
        return {False: real, True: Simulation(read(found["at"]), read(found["simulated"]), found["rate"]).now(real)}

    def _outside(self) -> Iterable[Finding]:
        """Documents whose ids are none of ours: no shard has them."""
        for name in self._asked.only:
            ranges = [(prefix, f"{prefix}g") for prefix in COLLECTIONS[name].prefixes]
            for one in self._documents.outside(name, ranges):
                yield Finding(Kind.STRANGE, one, f"in {name}: not an id of ours")

    async def _still_missing(self, missing: Sequence[Missing], bounds: Bounds) -> list[Finding]:
        """What documents say was sent, less what has come to the topics since these were read."""
        if not missing:
            return []
        places = sorted({(one.topic, one.partition) for one in missing})
        starts = {place: bounds.ends[place] for place in places}
        came: set[tuple[str, str, bytes]] = set()
        async for batch in self._topics.records(starts, await self._topics.ends(places)):
            for record in batch:
                headers: dict[str, bytes] = dict(record.headers)
                name = headers.get("ce_source", b"").rpartition(b"/")[2].decode("ascii", "replace")
                came.add((record.topic, name, headers.get("ce_sequence", b"")))
        return [one.finding for one in missing if (one.topic, one.record, b"%010d" % one.sequence) not in came]

    async def _settle(self, tally: Tally, bounds: Bounds) -> None:
        """Look again at what may be right a moment later, until it is or a minute has passed."""
        for wait in self._waits:
            if not any(one.settles for one in tally.findings):
                return
            self._told("looking again", 0, 0)
            await asyncio.sleep(wait)
            looked = self._look_again([one for one in tally.findings if one.settles], bounds)
            tally.replace([*(one for one in tally.findings if not one.settles), *looked])

    def _look_again(self, findings: Sequence[Finding], bounds: Bounds) -> list[Finding]:
        """Of findings that may settle those that stand: their whole shards are checked anew."""
        standing = {(one.kind, one.record, one.detail, one.topic) for one in findings}
        checker = self._checker(bounds)
        shards = sorted({self._shards.of_name(one.record) for one in findings})
        again: list[Finding] = []
        for shard in shards:
            checked: Checked = checker.check(shard)
            again += [one for one in checked.tally.findings if one.settles]
        return [one for one in again if (one.kind, one.record, one.detail, one.topic) in standing]


def _row(one: Missing) -> tuple[str, str, int, int, int]:
    return one.record, one.topic, one.partition, one.sequence, one.event
