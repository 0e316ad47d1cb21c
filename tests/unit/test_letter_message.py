"""A message on a letter as bytes: read by the life cycle's table, every bad field named, nothing of it repeated."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bad_letter import BadLetter
from shared.failures import BadStart
from shared.letter import MAX_LETTER_BYTES
from shared.letter_message import LetterMessage, check_messages, parse_message, schema_of_messages
from tests.unit.intake_letters import life

LETTER = "let_" + "0" * 32
OTHER = "let_" + "1" * 32
SUPPLEMENT = {"message": "supplement", "contents": {"offence": "Fraud"}, "text": "As asked."}
FILE = {"sha256": "0" * 64, "name": "order.pdf"}

GOOD: dict[str, dict[str, Any]] = {
    "withdrawal": {"reason": "The case is closed."},
    "status_inquiry": {"text": "How does it stand?"},
    "supplement": {"contents": {"offence": "Fraud"}, "text": "As asked.", "files": [FILE]},
    "extension": {"until": "2026-06-01T00:00:00Z", "reason": "The letter follows."},
    "urgency_change": {"urgency": "urgent", "reason": "The provider deletes."},
    "written_confirmation": {"text": "As said by phone.", "files": [FILE]},
    "consent": {"text": "To use in court."},
    "condition_acceptance": {"text": "Accepted."},
    "transmitted": {"at": "2026-03-11T08:00:00+04:00"},
    "acknowledged_abroad": {"number": "VN-77", "text": "Taken in hand."},
    "asked_abroad": {"text": "Which server?"},
    "refused_abroad": {"reasons": "No such offence there."},
}
"""Every message of the contract and what comes back from abroad, with all its fields."""


def read(body: dict[str, Any], letter: str | None = LETTER) -> LetterMessage:
    return parse_message(orjson.dumps(body), life(), letter)


def errors_of(raw: bytes | dict[str, Any], letter: str | None = LETTER) -> dict[str, str]:
    with pytest.raises(BadLetter) as bad:
        parse_message(raw if isinstance(raw, bytes) else orjson.dumps(raw), life(), letter)
    return {error.pointer: error.detail for error in bad.value.errors}


def test_the_table_has_the_messages_of_the_contract_and_what_comes_back_from_abroad() -> None:
    assert life().messages.keys() == GOOD.keys()


@pytest.mark.parametrize("name", GOOD)
def test_every_message_is_read_as_the_update_that_the_table_makes_of_it(name: str) -> None:
    message = read({"message": name, **GOOD[name]})

    assert (message.name, message.update.name) == (name, life().messages[name])
    assert message.update.open.keys() | message.update.sealed.keys() == GOOD[name].keys()


def test_what_may_be_personal_is_sealed_and_only_codes_and_times_are_open() -> None:
    message = read({"message": "extension", **GOOD["extension"]})

    assert message.update.open == {"until": "2026-06-01T00:00:00.000000Z"}
    assert message.update.sealed == {"reason": "The letter follows."}


def test_without_measures_it_is_about_all_of_them() -> None:
    assert read(SUPPLEMENT).measures == ()
    assert read({**SUPPLEMENT, "measures": [2, 1]}).measures == (2, 1)


def test_a_null_member_counts_as_left_out() -> None:
    message = read({"message": "withdrawal", "reason": None, "measures": None, "id": None})

    assert (message.update.sealed, message.measures, message.own_id) == ({}, (), None)


def test_white_space_and_order_make_no_other_message() -> None:
    turned = orjson.dumps(dict(reversed(SUPPLEMENT.items())), option=orjson.OPT_INDENT_2)

    assert parse_message(turned, life(), LETTER).digest == read(SUPPLEMENT).digest
    assert read({**SUPPLEMENT, "text": "Else."}).digest != read(SUPPLEMENT).digest


ADDRESSED: dict[str, tuple[dict[str, str], str | None, tuple[str | None, str | None]]] = {
    "by the path": ({}, LETTER, (LETTER, None)),
    "by the path, and saying so": ({"letter": LETTER}, LETTER, (LETTER, None)),
    "by the letter's id": ({"letter": LETTER}, None, (LETTER, None)),
    "by the sender's reference": ({"reference": " FR-1 "}, None, (None, "FR-1")),
}


@pytest.mark.parametrize("case", ADDRESSED)
def test_a_message_names_its_letter(case: str) -> None:
    named, path, found = ADDRESSED[case]

    message = read({"message": "withdrawal", **named}, path)

    assert (message.letter, message.reference) == found


BAD: dict[str, tuple[dict[str, Any], str | None, set[str]]] = {
    "no message": ({}, LETTER, {"/message"}),
    "an unknown message": ({"message": "surrender"}, LETTER, {"/message"}),
    "an update that is no message": ({"message": "refused"}, LETTER, {"/message"}),
    "no text as message": ({"message": 7}, LETTER, {"/message"}),
    "a field of another message": ({"message": "withdrawal", "until": "2026-06-01T00:00:00Z"}, LETTER, {"/until"}),
    "everything missing": ({"message": "extension"}, LETTER, {"/until", "/reason"}),
    "a time without a zone": (
        {"message": "extension", "until": "2026-06-01T00:00:00", "reason": "x"},
        None,
        {"/until"},
    ),
    "an unknown code": ({"message": "urgency_change", "urgency": "now", "reason": "x"}, LETTER, {"/urgency"}),
    "no measures": ({**SUPPLEMENT, "measures": []}, LETTER, {"/measures"}),
    "measures that are none": (
        {**SUPPLEMENT, "measures": [0, True, "1"]},
        LETTER,
        {f"/measures/{n}" for n in range(3)},
    ),
    "a measure twice": ({**SUPPLEMENT, "measures": [1, 1]}, LETTER, {"/measures/1"}),
    "too many measures": ({**SUPPLEMENT, "measures": list(range(1, 52))}, LETTER, {"/measures"}),
    "another letter than the path": ({**SUPPLEMENT, "letter": OTHER}, LETTER, {"/letter"}),
    "a reference beside the path": ({**SUPPLEMENT, "reference": "FR-1"}, LETTER, {"/reference"}),
    "no letter at all": (SUPPLEMENT, None, {"/letter"}),
    "a letter and a reference": ({**SUPPLEMENT, "letter": LETTER, "reference": "FR-1"}, None, {"/reference"}),
    "a letter that is none": ({**SUPPLEMENT, "letter": "cas_1"}, None, {"/letter"}),
    "an empty reference": ({**SUPPLEMENT, "reference": " "}, None, {"/reference"}),
    "an id of two lines": ({**SUPPLEMENT, "id": "a\nb"}, LETTER, {"/id"}),
    "an endless id": ({**SUPPLEMENT, "id": "i" * 201}, LETTER, {"/id"}),
    "a file without a digest": ({**SUPPLEMENT, "files": [{"name": "x"}]}, LETTER, {"/files/0/sha256"}),
    "all at once": (
        {"message": "extension", "measures": [0], "id": 7},
        LETTER,
        {"/until", "/reason", "/measures/0", "/id"},
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_every_bad_field_is_named(case: str) -> None:
    body, path, pointers = BAD[case]

    found = errors_of(body, path)

    assert pointers <= found.keys()
    assert found.keys() <= pointers | {"/letter"}


NOT_STRICT: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{", 400),
    "no UTF-8": (b'{"message":"\xff"}', 400),
    "no object": (b'"withdrawal"', 422),
    "a name twice": (b'{"message":"withdrawal","reason":"a","reason":"b"}', 422),
    "half a character": (rb'{"message":"withdrawal","reason":"\ud800"}', 422),
    "too deep": (b'{"message":"withdrawal","reason":' + b"[" * 20 + b"]" * 20 + b"}", 422),
    "a number that not everybody reads alike": (b'{"message":"supplement","contents":{"n":9007199254740993}}', 422),
    "too large": (b" " * (MAX_LETTER_BYTES + 1), 413),
}


@pytest.mark.parametrize("case", NOT_STRICT)
def test_what_two_systems_could_read_differently_is_no_message(case: str) -> None:
    raw, status = NOT_STRICT[case]

    with pytest.raises(BadLetter) as bad:
        parse_message(raw, life(), LETTER)

    assert bad.value.status == status


def test_an_unknown_message_gets_the_nearest_one_and_never_itself_back() -> None:
    assert "'withdrawal'" in errors_of({"message": "withdrawl"})["/message"]
    assert "Sensitive" not in errors_of({"message": "Sensitive-4711"})["/message"]


MARK = "Sensitive-4711"
_values = st.sampled_from([MARK, 7, [MARK], {MARK: MARK}, {"facts": MARK}, None, True])
_names = st.sampled_from(
    ["message", "letter", "reference", "id", "measures", "contents", "text", "files", "until", MARK]
)


@given(st.dictionaries(_names, _values), st.sampled_from([None, LETTER]))
def test_no_error_repeats_what_was_sent(body: dict[str, Any], path: str | None) -> None:
    told = ""
    try:
        read(body, path)
    except BadLetter as bad:
        told = f"{bad} {bad.errors}"

    assert MARK not in told


def test_a_table_that_takes_a_name_which_all_messages_have_stops_the_start() -> None:
    rule = life().updates["withdrawn"]
    clash = rule.text.model_copy(update={"fields": {"measures": rule.text.fields["reason"]}})
    updates = MappingProxyType({**life().updates, "withdrawn": replace(rule, text=clash)})

    check_messages(life())
    with pytest.raises(BadStart, match="'withdrawal' has a field 'measures'"):
        check_messages(replace(life(), updates=updates))


def test_the_schema_has_each_message_with_its_own_fields() -> None:
    kinds = {kind["title"]: kind for kind in schema_of_messages(life())["oneOf"]}

    assert kinds.keys() == GOOD.keys()
    for name, kind in kinds.items():
        assert kind["properties"].keys() == {"message", "id", "measures"} | GOOD[name].keys()
        assert kind["properties"]["message"] == {"const": name}
