"""What becomes of a whole letter, measure by measure, by the functions that read it at the door and decide on it."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import orjson

from cli.telling import KINDS, moment, paragraph, plain, span, words
from deploy.local.jars import ROOT
from services.router.domain import Rules
from services.router.domain.opening import Opening, assignment, split
from shared import problems
from shared.bad_letter import BadLetter
from shared.failures import BadStart
from shared.ids import Ids
from shared.law import Law, Rejected
from shared.letter import content_of, digest_of, parse_letter
from shared.life_cycle import load_life_cycle
from shared.payloads import LetterReceived
from shared.records import Record
from shared.times import read, text_of
from shared.vocabulary import DESK

_NOBODYS = Ids(bytes(32))
"""Ids that stand for nothing: no case is opened."""


class Refused(Exception):
    """The letter would not pass the door: the message names each bad field, `problem` is what its sender would get."""

    def __init__(self, bad: BadLetter) -> None:
        problem = problems.bad_letter(bad)
        self.problem: dict[str, Any] = orjson.loads(problem.body())
        named = [f"  {error.pointer or 'the letter'}: {error.detail}" for error in problem.errors]
        super().__init__("\n".join([f"{problem.title}: {problem.detail}", *named]))


@dataclass(frozen=True)
class Explained:
    """One measure: the state in which its case would open, and the rows of the law that did not give the answer."""

    measure: int
    state: Mapping[str, Any]
    rejected: Sequence[Rejected]


def received_on(day: date, law: Law) -> datetime:
    """The moment at which a letter counts as received where only the day is told: its beginning, in the law's zone."""
    return datetime.combine(day, time(), law.zone)


def read_letter(file: Path, received_at: datetime, law: Law) -> list[Explained]:
    """A letter as its cases would open; raises `Refused` where the door would, `BadStart` for a file that is none."""
    try:
        letter = parse_letter(_bytes(file), frozenset(law.request_types))
    except BadLetter as bad:
        raise Refused(bad) from None
    life_cycle = Path(os.environ.get("ROGATORY_LIFE_CYCLE", ROOT / "life-cycle.yaml"))
    rules = Rules(law, load_life_cycle(life_cycle, law), _NOBODYS)
    received = LetterReceived(
        letter="let_",
        agency=letter.agency or "",
        received_at=received_at,
        party=letter.party,
        direction=letter.direction,
        channel=letter.channel,
        urgency=letter.urgency,
        lane=law.lane(letter.measures[0].type, letter.urgency, law.day_of(received_at)),
        digest=digest_of(letter),
        measures=tuple({"measure": n, "type": one.type} for n, one in enumerate(letter.measures, 1)),
        content=content_of(letter),
    )
    opened = (message.body for message in split(received, "explain", _NOBODYS))
    return [_explained(n, opening, rules) for n, opening in enumerate(opened, 1)]


def _bytes(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as failure:
        raise BadStart(f"{file}: cannot be read ({failure.strerror})") from None


def _explained(n: int, opening: Opening, rules: Rules) -> Explained:
    state = assignment(Record("", "", {}), opening, rules).data
    letter, on = opening.letter, rules.law.day_of(opening.letter.received_at)
    cited = tuple(letter.content.get("treaty_basis") or ())
    competence = rules.law.decide(opening.type, letter.direction, on, party=letter.party, treaty_basis=cited)
    return Explained(n, state, competence.rejected)


def letter_as_json(measures: Sequence[Explained], law: Law) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "received_at": measures[0].state["received_at"],
        "law": law.name,
        "version": law.version,
        "sha256": law.sha256,
        "assumptions": list(law.assumptions),
        "measures": [
            {"measure": one.measure}
            | {name: one.state[name] for name in _SAID}
            | {"lean": one.state.get("lean"), "follows_a_prior_reference": "awaits" in one.state}
            | {"rejected": [{"rule": row.rule, "why": row.why} for row in one.rejected]}
            | {"clocks": [_clock(clock) for clock in one.state["clocks"]]}
            for one in measures
        ],
    }


_SAID = (
    *("type", "status", "authority", "rule", "basis", "certainty", "because", "gate", "lane"),
    *("missing", "defects", "marks"),
)


def _clock(clock: Mapping[str, Any]) -> dict[str, Any]:
    return {name: clock[name] for name in ("clock", "kind", "due", "basis")}


def letter_lines(measures: Sequence[Explained], law: Law) -> Iterator[str]:
    """The answer for people."""
    first = measures[0].state
    count = "one measure" if len(measures) == 1 else f"{len(measures)} measures, each a case of its own"
    to = "to" if first["direction"] == "outgoing" else "from"
    yield f"A letter {to} {first['party']}, {first['urgency']}, received {moment(first['received_at'])}: {count}."
    for one in measures:
        yield ""
        yield from _measure(one, law)


def _measure(one: Explained, law: Law) -> Iterator[str]:
    state = one.state
    desk = state["authority"] == DESK
    name = "the 24/7 desk" if desk else law.authorities[state["authority"]].name
    yield f"{one.measure}. {words(state['type'])}: {state['authority']} ({name})"
    yield from _line("because", state["because"])
    yield from _line("rule", state["rule"])
    yield from _line("basis", ", ".join(state["basis"]))
    yield from _line("certainty", state["certainty"])
    yield from _line("legal basis", state["gate"])
    yield from _line("lane", f"{state['lane']}{', and a lawyer of the desk decides' if desk else ''}")
    if state.get("lean"):
        yield from _line("lean", f"{state['lean']} (a hint for the desk, never a route)")
    if "awaits" in state:
        yield from _line("follows", "a prior reference: where its case is known, the two are linked")
    for lacking in state["missing"]:
        yield from _line("missing", f"{words(lacking['field'])}: {lacking['says']} ({', '.join(lacking['basis'])})")
    for defect in state["defects"]:
        yield from _line("defect", f"{words(defect['field'])}: {plain(defect['says'])}")
    for mark in state["marks"]:
        yield from _line("mark", words(mark))
    for kind, whose in KINDS.items():
        for clock in state["clocks"]:
            if clock["kind"] == kind:
                after = read(clock["due"]) - read(text_of(read(clock["started_at"])))
                due = f"due {moment(clock['due'])}, after {span(after.total_seconds())}"
                yield from _line(
                    "clock", f"{kind}, {whose}: {words(clock['clock'])}: {due} ({', '.join(clock['basis'])})"
                )
    for row in one.rejected:
        yield from _line("rejected", f"{row.rule}: {row.why}")


def _line(title: str, text: str) -> Iterator[str]:
    return paragraph(f"{title:<12} {text}", 2, 13)
