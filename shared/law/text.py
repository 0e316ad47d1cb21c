"""The words a law file may use, typed; what it answers with them stands in `competence` and `answers`."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.law.sources import Certainty, InForce, LegalBasis, Parties, References, Source, State, Treaty
from shared.vocabulary import DESK, Direction, Lane, Urgency
from shared.yaml_file import Day, Id, Strict, Words, quoted

NOBODY = "nobody"
PARENT = "parent"
"""Of a row that follows another case: whoever has that case has this one."""
RESERVED = {DESK, NOBODY, PARENT, "agency", "letters", "cases", "answers", "alerts", "notices", "audit"}
"""Words of the topics' own names; an authority called so would collide with them."""


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


def _yes_or_no(read: object) -> object:
    if read not in ("true", "false"):
        raise PydanticCustomError("plain", "write true or false here", {})
    return read


def _one_or_more(read: object) -> object:
    return [read] if isinstance(read, str) else read


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no)]
AuthorityId = Annotated[Id, AfterValidator(_not_reserved)]
TypeCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
"""The name of an update or of one of its fields, as the life cycle's table has them."""
Length = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4} (minutes|hours|days)$")]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


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


class Named(Strict):
    """Somebody with a name: an authority, or a body that an authority forwards cases to."""

    name: Words


class Never(Strict):
    """What an authority is never given, whatever a row or the desk says: it has no need to know."""

    types: Annotated[tuple[TypeCode, ...], Field(min_length=1)]
    basis: References


class Authority(Named):
    """Whom the law makes competent, and for what it never can be."""

    never: Never | None = None


class Holiday(Strict):
    """Days on which nobody is expected at work: one, or through the last of several."""

    since: Day = Field(alias="from")
    through: Day | None = None
    says: Words
    basis: References

    @property
    def last(self) -> date:
        return self.through or self.since


class LaneRow(Dated):
    """Which types and urgencies go into the urgent lane; all else is normal."""

    urgent_types: tuple[TypeCode, ...]
    urgent_when: tuple[Urgency, ...]
    basis: References

    def lane(self, type: str, urgency: Urgency) -> Lane:
        return Lane.URGENT if type in self.urgent_types or urgency in self.urgent_when else Lane.NORMAL


class Span(Dated):
    """How a clock runs from that day on: what starts and stops it, and when it ends.

    `lasts` counts from the start, `ends` takes the day from a field of what started it; with both, the field counts
    and is never earlier than the length allows.
    """

    starts: Word
    stops: tuple[Word, ...] = ()
    lasts: Length | None = None
    ends: Word | None = None
    warn: tuple[Length, ...] = ()
    at_end: Literal["tell", "lapse"] = "tell"
    counted: Literal["calendar", "working"] = "calendar"
    rounding: Literal["to the second", "to the end of the day"] = "to the second"
    basis: References


class RunsFor(Strict):
    """For which cases a clock runs at all; what is left empty makes no difference."""

    urgency: tuple[Urgency, ...] = ()
    lane: tuple[Lane, ...] = ()
    direction: tuple[Direction, ...] = ()
    treaty: tuple[Id, ...] = ()
    holder: tuple[Id, ...] = ()

    def fits(self, urgency: Urgency, lane: Lane, direction: Direction, treaty: str | None, holder: str | None) -> bool:
        given = ((self.urgency, urgency), (self.lane, lane), (self.direction, direction))
        named = ((self.treaty, treaty), (self.holder, holder))
        return all(not wanted or is_ in wanted for wanted, is_ in (*given, *named))


class Clock(Strict):
    """A deadline by its kind: the law's, the sender's, or ours."""

    kind: Literal["statutory", "requested", "policy"]
    says: Words
    runs_for: RunsFor = Field(default=RunsFor(), alias="for")
    tells_sender: YesOrNo = False
    """Whether the other State is told of its warnings and its end, for it can do something about them."""
    versions: Annotated[tuple[Span, ...], Field(min_length=1)]


class Content(Dated):
    """One word that a letter must contain; `pointer` says where, when it does not stand in the measure's contents.

    `unless <word>`: only if that other word of the same type is not given either.
    """

    says: Words
    basis: References
    need: Annotated[str, StringConstraints(pattern=r"^(always|where applicable|unless [a-z][a-z0-9_]{0,63})$")] = (
        "always"
    )
    pointer: Annotated[str, StringConstraints(pattern=r"^(/[a-z_]+)+$")] | None = None


class Ground(Strict):
    """A reason for which the law lets an authority refuse; not `alone`: only beside another."""

    says: Words
    basis: References
    alone: YesOrNo = True


class Outcome(Strict):
    """How such a request usually ends; `claims`: only a case for which this was said before can end so."""

    says: Words
    claims: Literal["preservation", "arrest"] | None = None


class Row(Dated):
    """One dated answer to: who is competent? An authority, `nobody`, or `parent`: whoever has the case it follows."""

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
    grounds: tuple[Id, ...] = ()
    outcomes: tuple[TypeCode, ...] = ()
    cycle: Literal["preservation", "arrest", "appearance"] | None = None
    follows: tuple[TypeCode, ...] = ()
    holds_parent: YesOrNo = False
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
    weekend: tuple[Weekday, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    review_after_days: Annotated[int, Field(ge=1, le=3650)] = 365
    sources: Mapping[Id, Source]
    authorities: Annotated[Mapping[AuthorityId, Authority], Field(min_length=1)]
    executing_bodies: Mapping[Id, Named] = {}
    treaties: Annotated[Mapping[Id, Treaty], Field(min_length=1)]
    legal_basis: LegalBasis
    lanes: Annotated[tuple[LaneRow, ...], Field(min_length=1)]
    clocks: Mapping[Id, Clock] = {}
    standard_clocks: tuple[Id, ...] = ()
    refusal_grounds: Mapping[TypeCode, Ground] = {}
    ground_sets: Mapping[Id, Annotated[tuple[TypeCode, ...], Field(min_length=1)]] = {}
    outcomes: Mapping[TypeCode, Outcome] = {}
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
