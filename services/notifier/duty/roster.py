"""The duty roster: who is on duty, who is next, and when nobody is.

Somebody is always on: in a gap it is the rota's stand-in, and the gap itself is an alert (`roster_watch`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from services.notifier.duty.roster_file import read_roster
from services.notifier.duty.roster_turns import EARLIEST, Person, Rota, Turn, Why, wall_clock

__all__ = ["EARLIEST", "Gap", "Person", "Roster", "Rota", "Turn", "Why", "load_roster", "wall_clock"]


@dataclass(frozen=True)
class Gap:
    """From when until when (None: for good) nobody is on by the plan of a rota."""

    rota: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, eq=False)
class Roster:
    """The people and their rotas; all moments are in UTC, `zone` is where the clocks of its hand-overs hang."""

    zone: ZoneInfo
    people: Mapping[str, Person]
    rotas: Mapping[str, Rota]
    _latest: dict[str, Turn] = field(default_factory=dict, init=False, repr=False)

    def on_duty(self, rota: str, at: datetime) -> Turn:
        """Who holds a rota at a moment; in a gap its stand-in."""
        turn = self._latest.get(rota)
        if turn is None or not (turn.since <= at and (turn.until is None or at < turn.until)):
            turn = self._latest[rota] = self.rotas[rota].turn(at)
        return turn

    def turns(self, rota: str, since: datetime, until: datetime) -> Iterator[Turn]:
        """The turns of a span, one after the other; the first may have begun before, the last ends when it ends."""
        at: datetime | None = since
        while at is not None and at < until:
            turn = self.rotas[rota].turn(at)
            yield turn
            at = turn.until

    def gaps(self, since: datetime, until: datetime) -> list[Gap]:
        """The gaps of every rota that a span touches, each whole, in the order in which they begin."""
        found = (
            Gap(rota, turn.since, turn.until)
            for rota in self.rotas
            for turn in self.turns(rota, since, until)
            if turn.stands_in
        )
        return sorted(found, key=lambda gap: gap.since)


def load_roster(path: Path) -> Roster:
    """The roster in this file; raises `BadStart` with one line for every fault of it."""
    zone, people, rotas = read_roster(path)
    return Roster(zone, MappingProxyType(people), MappingProxyType(rotas))
