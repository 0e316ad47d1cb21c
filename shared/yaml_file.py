"""One YAML file read strictly: scalars are text until a schema types them, and every complaint names file and line."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from yaml import CSafeLoader, parse
from yaml.error import MarkedYAMLError, YAMLError

from shared.failures import BadStart
from shared.yaml_tree import Place, Tree, TreeReader, bad, quoted

__all__ = [
    "MOST_BYTES",
    "Day",
    "DayOrUnknown",
    "Id",
    "Place",
    "Strict",
    "Tree",
    "Words",
    "YamlFile",
    "did_you_mean",
    "quoted",
    "read_yaml",
]

MOST_BYTES = 1_000_000
NULL = "null"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


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
    def says_its_keys(cls, read: Any, info: ValidationInfo) -> Any:
        """Which keys a table may have, for whoever explains the unknown ones (`YamlFile.typed`)."""
        if isinstance(info.context, _KeysOf) and isinstance(read, dict):
            info.context[id(read)] = [member.alias or name for name, member in cls.model_fields.items()]
        return read


class _KeysOf(dict[int, Collection[str]]):
    """The keys that each table of a tree may have, by the table's `id`."""


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
        return bad(self.path, self._line(place), sentence)

    def all_bad(self, faults: Iterable[tuple[Place, str]]) -> BadStart:
        """The refusal because of several faults, one line each, in the order of the file."""
        found = sorted(((self._line(place), sentence) for place, sentence in faults), key=lambda fault: fault[0])
        return BadStart("\n".join(dict.fromkeys(str(bad(self.path, *fault)) for fault in found)))

    def typed(self, schema: type[Schema]) -> Schema:
        """The file's content in the types of the schema, or every defect of it as one sentence."""
        keys = _KeysOf()
        try:
            return schema.model_validate(self.tree, context=keys)
        except ValidationError as defects:
            found = defects.errors(include_url=False)
        unknown = {defect["loc"]: self._known(keys, defect["loc"]) for defect in found if defect["type"] == UNKNOWN}
        meant = {(*loc[:-1], *difflib.get_close_matches(str(loc[-1]), known, n=1)) for loc, known in unknown.items()}
        within = {defect["loc"][:length] for defect in found for length in range(len(defect["loc"]))}
        raise self.all_bad(
            (_place(defect), _sentence(defect, unknown.get(defect["loc"], ())))
            for defect in found
            # A key that is written wrongly is not missing beside; of a list only the good entries were counted.
            if not (
                (defect["type"] == "missing" and defect["loc"] in meant)
                or (defect["type"] == "too_short" and defect["loc"] in within)
            )
        )

    def _known(self, keys: Mapping[int, Collection[str]], place: Place) -> Collection[str]:
        """The keys that the table may have in which an unknown one stands."""
        node: Any = self.tree
        for part in place[:-1]:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return ()
        return keys.get(id(node), ())

    def _line(self, place: Place) -> int:
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


def read_yaml(path: Path) -> YamlFile:
    """The file as text with lines; whatever is wrong with it is one plain sentence."""
    content = _content(path)
    try:
        events = parse(content.decode(), Loader=CSafeLoader)
        reader = TreeReader(path, iter(events))
        return YamlFile(path, content, reader.document(), reader.lines)
    except UnicodeDecodeError as defect:
        raise bad(path, content[: defect.start].count(b"\n") + 1, "the file is not UTF-8 text") from None
    except MarkedYAMLError as defect:
        line = defect.problem_mark.line + 1 if defect.problem_mark else 1
        raise bad(path, line, f"this is not YAML: {defect.problem}") from None
    except (YAMLError, ValueError, RecursionError):
        raise bad(path, 1, "this is not YAML") from None


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


UNKNOWN = "extra_forbidden"
"""What pydantic says of an unknown key."""
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
    """Where the defect stands: we report some keys at their table, and pydantic adds `[key]` for a bad key."""
    place = tuple(part for part in defect["loc"] if part != "[key]")
    return (*place, defect["ctx"]["key"]) if defect["type"] == "unknown_key" else place


def _sentence(defect: ErrorDetails, known: Collection[str]) -> str:
    """The defect in our words; `known`: the keys that could stand in the place of an unknown one."""
    named = [part for part in _place(defect) if isinstance(part, str)]
    key = quoted(named[-1]) if named else "the file"
    if defect["type"] == UNKNOWN:
        return f"{key} is not a key here{did_you_mean(str(defect['loc'][-1]), known)}"
    value = quoted(defect["input"]) if isinstance(defect["input"], str) else "this"
    if defect["type"] in ("enum", "literal_error"):
        words = re.findall(r"'([^']*)'", defect["ctx"]["expected"])
        return f"{key} cannot be {value}{did_you_mean(str(defect['input']), words) or '; use ' + ', '.join(words)}"
    if defect["type"] == "string_pattern_mismatch":
        return f"{value} must match {defect['ctx']['pattern']}"
    if defect["type"] in SENTENCES:
        return SENTENCES[defect["type"]].format(key=key, value=value)
    if defect["type"] in ("plain", "unknown_key"):
        return defect["msg"]
    return f"{key}: {defect['msg'].lower()}"
