"""Verification of checkpoints: what is right is silent, and each thing that is wrong is found, and nothing else."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from shared.checkpoints.checkpoint import Checkpoint, Leaf, SigningKey
from shared.events import AUDIT_CHECKPOINT
from shared.topics import CHECKPOINTS
from verify.anchored import Link, check, keys_of, unlinked
from verify.findings import SAYS, Kind

KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
KEYS = keys_of([KEY.public])
HISTORY = {f"cas_{n}": [bytes([n, version]) * 16 for version in range(3)] for n in range(4)}


def chain_at(record: str, version: int) -> bytes | None:
    return dict(enumerate(HISTORY.get(record, []), 1)).get(version)


def leaf(record: str, version: int) -> Leaf:
    return record, version, (chain_at(record, version) or b"").hex()


def made(count: int = 3, instance: str = "router-0", key: SigningKey = KEY) -> list[Checkpoint]:
    """A chain of checkpoints: in each, one record more in one version more."""
    chain: list[Checkpoint] = []
    for number in range(1, count + 1):
        chain.append(
            Checkpoint.make(
                [leaf(f"cas_{n}", min(number, 3)) for n in range(number)],
                key,
                service="router",
                instance=instance,
                number=number,
                previous=chain[-1].head.digest if chain else None,
                at="2026-03-10T08:00:00.000000Z",
            )
        )
    return chain


def on_topic(*checkpoints: Checkpoint | dict[str, Any] | bytes | None) -> list[ConsumerRecord[Any, Any]]:
    """As they stand on the topic."""
    records: list[ConsumerRecord[Any, Any]] = []
    for offset, one in enumerate(checkpoints):
        value = one if isinstance(one, bytes | None) else orjson.dumps(one.data if isinstance(one, Checkpoint) else one)
        headers = [("ce_type", AUDIT_CHECKPOINT.encode())]
        records.append(ConsumerRecord(CHECKPOINTS, 0, offset, 0, 0, b"router", value, None, 0, 0, headers))
    return records


def kinds(records: Iterable[ConsumerRecord[Any, Any]], keys: dict[str, bytes] = KEYS) -> list[str]:
    return [one.kind for one in check(records, chain_at, keys)]


def test_what_is_right_is_silent_in_any_order_and_however_often_it_comes() -> None:
    one, two, three = made()
    others = made(2, "router-1")

    assert kinds(on_topic(one, two, three)) == []
    assert kinds(on_topic(three, others[0], one, one, others[1], two, three)) == []


def test_what_lies_before_the_beginning_of_the_topic_is_not_missing() -> None:
    assert kinds(on_topic(*made()[1:])) == []


def changed(checkpoint: Checkpoint, **members: Any) -> dict[str, Any]:
    return checkpoint.data | members


ONE, TWO, THREE = made()
FORGED_LEAF = [*TWO.leaves[:-1], ("cas_1", 2, "0" * 64)]
REMADE = Checkpoint.make(
    FORGED_LEAF,
    KEY,
    service="router",
    instance="router-0",
    number=2,
    previous=ONE.head.digest,
    at=TWO.head.at,
)
PLANTED: dict[str, tuple[Callable[[], list[ConsumerRecord[Any, Any]]], list[str]]] = {
    "no value": (lambda: on_topic(ONE, None), [Kind.UNREADABLE]),
    "no JSON": (lambda: on_topic(ONE, b"{"), [Kind.UNREADABLE]),
    "a leaf that was changed": (lambda: on_topic(ONE, changed(TWO, leaves=FORGED_LEAF)), [Kind.FORGED]),
    "a time that was changed": (lambda: on_topic(ONE, changed(TWO, at="2027")), [Kind.FORGED]),
    "another's signature": (lambda: on_topic(changed(made(1, key=OTHER)[0], key=KEY.id)), [Kind.FORGED]),
    "another's key": (lambda: on_topic(*made(1, key=OTHER)), [Kind.UNKNOWN_KEY]),
    "one that is gone": (lambda: on_topic(ONE, THREE), [Kind.MISSING]),
    "one that was made anew": (
        lambda: on_topic(ONE, REMADE, THREE),
        [Kind.REWRITTEN, Kind.UNLINKED],
    ),
    "two of one number": (lambda: on_topic(ONE, TWO, REMADE), [Kind.REWRITTEN, Kind.UNLINKED]),
}


@pytest.mark.parametrize("what", PLANTED)
def test_each_thing_that_is_wrong_is_found_and_nothing_else(what: str) -> None:
    records, expected = PLANTED[what]

    assert kinds(records()) == expected


def test_an_event_of_another_type_is_no_checkpoint() -> None:
    [record] = on_topic(ONE)
    record.headers = [("ce_type", b"case.closed")]

    assert kinds([record]) == [Kind.UNREADABLE]


def test_without_keys_everything_but_the_signature_is_checked() -> None:
    assert kinds(on_topic(*made(1, key=OTHER)), {}) == []
    assert kinds(on_topic(changed(TWO, leaves=FORGED_LEAF)), {}) == [Kind.FORGED]


def test_a_history_that_was_rewritten_is_found() -> None:
    def rewritten(record: str, version: int) -> bytes | None:
        return b"\0" * 32 if (record, version) == ("cas_1", 2) else chain_at(record, version)

    [finding] = check(on_topic(ONE, TWO), rewritten, KEYS)

    assert (finding.kind, finding.record) == (Kind.REWRITTEN, "cas_1")


def test_a_record_that_is_gone_or_was_cut_is_found() -> None:
    def cut(record: str, version: int) -> bytes | None:
        return None if record == "cas_0" or version > 2 else chain_at(record, version)

    findings = check(on_topic(ONE, TWO, THREE), cut, KEYS)

    assert {finding.kind for finding in findings} == {Kind.REMOVED}
    assert {finding.record for finding in findings} == {"cas_0", "cas_1", "cas_2"}


def link(number: int, previous: str | None = "x", digest: str = "") -> Link:
    return Link("router", "router-0", number, digest or f"d{number}", previous)


def test_a_checkpoint_that_mongodb_holds_is_on_its_way_and_not_missing() -> None:
    row = [link(1, None), link(3, "d2")]

    assert list(unlinked(row, lambda *asked: asked == ("router", "router-0", 2))) == []
    assert [one.kind for one in unlinked(row)] == [Kind.MISSING]


def test_where_the_topic_is_whole_the_first_checkpoint_must_be_there() -> None:
    row = [link(3), link(4, "d3")]

    assert list(unlinked(row)) == []
    [finding] = unlinked(row, from_the_beginning=True)
    assert finding.detail == "router/router-0 number 2 between 1 and 2"


def test_a_first_checkpoint_that_names_one_before_it_is_found() -> None:
    assert [one.kind for one in unlinked([link(1, "d0")])] == [Kind.UNLINKED]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_sentence(kind: Kind) -> None:
    assert SAYS[kind].endswith(".")
