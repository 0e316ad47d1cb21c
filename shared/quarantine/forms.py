"""What people send when they work with the quarantine."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.moment import Moment
from shared.words import Person, Reason

MOST_BYTES = 1_600_000
"""Of a body: an edited copy of 1 MiB as base64, and what is said with it."""
MOST_HEADERS = 50
AFTER = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z~qua_[0-9a-f]{32}$"
"""Where an answer says that the next one begins: a time and an entry."""

_BASE64 = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}


def _base64(read: object) -> object:
    if not isinstance(read, str):
        return read
    try:
        return base64.b64decode(read, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("ours", "Must be base64 (RFC 4648 section 4).") from None


Raw = Annotated[bytes, BeforeValidator(_base64), WithJsonSchema(_BASE64)]
HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
HeaderText = Annotated[str, StringConstraints(max_length=4_096)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Said(_Said):
    """Who answers for an act, and why it is done."""

    by: Person | None = None
    """Who it is; the token's own account unless told."""
    reason: Reason


class ReplayOne(_Said):
    """One entry is to be tried again."""

    by: Person | None = None
    reason: Reason | None = None
    """Needed unless it is a dry run."""
    edited: Raw | None = None
    """An edited copy of the value, as base64."""
    headers: Annotated[
        Mapping[HeaderName, HeaderText | None],
        Field(max_length=MOST_HEADERS, json_schema_extra={"additionalProperties": False}),
    ] = {}
    """Headers in the place of its own of that name; null leaves one out."""
    dry_run: bool = False


class Filter(_Said):
    """Which of the held entries are meant; what is not told may be anything."""

    topic: Annotated[str, StringConstraints(max_length=249)] | None = None
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
    older_than: Moment | None = None
    """Kept before this time."""


class ReplayMany(_Said):
    """Many entries are to be tried again."""

    filter: Filter
    after: Annotated[str, StringConstraints(max_length=80, pattern=AFTER)] | None = None
    """The `next` of the answer before, to go on with the same asking."""
    by: Person | None = None
    reason: Reason | None = None
    """Needed unless it is a dry run."""
    dry_run: bool = False
