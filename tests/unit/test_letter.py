"""The letter at the door: what is taken, what is refused, and how that is said."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.letter import (
    MAX_LETTER_BYTES,
    BadLetter,
    FieldError,
    Letter,
    content_of,
    parse_letter,
)

KNOWN = frozenset({"data_preservation", "extradition", "stored_data_access"})
SECRET = "Qx7secret"


def a_letter(**changes: Any) -> dict[str, Any]:
    """A good letter; a change to `...` takes the field away."""
    good = {
        "reference": "FR-1",
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "measures": [{"type": "data_preservation", "contents": {"facts": "something"}}],
    } | changes
    return {name: value for name, value in good.items() if value is not ...}


def as_bytes(letter: object) -> bytes:
    return json.dumps(letter, ensure_ascii=False).encode("utf-8", "surrogatepass")


def parsed(**changes: Any) -> Letter:
    return parse_letter(as_bytes(a_letter(**changes)), KNOWN)


def refused(raw: bytes) -> tuple[int, dict[str, str]]:
    with pytest.raises(BadLetter) as caught:
        parse_letter(raw, KNOWN)
    return caught.value.status, {error.pointer: error.detail for error in caught.value.errors}


def with_contents(**contents: Any) -> dict[str, Any]:
    return a_letter(measures=[{"type": "data_preservation", "contents": contents}])


def test_a_letter_needs_little_and_the_rest_has_defaults() -> None:
    letter = parsed()

    assert letter.urgency == "normal"
    assert letter.sent_at.isoformat() == "2026-03-10T08:00:00+01:00"
    assert (letter.contact, letter.treaty_basis, letter.attachments) == (None, (), ())


def test_null_counts_as_left_out_everywhere() -> None:
    letter = parsed(
        urgency=None, treaty_basis=None, contact=None, measures=[{"type": "extradition", "contents": {"facts": None}}]
    )

    assert letter.urgency == "normal"
    assert letter.measures[0].contents == {}
    assert refused(as_bytes(a_letter(party=None)))[1] == {"/party": "This field is required."}


@pytest.mark.parametrize("name", ["reference", "party", "direction", "channel", "sent_at", "measures"])
def test_what_is_required_at_the_door(name: str) -> None:
    assert refused(as_bytes(a_letter(**{name: ...}))) == (422, {f"/{name}": "This field is required."})


def test_every_bad_field_is_named_at_once() -> None:
    status, errors = refused(
        as_bytes(
            a_letter(
                party=SECRET,
                channel=SECRET,
                sent_at="2026-03-10T08:00:00",
                urgency=SECRET,
                contact={"officer": 7, "shoe_size": SECRET},
                attachments=[{"name": "a"}, {"name": "a", "sha256": SECRET, "size": -1}],
                measures=[
                    {"type": SECRET, "attachments": ["a", SECRET]},
                    {"type": "extradition", "contents": {"facts": {"nested": SECRET}, SECRET: 1, "age": 2**70}},
                ],
            )
        )
    )

    assert status == 422
    assert set(errors) == {
        "/party",
        "/channel",
        "/sent_at",
        "/urgency",
        "/contact/officer",
        "/contact/shoe_size",
        "/attachments/1/name",
        "/attachments/1/sha256",
        "/attachments/1/size",
        "/measures/0/type",
        "/measures/0/attachments/1",
        "/measures/1/contents",
        "/measures/1/contents/facts",
        "/measures/1/contents/age",
    }
    assert not any(SECRET in text for text in (*errors, *errors.values()))
    assert errors["/sent_at"] == "Needs a zone, like +01:00 or Z."
    assert errors["/channel"].startswith("Must be one of '24/7', 'interpol'")
    assert "data_preservation, extradition" in errors["/measures/0/type"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   ",
        b"\xef\xbb\xbf{}",
        b'{"reference": "\xff"}',
        b'{"reference": "\xed\xa0\x80"}',
        b'{"size": NaN}',
        b'{"size": -Infinity}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 10_000,
        b'{"reference": "a\nb"}',
        b"{} {}",
        b"{}\0",
        as_bytes(a_letter())[:-1],
        json.dumps(a_letter()).encode("utf-16"),
    ],
)
def test_what_is_no_json_is_400(raw: bytes) -> None:
    status, errors = refused(raw)

    assert status == 400
    assert list(errors) == [""]


@pytest.mark.parametrize("raw", [b"[]", b"null", b"1", b'"text"', b"[" * 20 + b"]" * 20])
def test_a_letter_is_an_object(raw: bytes) -> None:
    status, errors = refused(raw)

    assert status == 422
    assert list(errors) == [""]


def test_a_letter_has_at_most_512_kib() -> None:
    assert refused(b" " * (MAX_LETTER_BYTES + 1))[0] == 413
    room = MAX_LETTER_BYTES - len(as_bytes(with_contents(facts="")))
    assert parse_letter(as_bytes(with_contents(facts="x" * room)), KNOWN)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (r'"\u0000"', "/measures/0/contents/facts"),
        (r'"\ud800"', "/measures/0/contents/facts"),
        (r'["good", "\udfff"]', "/measures/0/contents/facts/1"),
        ("1180591620717411303424", "/measures/0/contents/facts"),
        ("-9007199254740992", "/measures/0/contents/facts"),
        ("9007199254740993", "/measures/0/contents/facts"),
        ("[18446744073709551616]", "/measures/0/contents/facts/0"),
        ("1" * 5000, "/measures/0/contents/facts"),
        ("1e400", "/measures/0/contents/facts"),
        ('{"a": 1}', "/measures/0/contents/facts"),
        ("[[1]]", "/measures/0/contents/facts"),
        ("[null]", "/measures/0/contents/facts"),
        ("[" * 17 + "]" * 17, ""),
        ('1, "facts": 1', "/measures/0/contents/facts"),
        (r'1, "fact\u0073": 1', "/measures/0/contents/facts"),
        (r'"a\u003ab", "facts": 1', "/measures/0/contents/facts"),
        ('1, "Mr X": 1', "/measures/0/contents"),
        (r'1, "\ud800": 1', "/measures/0/contents"),
        (r'1, "a\u0000b": 1', "/measures/0/contents"),
        ("1, " + '"": 1', "/measures/0/contents"),
    ],
)
def test_what_json_allows_and_a_letter_does_not(text: str, pointer: str) -> None:
    raw = as_bytes(with_contents(facts="HERE")).replace(b'"HERE"', text.encode())

    status, errors = refused(raw)

    assert (status, list(errors)) == (422, [pointer])


@pytest.mark.parametrize(
    "value",
    ["", "نص", "😀", True, 0, -1, 1.5, 1e300, 2**53 - 1, ["a", 1, False, 2.5], [], "a:b", 'q"\\u0000', "\x7f\u2028"],
)
def test_what_may_stand_in_contents_and_stays_as_it_came(value: Any) -> None:
    letter = parse_letter(as_bytes(with_contents(facts=value)), KNOWN)

    assert letter.measures[0].contents == {"facts": value}
    assert content_of(letter) == with_contents(facts=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reference", ""),
        ("reference", "   "),
        ("reference", "a\tb"),
        ("reference", "a\u0085b"),
        ("reference", "x" * 201),
        ("reference", 7),
        ("party", "XX"),
        ("party", "fr"),
        ("party", ["FR"]),
        ("sent_at", 1773126000),
        ("sent_at", "1773126000"),
        ("sent_at", "2026-02-30T08:00:00Z"),
        ("sent_at", "2026-03-10"),
        ("sent_at", "0001-01-01T00:00:00+14:00"),
        ("sent_at", "9999-12-31T23:59:59-12:00"),
        ("direction", "sideways"),
        ("language", "a language"),
        ("confidential", "yes"),
        ("confidential", 1),
        ("treaty_basis", "uncc"),
        ("treaty_basis", 7),
        ("measures", []),
        ("measures", {}),
        ("measures", [{"type": "extradition"}] * 51),
        ("prior_reference", ""),
        ("extra", 1),
    ],
)
def test_a_field_that_is_not_as_it_should_be(name: str, value: Any) -> None:
    status, errors = refused(as_bytes(a_letter(**{name: value})))

    assert (status, list(errors)) == (422, [f"/{name}"])


def test_a_reference_is_what_remains_without_the_space_around_it() -> None:
    assert parsed(reference=" FR 1\n").reference == "FR 1"


@pytest.mark.parametrize("deadline", [{}, {"reason": "why"}, {"at": "2026-06-18T09:30+02:00"}, {"at": None}])
def test_what_is_missing_in_a_deadline_is_no_matter_of_the_door(deadline: dict[str, Any]) -> None:
    assert parsed(requested_deadline=deadline).requested_deadline


@pytest.mark.parametrize("at", ["2026-06-18T09:30", 7, "soon", {}])
def test_a_deadline_that_is_none_is_refused(at: Any) -> None:
    assert list(refused(as_bytes(a_letter(requested_deadline={"at": at})))[1]) == ["/requested_deadline/at"]


def test_an_attachment_needs_no_name_but_one_that_is_given_is_text() -> None:
    assert parsed(attachments=[{"size": 1}, {"size": 1}, {"name": None}, {}]).attachments
    for name in (7, "", ["a"]):
        assert list(refused(as_bytes(a_letter(attachments=[{"name": name}])))[1]) == ["/attachments/0/name"]


def test_a_hostile_letter_gets_an_answer_of_bounded_size() -> None:
    names = ",".join(f'"k{n}":1' for n in range(20_000))

    status, errors = refused(f"{{{names}}}".encode())

    assert status == 422
    assert len(errors) == 201


def test_nothing_of_a_letter_is_printed() -> None:
    letter = parsed(reference=SECRET, contact={"officer": SECRET})

    assert SECRET not in f"{letter!r} {letter} {letter.contact!r} {letter.measures!r}"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["facts", "data"]), st.text() | st.integers(), min_size=1), st.booleans())
def test_a_name_that_stands_twice_is_always_found(contents: dict[str, Any], is_escaped: bool) -> None:
    again = json.dumps(contents, ensure_ascii=is_escaped)
    raw = as_bytes(a_letter(measures=[{"type": "extradition", "contents": 0}])).replace(
        b": 0", f": {again[:-1]}, {again[1:]}".encode()
    )

    assert refused(raw)[0] == 422


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd(raw: bytes) -> None:
    assert all(pointer == "" or pointer.startswith("/") for pointer in refused(raw)[1])


MARKED = st.text(max_size=3).map(lambda text: SECRET + text) | VALUES
FIELDS = st.sampled_from([*Letter.model_fields, SECRET])
BAD_PARTS = st.dictionaries(
    FIELDS, MARKED | st.lists(st.dictionaries(FIELDS | st.just("type"), MARKED, max_size=3), max_size=3)
)


@settings(max_examples=200)
@given(BAD_PARTS)
def test_a_refusal_names_places_and_never_repeats_the_letter(changes: dict[str, Any]) -> None:
    errors: tuple[FieldError, ...] = ()
    said = ""
    try:
        parse_letter(as_bytes(a_letter(**changes)), KNOWN)
    except BadLetter as bad:
        errors, said = bad.errors, str(bad)

    assert bool(errors) == bool(said)
    assert all(error.pointer == "" or error.pointer.startswith("/") for error in errors)
    assert SECRET not in f"{said} {errors}"
