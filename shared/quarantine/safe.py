"""Showing bytes that anybody may have sent: nothing in them may move a cursor, turn a line around or name a person.

`shown` writes out what is not plainly visible; what is masked shows its make and how large, and of its names
and values only those that are ours.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

import orjson

from shared.events import TYPES, schema_of
from shared.quarantine.names import HEADERS, MEMBERS
from shared.vocabulary import Channel, Direction, Lane, Urgency

MOST_MEMBERS = 100
MOST_NODES = 2_000
DEEPEST = 16
CODES = frozenset({"type", "urgency", "direction", "channel", "lane", "update", "message", "status", "specversion"})
"""Members whose values are codes."""
OUR_CODES = frozenset({*TYPES, *Urgency, *Direction, *Channel, *Lane, "1.0"})
"""Values that are ours and name nobody; the law's request types and the life cycle's updates come beside."""
_MEDIA_TYPES = frozenset({"application/json", "application/cloudevents+json", "text/plain"})
_SCHEMAS = frozenset(map(schema_of, TYPES))


def shown(raw: str | bytes) -> str:
    r"""The text with everything written out that is not plainly visible: `\x1b`, `\u202e`, `\xff` for a stray byte.

    A backslash is doubled, so that nothing can be taken for what it only spells.
    """
    is_bytes = isinstance(raw, bytes)
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(char if char.isprintable() and char != "\\" else _written_out(char, is_bytes) for char in text)


_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _written_out(char: str, is_bytes: bool) -> str:
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if is_bytes and 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def kind_of(value: bytes | None) -> str:
    """What bytes look like: `null`, `empty`, `JSON`, `text` or `bytes`."""
    if value is None:
        return "null"
    if not value:
        return "empty"
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    else:
        return "JSON"
    try:
        value.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "text"


def clear(value: Any, depth: int = 0) -> Any:
    """A JSON value with every text shown safely, names too."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict | list) and depth >= 10 * DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {shown(name): clear(one, depth + 1) for name, one in value.items()}
    return [clear(one, depth + 1) for one in value] if isinstance(value, list) else value


def masked_json(value: bytes, known: Collection[str] = ()) -> Any:
    """How JSON is made, and how large its values are; codes of ours, and the `known` ones, are shown."""
    return _Mask(known).of(orjson.loads(value), None, 0)


class _Mask:
    """Masks one tree, of which it shows only so much."""

    def __init__(self, known: Collection[str]) -> None:
        self._known, self._left = known, MOST_NODES

    def of(self, value: Any, name: str | None, depth: int) -> Any:
        """What may be shown of a value that stands under a name."""
        self._left -= 1
        if value is None:
            return None
        if isinstance(value, bool):
            return "<true or false>"
        if isinstance(value, int | float):
            return "<number>"
        if isinstance(value, str):
            is_code = name in CODES and (value in OUR_CODES or value in self._known)
            return value if is_code else f"<text of {len(value)}>"
        if depth >= DEEPEST or self._left <= 0:
            return f"<{len(value)} {'members' if isinstance(value, dict) else 'items'}>"
        if isinstance(value, list):
            items = [self.of(one, name, depth + 1) for one in value[:MOST_MEMBERS]]
            return items + ([f"<{len(value) - MOST_MEMBERS} more>"] if len(value) > MOST_MEMBERS else [])
        return self._object(value, depth)

    def _object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        shown_members: dict[str, Any] = {}
        odd: Counter[str] = Counter()
        for name, one in list(value.items())[:MOST_MEMBERS]:
            told = name
            if name not in MEMBERS:
                # A name that is not ours may be a person's, or an account's.
                told = f"<name of {len(name)}>"
                odd[told] += 1
                told += f" #{odd[told]}" if odd[told] > 1 else ""
            shown_members[told] = self.of(one, name, depth + 1)
        if len(value) > MOST_MEMBERS:
            shown_members["..."] = f"<{len(value) - MOST_MEMBERS} more>"
        return shown_members


def masked_header(name: str, text: bytes | None, known: Collection[str] = ()) -> tuple[str, str | None]:
    """A header: its name where it is ours, its value where that is a code."""
    told = name if name in HEADERS else f"<name of {len(name)}>"
    if text is None:
        return told, None
    value = text.decode("utf-8", "replace")
    is_code = (
        (name == "ce_type" and (value in OUR_CODES or value.removeprefix("update.") in known))
        or (name == "ce_specversion" and value == "1.0")
        or (name == "ce_dataschema" and value in _SCHEMAS)
        or (name == "content-type" and value in _MEDIA_TYPES)
    )
    return told, value if is_code else f"<{len(text)} bytes>"
