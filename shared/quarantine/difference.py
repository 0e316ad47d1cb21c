"""How an edited copy differs from what was set aside: by JSON pointer where both are JSON, else by size and digest.

JSON that is deeply nested is read (`orjson` takes 1,024 levels) but could not be written again (it writes 254).
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from shared.quarantine.copies import Copy

Headers = Sequence[tuple[str, bytes | None]]
MOST_CHANGES = 200
DEEPEST = 100
"""Levels of what is compared; of anything deeper only sizes and digests are told."""


def with_difference(before: Copy, after: Copy) -> bytes:
    """The edited copy and how it differs, to be sealed."""
    content, headers = after.as_content(), of_headers(before.headers, after.headers)
    try:
        return orjson.dumps({**content, "difference": difference(before.value, after.value) | {"headers": headers}})
    except (orjson.JSONEncodeError, RecursionError):  # whatever people send is no bug of ours
        return orjson.dumps({**content, "difference": sizes(before.value, after.value) | {"headers": headers}})


def difference(before: bytes | None, after: bytes | None) -> dict[str, Any]:
    """What changed; it may hold anything that the two hold, so it is kept sealed."""
    told = sizes(before, after)
    try:
        one, other = orjson.loads(before or b""), orjson.loads(after or b"")
    except orjson.JSONDecodeError:
        return told
    if _is_deeper(one, DEEPEST) or _is_deeper(other, DEEPEST):
        return told
    changes: list[dict[str, Any]] = []
    for change in _changes(one, other, ""):
        if len(changes) == MOST_CHANGES:
            return told | {"changes": changes, "more": True}
        changes.append(change)
    return told | {"changes": changes, "more": False}


def of_headers(before: Headers, after: Headers) -> list[dict[str, Any]]:
    """Which headers changed, by their names: all that stood under one before, and stands there now."""
    one, other = _by_name(before), _by_name(after)
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return [{"name": name, "was": one.get(name), "value": other.get(name)} for name in names]


def _by_name(headers: Headers) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for name, text in headers:
        told = None if text is None else text.decode("utf-8", "backslashreplace")
        # A name that came as no UTF-8 has halves of characters, which JSON cannot hold.
        found.setdefault(name.encode("utf-8", "backslashreplace").decode(), []).append(told)
    return found


def sizes(before: bytes | None, after: bytes | None) -> dict[str, Any]:
    """The sizes and digests of the two alone."""
    return {"from": _measured(before), "to": _measured(after)}


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    members = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(member, levels - 1) for member in members)


def _measured(value: bytes | None) -> dict[str, Any] | None:
    return None if value is None else {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}


def _changes(one: Any, other: Any, at: str) -> Iterator[dict[str, Any]]:
    """The operations of a JSON patch (RFC 6902), each with what was there before."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            yield from _member(one, other, name, f"{at}/{_escaped(name)}")
    elif isinstance(one, list) and isinstance(other, list):
        first, second = dict(enumerate(one)), dict(enumerate(other))
        for place in dict.fromkeys([*first, *second]):
            yield from _member(first, second, place, f"{at}/{place}")
    elif type(one) is not type(other) or one != other:
        yield {"op": "replace", "path": at, "was": one, "value": other}


def _member(one: dict[Any, Any], other: dict[Any, Any], name: Any, at: str) -> Iterator[dict[str, Any]]:
    if name not in other:
        yield {"op": "remove", "path": at, "was": one[name]}
    elif name not in one:
        yield {"op": "add", "path": at, "value": other[name]}
    else:
        yield from _changes(one[name], other[name], at)


def _escaped(name: str) -> str:
    """A name within a pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
