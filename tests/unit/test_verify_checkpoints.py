"""A verification holds what stands in MongoDB against the checkpoints, and finds each thing that is wrong, alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import bson
import orjson
import pytest
from aiokafka import ConsumerRecord

from shared import envelope
from shared.checkpoints import keeping
from shared.checkpoints.checkpoint import Checkpoint, Leaf, SigningKey
from shared.decisions import Message
from shared.records import Record, insertion, value_on
from shared.times import text_of
from shared.topics import CHECKPOINTS
from tests.unit.test_verify import PLANTED as OF_RECORDS
from tests.unit.verify_world import _AWARE, IDS, NOW, SEALER, World, a_good_world
from verify.anchored import keys_of
from verify.findings import Kind, Report
from verify.telling import sentences

KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
INSTANCE = "router-0"
SILENCE: Leaf = (f"sil_{'0' * 32}", 1, "ab" * 32)
"""Of a record that is not there."""


def anchor(world: World, leaves: Sequence[Leaf], number: int, previous: str | None, key: SigningKey = KEY) -> str:
    """Put a checkpoint where the router would; its digest."""
    name, at = IDS.checkpoint("router", INSTANCE, number), text_of(NOW)
    checkpoint = Checkpoint.make(
        leaves, key, service="router", instance=INSTANCE, number=number, previous=previous, at=at
    )
    record = Record(name, f"router/{INSTANCE}", {})
    message = Message(name, f"checkpoint/{checkpoint.head.digest}", "router", checkpoint, record.subject)
    for draft in keeping.decide(record, message, NOW).events:
        record.append(draft, by="router", cause=message.cause, now=NOW, evolve=keeping.evolve, sealer=SEALER)
    document = {**insertion(record, NOW), "published": 1}
    document.pop("unsent_since")
    kept = bson.decode(bson.encode(document), codec_options=_AWARE)
    world.documents.setdefault("router_checkpoints", {})[name] = kept
    [event] = record.fresh
    headers = envelope.headers_for(CHECKPOINTS, event, IDS.event(name, 1), name, record.subject, {})
    world.put(CHECKPOINTS, record.subject.encode(), value_on(CHECKPOINTS, event), headers)
    return checkpoint.head.digest


def leaves_of(world: World, collection: str) -> list[Leaf]:
    """All records of a collection as they stand."""
    documents = world.documents[collection].values()
    return sorted((one["_id"], one["version"], one["history"][-1]["chain"].hex()) for one in documents)


@pytest.fixture(scope="module")
def anchored() -> World:
    """A good world, all of whose letters and cases are anchored, by three checkpoints."""
    world = a_good_world(8)
    world.deployment = replace(world.deployment, checkpoint_keys=keys_of([KEY.public]))
    previous = None
    for number, collection in enumerate(("letters", "cases", "notices"), 1):
        previous = anchor(world, leaves_of(world, collection), number, previous)
    return world


def found(report: Report) -> dict[str, int]:
    return {str(kind): number for kind, number in report.numbers.items()}


def test_a_good_world_is_right_and_says_how_much_is_anchored(anchored: World, tmp_path: Path) -> None:
    report = anchored.verify(tmp_path)

    counts = report.tally.counts
    assert found(report) == {}
    assert counts["checkpoints"] == 3
    assert counts["anchored"] == sum(len(anchored.documents[name]) for name in ("letters", "cases", "notices"))
    assert counts["unanchored"] == sum(len(kept) for name, kept in anchored.documents.items() if "quarantine" in name)


def rewritten(world: World) -> None:
    [leaf, *rest] = leaves_of(world, "letters")
    anchor(world, [(leaf[0], leaf[1], "ab" * 32), *rest], 4, last_digest(world))


def last_digest(world: World) -> str:
    digest: str = world.documents["router_checkpoints"][IDS.checkpoint("router", INSTANCE, 3)]["state"]["digest"]
    return digest


def cut(world: World) -> None:
    [(name, version, chain), *_] = leaves_of(world, "letters")
    anchor(world, [(name, version + 1, chain)], 4, last_digest(world))


def removed(world: World) -> None:
    anchor(world, [SILENCE], 4, last_digest(world))


def other_key(world: World) -> None:
    anchor(world, [], 4, last_digest(world), OTHER)


def unlinked(world: World) -> None:
    anchor(world, [], 4, "ab" * 32)


def none_of_ours(world: World) -> None:
    anchor(world, [("no id", 1, "ab")], 4, last_digest(world))


def numbered(world: World, number: int) -> ConsumerRecord[Any, Any]:
    return next(one for one in world.on(CHECKPOINTS) if orjson.loads(one.value or b"")["number"] == number)


def taken_out(world: World) -> None:
    """From MongoDB and from the topic, so that nothing else could know."""
    world.take_away(numbered(world, 2))
    del world.documents["router_checkpoints"][IDS.checkpoint("router", INSTANCE, 2)]


def first_taken_out(world: World) -> None:
    world.take_away(numbered(world, 1))
    del world.documents["router_checkpoints"][IDS.checkpoint("router", INSTANCE, 1)]


def forged(world: World) -> None:
    record = numbered(world, 3)
    data = orjson.loads(record.value or b"")
    record.value = orjson.dumps({**data, "at": "2027"})


PLANTED: dict[str, tuple[Callable[[World], None], dict[str, int]]] = {
    "a history that was rewritten": (rewritten, {Kind.REWRITTEN: 1}),
    "a history that was cut": (cut, {Kind.REMOVED: 1}),
    "a record that is gone": (removed, {Kind.REMOVED: 1}),
    "a key that nobody knows": (other_key, {Kind.UNKNOWN_KEY: 1}),
    "one that follows no other": (unlinked, {Kind.UNLINKED: 1}),
    "leaves that are none of ours": (none_of_ours, {Kind.UNREADABLE: 1}),
    "one that was taken out": (taken_out, {Kind.MISSING: 1}),
    "the first was taken out": (first_taken_out, {Kind.MISSING: 1}),
    # The bytes on the topic are not those of the record either, and the number is then not on the topic.
    "one that was changed": (forged, {Kind.FORGED: 1, Kind.CHANGED: 1}),
}


@pytest.mark.parametrize("what", PLANTED)
def test_each_thing_that_is_wrong_is_found_alone(what: str, anchored: World, tmp_path: Path) -> None:
    plant, expected = PLANTED[what]
    world = anchored.copy()
    plant(world)

    report = world.verify(tmp_path)

    assert found(report) == {str(kind): number for kind, number in expected.items()}
    assert any(line.startswith(f"{next(iter(expected))}: 1. ") for line in sentences(report))


def test_a_checkpoint_that_is_kept_and_not_on_the_topic_yet_is_not_missing(anchored: World, tmp_path: Path) -> None:
    world = anchored.copy()
    world.take_away(numbered(world, 2))
    document = world.documents["router_checkpoints"][IDS.checkpoint("router", INSTANCE, 2)]
    document |= {"published": 0, "unsent_since": NOW - timedelta(seconds=1)}

    assert found(world.verify(tmp_path)) == {}


def test_what_comes_twice_is_one(anchored: World, tmp_path: Path) -> None:
    world = anchored.copy()
    for record in list(world.on(CHECKPOINTS)):
        world.again(record)

    assert found(world.verify(tmp_path)) == {}


def test_without_a_key_it_is_said_that_no_signature_was_checked(anchored: World, tmp_path: Path) -> None:
    world = anchored.copy()
    world.deployment = replace(world.deployment, checkpoint_keys={})

    report = world.verify(tmp_path)

    assert found(report) == {}
    assert any(line.startswith("3 checkpoints, whose signatures were not checked") for line in sentences(report))


def test_only_some_collections_are_held_against_what_was_anchored_of_them(anchored: World, tmp_path: Path) -> None:
    world = anchored.copy()
    removed(world)

    report = world.verify(tmp_path, only=("letters",))

    assert found(report) == {}
    assert report.tally.counts["anchored"] == len(world.documents["letters"])


def emptied(world: World) -> None:
    """By hand, from its end or its middle: the topic is kept for ever."""
    world.starts[CHECKPOINTS, 0] = len(world.on(CHECKPOINTS))
    world.for_ever |= {CHECKPOINTS}


def emptied_without_a_reason(world: World) -> None:
    """Nobody says for how long the topic keeps anything."""
    world.starts[CHECKPOINTS, 0] = len(world.on(CHECKPOINTS))
    world.no_age |= {CHECKPOINTS}


def grown_too_large(world: World) -> None:
    """It goes by its age and by its size: nothing can be told."""
    world.starts[CHECKPOINTS, 0] = len(world.on(CHECKPOINTS))


def cut_off(world: World) -> None:
    world.starts[CHECKPOINTS, 0] = 2
    world.for_ever |= {CHECKPOINTS}


def made_anew(world: World) -> None:
    world.topics[CHECKPOINTS, 0].clear()


def kept_too_short(world: World) -> None:
    """All of it is older than what its retention holds: beyond it, and not removed by anybody."""
    world.starts[CHECKPOINTS, 0] = len(world.on(CHECKPOINTS))
    world.emptied[CHECKPOINTS, 0] = int((NOW + timedelta(hours=1)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (emptied, {Kind.MISSING: 1}),
        (emptied_without_a_reason, {Kind.MISSING: 1}),
        (cut_off, {Kind.MISSING: 1}),
        (made_anew, {Kind.MISSING: 1, Kind.LOST: 3}),
        (kept_too_short, {}),
        (grown_too_large, {}),
    ],
)
def test_checkpoints_that_were_removed_by_hand_are_missed_and_what_they_anchored_is_told_in_any_case(
    anchored: World, tmp_path: Path, plant: Callable[[World], None], expected: dict[str, int]
) -> None:
    world = anchored.copy()
    plant(world)

    report = world.verify(tmp_path)

    assert found(report) == {str(kind): number for kind, number in expected.items()}
    assert any("under no checkpoint that was read" in line for line in sentences(report))


def test_what_lies_before_a_time_is_not_missed(anchored: World, tmp_path: Path) -> None:
    assert found(anchored.copy().verify(tmp_path, since=NOW + timedelta(hours=1))) == {}


def test_the_first_checkpoint_may_be_on_its_way_to_an_empty_topic(anchored: World, tmp_path: Path) -> None:
    world = anchored.copy()
    place = CHECKPOINTS, 0
    world.topics[place], world.later[place] = [], world.topics[place]

    assert found(world.verify(tmp_path)) == {}


def test_every_kind_of_finding_was_planted() -> None:
    planted = {kind for _, kinds in PLANTED.values() for kind in kinds}
    planted |= {kind for kinds in OF_RECORDS.values() for kind in kinds}

    assert {*Kind} - planted == {Kind.TOTALS, Kind.UNREAD, Kind.NOT_READ}  # which tests of their own plant
