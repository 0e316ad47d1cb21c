"""What the nemesis demands beside what the checker does: clocks, words of authorities and officers, times, stops."""

from collections.abc import Iterator, Mapping
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
from tests.fault.rings import IN_TIME, Due, Ring, early, once_each, rung
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
    after_due: dict[Ring, timedelta] = field(default_factory=dict)
    """The same, with the time until what could have stopped the clock was read."""
    latest: list[str] = field(default_factory=list)
    """The story of the latest rings."""

    def __call__(self, wanted: Wanted, first: First, histories: Histories) -> Iterator[Fault]:
        """Whatever is wrong."""
        due, found = self._due(wanted, histories), rung(first, histories)
        shut, reading = self.nemesis.windows, self.nemesis.reading
        judged = {ring: one for ring, one in due.items() if not windows.is_within(one.at, self.nemesis.unjudged)}
        self.lateness = windows.lateness(judged, found, shut, reading)
        self.after_due = windows.lateness(judged, found, shut)
        last = sorted(self.lateness, key=self.lateness.__getitem__)[: -_LATEST - 1 : -1]
        self.latest = [windows.told(ring, due[ring], found, shut, reading) for ring in last]
        yield from once_each(due, found)
        yield from early(windows.by_one_clock(due, shut), found)
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
            f"{self.nemesis.measured:.1f} letters/s while harm was done, {len(self.load.filed)} in all",
            f"{len(self.lateness)} clocks, the latest {self._latest:.2f} s late; slowest: {self._slowest}",
            f"with the reading before it: the latest {latest(self.after_due):.2f} s, "
            f"{self._in_time} of {len(self.after_due)} within {IN_TIME.total_seconds():.0f} s",
            *(f"  {told}" for told in self.latest),
            f"{len(self.harms.stops)} graceful stops, the longest took {max(self.harms.stops):.1f} s",
        ]
        return "\n".join(lines)

    def figures(self, verdict: Verdict) -> dict[str, Any]:
        """The same for the results."""
        return {
            "harms": self.nemesis.counts,
            "letters_per_second": round(self.nemesis.measured, 1),
            "invocations": sum(len(history.tries) for history in (self.load.history, self.answering.history)),
            "deliveries": verdict.events + sum(verdict.repeats.values()),
            "clocks": len(self.lateness),
            "latest_seconds": self._latest,
            "latest_seconds_with_reading": latest(self.after_due),
            "in_time_with_reading": self._in_time,
            "usual_seconds_behind": self.nemesis.reading.usual.total_seconds(),
            "well_after_seconds": self._slowest.took.total_seconds(),
            "longest_stop_seconds": max(self.harms.stops),
        }

    @property
    def _latest(self) -> float:
        return latest(self.lateness)

    @property
    def _in_time(self) -> int:
        return sum(by <= IN_TIME for by in self.after_due.values())

    @property
    def _slowest(self) -> windows.Window:
        return max(self.nemesis.windows, key=lambda window: window.took)


def latest(lateness: Mapping[Ring, timedelta]) -> float:
    """Seconds by which the latest came; 0 where there was none."""
    return max(lateness.values(), default=timedelta()).total_seconds()
