"""What `roster.yaml` says, row by row, in types: what cannot be is one plain sentence, which quotes no address."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.law.text import Zone
from shared.yaml_file import Day, Id, Strict, Words, quoted

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = r"([01]\d|2[0-3]):[0-5]\d"
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+", re.ASCII)
HandOver = tuple[int | None, time]


def _plain(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("plain", "{said}", {"said": sentence})


def _moment(text: object) -> object:
    try:
        if isinstance(text, str) and re.fullmatch(rf"(19|20|21)\d\d-\d\d-\d\d {_TIME}", text, re.ASCII):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    shown = quoted(text) if isinstance(text, str) else "this"
    raise _plain(f"{shown} is no moment (write 2026-12-31 20:00, as the clocks of the roster's zone show it)")


def _hand_over(text: object) -> object:
    """`08:00` is every day's, `Monday 08:00` one day's; the weekday comes out as None or its number."""
    if isinstance(text, str) and (found := re.fullmatch(rf"(?:(\w+) )?({_TIME})", text, re.ASCII)):
        day, at = found[1], time.fromisoformat(found[2])
        if day is None or day in WEEKDAYS:
            return (None if day is None else WEEKDAYS.index(day), at)
    shown = quoted(text) if isinstance(text, str) else "this"
    raise _plain(f"{shown} is no hand-over time (write 08:00, or Monday 08:00)")


def _address(text: str) -> str:
    """Errors are logged, so none quotes an address."""
    if not _EMAIL.fullmatch(text) or ".." in text or len(text) > 254:
        raise _plain("the e-mail address is malformed (write one, such as name@example.org)")
    return text


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise _plain("the Apprise address is malformed (write a URL, such as jsons://pager.example.org/name)")
    return text


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""What the wall clocks of the roster's zone show."""


class ContactsText(Strict):
    """Where somebody is told; each key is one of our channels."""

    email: Annotated[Words, AfterValidator(_address)] | None = None
    apprise: Annotated[Words, AfterValidator(_url)] | None = None

    @model_validator(mode="before")
    @classmethod
    def only_ways(cls, read: Any) -> Any:
        """An address that stands where its kind should is not quoted either."""
        if isinstance(read, dict) and not read:
            raise _plain("this person has no contact: nobody could tell them anything")
        if isinstance(read, dict) and not read.keys() <= cls.model_fields.keys():
            raise _plain(f"a contact is one of {', '.join(cls.model_fields)}, with its address")
        return read


class PersonText(Strict):
    """Somebody who can be on duty."""

    name: Words
    language: Literal["az", "en", "ru", "fr"]
    contacts: ContactsText


class RowText(Strict):
    """Whatever puts somebody on."""

    on: Id


class ShiftText(RowText):
    """Somebody for a span, whatever the turns say."""

    since: Moment = Field(alias="from")
    until: Moment


class InsteadText(ShiftText):
    """Somebody in the place of whoever is planned, and why."""

    reason: Words


class HolidayText(RowText):
    """Somebody for whole days of duty."""

    day: Day | None = None
    since: Day | None = Field(default=None, alias="from")
    through: Day | None = None

    @model_validator(mode="after")
    def one_or_more(self) -> "HolidayText":
        if (self.day is None) == (self.since is None) or (self.since is None) != (self.through is None):
            raise _plain("a holiday has a 'day', or 'from' and 'through'")
        return self

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last."""
        first, last = self.day or self.since, self.day or self.through
        assert first is not None
        assert last is not None
        return first, last


class TurnsText(Strict):
    """A pattern of turns from a day on, without end."""

    start: Day
    hand_over: Annotated[tuple[Annotated[HandOver, BeforeValidator(_hand_over)], ...], Field(min_length=1)]
    order: Annotated[tuple[Id, ...], Field(min_length=1)]

    @property
    def week(self) -> list[tuple[int, time]]:
        """The hand-overs of a week in their order."""
        daily = range(len(WEEKDAYS))
        return sorted((one, at) for day, at in self.hand_over for one in (daily if day is None else (day,)))


class RotaText(Strict):
    """One duty; `instead` goes before `shifts`, these before `holidays`, these before `turns`."""

    title: Words
    stand_in: Id
    since: Moment | None = None
    until: Moment | None = None
    turns: tuple[TurnsText, ...] = ()
    shifts: tuple[ShiftText, ...] = ()
    instead: tuple[InsteadText, ...] = ()
    holidays: tuple[HolidayText, ...] = ()


class RosterText(Strict):
    """A whole roster."""

    zone: Zone
    people: Annotated[Mapping[Id, PersonText], Field(min_length=1)]
    rotas: Annotated[Mapping[Id, RotaText], Field(min_length=1)]
