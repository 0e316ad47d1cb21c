"""Good records and letters made bad: bytes, headers and JSON are changed in the ways that hurt readers."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.service.running import Headers

NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**53,
    2**64,
    10**400,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    "",
    " ",
    "\0",
    "\u202e\u2066evil",
    "\ud800",
    "\U0001f469\u200d\U0001f680" * 50,
    "a" * 70_000,
    "../../etc/passwd",
    "$where",
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "\x1b[2J\x9b",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:60+99:99",
    "let_" + "0" * 32,
    "cas_" + "F" * 32,
    [],
    {},
    [[[[]]]],
    [None] * 300,
    {"$gt": ""},
    {"": {"": {}}},
    {"__proto__": {"a": 1}},
)
RAW = (
    b"",
    b"null",
    b"[]",
    b'""',
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b'{"\\u0000":1}',
    b"{" + b",".join(b'"k%d":0' % n for n in range(5_000)) + b"}",
    b"\0" * 1_000,
    b"<?xml version='1.0'?><a/>",
    b"\x1f\x8b\x08\x00",
)
"""Values that are not made by changing a good one."""
ODD_TEXTS = (
    b"",
    b"\xff",
    b"\0",
    "\u202e".encode(),
    b"a" * 2_000,
    b"-1",
    b"1e9",
    b"9" * 5_000,
    b"urn:rogatory:schema:x:v1",
)
ODD_NAMES: tuple[str, ...] = (
    *("ce_id", "ce_type", "ce_source", "ce_specversion", "ce_dataschema", "ce_sequence", "ce_time", "ce_agency"),
    *("ce_measure", "ce_letterid", "content-type", "ce_\udcff", "", "CE_ID", "ce_x" * 100),
)


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [place]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        found += _places(one, (*place, name))
    return found


def _put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = _put(value[place[0]], place[1:], new)
    return copy


@st.composite
def bad_value(draw: st.DrawFn, good: bytes) -> bytes:
    """JSON with one to three members changed, or bytes with some of them changed, or something else altogether."""
    how = draw(st.sampled_from(("json", "json", "json", "bytes", "raw", "twice")))
    if how == "raw":
        return draw(st.sampled_from(RAW) | st.binary(max_size=200))
    if how == "bytes":
        cut = draw(st.integers(0, len(good)))
        until = draw(st.integers(cut, len(good)))
        return good[:cut] + draw(st.binary(max_size=8)) + good[until:]
    try:
        value = json.loads(good)
    except ValueError:
        return good
    if how == "twice" and good.startswith(b"{") and len(good) > 2:
        return b"{" + good[1:-1] + b"," + good[1:]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(value)))
        value = _put(value, place, draw(st.sampled_from(NASTY) | st.text(max_size=20) | st.integers() | st.floats()))
        if isinstance(value, dict) and draw(st.booleans()):
            value = {**value, draw(st.text(max_size=10)): draw(st.sampled_from(NASTY))}
    return json.dumps(value).encode()


@st.composite
def bad_headers(draw: st.DrawFn, good: Headers) -> Headers:
    """Headers with some changed, some gone, some new, some twice; or as a structured event has them."""
    headers = list(good)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(headers)))
        name = draw(st.sampled_from(ODD_NAMES))
        text = draw(st.none() | st.sampled_from(ODD_TEXTS) | st.binary(max_size=30))
        headers[at : at + draw(st.integers(0, 1))] = [(name, text)]
    if draw(st.integers(0, 9)) == 0:
        headers.append(("content-type", b"application/cloudevents+json"))
    return headers


@st.composite
def structured(draw: st.DrawFn, headers: Headers, value: bytes) -> tuple[Headers, bytes]:
    """The same event in structured mode, with members changed."""
    event: dict[str, Any] = {
        name[3:]: (text or b"").decode(errors="replace") for name, text in headers if name[:3] == "ce_"
    }
    try:
        event["data"] = json.loads(value)
    except (ValueError, RecursionError):
        event["data_base64"] = value.decode("latin-1")
    raw = json.dumps(event).encode()
    return [("content-type", b"application/cloudevents+json")], draw(bad_value(raw))
