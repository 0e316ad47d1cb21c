"""What a letter lacks for its type, what in it is of no use as it stands, and what the desk should see at a glance."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from shared.identifiers import defects_of
from shared.vocabulary import Channel

DEADLINE_WITHOUT_REASON = "deadline-without-reason"
ORAL = "oral-written-confirmation-pending"


class Required(Protocol):
    """One word that a letter must contain: what this file needs to know of the law's."""

    @property
    def word(self) -> str: ...
    @property
    def says(self) -> str: ...
    @property
    def basis(self) -> tuple[str, ...]: ...
    @property
    def need(self) -> str: ...
    @property
    def pointer(self) -> str | None: ...


class Asking(Protocol):
    """The law, as far as it asks for something; it never changes, so that what it asks is remembered."""

    def __hash__(self) -> int: ...

    def required(self, type: str, on: date) -> Sequence[Required]:
        """What a letter of this type must contain on this day."""
        ...


def missing(law: Asking, type: str, on: date, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the law asks for and the letter does not say, each with the articles that ask for it.

    `content` is one measure's share of a letter. What is needed "where applicable" is never missing: only people can
    tell whether it applies.
    """
    contents = content["measure"]["contents"]
    lacking = []
    for one, names, instead in _questions(law, type, on):
        given = contents.get(one.word) if names is None else _at(names, content)
        if given.__class__ is str and given[:1].isalnum():
            continue  # as nearly everything that is given
        if _says_something(given) or (instead is not None and _says_something(_at(instead, content))):
            continue
        lacking.append({"field": one.word, "says": one.says, "basis": list(one.basis)})
    return lacking


def defects(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is there and cannot be used as it stands, by the word under which it stands; never the words themselves."""
    return [{"field": word, "says": says} for word, says in defects_of(_texts(content["measure"]["contents"]))]


def marks(content: Mapping[str, Any], channel: str) -> list[str]:
    """What is no defect and yet changes how the case is worked."""
    found = []
    deadline = content.get("requested_deadline") or {}
    if deadline.get("at") and not _says_something(deadline.get("reason")):
        found.append(DEADLINE_WITHOUT_REASON)
    if channel == Channel.PHONE:
        found.append(ORAL)
    return found


def _says_something(value: Any) -> bool:
    """Whether it is more than blanks and dashes; `false` and 0 are answers."""
    if value is None:
        return False
    if isinstance(value, str):
        return value[:1].isalnum() or any(map(str.isalnum, value))
    if isinstance(value, Mapping):
        return any(map(_says_something, value.values()))
    if isinstance(value, Sequence):
        return any(map(_says_something, value))
    return True


class _Question(NamedTuple):
    """One word that can be missing, and where it or what makes up for it stands in a letter's share."""

    one: Required
    names: tuple[str, ...] | None
    """None: under its own word in the measure's contents."""
    instead: tuple[str, ...] | None


@lru_cache(maxsize=1024)
def _questions(law: Asking, type: str, on: date) -> tuple[_Question, ...]:
    """What must be looked for, made ready: every letter of a type and a day is asked the same."""
    required = law.required(type, on)
    pointers = {one.word: one.pointer for one in reversed(required)}
    return tuple(
        _Question(one, None if one.pointer is None else _names(one.pointer), _instead_of(one, pointers))
        for one in required
        if one.need != "where applicable"
    )


def _instead_of(one: Required, pointers: Mapping[str, str | None]) -> tuple[str, ...] | None:
    """Where the other word stands that makes this one unnecessary."""
    keyword, _, other = one.need.partition(" ")
    if keyword != "unless":
        return None
    pointer = pointers.get(other)
    return _names(pointer) if pointer else ("measure", "contents", other)


def _at(names: Sequence[str], content: Mapping[str, Any]) -> Any:
    """What stands at a place of what JSON said, None if nothing does."""
    value: Any = content
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _names(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON pointer."""
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def _texts(contents: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What stands under each word, a list as one text with a line per entry."""
    for word, value in contents.items():
        if isinstance(value, str):
            yield word, value
        elif isinstance(value, list):
            yield word, "\n".join(entry for entry in value if isinstance(entry, str))


def known_defects(law: Asking, type: str, on: date, content: Mapping[str, Any]) -> list[dict[str, str]]:
    """The defects by words of the law's list; a name that the sender made up may be personal and is not repeated."""
    found = defects(content)
    if not found:
        return found
    known = {one.word for one in law.required(type, on)}
    return [{**one, "field": one["field"] if one["field"] in known else "another word"} for one in found]
