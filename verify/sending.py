"""Whether what a record sent stands on its topics: each event once at least, itself, in order, where it belongs."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.events import Event
from shared.ids import Ids
from shared.partitions import partition_of
from shared.records import value_on
from shared.times import read
from verify.findings import Finding, Kind
from verify.history import Known, is_readable
from verify.rows import DIGEST, Seen
from verify.world import Bounds

SKEW = 2_000
"""Milliseconds by which the clocks of Kafka's writers and of MongoDB may differ."""
EDGE = 60_000
"""Milliseconds by which a record may stand before one of an earlier time: its writer may have tried for so long."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An event that a document says was sent and that was not seen: it may have come since the topics were read."""

    record: str
    topic: str
    partition: int
    sequence: int
    event: int
    """Its number in the history."""

    @property
    def finding(self) -> Finding:
        """What is said of it if it does not come."""
        return Finding(Kind.LOST, self.record, f"event {self.event}, number {self.sequence} there", self.topic)


@dataclass
class Sent:
    """What was found of one record."""

    findings: list[Finding] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    known: set[tuple[int, int, int]] = field(default_factory=set)
    """Topic, partition and offset of the rows that this history explains."""


class Sending:
    """Holds documents against rows."""

    def __init__(self, topics: Mapping[str, int], bounds: Bounds, ids: Ids) -> None:
        """`topics`: those that were read, each with its number in the rows."""
        self._topics, self._bounds, self._ids = topics, bounds, ids

    def check(self, known: Known, rows: Sequence[Seen], *, simulated: bool = False) -> Sent:
        """What is wrong with what a record sent. `simulated`: its times cannot be compared with Kafka's."""
        sent = Sent()
        there: defaultdict[tuple[int, int], list[Seen]] = defaultdict(list)
        for row in rows:
            there[row.topic, row.sequence].append(row)
        subject = str(known.document.get("subject", known.record)).encode()
        last: dict[str, int] = {}
        first_seen: dict[int, int] = {}
        for topic_number, sequence in sorted(there):
            first_seen.setdefault(topic_number, sequence)
        for event in known.events:
            if not event.to:
                continue
            event_id = bytes.fromhex(self._ids.event(known.record, event.seq)[4:])
            for topic, number in event.to.items():
                place = self._topics.get(topic)
                if place is None:
                    sent.counts["cannot_tell"] += 1
                    continue
                if topic not in self._bounds.partitions:
                    if event.seq <= known.document["published"]:
                        sent.findings.append(Finding(Kind.LOST, known.record, "its topic is not there", topic))
                    continue
                partition = partition_of(subject, self._bounds.partitions[topic])
                found = there.get((place, number), ())
                mine = [row for row in found if row.event == event_id]
                if mine:
                    sent.counts["events told"] += 1
                    sent.counts["repeats"] += len(mine) - 1
                    self._hold(known, event, topic, partition, mine, sent)
                    if (first := min(row.offset for row in mine)) < last.get(topic, -1):
                        sent.findings.append(Finding(Kind.ORDER, known.record, f"number {number}", topic))
                    last[topic] = max(first, last.get(topic, -1))
                elif found:
                    sent.findings.append(Finding(Kind.CONFLICT, known.record, f"number {number}", topic))
                    sent.known |= {(row.topic, row.partition, row.offset) for row in found}
                elif event.seq <= known.document["published"]:
                    first_at = self._bounds.first_at.get((topic, partition))
                    if first_at is not None and _is_before(event, number, first_at, first_seen.get(place), simulated):
                        sent.counts["beyond_retention"] += 1
                    else:
                        sent.missing.append(Missing(known.record, topic, partition, number, event.seq))
        return sent

    def _hold(self, known: Known, event: Event, topic: str, partition: int, mine: Sequence[Seen], sent: Sent) -> None:
        """The rows of one event on one topic against what they must be."""
        expected = None
        if is_readable(known, event, topic):
            expected = hashlib.sha256(value_on(topic, event)).digest()[:DIGEST]
        else:
            sent.counts["erased" if known.erased else "cannot_tell"] += 1
        for row in mine:
            sent.known.add((row.topic, row.partition, row.offset))
            if row.chain != event.chain or expected not in (None, row.digest):
                what = "its chain" if row.chain != event.chain else "its bytes"
                detail = f"event {event.seq}: {what}, at {row.partition}/{row.offset}"
                sent.findings.append(Finding(Kind.CHANGED, known.record, detail, topic))
            if row.partition != partition:
                detail = f"event {event.seq} stands on {row.partition}, not {partition}"
                sent.findings.append(Finding(Kind.PARTITION, known.record, detail, topic))


def left(record: str, rows: Sequence[Seen], events: Mapping[bytes, int], names: Sequence[str]) -> list[Finding]:
    """What is said of rows that no history explains; `events`: those of the record, by their ids."""
    found = []
    for row in rows:
        at, topic = f"{row.partition}/{row.offset}", names[row.topic]
        if (number := events.get(row.event)) is not None:
            found.append(Finding(Kind.MISROUTED, record, f"event {number}, at {at}", topic))
        else:
            found.append(Finding(Kind.UNKNOWN, record, f"number {row.sequence}, at {at}", topic))
    return found


def _is_before(event: Event, number: int, first_at: int, first_seen: int | None, simulated: bool) -> bool:
    """Whether it may have lain before what was read of its partition: it was neither said nor does it stand later."""
    if first_seen is not None and number > first_seen:
        return False
    return simulated or read(event.at).timestamp() * 1000 <= first_at + EDGE
