"""A checkpoint: its root is the RFC's, its signature covers it, and nothing in it can be changed unseen."""

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from shared.checkpoints.checkpoint import CONTEXT, MAX_LEAVES, Checkpoint, Leaf, SigningKey, key_id
from shared.checkpoints.merkle import root_of
from shared.failures import NeverWill
from shared.records import MAX_EVENT_BYTES

KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
LEAVES: list[Leaf] = [(f"cas_{n:032x}", n + 1, hashlib.sha256(bytes([n])).hexdigest()) for n in range(5)]

CERTIFICATE_TRANSPARENCY = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""The roots of the reference implementation's own test."""
OF_THE_TEST = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]


@pytest.mark.parametrize("size", CERTIFICATE_TRANSPARENCY)
def test_the_root_is_that_of_the_reference_implementation(size: int) -> None:
    leaves = [bytes.fromhex(text) for text in OF_THE_TEST[:size]]

    assert root_of(leaves).hex() == CERTIFICATE_TRANSPARENCY[size]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70))
def test_the_root_is_that_of_another_implementation(leaves: list[bytes]) -> None:
    other = InmemoryTree(algorithm="sha256")
    other.append_entries(leaves)

    assert root_of(leaves) == other.get_root()


def made(leaves: list[Leaf] = LEAVES, previous: str | None = None) -> Checkpoint:
    return Checkpoint.make(
        leaves,
        KEY,
        service="router",
        instance="router-0",
        number=7,
        previous=previous,
        at="2026-03-10T08:00:00.000000Z",
    )


def test_what_was_made_is_read_as_it_was_and_holds() -> None:
    checkpoint = made(previous="ab" * 32)

    read = Checkpoint.read(orjson.dumps(checkpoint.data))

    assert read == checkpoint
    assert read.holds()
    assert read.is_signed_by(KEY.public)
    assert read.head.key == key_id(KEY.public)


def test_another_key_has_not_signed_it() -> None:
    assert not made().is_signed_by(OTHER.public)
    assert not made().is_signed_by(b"no key")


def test_the_signed_bytes_are_those_of_the_contract() -> None:
    """Auditors have programs of their own: these bytes never change."""
    head = made(LEAVES[:1]).head

    assert head.signed == CONTEXT + (
        b'{"at":"2026-03-10T08:00:00.000000Z","instance":"router-0","key":"%b","number":7,"previous":null,'
        b'"root":"%b","service":"router","size":1}' % (KEY.id.encode(), head.root.encode())
    )


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another chain": lambda data: data["leaves"].__setitem__(0, [*data["leaves"][0][:2], "0" * 64]),
    "another version": lambda data: data["leaves"].__setitem__(0, [data["leaves"][0][0], 99, data["leaves"][0][2]]),
    "another order": lambda data: data["leaves"].reverse(),
    "one leaf less": lambda data: data["leaves"].pop(),
    "one leaf more": lambda data: data["leaves"].append(data["leaves"][0]),
    "another number": lambda data: data.update(number=8),
    "another root": lambda data: data.update(root="0" * 64),
    "another size": lambda data: data.update(size=99),
    "another instance": lambda data: data.update(instance="router-1"),
    "another previous": lambda data: data.update(previous="0" * 64),
    "no previous": lambda data: data.update(previous=None),
    "another time": lambda data: data.update(at="2026-03-10T09:00:00.000000Z"),
    "another signature": lambda data: data.update(signature="0" * 128),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_can_be_changed_unseen(change: str) -> None:
    data = orjson.loads(orjson.dumps(made(previous="ab" * 32).data))

    CHANGES[change](data)
    read = Checkpoint.read(orjson.dumps(data))

    assert not (read.holds() and read.is_signed_by(KEY.public))


NOT_CHECKPOINTS = {
    "no bytes": None,
    "no JSON": b"{",
    "no object": b"[]",
    "nothing in it": b"{}",
    "a leaf that is none": orjson.dumps(made().data | {"leaves": [["cas_1", 1]]}),
    "a version that is no number": orjson.dumps(made().data | {"leaves": [["cas_1", "1", "ab"]]}),
    "a number that is text": orjson.dumps(made().data | {"number": "7"}),
    "a root that is no hash": orjson.dumps(made().data | {"root": "ab"}),
}


@pytest.mark.parametrize("what", NOT_CHECKPOINTS)
def test_what_is_no_checkpoint_is_refused(what: str) -> None:
    with pytest.raises(NeverWill):
        Checkpoint.read(NOT_CHECKPOINTS[what])


def test_the_fullest_checkpoint_fits_into_an_event() -> None:
    full: list[Leaf] = [(f"cas_{n:032x}", 999_999, "f" * 64) for n in range(MAX_LEAVES)]

    assert len(orjson.dumps(made(full, "ab" * 32).data)) < MAX_EVENT_BYTES * 0.8
