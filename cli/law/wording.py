"""How many texts differ between two law files without a difference in what they answer: reasons, titles, names."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from shared.law.competence import Law

WORDING = {"says", "because", "title", "name", "seen"}
Place = tuple[str, ...]


def wording_only(old: Law, new: Law) -> int:
    """The number of texts for people that stand in both files, in the same place, and differ."""
    before, after = dict(_texts(old.text)), dict(_texts(new.text))
    return sum(before[place] != after[place] for place in before.keys() & after.keys())


def _texts(node: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """A row of a list is known by its first day, so that a new row before it does not move it."""
    if isinstance(node, BaseModel):
        for name, value in node:
            if name in WORDING and isinstance(value, str):
                yield (*place, name), value
            else:
                yield from _texts(value, (*place, name))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*place, str(key)))
    elif isinstance(node, tuple):
        for number, value in enumerate(node):
            yield from _texts(value, (*place, str(getattr(value, "since", number))))
