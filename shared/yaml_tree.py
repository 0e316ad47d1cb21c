"""The tree of a YAML document, each part with its line: nothing is typed yet, and little is allowed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
DEEPEST = 20


def quoted(text: object) -> str:
    """A stranger's text on one short line, in quotes."""
    line = " ".join(str(text).split())
    return f"'{line[:60]}...'" if len(line) > 60 else f"'{line}'"


def bad(path: Path, line: int, sentence: str) -> BadStart:
    return BadStart(f"{path}:{line}: {sentence.rstrip('.')}")


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


@dataclass
class TreeReader:
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
            raise bad(self.path, 1, "the file is empty")
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
        return bad(self.path, _line(event), sentence)
