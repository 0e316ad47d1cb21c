"""Whether what arrived was taken: each message left its trace, or stands in quarantine, or is still on its way."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson
from pydantic import ValidationError

from services.intake.domain import CaseNews, news
from shared.events import ANSWER_STATUS, QUARANTINE_REPLAYED, Event
from shared.failures import DAMAGED, NeverWill
from shared.ids import Ids
from shared.payloads import CaseEvent
from shared.quarantine.deciding import NOTHING, Status
from shared.quarantine.replaying import TAKEN
from shared.records import Record
from verify.documents import Document, Documents, text_at
from verify.findings import Finding, Kind
from verify.history import Known
from verify.inputs import Input, Trace
from verify.rows import Heard, unpacked
from verify.scanning import cause_digest
from verify.world import Bounds

_MARKS = 2
"""So few records that nobody has read may be none: Kafka's own marks after a transaction, which no reader gets."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A case event, and which letter's measure it is about."""

    measure: int
    agency: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry in quarantine, as far as it says what became of it."""

    heard_in: frozenset[str] = frozenset()
    """The records in which its replay was heard."""
    is_over: bool = False
    """It was replayed as it came, and heard: also where all of it had been heard before."""


class Standing(Enum):
    """What is still to come of something."""

    WAITS = auto()
    DISCARDED = auto()
    """Nothing, as a person decided."""
    HEARD = auto()


@dataclass
class Arrived:
    """What was found of a shard's messages."""

    counts: Counter[str] = field(default_factory=Counter)
    untraced: list[Heard] = field(default_factory=list)
    """What no history knows."""
    news: dict[bytes, tuple[Known, list[Heard]]] = field(default_factory=dict)
    """Case events without a trace, by letter."""

    def look(self, known: Known, rows: Sequence[Heard]) -> None:
        """Note what of a record's messages left no trace."""
        causes = {cause_digest(event.cause) for event in known.events}
        for row in rows:
            if row.cause in causes:
                self.counts["taken"] += 1
            elif row.trace == Trace.NOTHING:
                self.counts["nothing to do"] += 1
            elif row.trace == Trace.FIRST and "acknowledged_at" in known.state:
                self.counts["heard before"] += 1
            elif row.trace == Trace.NEWS:
                self.news.setdefault(row.record, (known, []))[1].append(row)
            else:
                self.untraced.append(row)


class Arriving:
    """Decides on what left no trace."""

    def __init__(self, inputs: Sequence[Input], bounds: Bounds, documents: Documents, ids: Ids) -> None:
        self._inputs, self._bounds, self._documents, self._ids = inputs, bounds, documents, ids

    def judge(self, arrived: Arrived) -> list[Finding]:
        """What was passed over."""
        untraced = arrived.untraced + self._no_news(arrived)
        asides = [
            (
                self.entry_of(row.input, row.partition, row.offset, row.digest.hex()),
                row.input,
                row.partition,
                row.offset,
                unpacked(row.record),
            )
            for row in untraced
        ]
        return self.aside(asides, arrived.counts)

    def aside(
        self, asides: Sequence[tuple[str, int, int, int, str]], counts: Counter[str], *, by_any: bool = False
    ) -> list[Finding]:
        """Which of these is neither in quarantine nor on its way: entry, input, partition, offset, record.

        An entry excuses nothing of a record in which its replay was heard; `by_any`: nothing once it was replayed.
        """
        waiting: defaultdict[str, list[tuple[str, int, int, int, str]]] = defaultdict(list)
        for one in asides:
            if self.is_in_flight(one[1], one[2], one[3]):
                counts["in flight"] += 1
            else:
                waiting[self._inputs[one[1]].service].append(one)
        found = []
        for service, group in waiting.items():
            there = self._set_aside(service, sorted({entry for entry, *_ in group}))
            for entry, number, partition, offset, record in group:
                if entry in there and not (there[entry].is_over if by_any else record in there[entry].heard_in):
                    counts["quarantined"] += 1
                    continue
                counts["passed over"] += 1
                detail = f"{service} passed over {partition}/{offset}"
                if entry in there:
                    detail = f"{service} replayed {partition}/{offset}, and says that it was heard here"
                found.append(Finding(Kind.NOT_TAKEN, record, detail, self._inputs[number].topic, settles=True))
        return found

    def _set_aside(self, service: str, entries: Sequence[str]) -> dict[str, _Entry]:
        """Of these entries those that are there."""
        name = f"{service}_quarantine"
        heads = self._documents.heads(name, entries, ("state.outcome",))
        outcomes = {one["_id"]: text_at(one, "state", "outcome") for one in heads}
        there = dict.fromkeys(outcomes, _Entry())
        replayed = [entry for entry, outcome in outcomes.items() if outcome in (TAKEN, NOTHING)]
        for one in self._documents.heads(name, replayed, ("history.type", "history.data")):
            with contextlib.suppress(*DAMAGED):  # its own look says what it is
                there[one["_id"]] = _replayed(one["history"])
        return there

    def is_in_flight(self, number: int, partition: int, offset: int) -> bool:
        """Whether its reader had not committed it when the reading began."""
        one = self._inputs[number]
        return offset >= self._bounds.committed.get((one.group, one.topic, partition), 0)

    def standing(self, rows: Iterable[Heard]) -> Standing:
        """Whether any of these is still to be read, or set aside and not heard since."""
        entries: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows:
            if self.is_in_flight(row.input, row.partition, row.offset):
                return Standing.WAITS
            entries[f"{self._inputs[row.input].service}_quarantine"].append(
                self.entry_of(row.input, row.partition, row.offset, row.digest.hex())
            )
        found = (one for name, ids in entries.items() for one in self._documents.heads(name, ids, ("state.status",)))
        left = {text_at(one, "state", "status") for one in found} - {Status.REPLAYED}
        if left == {Status.DISCARDED}:
            return Standing.DISCARDED
        return Standing.WAITS if left else Standing.HEARD

    def entry_of(self, number: int, partition: int, offset: int, sha256: str) -> str:
        """The entry in quarantine of what one input set aside."""
        of = self._inputs[number]
        return self._ids.quarantined_as(of.service, of.topic, partition, offset, sha256)

    def _no_news(self, arrived: Arrived) -> list[Heard]:
        """Of case events without a trace those that told something new."""
        cases = sorted({unpacked(row.source) for _, rows in arrived.news.values() for row in rows})
        said: dict[bytes, dict[int, _Said]] = {}
        for case in self._documents.some("cases", cases):
            with contextlib.suppress(*DAMAGED):  # its own look says what it is
                said[bytes.fromhex(case["_id"][4:])] = _told_by(case)
        untraced = []
        for known, rows in arrived.news.values():
            for row in rows:
                told = said.get(row.source[4:], {}).get(row.sequence)
                if told is None or _is_news(known, told, row.sequence):
                    untraced.append(row)
                else:
                    arrived.counts["nothing new"] += 1
        return untraced


def gone_unread(
    inputs: Iterable[Input], only: Sequence[str], bounds: Bounds, counts: Counter[str]
) -> Iterator[Finding]:
    """Where a topic no longer holds what its reader has not read: retention was quicker."""
    for one in (one for one in inputs if one.collection in only):
        for partition in range(bounds.partitions.get(one.topic, 0)):
            begin = bounds.begins.get((one.topic, partition), 0)
            committed = bounds.committed.get((one.group, one.topic, partition), -1)
            if committed < 0 < begin or 0 <= committed < begin <= committed + _MARKS:
                counts["cannot_tell"] += 1  # it may have had no reader then; they may be the marks of transactions
            elif 0 <= committed < begin:
                detail = f"{one.service} has read to {partition}/{committed}, and the topic begins at {begin}"
                yield Finding(Kind.UNREAD, "", detail, one.topic)


def _replayed(history: Sequence[Mapping[str, Any]]) -> _Entry:
    """What became of a replay; an edited copy is another message, of which no row tells."""
    said = [(form["type"], orjson.loads(form["data"])) for form in history]
    if any("edited" in data for _, data in said):
        return _Entry()
    records = [name for kind, data in said if kind == QUARANTINE_REPLAYED for name in data["records"]]
    return _Entry(frozenset(records), is_over=True)


def _told_by(case: Document) -> dict[int, _Said]:
    """What a case told intake, by its numbers on the topic."""
    measure, agency = int(case["context"]["measure"]), case["context"]["agency"]
    return {
        number: _Said(measure, agency, form["data"])
        for form in case["history"]
        for topic, number in form["to"].items()
        if topic.startswith("cases.events.")
    }


def _is_news(known: Known, said: _Said, sequence: int) -> bool:
    """Whether a case event would have told its letter something, as the letter then stood."""
    before: Mapping[str, Any] = {"measure": said.measure}
    try:
        for event in known.events:
            if _tells(event, said.measure) and event.data.get("case_event", 0) < sequence:
                before = {name: value for name, value in event.data.items() if name != "letter"}
        letter = Record(known.record, known.record, {}, version=1, state={"cases": [before]})
        told = CaseNews(said.agency, said.measure, CaseEvent.model_validate_json(said.data), sequence)
        return bool(news.decide(letter, told).events)
    except (ValidationError, NeverWill, *DAMAGED):
        return True  # what another wrote there may be anything


def _tells(event: Event, measure: int) -> bool:
    return event.type == ANSWER_STATUS and event.data["measure"] == measure
