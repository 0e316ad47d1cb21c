"""Whatever stands on a topic becomes messages, is for others, or is set aside for a known reason."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import Phase, given

from shared.arrivals import Read
from shared.decisions import Message
from shared.failures import NeverWill, NewerBuild, NotForUs
from tests.fuzz import scale
from tests.fuzz.records import every_reader, good_ones, records

REASONS = {
    "null value",
    "null header",
    "undecodable header",
    "not a CloudEvent of specversion 1.0",
    "an attribute is too long",
    "an attribute is neither text, number nor truth value",
    "an attribute holds half a character",
    "id, source or type is missing",
    "structured event is not JSON",
    "structured event is not an object",
    "NaN and Infinity are not JSON",
    "a member stands twice in one object",
    "data and data_base64 contradict each other",
    "data_base64 is not base64",
    "unknown event type",
    "unknown event version",
    "another agency's name",
    "too large",
    "not a letter",
    "not a message",
    "not an update",
    "not a case event",
    "not an answer",
    "not an acknowledgement",
    "not an event that we know",
    "too many messages",
    "a number that is too large",
}
"""Every reason for which a reader may set a record aside; none holds a word of the record."""


ONE_OF_EACH = {one.group: one for one in reversed(every_reader())}
"""Every group, by the first of its topics: it reads all of them alike."""


@pytest.mark.parametrize("group", ONE_OF_EACH)
def test_every_record_is_read_or_set_aside_for_a_known_reason(group: str) -> None:
    read, topic = ONE_OF_EACH[group].read, ONE_OF_EACH[group].topic
    count = scale.of("readers") // len(ONE_OF_EACH) + 1
    tried = 0

    @scale.drawing(count, Phase.generate, Phase.shrink)
    @given(records(topic))
    def always(record: ConsumerRecord[Any, Any]) -> None:
        nonlocal tried
        tried += 1
        messages, reason = outcome_of(read, record)
        assert reason is None or reason in REASONS
        for message in messages:
            assert isinstance(message, Message)
            f"{message.record} {message.cause} {message.by}".encode()  # MongoDB stores UTF-8 alone

    always()
    scale.tried("readers", tried)
    assert tried >= count


def outcome_of(read: Read, record: ConsumerRecord[Any, Any]) -> tuple[Sequence[Message], str | None]:
    """The messages of a record, and why it is set aside; any other failure is the test's."""
    try:
        return read(record), None
    except NotForUs:
        return (), None
    except NewerBuild as reason:
        return (), str(reason)
    except NeverWill as reason:
        return reason.also, str(reason)


def test_every_reader_is_tried() -> None:
    assert len(ONE_OF_EACH) >= 13
    assert len({one.topic for one in every_reader()}) >= 25
    assert good_ones("cases.events.v1")
