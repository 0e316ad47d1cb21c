"""The worked cases beside a law file: what its writer says the law answers, and what the file answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.completeness import missing
from shared.law import Required, load_law
from shared.law.competence import Competence, Law
from shared.law.sources import State
from shared.law.text import NOBODY, TypeCode
from shared.vocabulary import DESK, Direction, Lane, Urgency
from shared.yaml_file import Day, Id, Place, Strict, Words, YamlFile, did_you_mean, quoted, read_yaml

ALLOWED, FORBIDDEN = "allowed", "forbidden"


class Given(Strict):
    """What a worked case asks. `missing`: the letter contains every word that its type asks for but these."""

    type: TypeCode
    direction: Direction
    received: Day
    party: State | None = None
    treaty_basis: tuple[Words, ...] = ()
    assume: tuple[Id, ...] = ()
    urgency: Urgency = Urgency.NORMAL
    parent: Id | None = None
    missing: tuple[TypeCode, ...] = ()
    grounds: tuple[TypeCode, ...] = ()


class Expect(Strict):
    """What the law must answer: only what the writer names is compared."""

    to: Words
    certainty: Words | None = None
    gate: Words | None = None
    lean: Words | None = None
    treaty: Words | None = None
    lane: Lane | None = None
    ask_for: tuple[Words, ...] | None = None
    clocks: tuple[Id, ...] | None = None
    refusal: Literal["allowed", "forbidden"] | None = None


class Case(Strict):
    """A worked case: a name that says what it is about, a question, its answer."""

    case: Words
    given: Given
    expect: Expect


class CasesText(Strict):
    """A whole file of worked cases, under the name that the reader gives its list."""

    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Ran:
    """A worked case that was run: what was expected and what the law file answers, where the two differ."""

    case: Case
    answer: Competence
    wrong: Mapping[str, tuple[object, object]]

    @property
    def passed(self) -> bool:
        return not self.wrong


def cases_file(law_file: Path) -> Path:
    """Where the worked cases of a law file stand: beside it."""
    return law_file.with_suffix(".cases.yaml")


def run_cases(law_file: Path) -> tuple[Ran, ...]:
    """All worked cases of this law file, run; a case file that is missing, empty or wrong is refused."""
    law = load_law(law_file)
    cases = load_cases(cases_file(law_file), law)

    @cache
    def under(assumed: tuple[str, ...]) -> Law:
        return load_law(law_file, [assumption_file(law_file, name) for name in assumed]) if assumed else law

    return tuple(run(case, under(case.given.assume)) for case in cases)


def load_cases(path: Path, law: Law) -> tuple[Case, ...]:
    """The worked cases in this file; every word of theirs that the law does not know is refused."""
    file = read_yaml(path)
    if not isinstance(file.tree, list):
        raise file.bad((), "worked cases are a list, each with case, given and expect")
    if not file.tree:
        raise file.bad((), "there is no worked case in it")
    lines = {("cases", *place): line for place, line in file.lines.items()} | {(): 1}
    file = replace(file, tree={"cases": file.tree}, lines=lines)
    cases = file.typed(CasesText).cases
    names: set[str] = set()
    for number, case in enumerate(cases):
        if case.case in names:
            raise file.bad(("cases", number, "case"), f"another case is called {quoted(case.case)} too")
        names.add(case.case)
        _check(file, ("cases", number), case, law)
    return cases


def assumption_file(law_file: Path, name: str) -> Path:
    """`assume: [in-force]` is the file `assumptions/in-force.yaml` beside the law."""
    return law_file.parent / "assumptions" / f"{name}.yaml"


def _check(file: YamlFile, place: Place, case: Case, law: Law) -> None:
    """A misspelt word must not pass for an answer that differs, nor for a word that nothing is asked about."""
    given, expect = case.given, case.expect
    known: list[tuple[Place, Sequence[str], Sequence[str], str]] = [
        (("given", "type"), [given.type], [*law.request_types], "request type"),
        (("given", "parent"), [given.parent] if given.parent else [], [*law.authorities, DESK], "authority"),
        (("given", "grounds"), given.grounds, [*law.text.refusal_grounds], "ground of refusal"),
        (("expect", "to"), [expect.to], [*law.authorities, NOBODY], "authority"),
        (("expect", "clocks"), expect.clocks or (), [*law.text.clocks], "clock"),
    ]
    for where, words, right, what in known:
        for word in words:
            if word not in right:
                raise file.bad((*place, *where), f"there is no {what} {quoted(word)}{did_you_mean(word, right)}")
    words_asked_for = [one.word for one in law.required(given.type, given.received)]
    for word in given.missing:
        if word not in words_asked_for:
            said = f"{given.type} is not asked for {quoted(word)} on {given.received}"
            raise file.bad((*place, "given", "missing"), said + did_you_mean(word, words_asked_for))
    for name in given.assume:
        if not assumption_file(file.path, name).is_file():
            raise file.bad((*place, "given", "assume"), f"there is no file of assumptions {quoted(name)}")
    if expect.refusal and not given.grounds:
        raise file.bad((*place, "expect", "refusal"), "a refusal needs its grounds (given: grounds)")


def run(case: Case, law: Law) -> Ran:
    """The case under this law: the functions that decide in earnest are asked."""
    given = case.given
    answer = law.decide(
        given.type,
        given.direction,
        given.received,
        party=given.party,
        treaty_basis=given.treaty_basis,
        parent=given.parent,
    )
    said = dict(_said(case, law, answer))
    expected = {name: value for name, value in case.expect if value is not None}
    wrong = {name: (value, said[name]) for name, value in expected.items() if value != said[name]}
    return Ran(case, answer, wrong)


def _said(case: Case, law: Law, answer: Competence) -> Iterator[tuple[str, Any]]:
    """What the law file answers, by the names that an expectation has."""
    given = case.given
    yield "to", NOBODY if answer.authority == DESK else answer.authority
    yield "certainty", answer.certainty
    yield "gate", answer.gate
    yield "lean", answer.lean
    yield "treaty", answer.treaty
    yield "lane", law.lane(given.type, given.urgency, given.received)
    content = _letter_without(given.missing, law.required(given.type, given.received))
    asked = [article for one in missing(law, given.type, given.received, content) for article in one["basis"]]
    yield "ask_for", _in_order_of(case.expect.ask_for, asked)
    clocks = law.clocks_for(given.type, given.direction, given.urgency, answer.treaty, given.received, answer.authority)
    yield "clocks", _in_order_of(case.expect.clocks, [clock.name for clock in clocks])
    yield "refusal", _refusal(law, given)


def _letter_without(words: Sequence[str], required: Iterable[Required]) -> dict[str, Any]:
    """One measure's share of a letter that says all that is required but these words."""
    content: dict[str, Any] = {"measure": {"contents": {}}}
    for one in required:
        place, into = (one.pointer or f"/measure/contents/{one.word}").split("/")[1:], content
        for name in place[:-1]:
            into = into.setdefault(name, {})
        if one.word not in words:
            into[place[-1]] = "given"
    return content


def _refusal(law: Law, given: Given) -> str:
    """Whether these grounds are enough: all are allowed for the type, and one of them stands alone."""
    allowed = law.grounds(given.type)
    known = all(code in allowed for code in given.grounds)
    return ALLOWED if known and any(allowed[code].alone for code in given.grounds) else FORBIDDEN


def _in_order_of(expected: Sequence[str] | None, found: Sequence[str]) -> tuple[str, ...]:
    """Without repeats, and in the writer's order where it is the same set: the order says nothing."""
    once = tuple(dict.fromkeys(found))
    return tuple(expected) if expected is not None and set(expected) == set(once) else once
