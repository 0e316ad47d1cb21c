"""One verification from its beginning to its end: read the topics, check the shards, look again, report."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from services.notifier.audit.audit_rules import KEPT_AS, Remembered, remembered
from shared.failures import DAMAGED, BadStart
from shared.time_source import KEPT_AS as SIMULATION
from shared.time_source import Simulation
from shared.times import read, text_of
from verify import accounts, again
from verify.across import Across, Delays
from verify.again import WAITS, Told
from verify.arriving import Arriving, gone_unread
from verify.checkpoints import Checkpoints, cut_off
from verify.deployment import Deployment
from verify.documents import Documents
from verify.findings import Finding, Kind, Report, Tally
from verify.scanning import Scan
from verify.sending import Missing, Sending
from verify.shard import Checker
from verify.shards import Shards, digits_for
from verify.topics import Topics
from verify.unread import Unread, not_read
from verify.world import COLLECTIONS, Bounds, Place, as_json, of_json

SAVE_EVERY = 200_000
"""Kafka records between two notes of how far the reading has come."""
MOST_MISSING = 100_000
"""Events not seen that are kept in mind; when there are so many, they are looked for at once."""


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
        recount: accounts.Recount = accounts.no_recount,
    ) -> None:
        self._deployment, self._topics, self._documents = deployment, topics, documents
        self._shards, self._asked, self._told, self._waits = shards, asked, told, waits
        self._checkpoints = Checkpoints(deployment.checkpoint_keys, deployment.ids, shards, documents)
        self._recount, self._terms = recount, accounts.terms_by(deployment.life.ends)
        self._numbers = {topic: n for n, topic in enumerate(deployment.outputs)}

    async def run(self) -> Report:
        """Everything; raises `BadStart`, and `TryAgain` where MongoDB or Kafka is away."""
        note = self._shards.note
        if not note:
            await self._begin(note)
        elif note["of"] != self._of:
            raise BadStart(
                "the state in this folder is of another deployment, of other files or another id key, or of another "
                "question: give another folder, or empty this one"
            )
        bounds = of_json(note["bounds"])
        if note["phase"] == "reading":
            await self._read(note, bounds)
        report = await self._check(note, bounds)
        self._shards.clear()
        return report

    @property
    def _of(self) -> str:
        """By what the rows were made: topics and readers stand in them by their numbers, records by their ids."""
        deployment = self._deployment
        inputs = [(one.topic, one.group) for one in deployment.inputs]
        made_by = orjson.dumps([deployment.outputs, inputs, deployment.ids.letter("", "")])
        return f"{deployment.name} {self._asked.name} {hashlib.sha256(made_by).hexdigest()}"

    async def _begin(self, note: dict[str, Any]) -> None:
        since = int(self._asked.since.timestamp() * 1000) if self._asked.since else None
        groups = dict.fromkeys(one.group for one in self._deployment.inputs if one.collection in self._asked.only)
        bounds = await self._topics.bounds(self._deployment.topics, list(groups), since)
        tally = Tally()
        tally.found(gone_unread(self._deployment.inputs, self._asked.only, bounds, tally.counts))
        if since is None:
            tally.found(cut_off(bounds))
        count = sum(end - bounds.starts[place] for place, end in bounds.ends.items())
        count += sum(self._documents.count(name) for name in self._asked.only)
        self._shards.digits = digits_for(count)
        note |= {
            "of": self._of,
            "phase": "reading",
            "bounds": as_json(bounds),
            "positions": [[*place, start] for place, start in bounds.starts.items()],
            "behind": [],
            "began": int(self._documents.now().timestamp() * 1000),
            "checked": [],
            "missing": [],
            "tally": tally.as_json(),
        }
        self._shards.save()

    async def _read(self, note: dict[str, Any], bounds: Bounds) -> None:
        """The first pass."""
        positions: dict[Place, int] = {(topic, n): offset for topic, n, offset in note["positions"]}
        tally = Tally.of_json(note["tally"])
        behind = Unread.of_json(note["behind"])
        scan = self._scan(tally, bounds, behind)
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
            if done - saved >= SAVE_EVERY or self._shards.is_full:
                saved = done
                self._note_reading(note, bounds, positions, tally, behind)
        note["phase"] = "checking"
        self._note_reading(note, bounds, positions, tally, behind)

    def _note_reading(
        self, note: dict[str, Any], bounds: Bounds, positions: Mapping[Place, int], tally: Tally, behind: Unread
    ) -> None:
        note["behind"] = behind.as_json()
        note["positions"] = [[*place, offset] for place, offset in positions.items()]
        note["bounds"], note["tally"] = as_json(bounds), tally.as_json()
        self._shards.save()

    def _scan(self, tally: Tally, bounds: Bounds, behind: Unread) -> Scan:
        deployment, only = self._deployment, self._asked.only
        prefixes = {prefix.encode() for name in only for prefix in COLLECTIONS[name].prefixes}
        return Scan(
            self._numbers,
            deployment.inputs,
            only,
            self._rules(),
            deployment.ids,
            self._shards,
            tally,
            prefixes,
            self._checkpoints,
            bounds.committed,
            behind,
            self._shards.note["began"],
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
            missing += checked.missing
            if len(missing) >= MOST_MISSING:
                tally.found(await again.still_missing(missing, self._topics, bounds))
                missing = []
            note["checked"].append(shard)
            note["tally"], note["missing"] = tally.as_json(), [list(_row(one)) for one in missing]
            self._shards.save()
            self._told("checking records", len(note["checked"]), self._shards.count)
            await asyncio.sleep(0)
        tally.found([*self._outside(), *self._no_rules()])
        if self._asked.since is None:
            tally.found([one async for one in self._checkpoints.gone(bounds, self._topics)])
        tally.found(await again.still_missing(missing, self._topics, bounds))
        overdue, _ = await asyncio.gather(
            again.still_unread(Unread.of_json(note["behind"]).overdue(), self._topics, self._waits),
            again.settle(tally, lambda: self._checker(bounds), self._shards, self._waits, self._told),
        )
        tally.found(not_read(overdue, note["began"]))
        return await self._report(tally)

    async def _report(self, tally: Tally) -> Report:
        _settled(tally)
        counted = {name: terms for name, terms in self._terms.items() if name in self._asked.only}
        tally.found(accounts.unbalanced(tally.counts, counted))
        told = accounts.table(tally.counts, counted)
        says, differs = await accounts.against_totals(tally.counts, counted, self._documents, self._recount)
        tally.found(differs)
        tally.counts = accounts.without(tally.counts)
        return Report(tally, told, says, self._deployment.servers)

    def _checker(self, bounds: Bounds) -> Checker:
        deployment = self._deployment
        arriving = Arriving(deployment.inputs, bounds, self._documents, deployment.ids)
        newest = self._rules().newest
        # What the topics showed was held against the rules of then; a replay since may have followed others.
        rules_hold = newest is None or newest.timestamp() * 1000 < self._shards.note["began"]
        return Checker(
            self._shards,
            self._documents,
            Sending(self._numbers, bounds, deployment.ids),
            arriving,
            Across(self._documents, arriving, deployment.ids, deployment.life.ends, self._delays(), rules_hold),
            self._checkpoints,
            bounds,
            deployment.outputs,
            self._asked.only,
            deployment.ids,
            deployment.sealer,
            self._times(),
            self._terms,
        )

    def _delays(self) -> Delays:
        """What waits to be read, by consumer group."""
        behind = Unread.of_json(self._shards.note["behind"])
        return Delays(
            updates=behind.since("router", "updates"),
            letters=behind.since("router", "letters"),
            news=behind.since("intake", "cases"),
            simulated=self._documents.one(*SIMULATION) is not None,
        )

    def _times(self) -> dict[bool, datetime]:
        """The real time and the one in which letters and cases live."""
        real, found = self._documents.now(), self._documents.one(*SIMULATION)
        if not found:
            return {False: real, True: real}
        return {False: real, True: Simulation(read(found["at"]), read(found["simulated"]), found["rate"]).now(real)}

    def _rules(self) -> Remembered:
        try:
            return remembered(self._documents.one(*KEPT_AS))
        except DAMAGED:
            return remembered(None)

    def _no_rules(self) -> Iterable[Finding]:
        """The notifier notes its rules before it reads anything: where they are gone, no event owes anything."""
        are_notices = "notices" in self._asked.only and self._documents.count("notices")
        if are_notices and self._rules().began is None:
            yield Finding(Kind.NO_RULES, "/".join(KEPT_AS), "not in MongoDB, or none of ours")

    def _outside(self) -> Iterable[Finding]:
        """Documents whose ids are none of ours: no shard has them."""
        for name in self._asked.only:
            ranges = [(prefix, f"{prefix}g") for prefix in COLLECTIONS[name].prefixes]
            for one in self._documents.outside(name, ranges):
                yield Finding(Kind.STRANGE, one, f"in {name}: not an id of ours")


def _settled(tally: Tally) -> None:
    """What was passed over at the first look, and no finding says so any more, was taken or set aside meanwhile."""
    stands = sum(tally.of_kind[kind] + tally.more[kind] for kind in (Kind.NOT_TAKEN, Kind.NEVER_ALERTED))
    tally.counts["settled meanwhile"] = tally.counts["passed over"] - stands
    tally.counts["passed over"] = stands


def _row(one: Missing) -> tuple[str, str, int, int, int]:
    return one.record, one.topic, one.partition, one.sequence, one.event
