"""What a law file answers about one subject on some days, as plain values that can be compared."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cli.law.days import Range
from cli.law.words import clock_in_words
from shared.law.answers import Required
from shared.law.competence import Law
from shared.law.text import NOBODY, Clock, Span, holding
from shared.vocabulary import Direction, Urgency

Answers = Mapping[str, object]
"""By name; a value is a text, or again a table of names and texts."""


WORDS = {
    "required": ("Newly required", "No longer required", "Required otherwise"),
    "clock": ("A new clock", "No longer runs", "The clock"),
    "ground of refusal": ("A new ground of refusal", "No longer a ground of refusal", "The ground of refusal"),
    "never held by": ("May no longer be held by", "May be held again by", "Never held by"),
    "holidays": ("New holidays", "No longer holidays", "Holiday"),
    "also called": ("Now also called", "No longer called", "Called"),
    "binds": ("Now binds", "No longer binds", "Binds"),
    "lane": ("Lane of", "Lane of", "Lane of"),
}
"""How a member of a table is told that is new, gone, or another."""


@dataclass(frozen=True)
class Subject:
    """What a law file answers about: a request type in one direction."""

    type: str
    direction: Direction


def names_of(law: Law) -> Mapping[str, Collection[str]]:
    """Whom and what a law knows, by their names."""
    return {
        "request type": law.request_types,
        "authority": law.authorities,
        "executing body": law.executing_bodies,
        "treaty": law.text.treaties,
    }


def about_all(law: Law) -> Answers:
    """What holds for every case: how days are counted, and why a letter needs a treaty."""
    return {
        "state": law.text.state,
        "zone": str(law.zone),
        "weekend": ", ".join(law.text.weekend) or "none",
        "holidays": {day.isoformat(): "" for day in sorted(law.calendar.holidays)},
        "legal basis": ", ".join(law.text.legal_basis.basis),
    }


def about_subject(law: Law, subject: Subject, days: Range) -> Answers:
    """Competence, contents, clocks, lanes, treaties that serve and grounds, for these days."""
    on = days.some_day
    request_type = law.request_types[subject.type]
    answer = law.decide(subject.type, subject.direction, on)
    row = next(iter(holding(request_type.rows(subject.direction), on)), None)
    return {
        "competent": row.to if row else NOBODY,
        "basis": ", ".join(answer.basis),
        "certainty": answer.certainty,
        "lean": answer.lean or "none",
        "required": {one.word: _asked(one) for one in law.required(subject.type, on)},
        "clock": {name: _spoken(clock, span) for name, clock, span in _clocks(law, subject, days)},
        "lane": {f"{urgency} letters": str(law.lane(subject.type, urgency, on)) for urgency in Urgency},
        "treaties that serve": ", ".join(request_type.rests_on or law.text.legal_basis.rests_on),
        "ground of refusal": {
            code: "" if ground.alone else "(never alone)" for code, ground in law.grounds(subject.type).items()
        },
        "never held by": {name: "" for name in law.authorities if not law.may_hold(name, subject.type)},
        "follows": ", ".join(request_type.follows) or "no other case",
        "holds its parent": "yes" if request_type.holds_parent else "no",
        "cycle": request_type.cycle or "none",
    }


def about_treaty(law: Law, name: str, days: Range) -> Answers:
    """Whom a treaty binds on these days, by which names it is cited, and how well its days are known."""
    treaty, on = law.text.treaties[name], days.some_day
    states = sorted({state for row in treaty.parties if row.covers(on) for state in row.states})
    bound = states if treaty.in_force_here(on) else []
    return {
        "binds": dict.fromkeys((f"{law.text.state} and {state}" for state in bound), ""),
        "also called": dict.fromkeys(treaty.also_called, ""),
        "certainty": str(treaty.certainty or law.text.sources[treaty.source].certainty),
    }


class Said(NamedTuple):
    """One thing that is answered differently: what kind of thing, and which."""

    label: str
    item: str


def changed(old: Answers, new: Answers) -> tuple[Said, ...]:
    """Each thing that is answered differently."""
    return tuple(_changed(dict(old), dict(new)))


def sentences(said: Iterable[Said]) -> tuple[str, ...]:
    """One sentence (without its full stop) per kind of thing."""
    items: dict[str, list[str]] = {}
    for one in said:
        items.setdefault(one.label, []).append(one.item)
    return tuple(f"{label}: {', '.join(which)}" if label else ", ".join(which) for label, which in items.items())


def _changed(old: dict[str, object], new: dict[str, object]) -> Iterator[Said]:
    if old.get("competent") != new.get("competent"):
        yield Said("", f"{old['competent']} -> {new['competent']} ({new['basis']}, {new['certainty']})")
        for told in ("competent", "basis", "certainty"):
            old.pop(told)
            new.pop(told)
    for name, before in old.items():
        after = new[name]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _changed_table(name, before, after)
        elif before != after:
            yield Said(name.capitalize(), f"{before} -> {after}")


def _changed_table(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Said]:
    added, gone, other = WORDS[name]
    for one in (*before, *(one for one in after if one not in before)):
        if one not in after:
            yield Said(gone, one)
        elif one not in before:
            yield Said(added, f"{one} {after[one]}".strip())
        elif before[one] != after[one]:
            yield Said(f"{other} {one}", f"{_without(before[one], after[one])} -> {_without(after[one], before[one])}")


def _without(said: str, other: str) -> str:
    """The parts of a sentence that the other does not have too."""
    parts = other.split("; ")
    return "; ".join(part for part in said.split("; ") if part not in parts) or "nothing of the kind"


def _clocks(law: Law, subject: Subject, days: Range) -> Iterator[tuple[str, Clock, Span]]:
    text = law.text
    for name in dict.fromkeys((*text.request_types[subject.type].clocks, *text.standard_clocks)):
        clock = text.clocks[name]
        if not clock.runs_for.direction or subject.direction in clock.runs_for.direction:
            for span in holding(clock.versions, days.some_day):
                yield name, clock, span


def _asked(one: Required) -> str:
    basis = f"({', '.join(one.basis)})"
    return basis if one.need == "always" else f"{one.need} {basis}"


def _spoken(clock: Clock, span: Span) -> str:
    return f"({clock.kind}); {clock_in_words(clock, span)}; by {', '.join(span.basis)}"
