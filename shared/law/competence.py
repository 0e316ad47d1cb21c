"""Who is competent for one measure: a pure function over the law's data, with its reasons."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from shared.clocks import Calendar
from shared.failures import NeverWill
from shared.law import answers as law_answers
from shared.law.answers import WEEKDAYS, ClockRule, Required
from shared.law.gate import NOT_CHECKED, Gate, gate_for
from shared.law.sources import weakest
from shared.law.text import NOBODY, PARENT, Authority, Ground, LawText, Named, RequestType, Row, holding
from shared.vocabulary import DESK, Direction, Lane, Urgency

REMEMBERED = 8192
HOLIDAYS_AHEAD = timedelta(days=90)
"""So long before the last recorded holiday somebody should hear of it: the clocks of working days depend on them."""


@dataclass(frozen=True)
class Rejected:
    """A row of the same type that did not give the answer, and why."""

    rule: str
    why: str


@dataclass(frozen=True)
class Competence:
    """The answer to "who is competent?", with rule, basis and reason; `certainty` is the weakest in its chain."""

    authority: str
    rule: str
    law: str
    version: str
    basis: tuple[str, ...]
    because: str
    certainty: str
    rejected: tuple[Rejected, ...]
    lean: str | None
    gate: str
    assumptions: tuple[str, ...]
    treaty: str | None = None
    """The treaty that let it pass the gate."""

    def as_json(self) -> dict[str, object]:
        """What `rogatory explain --json` prints."""
        return {
            "authority": self.authority,
            "rule": self.rule,
            "law": self.law,
            "version": self.version,
            "basis": list(self.basis),
            "certainty": self.certainty,
            "because": self.because,
            "rejected": [{"rule": row.rule, "why": row.why} for row in self.rejected],
            "lean": self.lean,
            "gate": self.gate,
            "treaty": self.treaty,
            "assumptions": list(self.assumptions),
        }


Decide = Callable[[str, Direction, date, str | None, tuple[str, ...], str | None], Competence]
ClocksFor = Callable[[str, Direction, Urgency, str | None, date, str | None], tuple[ClockRule, ...]]


@dataclass(frozen=True, eq=False)
class Law:
    """A checked law file, ready to answer; `authorities` does not contain the desk."""

    name: str
    version: str
    sha256: str
    zone: ZoneInfo
    authorities: Mapping[str, Authority]
    executing_bodies: Mapping[str, Named]
    request_types: Mapping[str, RequestType]
    assumptions: tuple[str, ...]
    text: LawText

    def day_of(self, at: datetime) -> date:
        """The day on which a moment falls in the law's zone."""
        if at.tzinfo is None:
            raise ValueError("a moment without a zone falls on no certain day")
        return self._day(at)

    def lane(self, type: str, urgency: Urgency, on: date) -> Lane:
        """The queue for a type at an urgency; before the first row the first row already holds."""
        return self._lane(type, urgency, on)

    def decide(
        self,
        type: str,
        direction: Direction,
        on: date,
        *,
        party: str | None = None,
        treaty_basis: Sequence[str] = (),
        parent: str | None = None,
    ) -> Competence:
        """Who is competent for this measure on this day; without a party the legal basis is not checked.

        `parent`: who has the case that this one follows, for the types whose law says that they go the same way.
        """
        return self._decided(type, direction, on, party, tuple(treaty_basis), parent)

    def named(self, type: str, direction: Direction, on: date) -> str | None:
        """The authority that the law itself names: none where it names nobody or the case follows another."""
        return law_answers.named(self.text, type, Direction(direction), on)

    def may_hold(self, authority: str, type: str) -> bool:
        """Whether the authority may have a case of this type, whoever would give it; the desk may have any."""
        return law_answers.may_hold(self.text, authority, type)

    def required(self, type: str, on: date) -> tuple[Required, ...]:
        """What a letter of this type must contain; before its first day the law asks for nothing."""
        return self._required(type, on)

    def clocks_for(
        self,
        type: str,
        direction: Direction,
        urgency: Urgency,
        treaty: str | None,
        on: date,
        holder: str | None = None,
    ) -> tuple[ClockRule, ...]:
        """The clocks that may run for such a case; `holder` is who has it: some run only while the desk does."""
        return self._clocks_for(type, direction, urgency, treaty, on, holder)

    def grounds(self, type: str) -> Mapping[str, Ground]:
        """On what grounds a case of this type may be refused: no others, and one that is not `alone` never alone."""
        return self._grounds[type]

    def outcomes(self, type: str) -> tuple[str, ...]:
        """How such cases usually end."""
        return self.request_types[type].outcomes

    @cached_property
    def calendar(self) -> Calendar:
        """The working days of the law's State."""
        days = (
            row.since + timedelta(days=n) for row in self.text.holidays for n in range((row.last - row.since).days + 1)
        )
        return Calendar(self.zone, frozenset(WEEKDAYS.index(day) for day in self.text.weekend), frozenset(days))

    def warnings(self, today: date) -> Iterator[str]:
        """What is not wrong but should be looked at: sources not checked for long, treaties of unknown force."""
        for name, source in self.text.sources.items():
            if today - source.checked > timedelta(days=self.text.review_after_days):
                yield f"the source '{name}' was last checked on {source.checked}"
        for name, treaty in self.text.treaties.items():
            if any(row.since is None for row in treaty.in_force):
                yield f"it is not recorded when '{name}' enters into force for {self.text.state}"
        last = max((row.last for row in self.text.holidays), default=None)
        if last and last - today < HOLIDAYS_AHEAD:
            yield f"the holidays are recorded until {last} only"

    @cached_property
    def _day(self) -> Callable[[datetime], date]:
        """A batch has one time for all its letters."""
        return lru_cache(maxsize=REMEMBERED)(lambda at: at.astimezone(self.zone).date())

    @cached_property
    def _lane(self) -> Callable[[str, Urgency, date], Lane]:
        rows = self.text.lanes
        return lru_cache(maxsize=REMEMBERED)(
            lambda type, urgency, on: (*holding(rows, on), rows[0])[0].lane(type, urgency)
        )

    @cached_property
    def _required(self) -> Callable[[str, date], tuple[Required, ...]]:
        return lru_cache(maxsize=REMEMBERED)(lambda type, on: law_answers.required(self.text, type, on))

    @cached_property
    def _clocks_for(self) -> ClocksFor:
        @lru_cache(maxsize=REMEMBERED)
        def found(
            type: str, direction: Direction, urgency: Urgency, treaty: str | None, on: date, holder: str | None
        ) -> tuple[ClockRule, ...]:
            lane = self.lane(type, urgency, on)
            return tuple(law_answers.clocks_for(self.text, type, direction, urgency, lane, treaty, holder, on))

        return found

    @cached_property
    def _grounds(self) -> Mapping[str, Mapping[str, Ground]]:
        return {code: law_answers.grounds(self.text, one) for code, one in self.request_types.items()}

    @cached_property
    def _decided(self) -> Decide:
        """The decision remembered per question, for a bounded number of questions: letters choose party and treaty."""
        return lru_cache(maxsize=REMEMBERED)(self._decide)

    def _decide(
        self,
        type: str,
        direction: Direction,
        on: date,
        party: str | None,
        cited: tuple[str, ...],
        parent: str | None,
    ) -> Competence:
        if (request_type := self.request_types.get(type)) is None:
            raise NeverWill("the letter asks for a request type that the law file does not have")
        rows = request_type.rows(Direction(direction))
        gate = gate_for(self.text, request_type, party, on, cited)
        held = holding(rows, on)
        if not held:
            return self._before_the_law(type, direction, on, min(rows, key=lambda row: row.since), gate)
        row = held[0]
        if row.to == NOBODY:
            because = row.because or "The law names nobody."
            return self._answer(type, direction, on, row, gate, DESK, because, lean=row.lean)
        to = parent if row.to == PARENT else row.to
        if to is None or to not in self.authorities or not self.may_hold(to, type):
            because = "It follows another case, and no authority has one that it could follow."
            return self._answer(type, direction, on, row, gate, DESK, because, lean=row.lean)
        if gate.closed:
            because = f"No legal basis is known between {self.text.state} and {party} on {on}: {gate.says}."
            return self._answer(type, direction, on, row, gate, DESK, because, lean=to)
        because = row.because or f"The law names the {self.authorities[to].name}."
        return self._answer(type, direction, on, row, gate, to, because)

    def _answer(
        self,
        type: str,
        direction: Direction,
        on: date,
        row: Row,
        gate: Gate,
        authority: str,
        because: str,
        *,
        rule: str | None = None,
        lean: str | None = None,
    ) -> Competence:
        turned_away = gate.closed and row.to != NOBODY and rule is None
        basis = row.basis + (self.text.legal_basis.basis if turned_away else ())
        chain = [self.text.certainty_of(reference) for reference in basis]
        chain += [row.certainty] if row.certainty else []
        if gate.treaty and authority != DESK:
            treaty = self.text.treaties[gate.treaty]
            chain.append(treaty.certainty or self.text.sources[treaty.source].certainty)
        return Competence(
            authority=authority,
            rule=rule or rule_id(type, direction, row),
            law=self.name,
            version=self.version,
            basis=basis,
            because=because,
            certainty=str(weakest(chain)),
            rejected=tuple(self._rejected(type, direction, on, row)),
            lean=lean,
            gate=f"no basis: {gate.says}" if gate.closed else gate.says,
            assumptions=self.assumptions if gate.says != NOT_CHECKED else (),
            treaty=gate.treaty,
        )

    def _before_the_law(self, type: str, direction: Direction, on: date, first: Row, gate: Gate) -> Competence:
        """Before its first row a law names nobody; the basis is the row that says when it began."""
        because = f"The law names nobody before {first.since}."
        rule = f"{type}/{direction}/before-{first.since}"
        return self._answer(type, direction, on, first, gate, DESK, because, rule=rule)

    def _rejected(self, type: str, direction: Direction, on: date, chosen: Row) -> Iterator[Rejected]:
        for other in Direction:
            for row in self.request_types[type].rows(other):
                if other is not Direction(direction):
                    yield Rejected(rule_id(type, other, row), f"it is for {other} letters")
                elif row.since > on:
                    yield Rejected(rule_id(type, other, row), f"it holds from {row.since} only")
                elif row is not chosen:
                    yield Rejected(rule_id(type, other, row), "it held on earlier days only")


def rule_id(type: str, direction: Direction, row: Row) -> str:
    """A row's stable name: its type, its direction and the day from which it holds."""
    return f"{type}/{Direction(direction)}/{row.since}"
