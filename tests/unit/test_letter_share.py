"""What is made of a good letter: its digest, one measure's share of it, and what differs between two."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from shared import strict_json
from shared.letter import Letter, content_of, differing_fields, digest_of, parse_letter, split_content

KNOWN = frozenset({"data_preservation", "extradition", "stored_data_access"})


def a_letter(**changes: Any) -> dict[str, Any]:
    return {
        "reference": "FR-1",
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "measures": [{"type": "data_preservation", "contents": {"facts": "something"}}],
    } | changes


def as_bytes(letter: object) -> bytes:
    return json.dumps(letter, ensure_ascii=False).encode()


def parsed(**changes: Any) -> Letter:
    return parse_letter(as_bytes(a_letter(**changes)), KNOWN)


def with_contents(**contents: Any) -> dict[str, Any]:
    return a_letter(measures=[{"type": "data_preservation", "contents": contents}])


def test_white_space_order_and_escapes_make_no_difference_to_the_digest() -> None:
    one = as_bytes(with_contents(facts="é", n=1.0))
    other = json.dumps(dict(reversed(list(with_contents(n=1, facts="é").items()))), indent=3).encode()

    assert digest_of(one) == digest_of(other) == digest_of(parse_letter(one, KNOWN))
    assert digest_of(one) != digest_of(as_bytes(with_contents(facts="e", n=1)))


def test_a_letter_that_was_changed_has_another_digest() -> None:
    letter = parsed()

    assert digest_of(letter.model_copy(update={"reference": "FR-2"})) != digest_of(letter)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_fast_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    assert strict_json.canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.sampled_from(["facts", "data", "a", "z9_", "a_b"]), TEXT | st.booleans() | st.lists(TEXT)))
def test_the_digest_of_the_short_way_is_that_of_the_exact_one(contents: dict[str, Any]) -> None:
    raw = as_bytes(with_contents(**contents))

    assert digest_of(parse_letter(raw, KNOWN)) == strict_json.digest(json.loads(raw)) == digest_of(raw)


def test_an_authority_sees_its_measure_and_nothing_of_the_others() -> None:
    letter = parsed(
        contact={"officer": "O"},
        attachments=[{"name": "one.pdf"}, {"name": "two.pdf"}, {"name": "loose.pdf"}],
        measures=[
            {"type": "extradition", "contents": {"facts": "first"}, "attachments": ["one.pdf"]},
            {"type": "stored_data_access", "contents": {"facts": "second"}, "attachments": ["two.pdf"]},
        ],
    )

    assert split_content(content_of(letter), 2) == {
        "reference": "FR-1",
        "party": "FR",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "contact": {"officer": "O"},
        "measure": {"type": "stored_data_access", "contents": {"facts": "second"}},
        "attachments": [{"name": "two.pdf"}],
    }


def test_an_attachment_without_a_name_belongs_to_no_measure_by_name() -> None:
    files = [{"name": "one.pdf"}, {"size": 1}]
    measures = [{"type": "extradition", "attachments": ["one.pdf"]}, {"type": "stored_data_access"}]

    two = content_of(parsed(attachments=files, measures=measures))
    assert split_content(two, 1)["attachments"] == [{"name": "one.pdf"}]
    assert "attachments" not in split_content(two, 2)

    one = content_of(parsed(attachments=files, measures=measures[:1]))
    assert split_content(one, 1)["attachments"] == files


def test_attachments_that_no_measure_names_go_with_the_only_one() -> None:
    assert split_content(content_of(parsed(attachments=[{"name": "loose.pdf"}])), 1)["attachments"] == [
        {"name": "loose.pdf"}
    ]


@pytest.mark.parametrize("n", [-1, 0, 2])
def test_there_is_no_share_for_a_measure_that_is_not_there(n: int) -> None:
    with pytest.raises(IndexError):
        split_content(content_of(parsed()), n)


def test_what_differs_is_named_by_place() -> None:
    one = a_letter(language="fr", confidential=True)
    other = a_letter(
        urgency="urgent",
        confidential=1,
        measures=[{"type": "extradition", "contents": {"facts": "something", "Mr X": 1}}, {"type": "extradition"}],
    )

    assert differing_fields(one, one) == []
    assert differing_fields(one, other) == [
        "/confidential",
        "/language",
        "/measures/0/contents",
        "/measures/0/type",
        "/measures/1",
        "/urgency",
    ]
