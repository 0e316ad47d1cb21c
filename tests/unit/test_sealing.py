"""Sealing: content opens under its record's key, at its own place, unchanged, and not otherwise."""

import os
from collections.abc import Callable

import pytest

from shared.sealing import Broken, Sealer, place_of

PLACE = place_of("let_1", 1)


def sealer(key: bytes = b"s" * 32) -> Sealer:
    return Sealer(key)


def flipped(sealed: bytes, at: int) -> bytes:
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


def test_what_was_sealed_opens_after_the_key_was_stored_and_read_again() -> None:
    key = sealer().new_key("let_1")

    sealed = key.seal(b"a name", PLACE)
    again = sealer().key_of("let_1", key.wrapped)

    assert again.open(sealed, PLACE) == b"a name"
    assert again.wrapped == key.wrapped


def test_what_is_sealed_shows_nothing_and_is_never_twice_the_same() -> None:
    key = sealer().new_key("let_1")

    sealed = key.seal(b"a name", PLACE)

    assert b"name" not in sealed
    assert sealed != key.seal(b"a name", PLACE)


def test_nothing_at_all_can_be_sealed_too() -> None:
    key = sealer().new_key("let_1")

    assert key.open(key.seal(b"", PLACE), PLACE) == b""


@pytest.mark.parametrize("place", [place_of("let_1", 2), place_of("let_2", 1), place_of("let_", 11), b""])
def test_content_does_not_open_at_another_place(place: bytes) -> None:
    key = sealer().new_key("let_1")
    sealed = key.seal(b"a name", PLACE)

    with pytest.raises(Broken):
        key.open(sealed, place)


@pytest.mark.parametrize("at", [0, 11, 12, -1])
def test_content_does_not_open_when_a_byte_of_it_changes(at: int) -> None:
    key = sealer().new_key("let_1")
    sealed = key.seal(b"a name", PLACE)

    with pytest.raises(Broken):
        key.open(flipped(sealed, at % len(sealed)), PLACE)


@pytest.mark.parametrize("kept", [0, 5, 12, 20])
def test_content_that_was_cut_off_is_broken_and_no_bug(kept: int) -> None:
    key = sealer().new_key("let_1")
    sealed = key.seal(b"a name", PLACE)

    with pytest.raises(Broken):
        key.open(sealed[:kept], PLACE)


def test_one_records_key_does_not_open_another_records_content() -> None:
    sealed = sealer().new_key("let_1").seal(b"a name", PLACE)

    with pytest.raises(Broken):
        sealer().new_key("let_1").open(sealed, PLACE)


WRONG_KEYS: dict[str, Callable[[bytes], tuple[Sealer, str, bytes]]] = {
    "another record's": lambda wrapped: (sealer(), "let_2", wrapped),
    "another deployment's": lambda wrapped: (sealer(b"S" * 32), "let_1", wrapped),
    "changed": lambda wrapped: (sealer(), "let_1", flipped(wrapped, 20)),
    "cut off": lambda wrapped: (sealer(), "let_1", wrapped[:8]),
}


@pytest.mark.parametrize("case", WRONG_KEYS)
def test_a_stored_key_that_is_not_the_records_own_is_broken(case: str) -> None:
    opener, record, wrapped = WRONG_KEYS[case](sealer().new_key("let_1").wrapped)

    with pytest.raises(Broken) as said:
        opener.key_of(record, wrapped)

    assert "s" * 32 not in str(said.value)


def test_every_record_has_a_key_of_its_own() -> None:
    wrapped = {sealer().new_key("let_1").wrapped for _ in range(100)}

    assert len(wrapped) == 100


def test_a_key_of_another_length_is_no_sealing_key() -> None:
    with pytest.raises(ValueError):
        Sealer(os.urandom(31))
