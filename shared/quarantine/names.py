"""The names that are ours: those of our contracts' members and CloudEvents' attributes. Any other may be a person's."""

from typing import get_type_hints

from pydantic import BaseModel

from shared import letter_message, letter_model, payloads
from shared.life_cycle_fields import File

_MODELS = (*vars(letter_model).values(), *vars(payloads).values(), File)
_DICTS = (payloads.LetterContent, payloads.MeasureContent)
_ATTRIBUTES = frozenset(
    [
        "specversion",
        "id",
        "source",
        "type",
        "datacontenttype",
        "dataschema",
        "subject",
        "time",
        "partitionkey",
        "sequence",
        "chain",
        "traceparent",
        "tracestate",
    ]
)
_OF_UPDATES = frozenset(
    [
        "about",
        "arrested_at",
        "at",
        "authority",
        "by",
        "call_back",
        "case",
        "conditions",
        "contents",
        "custodian",
        "decided_by",
        "executing_body",
        "files",
        "ground",
        "grounds",
        "message",
        "number",
        "officer",
        "other",
        "outcome",
        "place",
        "preserved_from",
        "purpose",
        "reason",
        "reasons",
        "restricted",
        "review_on",
        "secrecy_cannot_be_kept",
        "text",
        "told_at",
        "type",
        "unit",
        "until",
        "update",
        "urgency",
        "used_in",
        "valid_until",
        "words",
    ]
)
"""What the life cycle's updates and messages may say."""

MEMBERS: frozenset[str] = frozenset(
    [
        *(name for one in _MODELS if isinstance(one, type) and issubclass(one, BaseModel) for name in one.model_fields),
        *(name for one in _DICTS for name in get_type_hints(one)),
        *letter_message.ENVELOPE,
        *_OF_UPDATES,
        *_ATTRIBUTES,
        "data",
        "data_base64",
    ]
)
"""Members of JSON."""
HEADERS: frozenset[str] = frozenset({"content-type", *(f"ce_{name}" for name in _ATTRIBUTES)})
"""Headers of Kafka records."""
