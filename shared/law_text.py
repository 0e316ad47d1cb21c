"""The words a law file may use: its sources, authorities, treaties, clocks, field sets and request types, typed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.vocabulary import DESK, Direction, Lane, Urgency
from shared.yaml_file import Day, DayOrUnknown, Id, Strict, Words, quoted

NOBODY = "nobody"
RESERVED = {DESK, NOBODY, "agency", "letters", "cases", "answers", "alerts", "notices", "audit"}
"""Words of the topics' own names; an authority called so would collide with them."""


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


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(name if isinstance(name, str) else "")
    except (KeyError, ValueError, OSError):
        raise PydanticCustomError("plain", "{name} is no time zone", {"name": quoted(name)}) from None


def _not_reserved(authority: str) -> str:
    if authority in RESERVED:
        said = f"{quoted(authority)} is a word of the product's own and cannot name an authority"
        raise PydanticCustomError("plain", "{said}", {"said": said})
    return authority


def _one_or_more(read: object) -> object:
    return [read] if isinstance(read, str) else read


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
AuthorityId = Annotated[Id, AfterValidator(_not_reserved)]
TypeCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
State = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
References = Annotated[tuple[Words, ...], Field(min_length=1)]
"""Where a thing is said, each `<source> <article>`: `uncc 42(8)`."""


class Dated(Strict):
    """Something that holds from one day on: through its last day, or until a later row takes its place."""

    since: Day = Field(alias="from")
    through: Day | None = None


DatedRow = TypeVar("DatedRow", bound=Dated)


def holding(rows: Sequence[DatedRow], on: date) -> tuple[DatedRow, ...]:
    """The rows that hold on a day: none before the first, and in a checked file never more than one."""
    begun = [row for row in rows if row.since <= on]
    latest = max((row.since for row in begun), default=on)
    return tuple(row for row in begun if (on <= row.through if row.through else row.since == latest))


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


class Named(Strict):
    """Somebody with a name: an authority, or a body that an authority forwards cases to."""

    name: Words


class Authority(Named):
    """Whom the law makes competent."""


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


class LaneRow(Dated):
    """Which types and urgencies go into the urgent lane; all else is normal."""

    urgent_types: tuple[TypeCode, ...]
    urgent_when: tuple[Urgency, ...]
    basis: References

    def lane(self, type: str, urgency: Urgency) -> Lane:
        return Lane.URGENT if type in self.urgent_types or urgency in self.urgent_when else Lane.NORMAL


class Span(Dated):
    """How long a clock runs from that day on, and how the end is counted."""

    starts: Words
    lasts: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4} (hours|days)$")]
    counted: Literal["calendar", "working"]
    rounding: Literal["to the second", "to the end of the day"]
    basis: References


class Clock(Strict):
    """A deadline by its kind: the law's, the sender's, or ours."""

    kind: Literal["statutory", "requested", "policy"]
    says: Words
    versions: tuple[Span, ...] = ()


class Content(Dated):
    """One word that a letter must contain; `pointer` says where, when it does not stand in the measure's contents."""

    says: Words
    basis: References
    need: Literal["always", "where applicable"] = "always"
    pointer: Words | None = None


class Row(Dated):
    """One dated answer to: who is competent?"""

    to: Words
    basis: References
    because: Words | None = None
    lean: Id | None = None
    certainty: Certainty | None = None


class RequestType(Strict):
    """One thing that can be asked for."""

    title: Words
    article: Annotated[References, BeforeValidator(_one_or_more)]
    rests_on: tuple[Id, ...] = ()
    field_sets: tuple[Id, ...] = ()
    without: tuple[Words, ...] = ()
    must_contain: Mapping[TypeCode, Content] = {}
    clocks: tuple[Id, ...] = ()
    incoming: Annotated[tuple[Row, ...], Field(min_length=1)]
    outgoing: Annotated[tuple[Row, ...], Field(min_length=1)]

    def rows(self, direction: Direction) -> tuple[Row, ...]:
        return self.incoming if direction is Direction.INCOMING else self.outgoing


class LawText(Strict):
    """A whole law file."""

    law: Id
    version: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d\.[0-9]{1,3}$")]
    state: State
    zone: Zone
    review_after_days: Annotated[int, Field(ge=1, le=3650)] = 365
    sources: Mapping[Id, Source]
    authorities: Annotated[Mapping[AuthorityId, Authority], Field(min_length=1)]
    executing_bodies: Mapping[Id, Named] = {}
    treaties: Annotated[Mapping[Id, Treaty], Field(min_length=1)]
    legal_basis: LegalBasis
    lanes: Annotated[tuple[LaneRow, ...], Field(min_length=1)]
    clocks: Mapping[Id, Clock] = {}
    field_sets: Mapping[Id, Mapping[TypeCode, Content]] = {}
    request_types: Annotated[Mapping[TypeCode, RequestType], Field(min_length=1)]

    def certainty_of(self, reference: str) -> Certainty:
        """How well the place that a reference names is known."""
        source, _, article = reference.partition(" ")
        return self.sources[source].certainty_of(article)


class AssumedTreaty(Strict):
    """What is assumed of a treaty in place of what the law file records."""

    in_force: tuple[InForce, ...]
    parties: tuple[Parties, ...]


class Assumption(Strict):
    """A second, small file: what to assume that is not (yet) so, for samples and rehearsals."""

    assumption: Id
    says: Words
    treaties: Mapping[Id, AssumedTreaty]
