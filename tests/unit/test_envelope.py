"""CloudEvents over Kafka: what we write the makers' own SDK reads, what it writes we read, and the rest is refused."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.envelope import Envelope, headers_for, read_envelope
from shared.events import CASE_ASSIGNED, Event
from shared.failures import NeverWill
from shared.records import value_on

TOPIC, INTERNAL = "security-service.cases.v1", "cases.events.v1"
CONTEXT = {"letterid": "let_1", "agency": "contact-point"}
SECRET = "Maud Vernier"

HEADERS = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/fr", "ce_type": b"letter.received"}
STRUCTURED = {"content-type": b"application/cloudevents+json; charset=utf-8"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/fr", "type": "letter.received"}


def event(data: bytes = b'{"case":"cas_1"}', content: bytes | None = None) -> Event:
    to = {TOPIC: 7, INTERNAL: 12}
    at = "2026-03-10T08:00:00.123456Z"
    return Event(3, CASE_ASSIGNED, at, "intake", "cause", to, json.loads(data), data, content, None, b"\xab" * 32)


def written(event: Event, topic: str = TOPIC) -> sdk.KafkaMessage:
    headers = headers_for(topic, event, "evt_1", "cas_1", "cas_1", CONTEXT)
    return sdk.KafkaMessage(dict(headers), b"cas_1", value_on(topic, event))


def read(headers: Mapping[str, bytes | None], value: bytes | None) -> Envelope:
    return read_envelope(headers.items(), value)


def structured(**changed: Any) -> bytes:
    return json.dumps({**EVENT, **changed}).encode()


# What we write


def test_the_sdk_reads_what_we_write_on_a_partners_topic() -> None:
    found = sdk.from_kafka_event(written(event(content=b'{"officer":"Maud"}')))

    assert found.get_data() == {"case": "cas_1", "content": {"officer": "Maud"}}
    assert found.get_attributes() == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": f"/{TOPIC}/cas_1",
        "type": CASE_ASSIGNED,
        "dataschema": "urn:rogatory:schema:case.assigned:v1",
        "datacontenttype": "application/json",
        "time": datetime(2026, 3, 10, 8, 0, 0, 123456, UTC),
        "subject": "cas_1",
        "partitionkey": "cas_1",
        "sequence": "0000000007",
        "chain": "ab" * 32,
    }


def test_only_our_own_services_are_told_the_context_and_no_content_goes_where_it_is_not_due() -> None:
    found = sdk.from_kafka_event(written(event(content=b'{"officer":"Maud"}'), INTERNAL))

    assert found.get_extension("letterid") == "let_1"
    assert found.get_extension("agency") == "contact-point"
    assert found.get_extension("sequence") == "0000000012"
    assert found.get_data() == {"case": "cas_1"}


def test_we_read_what_we_write() -> None:
    message = written(event())

    found = read(message.headers, message.value)

    assert (found.id, found.source, found.type) == ("evt_1", f"/{TOPIC}/cas_1", CASE_ASSIGNED)
    assert found.attributes["sequence"] == "0000000007"
    assert found.data == b'{"case":"cas_1"}'


def test_sequences_sort_as_text_as_they_do_as_numbers() -> None:
    def sequence(number: int) -> bytes:
        said = Event(1, CASE_ASSIGNED, "", "", "", {TOPIC: number}, {}, b"{}", None, None, b"")
        return dict(headers_for(TOPIC, said, "", "", "", {}))["ce_sequence"]

    assert sequence(9) < sequence(10) < sequence(99_999) < sequence(1_000_000)


# What we read

texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=50)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
trees = st.dictionaries(st.text(), scalars | st.lists(scalars, max_size=3), max_size=4)


@pytest.mark.parametrize("write", [sdk.to_binary_event, sdk.to_structured_event])
@settings(deadline=None)  # the machine may be busy
@given(event_id=texts, source=texts, data=trees)
def test_we_read_what_the_sdk_writes_in_either_mode(write: Any, event_id: str, source: str, data: Any) -> None:
    theirs = CloudEvent(
        {
            "id": event_id,
            "source": source,
            "type": "letter.received",
            "specversion": "1.0",
            "time": datetime(2026, 3, 10, tzinfo=UTC),
            "datacontenttype": "application/json",
            "priority": "1",
        },
        data,
    )

    message = write(theirs)
    found = read(message.headers, message.value)

    assert (found.id, found.source, found.type) == (event_id, source, "letter.received")
    assert found.attributes["priority"] == "1"
    assert found.attributes["time"] == "2026-03-10T00:00:00Z"
    assert json.loads(found.data) == data


def test_the_names_of_headers_may_be_written_in_capitals() -> None:
    found = read({name.upper(): text for name, text in HEADERS.items()}, b"{}")

    assert found == Envelope("1", "/fr", "letter.received", {}, b"{}")


def test_what_is_no_attribute_is_passed_over_even_if_it_does_not_decode() -> None:
    found = read({**HEADERS, "traceparent": b"\xff"}, b"{}")

    assert found.attributes == {}


def test_a_binary_value_is_handed_on_as_it_is_whatever_it_holds() -> None:
    assert read(HEADERS, b"\xff not json").data == b"\xff not json"


READ_STRUCTURED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "text, number and truth are attributes": ({"a": "x", "b": 7, "c": True}, {"a": "x", "b": "7", "c": "true"}),
    "null counts as left out": ({"subject": None}, {}),
}


@pytest.mark.parametrize("case", READ_STRUCTURED)
def test_structured_attributes_become_text(case: str) -> None:
    changed, attributes = READ_STRUCTURED[case]

    assert read(STRUCTURED, structured(**changed)).attributes == attributes


DATA: dict[str, tuple[dict[str, Any], bytes]] = {
    "an object": ({"data": {"é": 1}}, '{"é":1}'.encode()),
    "text": ({"data": "x"}, b'"x"'),
    "none": ({}, b"null"),
    "base64": ({"data_base64": "eyJhIjoxfQ=="}, b'{"a":1}'),
    "base64 beside a null": ({"data": None, "data_base64": "e30="}, b"{}"),
}


@pytest.mark.parametrize("case", DATA)
def test_structured_data_comes_out_as_bytes(case: str) -> None:
    changed, data = DATA[case]

    assert read(STRUCTURED, structured(**changed)).data == data


# What we refuse

BINARY: dict[str, tuple[Mapping[str, bytes | None], bytes | None, str]] = {
    "a tombstone": (HEADERS, None, "null value"),
    "a header without a value": ({**HEADERS, "ce_subject": None}, b"{}", "null header"),
    "a foreign header without a value": ({**HEADERS, "trace": None}, b"{}", "null header"),
    "a header that is not UTF-8": ({**HEADERS, "ce_subject": b"\xff"}, b"{}", "undecodable header"),
    "no headers": ({}, b"{}", "not a CloudEvent of specversion 1.0"),
    "an old specversion": ({**HEADERS, "ce_specversion": b"0.3"}, b"{}", "not a CloudEvent of specversion 1.0"),
    "no id": ({**HEADERS, "ce_id": b""}, b"{}", "id, source or type is missing"),
    "no source": ({**HEADERS, "ce_source": b""}, b"{}", "id, source or type is missing"),
    "no type": ({**HEADERS, "ce_type": b""}, b"{}", "id, source or type is missing"),
    "a long attribute": ({**HEADERS, "ce_subject": b"x" * 1_025}, b"{}", "an attribute is too long"),
    "a long id": ({**HEADERS, "ce_id": b"x" * 1_025}, b"{}", "an attribute is too long"),
}


@pytest.mark.parametrize("case", BINARY)
def test_a_binary_event_that_is_none_is_refused_with_its_reason(case: str) -> None:
    headers, value, reason = BINARY[case]

    with pytest.raises(NeverWill) as refusal:
        read(headers, value)

    assert str(refusal.value) == reason


NOT_JSON = "structured event is not JSON"
REFUSED_STRUCTURED: dict[str, tuple[bytes, str]] = {
    "half of an object": (f'{{"id": "{SECRET}'.encode(), NOT_JSON),
    "not UTF-8": (SECRET.encode() + b"\xff", NOT_JSON),
    "10,000 nested brackets": (b"[" * 10_000 + b"]" * 10_000, NOT_JSON),
    "10,000 nested brackets as data": (
        structured(data="?").replace(b'"?"', b"[" * 10_000 + b"]" * 10_000),
        NOT_JSON,
    ),
    "an endless number": (structured(data=1).replace(b": 1}", b": " + b"1" * 5_000 + b"}"), NOT_JSON),
    "half a character in the data": (structured(data="\ud800"), NOT_JSON),
    "half a character in an attribute": (structured(source="\ud800"), "an attribute holds half a character"),
    "a list": (b"[]", "structured event is not an object"),
    "NaN": (structured(data=float("nan")), "NaN and Infinity are not JSON"),
    "Infinity": (structured(data=float("-inf")), "NaN and Infinity are not JSON"),
    "a member twice": (b'{"id": "1", "id": "2"}', "a member stands twice in one object"),
    "a member twice deep in the data": (
        structured(data=0).replace(b": 0}", b': [{"a": 1, "a": 2}]}'),
        "a member stands twice in one object",
    ),
    "data in both ways": (structured(data=1, data_base64="e30="), "data and data_base64 contradict each other"),
    "base64 that is no text": (structured(data_base64=1), "data and data_base64 contradict each other"),
    "base64 that is none": (structured(data_base64=f"{SECRET}!"), "data_base64 is not base64"),
    "base64 with other letters": (structured(data_base64="é"), NOT_JSON),
    "an object as attribute": (structured(x={}), "an attribute is neither text, number nor truth value"),
    "a fraction as attribute": (structured(x=1.5), "an attribute is neither text, number nor truth value"),
    "a long attribute": (structured(x=SECRET * 100), "an attribute is too long"),
    "a specversion that is a number": (structured(specversion=1), "not a CloudEvent of specversion 1.0"),
    "no id": (json.dumps({"specversion": "1.0"}).encode(), "id, source or type is missing"),
    "nothing": (b"", NOT_JSON),
}


@pytest.mark.parametrize("case", REFUSED_STRUCTURED)
def test_a_structured_event_that_is_none_is_refused_with_its_reason(case: str) -> None:
    value, reason = REFUSED_STRUCTURED[case]

    with pytest.raises(NeverWill) as refusal:
        read(STRUCTURED, value)

    assert str(refusal.value) == reason


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200), st.booleans())
def test_whatever_comes_is_read_or_refused_and_the_reason_quotes_nothing(value: bytes, is_structured: bool) -> None:
    reasons = {reason for _, reason in REFUSED_STRUCTURED.values()} | {reason for _, _, reason in BINARY.values()}

    try:
        read(STRUCTURED if is_structured else {"ce_id": value}, value)
    except NeverWill as refusal:
        assert str(refusal) in reasons  # noqa: PT017 - both endings are right
