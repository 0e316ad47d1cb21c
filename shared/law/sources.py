"""What a law file rests on: its sources by how well they are known, and the treaties between the States."""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.yaml_file import Day, DayOrUnknown, Id, Strict, Words

State = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
References = Annotated[tuple[Words, ...], Field(min_length=1)]
"""Where a thing is said, each `<source> <article>`: `uncc 42(8)`."""


class Certainty(StrEnum):
    """How we know a thing, the strongest first; `press` ranks below recalled articles because no text was seen."""

    VERIFIED = "verified"
    RECALLED_HIGH = "recalled-high"
    RECALLED_MEDIUM = "recalled-medium"
    PRESS = "press"
    RECALLED_LOW = "recalled-low"
    INFERENCE = "inference"


STRENGTH = {certainty: rank for rank, certainty in enumerate(Certainty)}


def weakest(chain: Iterable[Certainty]) -> Certainty:
    """A conclusion is as certain as the weakest link in its chain."""
    return max(chain, key=STRENGTH.__getitem__)


class Quote(Strict):
    """The official words, their sha256 and who read them: what makes a source `verified`."""

    text: Words
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    read_by: Words


class Source(Strict):
    """A text that answers rest on; `articles` is the closed list of what may be cited, by how well it is known."""

    title: Words
    certainty: Certainty
    checked: Day
    kind: Literal["law", "policy"] = "law"
    seen: Words | None = None
    quote: Quote | None = None
    articles: Mapping[Certainty, tuple[Words, ...]] = {}

    def certainty_of(self, article: str) -> Certainty:
        for certainty, articles in self.articles.items():
            if article in articles:
                return certainty
        return self.certainty


class InForce(Strict):
    """Days on which a treaty is in force for this State; `from: null` says that the day is not known."""

    since: DayOrUnknown = Field(alias="from")
    through: Day | None = None

    def covers(self, on: date) -> bool:
        return self.since is not None and self.since <= on and (self.through is None or on <= self.through)


class Parties(InForce):
    """Other States for which the treaty is in force on the same days."""

    states: Annotated[tuple[State, ...], Field(min_length=1)]


class Treaty(Strict):
    """A treaty that can be a letter's legal basis, and between whom it is in force; `certainty` is that of the days."""

    source: Id
    certainty: Certainty | None = None
    also_called: tuple[Words, ...] = ()
    in_force: tuple[InForce, ...]
    parties: tuple[Parties, ...] = ()

    def in_force_here(self, on: date) -> bool:
        return any(row.covers(on) for row in self.in_force)

    def in_force_for(self, party: str, on: date) -> bool:
        return any(row.covers(on) and party in row.states for row in self.parties)


class LegalBasis(Strict):
    """Why a letter needs a treaty between the two States, and which treaties serve where a type names none."""

    says: Words
    basis: References
    rests_on: Annotated[tuple[Id, ...], Field(min_length=1)]
