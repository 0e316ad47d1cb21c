"""One YAML file read strictly: scalars are text until a schema types them, and every complaint names file and line."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from yaml import CSafeLoader, parse
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from shared.failures import BadStart

Tree = str | list["Tree"] | dict[str, "Tree"]
Place = tuple[int | str, ...]
MOST_BYTES = 1_000_000
DEEPEST = 20
NULL = "null"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def quoted(text: object) -> str:
    """A stranger's text on one short line, in quotes."""
    line = " ".join(str(text).split())
    return f"'{line[:60]}...'" if len(line) > 60 else f"'{line}'"


def _day(text: object) -> object:
    """Only 2026-02-23 is a day: pydantic alone would also take seconds since 1970."""
    try:
        if isinstance(text, str) and re.fullmatch(r"(19|20|21)\d\d-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    shown = quoted(text) if isinstance(text, str) else "this"
    raise PydanticCustomError("plain", "{shown} is no day of the calendar (write 2026-02-23)", {"shown": shown})


def _day_or_unknown(text: object) -> object:
    return None if text == NULL else _day(text)


Day = Annotated[date, BeforeValidator(_day)]
DayOrUnknown = Annotated[date | None, BeforeValidator(_day_or_unknown)]
"""A day, or `null` for what nobody has recorded."""
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
"""A name that can stand in a topic's name."""


class Strict(BaseModel):
    """The base of every schema of a file: an unknown key is refused together with the key that was meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def no_unknown_keys(cls, read: Any) -> Any:
        known = [member.alias or name for name, member in cls.model_fields.items()]
        for key in read if isinstance(read, dict) else ():
            if key not in known:
                said = f"{quoted(key)} is not a key here{did_you_mean(key, known)}"
                raise PydanticCustomError("unknown_key", "{said}", {"said": said, "key": key})
        return read


Schema = TypeVar("Schema", bound=Strict)


@dataclass(frozen=True)
class YamlFile:
    """What a file says, as text, and the line on which each part of it stands."""

    path: Path
    content: bytes
    tree: Tree
    lines: Mapping[Place, int]

    def bad(self, place: Place, sentence: str) -> BadStart:
        """The refusal of this file because of what stands at this place."""
        while place not in self.lines:
            place = place[:-1]
        return _bad(self.path, self.lines[place], sentence)

    def typed(self, schema: type[Schema]) -> Schema:
        """The file's content in the types of the schema, or its first defect as one sentence."""
        try:
            return schema.model_validate(self.tree)
        except ValidationError as defects:
            first = defects.errors(include_url=False)[0]
            raise self.bad(_place(first), _sentence(first)) from None


def read_yaml(path: Path) -> YamlFile:
    """The file as text with lines; whatever is wrong with it is one plain sentence."""
    content = _content(path)
    try:
        events = parse(content.decode(), Loader=CSafeLoader)
        reader = _Reader(path, iter(events))
        return YamlFile(path, content, reader.document(), reader.lines)
    except UnicodeDecodeError as defect:
        raise _bad(path, content[: defect.start].count(b"\n") + 1, "the file is not UTF-8 text") from None
    except MarkedYAMLError as defect:
        line = defect.problem_mark.line + 1 if defect.problem_mark else 1
        raise _bad(path, line, f"this is not YAML: {defect.problem}") from None
    except (YAMLError, ValueError, RecursionError):
        raise _bad(path, 1, "this is not YAML") from None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadStart(f"{path}: there is no such file") from None
    except OSError as failure:
        raise BadStart(f"{path}: the file cannot be read ({failure.strerror})") from None
    if len(content) > MOST_BYTES:
        raise BadStart(f"{path}: the file is larger than {MOST_BYTES:,} bytes")
    return content


def _bad(path: Path, line: int, sentence: str) -> BadStart:
    return BadStart(f"{path}:{line}: {sentence.rstrip('.')}")


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


@dataclass
class _Reader:
    """Builds the tree from the parser's events, so that aliases, tags and deep nests are refused before they cost."""

    path: Path
    events: Iterator[Event]
    lines: dict[Place, int] = field(default_factory=dict)

    def document(self) -> Tree:
        tree: Tree | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if tree is not None:
                    raise self.bad(event, "a second document begins here; the file must hold one")
                tree = self.node(next(self.events), ())
        if tree is None:
            raise _bad(self.path, 1, "the file is empty")
        return tree

    def node(self, event: Event, place: Place) -> Tree:
        self.refuse(event, place)
        self.lines.setdefault(place, _line(event))
        if isinstance(event, ScalarEvent):
            return str(event.value)
        if isinstance(event, SequenceStartEvent):
            return self.sequence(place)
        return self.mapping(place)

    def sequence(self, place: Place) -> list[Tree]:
        items: list[Tree] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self.node(event, (*place, len(items))))
        return items

    def mapping(self, place: Place) -> dict[str, Tree]:
        members: dict[str, Tree] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self.bad(event, "a key must be plain text")
            self.refuse(event, place)
            key = str(event.value)
            if key in members:
                first = self.lines[(*place, key)]
                raise self.bad(event, f"{quoted(key)} stands here for the second time (first on line {first})")
            self.lines[(*place, key)] = _line(event)
            members[key] = self.node(next(self.events), (*place, key))
        return members

    def refuse(self, event: Event, place: Place) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self.bad(event, "anchors and aliases (& and *) are not allowed; write the value out")
        if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent) and event.tag:
            raise self.bad(event, "tags (!) are not allowed; every value is read as text")
        if len(place) > DEEPEST:
            raise self.bad(event, f"more than {DEEPEST} levels of nesting")

    def bad(self, event: Event, sentence: str) -> BadStart:
        return _bad(self.path, _line(event), sentence)


SENTENCES = {
    "dict_type": "{key} must be a table of keys and values",
    "mapping_type": "{key} must be a table of keys and values",
    "model_type": "{key} must be a table of keys and values",
    "model_attributes_type": "{key} must be a table of keys and values",
    "tuple_type": "{key} must be a list",
    "string_type": "{key} must be text",
    "string_too_short": "{key} must not be empty",
    "too_short": "{key} must not be empty",
    "missing": "{key} is missing",
    "int_parsing": "{key} must be a whole number, not {value}",
    "bool_parsing": "{key} must be true or false, not {value}",
}


def _place(defect: ErrorDetails) -> Place:
    """Where the defect stands: pydantic reports an unknown key at its table, and adds `[key]` for a bad key."""
    place = tuple(part for part in defect["loc"] if part != "[key]")
    return (*place, defect["ctx"]["key"]) if defect["type"] == "unknown_key" else place


def _sentence(defect: ErrorDetails) -> str:
    named = [part for part in _place(defect) if isinstance(part, str)]
    key = quoted(named[-1]) if named else "the file"
    value = quoted(defect["input"]) if isinstance(defect["input"], str) else "this"
    if defect["type"] in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", defect["ctx"]["expected"])
        return f"{key} cannot be {value}{did_you_mean(str(defect['input']), known) or '; use ' + ', '.join(known)}"
    if defect["type"] == "string_pattern_mismatch":
        return f"{value} must match {defect['ctx']['pattern']}"
    if defect["type"] in SENTENCES:
        return SENTENCES[defect["type"]].format(key=key, value=value)
    if defect["type"] in ("plain", "unknown_key"):
        return defect["msg"]
    return f"{key}: {defect['msg'].lower()}"
