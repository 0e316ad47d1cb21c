"""The second pass: the documents of one shard against each other and against what the topics showed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from shared.accounts import Terms
from shared.failures import DAMAGED
from shared.ids import Ids
from shared.sealing import Sealer
from verify import accounts
from verify.across import Across, Met
from verify.arriving import Arrived, Arriving
from verify.checkpoints import Checkpoints, Held
from verify.documents import Document, Documents
from verify.findings import Finding, Kind, Tally
from verify.history import Known, check, known_of
from verify.owed import OWED
from verify.rows import Heard, Seen, heard_in, packed, seen_in, unpacked
from verify.scanning import TOWARD
from verify.sending import Missing, Sending, left
from verify.shards import Shards
from verify.world import COLLECTIONS, Bounds, Collection

_Row = tuple[int, int, int]


@dataclass
class Checked:
    """What one shard showed."""

    tally: Tally = field(default_factory=Tally)
    missing: list[Missing] = field(default_factory=list)


@dataclass
class _Rows:
    """The rows of one shard, by record, and those that no history has explained."""

    seen: dict[bytes, list[Seen]]
    heard: dict[bytes, list[Heard]]
    explained: defaultdict[bytes, set[_Row]] = field(default_factory=lambda: defaultdict(set))
    events: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    """The events of records with rows that nothing explains, by id."""


class Checker:
    """Checks shards, one after the other."""

    def __init__(
        self,
        shards: Shards,
        documents: Documents,
        sending: Sending,
        arriving: Arriving,
        across: Across,
        checkpoints: Checkpoints,
        bounds: Bounds,
        names: Sequence[str],
        selected: Sequence[str],
        ids: Ids,
        sealer: Sealer | None,
        now: Mapping[bool, datetime],
        terms: Mapping[str, Terms],
    ) -> None:
        """`names`: of the topics in rows; `now`: the real time and the simulated one; `terms`: what a record counts."""
        self._shards, self._documents, self._sending, self._arriving = shards, documents, sending, arriving
        self._across, self._checkpoints, self._bounds = across, checkpoints, bounds
        self._terms = terms
        self._names, self._selected, self._ids, self._sealer, self._now = names, selected, ids, sealer, now
        self._is_simulated = now[True] != now[False]
        left_out = [COLLECTIONS[name] for name in COLLECTIONS if name not in selected]
        self._partly = {prefix.encode() for one in left_out for prefix in one.prefixes}
        """Kinds of records of which some were not looked at."""
        self._whole = {prefix.encode() for name in selected for prefix in COLLECTIONS[name].prefixes} - self._partly
        """Kinds of which all were."""

    def check(self, shard: int) -> Checked:
        """Everything about one shard."""
        checked, arrived, met, rows = Checked(), Arrived(), Met(), self._rows(shard)
        held = self._checkpoints.of(shard)
        for name in self._selected:
            collection = COLLECTIONS[name]
            for prefix in collection.prefixes:
                for document in self._documents.between(name, *self._shards.range_of(prefix, shard)):
                    self._document(name, collection, document, rows, checked, arrived, met, held)
        for waiting in rows.heard.values():
            arrived.untraced += waiting
        checked.tally.found(self._left(rows))
        checked.tally.found(held.left(self._whole))
        checked.tally.found(self._checkpoints.linked(shard, self._bounds))
        checked.tally.found(self._arriving.judge(arrived))
        checked.tally.found(self._aside(shard, checked.tally))
        if self._has({"letters", "cases"}):
            checked.tally.found(self._across.judge(met, checked.tally.counts, lambda: self._toward(shard)))
        checked.tally.found(self._across.promises(met))
        owed = self._shards.read(OWED, shard).splitlines()
        checked.tally.found(self._across.owed(owed, checked.tally.counts))
        checked.tally.counts += arrived.counts
        return checked

    def _toward(self, shard: int) -> Iterable[Heard]:
        return heard_in(self._shards.read(TOWARD, shard))

    def _has(self, names: Iterable[str]) -> bool:
        return set(self._selected).issuperset(names)

    def _rows(self, shard: int) -> _Rows:
        seen: defaultdict[bytes, list[Seen]] = defaultdict(list)
        heard: defaultdict[bytes, list[Heard]] = defaultdict(list)
        for row in seen_in(self._shards.read("seen", shard)):
            seen[row.record].append(row)
        for message in heard_in(self._shards.read("heard", shard)):
            heard[message.record].append(message)
        return _Rows(seen, heard)

    def _document(
        self,
        name: str,
        collection: Collection,
        document: Document,
        rows: _Rows,
        checked: Checked,
        arrived: Arrived,
        met: Met,
        held: Held,
    ) -> None:
        tally = checked.tally
        tally.counts[name] += 1
        try:
            known, findings = known_of(document, self._sealer)
            record = packed(known.record)
            now = self._now[collection.is_simulated]
            findings += check(known, collection.evolve, now)
            simulated = collection.is_simulated and self._is_simulated
            findings += self._across.due(name, known, now, tally.counts, simulated=simulated)
            findings += self._across.context(name, known)
            self._across.note(name, known, met)
            held.look(known, tally)
            mine = rows.seen.get(record, ())
            sent = self._sending.check(known, mine, simulated=simulated)
            accounts.count(name, known.state, self._terms, tally.counts)
        except DAMAGED as error:
            # Whatever stands there, it must not stop the count of the rest.
            where = str(document.get("_id"))[:40]
            tally.found([Finding(Kind.STRANGE, where, f"in {name}: {type(error).__name__}")])
            return
        tally.counts["events"] += len(known.events)
        tally.counts += sent.counts
        tally.found([*findings, *sent.findings])
        checked.missing += sent.missing
        rows.explained[record] |= sent.known
        if len(rows.explained[record]) < len(mine):
            rows.events[record] = _ids_of(known, self._ids) | rows.events.get(record, {})
        if (messages := rows.heard.pop(record, None)) is not None:
            arrived.look(known, messages)

    def _left(self, rows: _Rows) -> Iterable[Finding]:
        for record, found in rows.seen.items():
            explained = rows.explained[record]
            if len(explained) == len(found) or record[:4] in self._partly:
                continue
            unknown = [row for row in found if (row.topic, row.partition, row.offset) not in explained]
            yield from left(unpacked(record), unknown, rows.events.get(record, {}), self._names)

    def _aside(self, shard: int, tally: Tally) -> list[Finding]:
        told = [orjson.loads(line) for line in self._shards.read("aside", shard).splitlines()]
        asides = [(entry, number, partition, offset, entry) for entry, number, partition, offset in told]
        return self._arriving.aside(asides, tally.counts)


def _ids_of(known: Known, ids: Ids) -> dict[bytes, int]:
    return {bytes.fromhex(ids.event(known.record, event.seq)[4:]): event.seq for event in known.events}
