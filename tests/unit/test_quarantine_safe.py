"""Bytes that anybody may have sent are shown so that they harm nobody who reads them, and name nobody."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.mongo import Store
from shared.quarantine.difference import difference
from shared.quarantine.foreseeing import refused
from shared.quarantine.names import MEMBERS
from shared.quarantine.reading import Entries
from shared.quarantine.safe import clear, kind_of, masked_header, masked_json, shown
from shared.records import stored_form
from tests.unit.entries import SEALER, Entry, consumed, entry, messages_of


class Holding(Store):
    """A stand-in for the store, which holds one entry."""

    def __init__(self, one: Entry) -> None:
        self._record = one.record

    async def find(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        record = self._record
        history = [stored_form(event) for event in record.fresh]
        assert record.key is not None
        return [{"_id": record.id, "state": record.state, "history": history, "key": record.key.wrapped}]


WRITTEN_OUT: dict[str, tuple[str | bytes, str]] = {
    "an escape sequence": ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
    "C1, which a terminal obeys too": ("a\x9b31m", r"a\u009b31m"),
    "a line that is turned around": (
        "a\u202eb\u202a\u2066\u2069\u200e\u200f",
        r"a\u202eb\u202a\u2066\u2069\u200e\u200f",
    ),
    "a new line, as if we said it": ("a\nrogatory: all is well\r", r"a\nrogatory: all is well\r"),
    "other ends of lines": ("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\u0085"),
    "what nobody sees": ("a\u200bb\ufeffc\u00ad", r"a\u200bb\ufeffc\u00ad"),
    "a backslash": (r"\x1b", r"\\x1b"),
    "stray bytes": (b"caf\xe9 \xff", r"caf\xe9 \xff"),
    "half a character": ("\ud83d", r"\ud83d"),
    "beyond the first plane": ("\U000e0041", r"\U000e0041"),
    "every script": ("Əliyev Леля 王 é", "Əliyev Леля 王 é"),
}


@pytest.mark.parametrize("case", WRITTEN_OUT)
def test_what_is_not_plainly_visible_is_written_out(case: str) -> None:
    raw, safe = WRITTEN_OUT[case]

    assert shown(raw) == safe


@given(st.one_of(st.binary(), st.text()))
def test_whatever_is_shown_can_be_printed(raw: bytes | str) -> None:
    assert shown(raw).isprintable()


@given(st.binary(), st.binary())
def test_two_different_bytes_are_never_shown_alike(one: bytes, other: bytes) -> None:
    assert (shown(one) == shown(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(None, "null"), (b"", "empty"), (b"{}", "JSON"), (b"hello", "text"), (b"\xff", "bytes"), (b"[" * 5_000, "text")],
)
def test_what_bytes_look_like_is_told(raw: bytes | None, kind: str) -> None:
    assert kind_of(raw) == kind


LETTER = {
    "reference": "FR-2026-1",
    "urgency": "emergency",
    "party": "FR",
    "measures": [
        {"type": "extradition", "contents": {"facts": "Maud Vernier lives in ...", "age": 41, "minor": False}}
    ],
    "Maud Vernier": None,
    "Jean Vernier": "type",
    "type": "maud",
}


def test_of_json_only_its_make_its_sizes_and_our_own_codes_are_shown() -> None:
    masked = masked_json(json.dumps(LETTER).encode(), {"extradition"})

    assert masked == {
        "reference": "<text of 9>",
        "urgency": "emergency",
        "party": "<text of 2>",
        "measures": [
            {
                "type": "extradition",
                "contents": {
                    "facts": "<text of 25>",
                    "<name of 3>": "<number>",
                    "<name of 5>": "<true or false>",
                },
            }
        ],
        "<name of 12>": None,
        "<name of 12> #2": "<text of 4>",
        "type": "<text of 4>",
    }


def test_a_name_that_only_looks_like_ours_is_masked() -> None:
    masked = masked_json(b'{"data": {"nl91abna0417164300": {"jan_de_vries": "x"}}, "type": "letter.received"}')

    assert masked == {
        "data": {"<name of 18>": {"<name of 12>": "<text of 1>"}},
        "type": "letter.received",
    }


@pytest.mark.parametrize("masked", [True, False])
async def test_a_masked_key_is_not_told_by_its_digest(masked: bool) -> None:
    one = await entry(b"{}", key=b"FR-1")

    whole = await Entries(Holding(one), SEALER).one(one.record.id, refused("", "no"), masked=masked)

    assert whole is not None
    assert (whole.original.key.sha256 is None, whole.original.value.sha256 is None) == (masked, False)


@pytest.mark.parametrize(
    ("timestamp", "told"),
    [(1_700_000_000_123, "2023-11-14T22:13:20.123000Z"), (0, "1970-01-01T00:00:00.000000Z"), (-1, None), (2**63, None)],
)
async def test_the_records_own_time_is_shown_where_it_is_one(timestamp: int, told: str | None) -> None:
    one = Entry((await messages_of(replace(consumed(b"{}"), timestamp=timestamp)))[0])

    whole = await Entries(Holding(one), SEALER).one(one.record.id, refused("", "no"))

    assert whole is not None
    assert whole.original.timestamp == told


def test_every_name_that_the_life_cycle_knows_may_be_shown() -> None:
    updates = yaml.safe_load((Path(__file__).parents[2] / "life-cycle.yaml").read_text())["updates"]

    assert {name for update in updates.values() for name in update.get("fields", ())} <= MEMBERS


def test_what_is_masked_is_small_however_large_it_is() -> None:
    wide = {f"m{n}": [0] * 1_000 for n in range(1_000)}
    deep = json.loads("[" * 500 + "]" * 500)

    for value in (wide, deep, [wide] * 10):
        assert len(json.dumps(masked_json(json.dumps(value).encode()))) < 100_000


@given(st.recursive(st.text() | st.integers(-(2**53), 2**53), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_text_and_no_number_comes_through_the_mask(value: object) -> None:
    masked = json.dumps(masked_json(json.dumps(value).encode("utf-8", "surrogatepass").replace(b"\\ud", b"\\u0d")))

    assert re.sub(r'"(<[^"]*>( #\d+)?|[a-z][a-z0-9_]*|\.\.\.)"|[{}:, ]', "", masked) == ""


def test_in_the_clear_every_text_and_every_name_is_safe() -> None:
    assert clear(json.loads('{"a\\u001b": ["\\u202e", 1, null]}')) == {r"a\x1b": [r"\u202e", 1, None]}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ce_type", b"letter.received", ("ce_type", "letter.received")),
        ("ce_type", b"letter.burned", ("ce_type", "<13 bytes>")),
        ("ce_type", b"update.forwarded", ("ce_type", "update.forwarded")),
        ("ce_id", b"Maud", ("ce_id", "<4 bytes>")),
        ("ce_other", None, ("<name of 8>", None)),
        ("ce_subject", None, ("ce_subject", None)),
        ("jan-de-vries-1970-03-04", b"x", ("<name of 23>", "<1 bytes>")),
        ("content-type", b"application/json", ("content-type", "application/json")),
        ("Maud Vernier", b"x", ("<name of 12>", "<1 bytes>")),
    ],
)
def test_of_headers_only_codes_of_ours_are_shown(name: str, text: bytes | None, told: tuple[str, str | None]) -> None:
    assert masked_header(name, text, {"forwarded"}) == told


# How an edited copy differs


def test_a_difference_is_told_by_pointer_where_both_are_json() -> None:
    before = b'{"a": 1, "b/c": [1, 2, 3], "gone": null, "same": {"x": true}}'
    after = b'{"a": "1", "b/c": [1, 5], "new": {}, "same": {"x": true}}'

    assert difference(before, after)["changes"] == [
        {"op": "replace", "path": "/a", "was": 1, "value": "1"},
        {"op": "replace", "path": "/b~1c/1", "was": 2, "value": 5},
        {"op": "remove", "path": "/b~1c/2", "was": 3},
        {"op": "remove", "path": "/gone", "was": None},
        {"op": "add", "path": "/new", "value": {}},
    ]


def test_true_is_not_one() -> None:
    assert difference(b"[true, 1.0]", b"[1, 1]")["changes"] == [
        {"op": "replace", "path": "/0", "was": True, "value": 1},
        {"op": "replace", "path": "/1", "was": 1.0, "value": 1},
    ]


@pytest.mark.parametrize(("before", "after"), [(b"\xff", b"{}"), (None, b"{}"), (b"{}", b"{")])
def test_a_difference_of_what_is_no_json_is_told_by_size_and_digest(before: bytes | None, after: bytes) -> None:
    told = difference(before, after)

    assert told.keys() == {"from", "to"}
    assert told["to"]["size"] == len(after)


def test_a_difference_is_not_endless() -> None:
    told = difference(b"[" + b"1," * 5_000 + b"1]", b"[" + b"2," * 5_000 + b"2]")

    assert (len(told["changes"]), told["more"]) == (200, True)


def nested(levels: int, within: bytes = b"1") -> bytes:
    """JSON that many levels deep."""
    return b'{"a":' * levels + within + b"}" * levels


@pytest.mark.parametrize("levels", [101, 240, 300, 1_000])
def test_of_what_is_deeply_nested_only_sizes_and_digests_are_told(levels: int) -> None:
    for before, after in [(nested(levels), b"{}"), (b"{}", nested(levels)), (nested(levels), nested(levels, b"2"))]:
        assert difference(before, after).keys() == {"from", "to"}


def test_what_is_nested_less_is_compared_to_its_last_level() -> None:
    told = difference(nested(100), nested(100, b"2"))

    assert told["changes"] == [{"op": "replace", "path": "/a" * 100, "was": 1, "value": 2}]
