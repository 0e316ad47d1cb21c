"""A time as callers write it has a date, a time of day and a zone."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.moment import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "said",
    [
        "2026-03-10T08:00:00+01:00",
        "2026-03-10T07:00:00Z",
        "2026-03-10T07:00Z",
        "2026-03-10 07:00:00.000000000Z",
        "2026-03-10T02:00:00-0500",
    ],
)
def test_a_time_with_its_zone_is_one_moment(said: str) -> None:
    assert MOMENT.validate_python(said) == datetime(2026, 3, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("400", "Must be a time like"),
        (400, "Must be a time like"),
        (1773126000.5, "Must be a time like"),
        ("2026-03-10", "Must be a time like"),
        ("tomorrow", "Must be a time like"),
        (None, "Must be a time like"),
        ("2026-03-10T08:00:00", "Needs a zone"),
        ("2026-02-30T08:00:00Z", "Must be a time that exists"),
        ("0001-01-01T00:00:00+14:00", "Must lie between the years"),
        ("9999-12-31T23:59:59-14:00", "Must lie between the years"),
    ],
)
def test_what_is_none_is_refused_with_what_to_write(said: object, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MOMENT.validate_python(said)

    assert refused.value.errors()[0]["msg"].startswith(says)


def test_a_document_calls_it_a_time() -> None:
    assert MOMENT.json_schema() == {"type": "string", "format": "date-time"}
