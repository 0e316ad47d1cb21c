"""What stands on our own topics: an event that we know, one for others, or one of a newer build."""

import json
import re
from collections.abc import Collection
from typing import Any

from aiokafka import ConsumerRecord

from shared import topics
from shared.envelope import Envelope, read_envelope
from shared.events import TYPES, schema_of
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.strict_json import LARGEST

_OURS = re.compile(r"(letter|case|update|answer|notice|alert)\.[a-z_.]{1,60}")
_DIGITS = len(str(LARGEST))
_LONG = re.compile(rb"[0-9]{16}")
_OUR_SCHEMA = re.compile(r"urn:rogatory:schema:[a-z_.]{1,70}:v[0-9]{1,4}")


def read_event(record: ConsumerRecord[Any, Any], known: Collection[str]) -> Envelope:
    """The event of a record on one of our own topics.

    Raises `NotForUs` for a type that others read, `NewerBuild` for one that only a newer build of ours can have said,
    and `NeverWill` for what is none of ours.
    """
    event = read_envelope(record.headers or (), record.value)
    schema = event.attributes.get("dataschema", "")
    if event.type in known and schema == schema_of(event.type):
        if _LONG.search(event.data) and _holds_a_large_number(event.data):
            raise NeverWill("a number that is too large")  # nor could it be written again
        return event
    unknown = "unknown event version" if event.type in known else "unknown event type"
    if topics.is_internal(record.topic):
        if schema == schema_of(event.type) and event.type in TYPES:
            raise NotForUs
        if _OURS.fullmatch(event.type) and _OUR_SCHEMA.fullmatch(schema):
            raise NewerBuild(unknown, schema)
    raise NeverWill(unknown)


def _holds_a_large_number(data: bytes) -> bool:
    """Whether an integer is larger than any that we ever write; what is no JSON is for others to refuse."""
    try:
        json.loads(data, parse_int=_small)
    except OverflowError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _small(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS or abs(int(digits)) > LARGEST:
        raise OverflowError
    return int(digits)
