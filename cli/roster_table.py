"""What a roster says, as tables for people and JSON for programs: who is on, who is next, who holds how many hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.telling import plain, span
from services.notifier.duty.roster import EARLIEST, Gap, Person, Roster, Turn, Why
from shared.times import text_of

BAR = 20
MARKS: Mapping[Why, str] = {Why.INSTEAD: "⇄", Why.HOLIDAY: "*", Why.STAND_IN: "!"}
"""What is no ordinary turn."""


@dataclass
class Held:
    """What one person holds of a rota within a span."""

    person: Person
    turns: int = 0
    time: timedelta = timedelta()
    longest: timedelta = timedelta()


def hours(roster: Roster, since: datetime, until: datetime) -> Mapping[str, Mapping[str, Held]]:
    """By rota and person; who stands in is on duty too."""
    found: dict[str, dict[str, Held]] = {}
    for rota in roster.rotas:
        of_rota = found.setdefault(rota, {})
        for turn in roster.turns(rota, since, until):
            held = of_rota.setdefault(turn.person.id, Held(turn.person))
            lasts = min(turn.until or until, until) - max(turn.since, since)
            held.turns += 1
            held.time += lasts
            held.longest = max(held.longest, lasts)
    return found


def hours_table(roster: Roster, held: Mapping[str, Mapping[str, Held]]) -> Table:
    """One row for each person of each rota, those with the most hours first."""
    table = Table("rota", "person", "", "hours", "", "turns", "longest", box=None, pad_edge=False)
    for rota, of_rota in held.items():
        whole = sum((one.time for one in of_rota.values()), timedelta())
        for number, one in enumerate(sorted(of_rota.values(), key=lambda one: -one.time)):
            share = one.time / whole
            bar = Text("█" * max(round(share * BAR), 1), "cyan")
            named = rota if number == 0 else ""
            many = f"{_hours(one.time):,.10g}"
            table.add_row(
                named, one.person.id, _name(one.person), many, bar, f"{one.turns} ({share:.0%})", _lasts(one.longest)
            )
    table.columns[3].justify = "right"
    return table


def hours_as_json(held: Mapping[str, Mapping[str, Held]]) -> dict[str, Any]:
    """The same, for a program."""
    return {
        rota: {
            name: {"hours": _hours(one.time), "turns": one.turns, "longest": _hours(one.longest)}
            for name, one in of_rota.items()
        }
        for rota, of_rota in held.items()
    }


def gap_in_words(roster: Roster, gap: Gap) -> str:
    """One line for a gap."""
    lasts = f" ({_lasts(gap.until - gap.since)})" if gap.until and gap.since > EARLIEST else ""
    when = _from_until(roster, gap.since, gap.until)
    return f"gap: {gap.rota}: nobody {when}{lasts}; {roster.rotas[gap.rota].stand_in.id} stands in"


def gaps_as_json(roster: Roster, gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """The same, for a program."""
    return [
        {"rota": gap.rota, **_bounds(gap.since, gap.until), "stands_in": roster.rotas[gap.rota].stand_in.id}
        for gap in gaps
    ]


def on_duty_table(roster: Roster, turns: Mapping[str, Turn]) -> Table:
    """One row for each rota: the hand-over note."""
    table = Table("rota", "on duty", "since", "until", "next", "told by", "", box=None, pad_edge=False)
    for rota, turn in turns.items():
        style = "bold red" if turn.stands_in else "bold"
        table.add_row(
            rota,
            Text(_named(turn.person), style),
            _when(roster, turn.since),
            _when(roster, turn.until),
            Text(_named(turn.next)) if turn.next else "",
            ", ".join(turn.person.contacts),
            Text(why_in_words(turn), style if turn.stands_in else ""),
        )
    return table


def why_in_words(turn: Turn) -> str:
    """What is special about a turn, if anything is."""
    if turn.stands_in:
        return "stands in: nobody is on by the roster"
    if turn.why is Why.INSTEAD:
        return f"instead: {plain(turn.reason)}"
    return "holiday" if turn.why is Why.HOLIDAY else ""


def turn_in_words(roster: Roster, turn: Turn) -> str:
    """Who, from when until when, and what is special."""
    return f"{turn.person.id}, {_from_until(roster, turn.since, turn.until)}: {why_in_words(turn)}"


def on_duty_as_json(roster: Roster, turns: Mapping[str, Turn], at: datetime) -> dict[str, Any]:
    """The same, for a program."""
    return {"at": text_of(at), "zone": str(roster.zone), "rotas": {name: _turn(turn) for name, turn in turns.items()}}


def turns_as_json(roster: Roster, rotas: Sequence[str], since: datetime, until: datetime) -> dict[str, Any]:
    """Every turn of some rotas that a span touches, whole."""
    return {rota: [_turn(turn) for turn in roster.turns(rota, since, until)] for rota in rotas}


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "person": turn.person.id,
        "name": turn.person.name,
        "language": turn.person.language,
        "channels": list(turn.person.contacts),
        **_bounds(turn.since, turn.until),
        "next": turn.next.id if turn.next else None,
        "stands_in": turn.stands_in,
        "why": turn.why,
        "reason": turn.reason or None,
    }


def _bounds(since: datetime, until: datetime | None) -> dict[str, str | None]:
    """None: since ever, for good."""
    return {"since": text_of(since) if since > EARLIEST else None, "until": text_of(until) if until else None}


def _from_until(roster: Roster, since: datetime, until: datetime | None) -> str:
    begins = f"from {_when(roster, since)} " if since > EARLIEST else ""
    return begins + (f"until {_when(roster, until)}" if until else "for good")


def _when(roster: Roster, at: datetime | None) -> str:
    if at is None:
        return "for good"
    return f"{at.astimezone(roster.zone):%a %Y-%m-%d %H:%M}" if at > EARLIEST else "ever"


def _named(person: Person) -> str:
    return f"{_name(person)} ({person.id})"


def _name(person: Person) -> str:
    return plain(person.name)


def _hours(time: timedelta) -> float:
    return round(time / timedelta(hours=1), 2)


def _lasts(time: timedelta) -> str:
    return span(time.total_seconds())
