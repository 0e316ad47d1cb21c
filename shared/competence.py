"""Who is competent for one measure: a pure function over the law's data, with its reasons."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from shared.failures import NeverWill
from shared.law_text import NOBODY, Authority, LawText, Named, RequestType, Row, holding, weakest
from shared.vocabulary import DESK, Direction, Lane, Urgency

NOT_CHECKED = "not checked"
REMEMBERED = 8192


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
            "assumptions": list(self.assumptions),
        }


@dataclass(frozen=True)
class Gate:
    """Whether a treaty binds the two States: which one, or why none does."""

    says: str
    treaty: str | None = None
    closed: bool = False


Decide = Callable[[str, Direction, date, str | None, tuple[str, ...]], Competence]


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
    ) -> Competence:
        """Who is competent for this measure on this day; without a party the legal basis is not checked."""
        return self._decided(type, direction, on, party, tuple(treaty_basis))

    def warnings(self, today: date) -> Iterator[str]:
        """What is not wrong but should be looked at: sources not checked for long, treaties of unknown force."""
        for name, source in self.text.sources.items():
            if today - source.checked > timedelta(days=self.text.review_after_days):
                yield f"the source '{name}' was last checked on {source.checked}"
        for name, treaty in self.text.treaties.items():
            if any(row.since is None for row in treaty.in_force):
                yield f"it is not recorded when '{name}' enters into force for {self.text.state}"

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
    def _decided(self) -> Decide:
        """The decision remembered per question, for a bounded number of questions: letters choose party and treaty."""
        return lru_cache(maxsize=REMEMBERED)(self._decide)

    def _decide(
        self, type: str, direction: Direction, on: date, party: str | None, cited: tuple[str, ...]
    ) -> Competence:
        if (request_type := self.request_types.get(type)) is None:
            raise NeverWill("the letter asks for a request type that the law file does not have")
        rows = request_type.rows(Direction(direction))
        gate = self._gate(request_type, party, on, cited)
        held = holding(rows, on)
        if not held:
            return self._before_the_law(type, direction, on, min(rows, key=lambda row: row.since), gate)
        row = held[0]
        if row.to == NOBODY:
            because = row.because or "The law names nobody."
            return self._answer(type, direction, on, row, gate, DESK, because, lean=row.lean)
        if gate.closed:
            because = f"No legal basis is known between {self.text.state} and {party} on {on}: {gate.says}."
            return self._answer(type, direction, on, row, gate, DESK, because, lean=row.to)
        because = row.because or f"The law names the {self.authorities[row.to].name}."
        return self._answer(type, direction, on, row, gate, row.to, because)

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

    def _gate(self, request_type: RequestType, party: str | None, on: date, cited: tuple[str, ...]) -> Gate:
        """A treaty that this type may rest on must be in force between the two; what the letter cites decides which."""
        if party is None:
            return Gate(NOT_CHECKED)
        why_not: list[str] = []
        for name in self._considered(request_type, cited):
            obstacle = self._obstacle(name, request_type, party, on)
            if obstacle is None:
                return Gate(f"passed: {name}", name)
            if obstacle not in why_not:
                why_not.append(obstacle)
        return Gate("; ".join(why_not), closed=True)

    def _considered(self, request_type: RequestType, cited: tuple[str, ...]) -> tuple[str | None, ...]:
        """The treaties that the letter cites (None for one unknown to the law file), or else all that may serve."""
        if not cited:
            return self._serving(request_type)
        return tuple(self._treaty_names.get(name.casefold()) for name in cited)

    def _serving(self, request_type: RequestType) -> tuple[str, ...]:
        return request_type.rests_on or self.text.legal_basis.rests_on

    @cached_property
    def _treaty_names(self) -> Mapping[str, str]:
        return {
            called.casefold(): name
            for name, treaty in self.text.treaties.items()
            for called in (name, *treaty.also_called)
        }

    def _obstacle(self, name: str | None, request_type: RequestType, party: str, on: date) -> str | None:
        if name is None:
            return "a cited basis is not among the law file's treaties"
        if name not in self._serving(request_type):
            return f"{name} is not a basis on which the named authority acts for this type"
        if not self.text.treaties[name].in_force_here(on):
            return f"{name} is not recorded as in force for {self.text.state}"
        if not self.text.treaties[name].in_force_for(party, on):
            return f"{party} is not recorded as a party to {name}"
        return None


def rule_id(type: str, direction: Direction, row: Row) -> str:
    """A row's stable name: its type, its direction and the day from which it holds."""
    return f"{type}/{Direction(direction)}/{row.since}"
