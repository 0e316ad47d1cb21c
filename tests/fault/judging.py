"""What the nemesis demands beside what the checker does: clocks, words of authorities and officers, times, stops."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.times import read
from tests.fault import answered, windows
from tests.fault.answering import Answering
from tests.fault.checker import First, Histories, Wanted
from tests.fault.harms import Harms
from tests.fault.load import Load
from tests.fault.nemesis import Nemesis
from tests.fault.rings import Due, Ring, once_each, rung
from tests.fault.system import System
from tests.fault.verdict import Fault, Verdict

REQUESTED = "requested-deadline"
_LATEST = 3
"""Rings whose story is told."""


@dataclass
class Judge:
    """Judges one run; `lateness` and `latest` are known afterwards."""

    system: System
    load: Load
    answering: Answering
    harms: Harms
    nemesis: Nemesis
    is_timed: bool
    lateness: dict[Ring, timedelta] = field(default_factory=dict)
    latest: list[str] = field(default_factory=list)
    """The story of the latest rings."""

    def __call__(self, wanted: Wanted, first: First, histories: Histories) -> Iterator[Fault]:
        """Whatever is wrong."""
        due, found = self._due(wanted, histories), rung(first, histories)
        self.lateness = windows.lateness(due, found, self.nemesis.windows)
        latest = sorted(self.lateness, key=self.lateness.__getitem__)[: -_LATEST - 1 : -1]
        self.latest = [windows.told(ring, due[ring], found, self.nemesis.windows) for ring in latest]
        yield from once_each(due, found)
        yield from answered.updates(self.answering.cases, wanted, first, histories)
        yield from answered.notices(self.answering.notices, histories)
        yield from self.harms.faults
        if self.is_timed:
            yield from windows.late(self.lateness)
            yield from windows.slow(self.nemesis.windows)

    def _due(self, wanted: Wanted, histories: Histories) -> dict[Ring, Due]:
        """The senders' deadlines; one that had passed when its letter came is due then."""
        ids, due = self.system.ids, {}
        deadlines = {ids.letter(one.agency, one.reference): one.deadline for one in self.load.filed if one.deadline}
        for case_id, (letter_id, _, case) in wanted.items():
            if (deadline := deadlines.get(letter_id)) and (letter := histories["letters"].get(letter_id)):
                at = max(deadline, read(letter.record.state["received_at"]))
                due[Ring(case_id, REQUESTED)] = Due(at, case.authority, case.lane)
        return due

    def told(self) -> str:
        """What was counted, for people."""
        kinds = {**self.load.history.by_kind(), **self.answering.history.by_kind()}
        lines = [
            f"{kind}: {', '.join(f'{n} {o}' for o, n in sorted(counts.items()))}" for kind, counts in kinds.items()
        ]
        lines += [
            f"{self.rate:.1f} letters/s for {self.load.seconds:.0f} s",
            f"{len(self.lateness)} clocks, the latest {self._latest:.2f} s late; slowest: {self._slowest}",
            *(f"  {told}" for told in self.latest),
            f"{len(self.harms.stops)} graceful stops, the longest took {max(self.harms.stops):.1f} s",
        ]
        return "\n".join(lines)

    def figures(self, verdict: Verdict) -> dict[str, Any]:
        """The same for the results."""
        return {
            "harms": self.nemesis.counts,
            "letters_per_second": round(self.rate, 1),
            "invocations": sum(len(history.tries) for history in (self.load.history, self.answering.history)),
            "deliveries": verdict.events + sum(verdict.repeats.values()),
            "clocks": len(self.lateness),
            "latest_seconds": self._latest,
            "well_after_seconds": self._slowest.took.total_seconds(),
            "longest_stop_seconds": max(self.harms.stops),
        }

    @property
    def rate(self) -> float:
        """Letters a second, as they came."""
        return len(self.load.filed) / self.load.seconds

    @property
    def _latest(self) -> float:
        return max(self.lateness.values(), default=timedelta()).total_seconds()

    @property
    def _slowest(self) -> windows.Window:
        return max(self.nemesis.windows, key=lambda window: window.took)
