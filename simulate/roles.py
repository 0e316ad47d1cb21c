"""Who can be played: the authorities of a law, the desk, an agency, or all gateways together; and what each reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared import topics
from shared.failures import BadStart
from shared.law import Law
from shared.partners import Partners
from shared.vocabulary import DESK, Lane
from shared.yaml_file import did_you_mean, quoted

GATEWAY = "gateway"
"""The role of every agency that carries letters abroad."""


@dataclass(frozen=True, slots=True)
class Role:
    """A part in the play, under one name or, for the gateways, several."""

    name: str
    names: tuple[str, ...]
    is_authority: bool

    @property
    def hears(self) -> Mapping[str, str]:
        """The topics that it reads, and under which of its names."""
        if self.is_authority:
            return {topics.cases_of(name, lane): name for name in self.names for lane in Lane}
        return {topics.answers_to(name): name for name in self.names}

    def speaks_on(self, name: str, lane: Lane) -> str:
        """Where it says what it says."""
        return topics.updates_from(name, lane) if self.is_authority else topics.letters_from(name, lane)


def role_of(name: str, law: Law, partners: Partners) -> Role:
    """The role of this name; raises `BadStart` with those that there are."""
    if name in law.authorities or name == DESK:
        return Role(name, (name,), is_authority=True)
    gateways = tuple(agency for agency, one in partners.agencies.items() if one.gateway)
    if name == GATEWAY:
        return Role(name, gateways, is_authority=False)
    if name in partners.agencies:
        return Role(name, (name,), is_authority=False)
    known = [*law.authorities, DESK, GATEWAY, *partners.agencies]
    raise BadStart(f"nobody is called {quoted(name)} here{did_you_mean(name, known)}; known are {', '.join(known)}")
