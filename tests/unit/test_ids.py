"""Ids: the same for ever, distinct for distinct things, and silent about what they stand for."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import Ids

KEY = b"k" * 32

MAKERS: dict[str, Callable[[Ids], str]] = {
    "let_": lambda ids: ids.letter("contact-point", "FR-2026-1"),
    "let_ (refused)": lambda ids: ids.refused_letter("contact-point", "/fr", "1"),
    "cas_": lambda ids: ids.case("let_1", 1),
    "ref_": lambda ids: ids.reference("FR", "FR-2026-1"),
    "alt_": lambda ids: ids.alert("let_1", "1"),
    "not_": lambda ids: ids.notice("alt_1", "operations", "kafka"),
    "qua_": lambda ids: ids.quarantined("router", "letters.received.v1", 0, 7, b"value"),
    "evt_": lambda ids: ids.event("let_1", 1),
    "ext_": lambda ids: ids.cause("let_1", "1"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_an_id_is_the_same_for_ever_and_has_the_prefix_of_its_kind(kind: str) -> None:
    made = MAKERS[kind](Ids(KEY))

    assert made == MAKERS[kind](Ids(KEY))
    assert re.fullmatch(rf"{kind[:4]}[0-9a-f]{{32}}", made)


@pytest.mark.parametrize("kind", MAKERS)
def test_another_deployment_makes_other_ids(kind: str) -> None:
    assert MAKERS[kind](Ids(KEY)) != MAKERS[kind](Ids(b"K" * 32))


def test_no_id_reveals_another_not_even_one_of_another_kind_over_the_same_parts() -> None:
    ids = Ids(KEY)

    ends = [make(ids).partition("_")[2] for make in MAKERS.values()]

    assert len(set(ends)) == len(ends)


DIFFERENT: dict[str, tuple[Callable[[Ids], str], Callable[[Ids], str]]] = {
    "agency and reference": (lambda ids: ids.letter("ab", "c"), lambda ids: ids.letter("a", "bc")),
    "a letter and a refused one": (lambda ids: ids.letter("a", "b"), lambda ids: ids.refused_letter("a", "b", "")),
    "measure 1 and 11": (lambda ids: ids.case("let_1", 1), lambda ids: ids.case("let_", 11)),
    "recipient and channel": (lambda ids: ids.notice("a", "b", "c"), lambda ids: ids.notice("a", "bc", "")),
    "partition and offset": (
        lambda ids: ids.quarantined("router", "t", 1, 11, b""),
        lambda ids: ids.quarantined("router", "t", 11, 1, b""),
    ),
    "the same place, other bytes": (
        lambda ids: ids.quarantined("router", "t", 0, 0, b"a"),
        lambda ids: ids.quarantined("router", "t", 0, 0, b"b"),
    ),
    "two services that set one record aside": (
        lambda ids: ids.quarantined("intake", "t", 0, 0, b"a"),
        lambda ids: ids.quarantined("notifier", "t", 0, 0, b"a"),
    ),
    "zero bytes in a stranger's words": (lambda ids: ids.cause("a\0b", "c"), lambda ids: ids.cause("a", "b\0c")),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_is_different_has_different_ids(case: str) -> None:
    one, other = DIFFERENT[case]
    ids = Ids(KEY)

    assert one(ids) != other(ids)


@settings(deadline=None)  # the machine may be busy
@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_parts_never_run_into_each_other(one: tuple[str, str], other: tuple[str, str]) -> None:
    ids = Ids(KEY)

    assert (ids.cause(*one) == ids.cause(*other)) is (one == other)


def test_any_text_of_a_stranger_has_an_id_even_half_a_character() -> None:
    assert Ids(KEY).cause("\ud800", "").startswith("ext_")


def test_an_id_shows_nothing_of_its_parts() -> None:
    made = Ids(KEY).letter("contact-point", "deadbeef")

    assert "contact" not in made
    assert "deadbeef" not in made
