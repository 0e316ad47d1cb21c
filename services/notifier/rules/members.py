"""Whom an alert tells and how, as the alerts file writes it: members, audiences and the steps of ladders."""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.partners import NoticeChannel
from shared.yaml_file import Id, Strict, Words, quoted

Kind = Literal["subscriber", "duty", "person", "system"]

BY: Mapping[str, tuple[NoticeChannel, ...]] = {
    "subscriber": (),
    "duty": (NoticeChannel.EMAIL, NoticeChannel.APPRISE),
    "person": (NoticeChannel.EMAIL, NoticeChannel.APPRISE),
    "system": (NoticeChannel.ALERTMANAGER, NoticeChannel.LOG),
}
"""How each kind of member can be told; a subscriber by what the partners file says of it."""
FOR_PEOPLE = ("duty", "person")


def _span(read: object) -> object:
    """Written as in the law file, only that none at all can be said too."""
    if isinstance(read, timedelta):
        return read
    text = read if isinstance(read, str) else ""
    found = re.fullmatch(r"(0|[1-9][0-9]{0,4}) (second|minute|hour|day)s?", text, re.ASCII)
    if found is None:
        raise PydanticCustomError("plain", "{shown} is no time span (write 30 minutes)", {"shown": quoted(text)})
    return timedelta(**{f"{found[2]}s": int(found[1])})


def _some_span(read: object) -> object:
    if (span := _span(read)) == timedelta():
        raise PydanticCustomError("plain", "a time span of nothing says nothing here: leave it out", {})
    return span


def _time_of_day(read: object) -> object:
    if isinstance(read, time):
        return read
    text = read if isinstance(read, str) else ""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text, re.ASCII):
        raise PydanticCustomError("plain", "{shown} is no time of day (write 22:00)", {"shown": quoted(text)})
    return time.fromisoformat(text)


Span = Annotated[timedelta, BeforeValidator(_span)]
SomeSpan = Annotated[timedelta, BeforeValidator(_some_span)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]


class Quiet(Strict):
    """Hours of every day in which what can wait does; in the roster's zone."""

    since: TimeOfDay = Field(alias="from")
    until: TimeOfDay

    @model_validator(mode="after")
    def are_hours(self) -> Self:
        if self.since == self.until:
            raise PydanticCustomError("plain", "quiet hours begin and end at the same time", {})
        return self

    def end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """When the quiet hours are over that hold at this time; None where none do."""
        local = at.astimezone(zone)
        now, over_midnight = local.time(), self.since > self.until
        if not (now >= self.since or now < self.until if over_midnight else self.since <= now < self.until):
            return None
        day = local.date() + timedelta(days=over_midnight and now >= self.since)
        ends = datetime.combine(day, self.until, zone)
        return max(ends.astimezone(at.tzinfo), ends.replace(fold=1).astimezone(at.tzinfo))


class Member(Strict):
    """One recipient and how it is told: a subscriber, whoever is on duty, a person, or a system."""

    subscriber: Id | None = None
    duty: Id | None = None
    person: Id | None = None
    system: Id | None = None
    by: tuple[NoticeChannel, ...] = ()
    """Tried one after the other, until one is taken."""
    group: SomeSpan | None = None
    """What comes within this time goes as one message."""
    rate: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Notices a minute at most."""
    quiet: Quiet | None = None
    patience: SomeSpan = timedelta(minutes=2)
    """How long one channel is tried before the next is."""

    @model_validator(mode="after")
    def is_possible(self) -> Self:
        named = [kind for kind in BY if getattr(self, kind) is not None]
        if len(named) != 1:
            raise PydanticCustomError("plain", "a member is exactly one of subscriber, duty, person and system", {})
        if said := _wrong_with(self, self.kind):
            raise PydanticCustomError("plain", "{said}", {"said": said})
        return self

    @property
    def kind(self) -> Kind:
        """Which of the four it is."""
        if self.subscriber is not None:
            return "subscriber"
        if self.duty is not None:
            return "duty"
        return "person" if self.person is not None else "system"

    @property
    def name(self) -> str:
        """Of the subscriber, the rota, the person or the system."""
        return self.subscriber or self.duty or self.person or self.system or ""

    @property
    def key(self) -> str:
        """The same for the same member: `operations`, `duty.desk`, `person.leyla`, `system.pager`."""
        return self.name if self.kind == "subscriber" else f"{self.kind}.{self.name}"


def _wrong_with(member: Member, kind: Kind) -> str | None:
    possible = BY[kind]
    if impossible := [channel for channel in member.by if channel not in possible]:
        instead = f"only by {', '.join(possible)}" if possible else "by the channels that the partners file names"
        return f"a {kind} cannot be told by {impossible[0]}, {instead}"
    if len({*member.by}) < len(member.by):
        return "'by' names a channel twice"
    if kind in FOR_PEOPLE:
        return None if member.by else f"'by' is missing: on which channels this {kind} is told, the first tried first"
    if kind == "system" and len(member.by) != 1:
        return "'by' of a system names exactly one channel"
    if unheard := {"group", "rate", "quiet", "patience"} & member.model_fields_set:
        return f"{quoted(min(unheard))} is for people: a {kind} gets every notice at once"
    return None


class Audience(Strict):
    """A named list of members; one that wakes has somebody who is reached asleep."""

    title: Words
    wakes: bool = False
    members: tuple[Member, ...] = ()
    ladder: Id | None = None


class Step(Strict):
    """Who is told when nobody has acknowledged for so long."""

    after: Span
    tell: Annotated[tuple[Member, ...], Field(min_length=1)]


class Ladder(Strict):
    """The steps of an alert until somebody acknowledges it."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    again: SomeSpan | None = None
    """After the last step, that one again, each time after so long."""
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 20
    """How many times again."""
    remind_after: SomeSpan | None = None
    """Acknowledged, and nothing done for so long: from the first step again."""
