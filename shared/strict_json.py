"""JSON read exactly, its canonical form (RFC 8785) and what differs between two texts.

`orjson` is fast and strict, but takes the last of two equal names and rounds long integers. Reading exactly costs ten
times as much and names every place that is wrong.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Never

import orjson
import rfc8785

from shared.bad_letter import MOST_ERRORS, BadLetter, FieldError, pointer
from shared.limits import CONTRACT, MOST_VALUES

LARGEST = 2**53 - 1
"""The largest integer that every system reads alike (RFC 7493 section 2.2); RFC 8785 has no form for larger ones."""

_LONG = re.compile(rb"[0-9]{16}")
"""What `LARGEST` and every integer beyond it hold."""

_Place = tuple[str | int, ...]


class _Repeating(dict[str, Any]):
    """An object in which a name stands more than once."""

    repeated: tuple[str, ...] = ()


class _Defects:
    """What is wrong, and at which places nothing more needs to be said."""

    def __init__(self, deepest: int) -> None:
        self.deepest = deepest
        self.errors: list[FieldError] = []
        self.settled: set[str] = set()

    def add(self, place: _Place, detail: str) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(FieldError(pointer(place), detail))

    def settle(self, place: _Place, detail: str) -> None:
        self.add(place, detail)
        self.settled.add(pointer(place))


def read(raw: bytes, deepest: int = CONTRACT.depth) -> tuple[Any, Any, list[FieldError], set[str]]:
    """The JSON as sent, the same without null members, what is wrong in it, and the places that are dealt with.

    `deepest`: so deep may objects and lists stand in each other.
    Raises `BadLetter` 400 where it is no JSON (RFC 8259) in UTF-8 at all.
    """
    sent = _loads(raw)
    defects = _Defects(deepest)
    if _may_be_crowded(raw) and (crowded := _crowded(sent)) is not None:
        defects.add(crowded, _CROWDED)
        return sent, None, defects.errors, defects.settled
    try:
        cleaned = _clean(sent, (), defects)
    except _TooDeepError:
        cleaned = None
        defects.add((), f"Objects and lists must not stand in each other more than {deepest} deep.")
    return sent, cleaned, defects.errors, defects.settled


def refuse_many(raw: bytes) -> None:
    """Raise `BadLetter` for JSON of more than `MOST_VALUES` values before anything dearer is done with it.

    What is no JSON is for others to refuse.
    """
    if not _may_be_crowded(raw):
        return
    try:
        crowded = _crowded(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return
    if crowded is not None:
        raise BadLetter(422, (FieldError(pointer(crowded), _CROWDED),))


def holds_a_large_number(raw: bytes) -> bool:
    """Whether JSON holds an integer beyond `LARGEST`; what is no JSON is for others to refuse."""
    if not _LONG.search(raw):
        return False
    try:
        json.loads(raw, parse_int=_small)
    except OverflowError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def canonical(value: Any) -> bytes:
    """The canonical form of RFC 8785; `value` holds no integer beyond `LARGEST` and no half characters.

    `orjson` orders names by code points and RFC 8785 by UTF-16 units: the same unless a character beyond U+FFFF
    appears. Floats are written differently.
    """
    fast = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if _has_float(value) or any(byte in fast for byte in _BEYOND_BMP):
        return rfc8785.dumps(value)
    return fast


def digest(value: Any) -> str:
    """SHA-256 over the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def differing(a: Any, b: Any, place: _Place = ()) -> Iterator[str]:
    """The pointers of what differs between two values read from JSON; 1 and 1.0 are the same number there."""
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys()):
            if name in a and name in b:
                yield from differing(a[name], b[name], (*place, name))
            else:
                yield pointer((*place, name))
    elif isinstance(a, list) and isinstance(b, list):
        for n in range(max(len(a), len(b))):
            if n < len(a) and n < len(b):
                yield from differing(a[n], b[n], (*place, n))
            else:
                yield pointer((*place, n))
    elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
        yield pointer(place)


_BEYOND_BMP = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")
"""The first byte of a UTF-8 character beyond U+FFFF."""


_CROWDED = f"With these, there are more than {MOST_VALUES} values: entries of lists and members of objects."


def _may_be_crowded(raw: bytes) -> bool:
    """Whether there is what parts so many values; it may also stand in texts."""
    return len(raw) > MOST_VALUES and sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES


def _crowded(value: Any) -> _Place | None:
    """The list or object with which there are more than `MOST_VALUES` values; None where there are not so many."""
    waiting: list[tuple[_Place, Any]] = [((), value)]
    count = 0
    while waiting:
        place, value = waiting.pop()
        count += len(value) if isinstance(value, dict | list) else 0
        if count > MOST_VALUES:
            return place
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*place, name), one) for name, one in inner if isinstance(one, dict | list)]
    return None


class _TooDeepError(Exception):
    """Objects and lists stand in each other too deep."""


def _loads(raw: bytes) -> Any:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _no_json("Begins with a byte order mark; send UTF-8 without one.")
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise _no_json("Is not in UTF-8.") from None
    except json.JSONDecodeError as error:
        # The message of the parser is left out: it is not ours to say what it repeats.
        raise _no_json(f"Is not JSON at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _no_json("Objects and lists stand in each other too deep.") from None


def _no_json(detail: str) -> BadLetter:
    return BadLetter(400, (FieldError("", detail),))


def _refuse_constant(_: str) -> Never:
    raise _no_json("NaN and Infinity are not JSON.")


def _integer(text: str) -> int | float:
    """An integer, or infinity for one that is too long: Python refuses to read more than 4,300 digits."""
    return int(text) if len(text) <= 17 else math.inf


def _small(text: str) -> int:
    if abs(_integer(text)) > LARGEST:
        raise OverflowError
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating = _Repeating(found)
    repeating.repeated = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return repeating


def _clean(value: Any, place: _Place, defects: _Defects) -> Any:
    """The value without null members; a bad text or number becomes a harmless one, for it has been named."""
    if isinstance(value, str):
        return _clean_text(value, place, defects)
    if isinstance(value, dict | list) and len(place) >= defects.deepest:
        raise _TooDeepError
    if isinstance(value, dict):
        return _clean_object(value, place, defects)
    if isinstance(value, list):
        return [_clean(entry, (*place, n), defects) for n, entry in enumerate(value)]
    if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST and not _is_plain_float(value):
        defects.settle(place, f"Must be a number no larger than {LARGEST}; send a longer one as text.")
        return 0
    return value


def _is_plain_float(value: int | float) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _clean_text(text: str, place: _Place, defects: _Defects) -> str:
    if "\0" in text:
        defects.settle(place, "Holds the character U+0000.")
        return "?"
    try:
        text.encode()
    except UnicodeEncodeError:
        defects.settle(place, "Holds half a character (a lone surrogate).")
        return "?"
    return text


def _clean_object(value: dict[str, Any], place: _Place, defects: _Defects) -> dict[str, Any]:
    if isinstance(value, _Repeating):
        for name in value.repeated:
            defects.add((*place, name), "A name stands more than once in one object.")
    cleaned = {}
    for name, entry in value.items():
        if not name.isprintable():
            defects.add((*place, name), "Has a name with characters that cannot be printed.")
        elif entry is not None:
            cleaned[name] = _clean(entry, (*place, name), defects)
    return cleaned


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)
