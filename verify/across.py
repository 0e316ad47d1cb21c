"""Whether records agree with each other: letters with cases, events with the notices they owe, clocks with time."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from services.notifier.audit.audit_steps import DUE, FOLLOWED
from shared.events import QUARANTINE_REPLAYING
from shared.failures import DAMAGED
from shared.ids import Ids
from shared.quarantine.deciding import Status
from shared.times import read, text_of
from verify.arriving import Arriving, Standing
from verify.documents import Documents, text_at
from verify.findings import Finding, Kind
from verify.history import GRACE, Known
from verify.owed import Owed, promised, standing
from verify.rows import Heard, packed
from verify.sending import SKEW
from verify.unread import TOO_LONG

ACCEPTED = "received"
"""The status of a letter that was accepted."""
AT_ONCE = 500


@dataclass
class Met:
    """What of a shard is held against records elsewhere."""

    letters: dict[str, Mapping[int, str | None]] = field(default_factory=dict)
    """What accepted letters know of each of their measures: the status of its case."""
    began: dict[str, str] = field(default_factory=dict)
    """When they were accepted."""
    cases: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The letter and the agency of each case."""
    promised: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The notices that must be there by what another record says: which, and what it says."""


@dataclass(frozen=True, slots=True)
class _Apart:
    """A letter and a case that do not agree, and whose word would bring them together."""

    finding: Finding
    source: str


@dataclass(frozen=True, slots=True)
class Delays:
    """When the earliest came of what is not read, by milliseconds: what is later may wait for it, nothing else."""

    updates: int | None
    """Of what authorities said: later clocks wait to hear who stopped them."""
    letters: int | None
    """On their way to the router: later letters' cases are still to be opened."""
    news: int | None
    """Of cases, on their way to intake: letters do not know yet what is later."""
    simulated: bool
    """The times of letters and cases cannot be compared with Kafka's."""


class Across:
    """Looks records up elsewhere."""

    def __init__(
        self,
        documents: Documents,
        arriving: Arriving,
        ids: Ids,
        ends: frozenset[str],
        delays: Delays,
        rules_hold: bool,
    ) -> None:
        """`ends`: the statuses that end a case; `rules_hold`: no others came since the topics were read."""
        self._documents, self._arriving, self._ids = documents, arriving, ids
        self._ends, self._delays, self._rules_hold = ends, delays, rules_hold

    def note(self, name: str, known: Known, met: Met) -> None:
        """Note what of a record is to be looked up."""
        if name == "letters" and known.state.get("status") == ACCEPTED:
            known_of = {told["measure"]: told.get("status") for told in known.state["cases"]}
            met.letters[known.record] = {
                int(head["measure"]): known_of.get(head["measure"]) for head in known.state["measures"]
            }
            met.began.update((known.record, event.at) for event in known.events[:1])
        elif name == "cases":
            context = known.document["context"]
            met.cases[known.record] = str(context["letterid"]), context["agency"]
        elif name == "notices":
            with contextlib.suppress(*DAMAGED):  # its own look says what it is
                met.promised.update((notice, (known.record, says)) for notice, says in promised(known, self._ids))

    def context(self, name: str, known: Known) -> Iterator[Finding]:
        """Whether a record says whose it is as its history and its id do: no chain holds that."""
        context = known.document.get("context") or {}
        if name == "letters" and known.state.get("status") == ACCEPTED:
            if context.get("agency") != known.events[0].by:
                yield Finding(Kind.CONTEXT, known.record, "its agency is not the one that filed it")
        elif name == "cases":
            measure = str(context["measure"])
            if not measure.isdecimal() or self._ids.case(context["letterid"], int(measure)) != known.record:
                yield Finding(Kind.CONTEXT, known.record, "it is not the case of its letter's measure")

    def due(
        self, name: str, known: Known, now: datetime, counts: Counter[str], *, simulated: bool
    ) -> Iterator[Finding]:
        """What of a record is past its time. `simulated`: that cannot be compared with Kafka's."""
        state, due = known.state, known.document.get("next_due")
        if name == "cases" and due is not None and due < text_of(now - GRACE):
            unread = self._delays.updates
            if unread is not None and (simulated or read(due).timestamp() * 1000 + SKEW > unread):
                counts["clocks that wait for updates"] += 1
            else:
                yield Finding(Kind.NEVER_FIRED, known.record, f"due {due}", settles=True)
        if state.get("status") == Status.REPLAYING and not simulated:
            asked = [event.at for event in known.events if event.type == QUARANTINE_REPLAYING]
            if asked and asked[-1] < text_of(now - TOO_LONG):
                yield Finding(Kind.OVERDUE, known.record, f"it is to be replayed since {asked[-1]}", settles=True)
        if name != "notices":
            return
        follow = state.get("follow_at")
        if follow is not None and follow < text_of(now - _late(FOLLOWED.late)):
            yield Finding(Kind.OVERDUE, known.record, f"its next step was due {follow}", settles=True)
        waits = "rate" in state and not state.get("never_held")
        if due is not None and not waits and due < text_of(now - _late(DUE.late)):
            yield Finding(Kind.OVERDUE, known.record, f"to be sent {due}", settles=True)

    def judge(self, met: Met, counts: Counter[str], toward: Callable[[], Iterable[Heard]]) -> Iterator[Finding]:
        """Which letters and cases do not agree; `toward`: the rows of what opens cases and tells letters of them."""
        apart: list[_Apart] = []
        letters = list(met.letters)
        for at in range(0, len(letters), AT_ONCE):
            apart += self._of_letters({name: met.letters[name] for name in letters[at : at + AT_ONCE]}, counts)
        yield from self._stand(apart, met, counts, toward)
        wanted = sorted({letter for letter, _ in met.cases.values()})
        heads = self._documents.heads("letters", wanted, ("context.agency",))
        agencies = {head["_id"]: text_at(head, "context", "agency") for head in heads}
        for case, (letter, agency) in met.cases.items():
            if letter not in agencies:
                yield Finding(Kind.NO_LETTER, case, f"of the letter {letter}", settles=True)
            elif agencies[letter] != agency:
                yield Finding(Kind.CONTEXT, case, f"its agency is not that of the letter {letter}")

    def _of_letters(self, letters: Mapping[str, Mapping[int, str | None]], counts: Counter[str]) -> Iterator[_Apart]:
        wanted = {self._ids.case(letter, n): (letter, n) for letter, measures in letters.items() for n in measures}
        heads = self._documents.heads("cases", list(wanted), ("state.status",))
        # Of a record that has no status its own look says what is wrong.
        cases = {head["_id"]: text_at(head, "state", "status") for head in heads}
        for case, (letter, measure) in wanted.items():
            if case not in cases:
                yield _Apart(Finding(Kind.NO_CASE, letter, f"measure {measure}", settles=True), letter)
                continue
            status, knows = cases[case], letters[letter][measure]
            if status in self._ends and knows != status:
                now = f"it is {status}, and the letter knows {knows or 'nothing'}"
                found = Finding(Kind.NEVER_ENDED, letter, f"measure {measure}", settles=True, as_it_stands=now)
                yield _Apart(found, case)
            else:
                counts["measures with their case"] += 1

    def _stand(
        self, apart: Sequence[_Apart], met: Met, counts: Counter[str], toward: Callable[[], Iterable[Heard]]
    ) -> Iterator[Finding]:
        """Of these the ones that wait for nothing of their own, and of which no person decided."""
        sources = {packed(one.source) for one in apart}
        rows: defaultdict[bytes, list[Heard]] = defaultdict(list)
        for row in toward() if apart else ():
            if row.source in sources:
                rows[row.source].append(row)
        discarded = set()
        for one in apart:
            mine = rows.get(packed(one.source), ())
            standing = self._arriving.standing(mine)
            if standing is Standing.DISCARDED:
                discarded.add((one.finding.kind, one.source))
            elif standing is Standing.WAITS or self._is_later(one, met, is_seen=bool(mine)):
                counts["measures that wait"] += 1
            else:
                yield one.finding
        for kind, _ in discarded:
            counts["discarded" if kind == Kind.NO_CASE else "discarded news"] += 1

    def _is_later(self, one: _Apart, met: Met, *, is_seen: bool) -> bool:
        """Whether it was said after the topics were read, to a reader that was behind: no row tells of that."""
        is_news = one.finding.kind == Kind.NEVER_ENDED
        unread = self._delays.news if is_news else self._delays.letters
        if unread is None or (is_seen and not is_news):
            return False
        try:
            at = self._last_at(one.source) if is_news else met.began[one.source]
            return self._delays.simulated or read(at).timestamp() * 1000 + SKEW > unread
        except (KeyError, TypeError, ValueError, IndexError):
            return False  # its record is said to be wrong by itself

    def _last_at(self, case: str) -> str:
        for found in self._documents.heads("cases", [case], ("history.at",)):
            at: str = found["history"][-1]["at"]
            return at
        raise KeyError(case)

    def owed(self, lines: Iterable[bytes], counts: Counter[str]) -> Iterator[Finding]:
        """Which events owe somebody a notice."""
        owed = [Owed(*orjson.loads(line)) for line in lines]
        for at in range(0, len(owed), AT_ONCE):
            part = owed[at : at + AT_ONCE]
            stand = standing(self._documents.notices({one.about for one in part}))
            missing = [one for one in part if not one.is_told(stand)]
            counts["told of"] += len(part) - len(missing)
            yield from self._never_alerted(missing, stand, counts)

    def _never_alerted(
        self, missing: Sequence[Owed], stand: Collection[str], counts: Counter[str]
    ) -> Iterator[Finding]:
        """Of these the ones that the notifier has neither set aside nor still to read."""
        by_entry: defaultdict[str, list[Owed]] = defaultdict(list)
        for one in missing:
            by_entry[self._arriving.entry_of(one.input, one.partition, one.offset, one.digest)].append(one)
        asides = [(entry, one.input, one.partition, one.offset, entry) for entry, of in by_entry.items() for one in of]
        for finding in self._arriving.aside(asides, counts, by_any=self._rules_hold):
            for one in by_entry[finding.record]:
                detail = f"of {one.event} at {one.partition}/{one.offset}"
                lacks = one.lacks(stand)
                yield Finding(Kind.NEVER_ALERTED, one.about, detail, finding.topic, settles=True, as_it_stands=lacks)

    def promises(self, met: Met) -> Iterator[Finding]:
        """Whether each notice is there that a ladder or another notice says was raised."""
        there = self._documents.present("notices", sorted(met.promised))
        for notice, (record, detail) in met.promised.items():
            if notice not in there:
                yield Finding(Kind.NEVER_TOLD, record, detail, settles=True)


def _late(late: timedelta) -> timedelta:
    """At least the grace of everything else."""
    return max(late, GRACE)
