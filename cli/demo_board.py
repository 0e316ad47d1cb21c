"""What was filed, what was seen where, and whether every case stands where it must; no I/O."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.demo_letters import Expected, Sample
from shared import clocks, topics
from shared.events import CASE_ASSIGNED
from shared.times import read


@dataclass(frozen=True, slots=True)
class Arrival:
    """A case as its authority's topic carried it: when we read it, and when Kafka says it was written."""

    topic: str
    at: float
    written: float


@dataclass(frozen=True, slots=True)
class _Filing:
    at: float
    written: float


@dataclass(frozen=True, slots=True)
class Row:
    """One case on the board; `expected` is empty for a letter that is no sample."""

    sample: str
    reference: str
    party: str
    direction: str
    measure: int
    expected: Expected | None
    case: str | None
    facts: Mapping[str, Any]
    """The case as it was given to its first authority."""
    present: Mapping[str, Any]
    """The case as it stands now."""
    statuses: tuple[str, ...]
    """Those that it has had, the latest last."""
    rejections: Mapping[str, str]
    """What the life cycle forbade, and by which rule."""
    arrivals: tuple[Arrival, ...]
    told: Mapping[str, tuple[str, ...]]
    milliseconds: int | None
    known: bool
    """Whether it was there before it was filed: data of an earlier run."""
    lacks: tuple[str, ...]
    """What has not come yet."""
    wrong: tuple[str, ...]
    """What is not as expected."""

    @property
    def label(self) -> str:
        """How a sentence names it."""
        return f"{self.sample or self.reference} {self.expected.type if self.expected else self.facts.get('type', '')}"

    @property
    def clock(self) -> Mapping[str, Any] | None:
        """The clock that rings next."""
        return min(running(self.present), key=lambda clock: str(clock["steps"][0][0]), default=None)


def running(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The clocks of a case that are neither stopped nor missed."""
    return [clock for clock in facts.get("clocks") or () if clocks.is_running(clock)]


@dataclass
class Board:
    """Everything that was filed and seen; the rows are worked out from it whenever somebody looks."""

    samples: Sequence[Sample]
    called: Mapping[str, Collection[str]]
    """Whom `alert: true` speaks of, and on which channels each hears."""
    fresh: bool
    """Whether the system began empty, so that nothing but the samples can be there."""
    troubles: list[str] = field(default_factory=list)
    _filed: dict[str, _Filing] = field(default_factory=dict)
    _letters: dict[str, tuple[str, str]] = field(default_factory=dict)
    _cases: dict[tuple[str, int], str] = field(default_factory=dict)
    _facts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _present: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    _statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _rejections: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    _sequences: dict[str, int] = field(default_factory=dict)
    _arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    _told: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))

    def filed(self, sample: str, at: float, written: float) -> None:
        """A letter is on its way, since `at` on the monotonic clock and `written` on the wall's."""
        self._filed[sample] = _Filing(at, written)

    def received(self, letter: str, agency: str, reference: str) -> None:
        """A receipt: which letter id a reference got."""
        self._letters[letter] = (agency, reference)

    def happened(
        self, kind: str, case: str, letter: str, measure: int, data: Mapping[str, Any], sequence: int = 1
    ) -> None:
        """Something happened to a case; the first thing is that a measure of a letter became one."""
        if sequence <= self._sequences.get(case, 0):
            return
        self._sequences[case] = sequence
        if kind == CASE_ASSIGNED:
            self._cases[letter, measure] = case
            self._facts.setdefault(case, data)
        self._present[case] |= data
        if (status := data.get("status")) is not None and self._statuses[case][-1:] != [status]:
            self._statuses[case].append(status)

    def arrived(self, case: str, arrival: Arrival) -> None:
        """A case stands on an authority's topic."""
        self._arrivals[case].append(arrival)

    def rejected(self, case: str, update: str, says: str) -> None:
        """The life cycle forbade somebody an update."""
        self._rejections[case].setdefault(update, says)

    def told(self, case: str, subscriber: str, channel: str) -> None:
        """Somebody was told of a case."""
        self._told[case][subscriber].add(channel)

    def rows(self) -> list[Row]:
        """The samples in their order, measure by measure; then other letters' cases."""
        ids = {filer: letter for letter, filer in self._letters.items()}
        rows = [
            self._row(sample, ids.get((sample.agency, sample.reference)), number, expected)
            for sample in self.samples
            for number, expected in enumerate(sample.measures, 1)
        ]
        return rows + self.others()

    def others(self) -> list[Row]:
        """The cases of letters that are no samples."""
        ours = {(sample.agency, sample.reference) for sample in self.samples}
        return [
            self._row(None, letter, measure, None)
            for letter, measure in self._cases
            if letter in self._letters and self._letters[letter] not in ours
        ]

    def lacks(self) -> list[str]:
        """What has not come yet, one sentence each."""
        return [f"{row.label}: {what} did not come" for row in self.rows() for what in row.lacks]

    def wrong(self) -> list[str]:
        """What is not as it must be, one sentence each."""
        told = [f"{row.label}: {what}" for row in self.rows() for what in row.wrong]
        return told + list(self._strays()) + self.troubles

    def has_opened_all(self) -> bool:
        """Whether every measure of every letter filed so far is a case."""
        opened = Counter(letter for letter, _ in self._cases)
        wanted = {(s.agency, s.reference): len(s.measures) for s in self.samples if s.name in self._filed}
        ids = {filer: letter for letter, filer in self._letters.items()}
        return all(opened[ids.get(filer, "")] >= count for filer, count in wanted.items())

    def is_to_ring(self, now: datetime) -> bool:
        """Whether a clock is due that has not rung yet."""
        return any(read(clock["steps"][0][0]) <= now for facts in self._present.values() for clock in running(facts))

    def next_end(self) -> datetime | None:
        """When the next clock of a case ends."""
        ends = [read(clock["due"]) for facts in self._present.values() for clock in running(facts)]
        return min(ends, default=None)

    def ending_by(self, moment: datetime) -> set[str]:
        """The cases with a clock that ends until then, and their letters."""
        cases = {
            case for case, facts in self._present.items() if any(read(one["due"]) <= moment for one in running(facts))
        }
        return cases | {letter for (letter, _), case in self._cases.items() if case in cases}

    def _strays(self) -> Iterator[str]:
        """Cases on an authority's topic that belong to no sample."""
        ours = {row.case for row in self.rows() if row.expected}
        for case, arrivals in self._arrivals.items() if self.fresh else ():
            for arrival in arrivals if case not in ours else ():
                yield f"{arrival.topic} carries {case}, which belongs to no sample"

    def _row(self, sample: Sample | None, letter: str | None, measure: int, expected: Expected | None) -> Row:
        case = self._cases.get((letter, measure)) if letter else None
        facts = self._facts.get(case, {}) if case else {}
        arrivals = tuple(self._arrivals.get(case, ())) if case else ()
        statuses = tuple(self._statuses.get(case or "", ()))
        told = {who: tuple(sorted(ways)) for who, ways in self._told.get(case or "", {}).items()}
        filing = self._filed.get(sample.name) if sample else None
        known = bool(filing and arrivals and arrivals[0].written < filing.written)
        took = round(1000 * (arrivals[0].at - filing.at)) if filing and arrivals and not known else None
        return Row(
            sample=sample.name if sample else "",
            reference=sample.reference if sample else self._letters[letter or ""][1],
            party=sample.party if sample else str(facts.get("party", "")),
            direction=sample.direction if sample else str(facts.get("direction", "")),
            measure=measure,
            expected=expected,
            case=case,
            facts=facts,
            present=self._present.get(case or "", {}),
            statuses=statuses,
            rejections=self._rejections.get(case or "", {}),
            arrivals=arrivals,
            told=told,
            milliseconds=took,
            known=known,
            lacks=tuple(self._lacking(expected, letter, case, statuses, arrivals, told, known)) if expected else (),
            wrong=tuple(_differing(expected, facts, arrivals, told, self.called)) if expected and case else (),
        )

    def _lacking(
        self,
        expected: Expected,
        letter: str | None,
        case: str | None,
        statuses: Sequence[str],
        arrivals: Sequence[Arrival],
        told: Mapping[str, Sequence[str]],
        known: bool,
    ) -> Iterator[str]:
        if not letter:
            yield "the receipt"
        elif not case:
            yield "the case"
        first, *later = _topics_of(expected)
        for topic in ([] if arrivals else [first]) + later:
            if topic not in {arrival.topic for arrival in arrivals}:
                yield f"the case on {topic}"
        if case and tuple(statuses[-len(expected.end) :]) != expected.end and expected.end:
            yield f"its end ({', '.join(expected.end)}; it is {statuses[-1]})"
        if not told:
            yield "a notice to anybody"
        for who in sorted(self.called.keys() & told.keys() if expected.alert else ()):
            # A webhook of an earlier run is not sent again.
            wanted = {*self.called[who]} - ({"webhook"} if known else set())
            for channel in sorted(wanted - {*told[who]}):
                yield f"the alert by {channel}"


def _differing(
    expected: Expected,
    facts: Mapping[str, Any],
    arrivals: Sequence[Arrival],
    told: Mapping[str, Sequence[str]],
    called: Collection[str],
) -> Iterator[str]:
    if facts["type"] != expected.type:
        yield f"its type is {facts['type']}"
    lacking = tuple(one["field"] for one in facts.get("missing") or ())
    if lacking != expected.missing:
        yield f"it lacks {', '.join(lacking) or 'nothing'}, expected {', '.join(expected.missing) or 'nothing'}"
    wanted = _topics_of(expected)
    for topic in dict.fromkeys(arrival.topic for arrival in arrivals):
        if topic not in wanted:
            yield f"stands on {topic}, expected on {' and '.join(wanted)}"
    for who in sorted(called):
        if told and expected.alert and who not in told:
            yield f"{who} did not hear of it"
        if not expected.alert and who in told:
            yield f"{who} heard of it, and nothing calls for it"


def _topics_of(expected: Expected) -> list[str]:
    """Where a case must come: to whom the law gives it, then to whom the desk does."""
    holders = [expected.authority, expected.goes_to]
    return [topics.cases_of(holder, expected.lane) for holder in holders if holder is not None]
