"""What stands on our own topics: an event that we know, one for others, or one of a newer build."""

import re
from collections.abc import Collection
from typing import Any

from aiokafka import ConsumerRecord

from shared import topics
from shared.envelope import Envelope, read_envelope
from shared.events import TYPES, schema_of
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.strict_json import holds_a_large_number

_OURS = re.compile(r"(letter|case|update|answer|notice|alert)\.[a-z_.]{1,60}")
_OUR_SCHEMA = re.compile(r"urn:rogatory:schema:[a-z_.]{1,70}:v[0-9]{1,4}")


def read_event(record: ConsumerRecord[Any, Any], known: Collection[str]) -> Envelope:
    """The event of a record on one of our own topics.

    Raises `NotForUs` for a type that others read, `NewerBuild` for one that only a newer build of ours can have said,
    and `NeverWill` for what is none of ours.
    """
    event = read_envelope(record.headers or (), record.value)
    schema = event.attributes.get("dataschema", "")
    if event.type in known and schema == schema_of(event.type):
        if holds_a_large_number(event.data):
            raise NeverWill("a number that is too large")  # nor could it be written again
        return event
    unknown = "unknown event version" if event.type in known else "unknown event type"
    if topics.is_internal(record.topic):
        if schema == schema_of(event.type) and event.type in TYPES:
            raise NotForUs
        if _OURS.fullmatch(event.type) and _OUR_SCHEMA.fullmatch(schema):
            raise NewerBuild(unknown, schema)
    raise NeverWill(unknown)
