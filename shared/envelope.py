"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in.

Sources: CloudEvents 1.0.2, Kafka protocol binding 1.0.2 (sections 3.2 and 3.3), extensions `sequence`, `partitionkey`.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from shared import topics
from shared.events import Event, schema_of
from shared.failures import NeverWill

Headers = list[tuple[str, bytes]]

STRUCTURED = b"application/cloudevents"
_CONTENT_TYPE = "application/json"
_LONGEST_ATTRIBUTE = 1_024
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it came: its attributes as text, its data as bytes."""

    id: str
    source: str
    type: str
    attributes: Mapping[str, str]
    """All others by their CloudEvents names, such as `sequence`, `dataschema`, `letterid`."""
    data: bytes


@lru_cache(maxsize=1024)
def _fixed(event_type: str) -> Headers:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_dataschema", schema_of(event_type).encode()),
        ("content-type", _CONTENT_TYPE.encode()),
    ]


def headers_for(
    topic: str, event: Event, event_id: str, record: str, subject: str, context: Mapping[str, str]
) -> Headers:
    """The binary mode headers of an event on one topic; `context` is added where only our own services read."""
    key = subject.encode()
    headers = [
        *_fixed(event.type),
        ("ce_id", event_id.encode()),
        ("ce_source", f"/{topic}/{record}".encode()),
        ("ce_time", event.at.encode()),
        ("ce_subject", key),
        ("ce_partitionkey", key),
        # Ten digits: the extension compares as text.
        ("ce_sequence", b"%010d" % event.to[topic]),
        ("ce_chain", event.chain.hex().encode()),
    ]
    if context and topics.is_internal(topic):
        headers += [(f"ce_{name}", value.encode()) for name, value in context.items()]
    return headers


def read_envelope(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Envelope:
    """The event of one Kafka record; raises `NeverWill` with a reason that quotes nothing of it."""
    if value is None:
        raise NeverWill("null value")
    found: dict[str, bytes] = {}
    for name, text in headers:
        if text is None:
            raise NeverWill("null header")
        if not name.isascii() and _HALF.search(name):
            raise NeverWill("undecodable header")
        found[name.lower()] = text
    if found.get("content-type", b"").startswith(STRUCTURED):
        return _structured(value)
    try:
        attributes = {name[3:]: text.decode() for name, text in found.items() if name.startswith("ce_")}
    except UnicodeDecodeError:
        raise NeverWill("undecodable header") from None
    return _envelope(attributes, value)


def _envelope(attributes: dict[str, str], data: bytes) -> Envelope:
    if attributes.pop("specversion", None) != "1.0":
        raise NeverWill("not a CloudEvent of specversion 1.0")
    if attributes and max(map(len, attributes.values())) > _LONGEST_ATTRIBUTE:
        raise NeverWill("an attribute is too long")
    event_id, source, event_type = attributes.pop("id", ""), attributes.pop("source", ""), attributes.pop("type", "")
    if not (event_id and source and event_type):
        raise NeverWill("id, source or type is missing")
    return Envelope(event_id, source, event_type, attributes, data)


def _structured(value: bytes) -> Envelope:
    try:
        event = json.loads(value.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        if not isinstance(event, dict):
            raise NeverWill("structured event is not an object")
        data = _data(event)
    except (ValueError, RecursionError):
        # UnicodeDecodeError and JSONDecodeError are ValueErrors; their texts quote the value.
        raise NeverWill("structured event is not JSON") from None
    # JSON event format 1.0.2 section 2.2: null counts as left out.
    attributes = {name: _text(field) for name, field in event.items() if field is not None}
    return _envelope(attributes, data)


def _data(event: dict[str, Any]) -> bytes:
    """The member `data` as JSON bytes, or the bytes of `data_base64`; both leave the event."""
    encoded, plain = event.pop("data_base64", None), event.pop("data", None)
    if encoded is None:
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
    if plain is not None or not isinstance(encoded, str):
        raise NeverWill("data and data_base64 contradict each other")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise NeverWill("data_base64 is not base64") from None


def _text(field: Any) -> str:
    if isinstance(field, bool):
        return "true" if field else "false"
    if not isinstance(field, str | int):
        raise NeverWill("an attribute is neither text, number nor truth value")
    if _HALF.search(text := str(field)):
        raise NeverWill("an attribute holds half a character")  # MongoDB could not store it
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise NeverWill("a member stands twice in one object")
    return fields


def _no_constant(_text: str) -> NoReturn:
    raise NeverWill("NaN and Infinity are not JSON")
