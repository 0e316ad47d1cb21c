"""Checkpoints on real servers: whatever changes is anchored on the auditors' topic, whoever is killed."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pymongo
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import times
from shared.checkpoints.checkpoint import Checkpoint
from shared.events import AUDIT_CHECKPOINT
from shared.records import chain_holds, event_of, link
from shared.topics import CHECKPOINTS
from tests.service.running import Document, Ear, Heard, System, eventually, letter, make_topics, system
from tests.verified import report_on
from verify.findings import Kind

BY_CHECKPOINTS = {Kind.UNREADABLE, Kind.FORGED, Kind.UNLINKED, Kind.MISSING, Kind.REWRITTEN, Kind.REMOVED}


def anchors(record: str, version: int = 1) -> Callable[[Heard], bool]:
    """Tells whether a checkpoint holds a record in this version or a later one."""
    return lambda one: any(leaf[0] == record and leaf[1] >= version for leaf in one.data["leaves"])


def check(running: System, one: Heard, document: Document) -> None:
    """A checkpoint is signed, and says of this record what its history says."""
    checkpoint = Checkpoint.read(one.value)
    [(_, version, chain)] = [leaf for leaf in checkpoint.leaves if leaf[0] == document["_id"]]
    history = document["history"][:version]
    assert one.type == AUDIT_CHECKPOINT
    assert checkpoint.holds()
    assert checkpoint.is_signed_by(bytes.fromhex(running.keys.checkpoint_public_key))
    assert chain_holds(document["_id"], [event_of(document["_id"], form) for form in history])
    assert history[-1]["chain"].hex() == chain


async def test_what_every_service_writes_is_anchored(services: System, prefix: str) -> None:
    async with services.listening(CHECKPOINTS) as ear:
        filed = (await services.post(letter(f"{prefix}-1"))).json()["id"]

        [case] = await eventually(lambda: services.documents("cases", {"context.letterid": filed}), "the case")
        [notice, *_] = await eventually(lambda: services.documents("notices", {"state.about": case["_id"]}), "a notice")

        for collection, record in (("letters", filed), ("cases", case["_id"]), ("notices", notice["_id"])):
            [one, *_] = await ear.wait_for(anchors(record))
            document = services.document(collection, record)
            assert document is not None
            check(services, one, document)
        kept = services.document(f"{Checkpoint.read(one.value).head.service}_checkpoints", one.record)
        assert kept is not None
        assert one.key == kept["subject"].encode()


@pytest.fixture
async def alone(kafka: Kafka, mongo: Mongo, session_folder: Path, prefix: str) -> AsyncIterator[System]:
    """Intake alone on a database of its own, for it is killed; it anchors nothing by itself so soon."""
    await make_topics(kafka.bootstrap)
    with system(kafka.bootstrap, mongo.uri, f"anchored_{prefix}", session_folder / f"anchored-{prefix}") as made:
        made.settings["ROGATORY_CHECKPOINT_EVERY"] = "3600"
        made.launch("intake")
        made.wait("intake")
        yield made


async def test_what_a_killed_process_had_not_anchored_is_anchored_by_its_next_life(alone: System, prefix: str) -> None:
    filed = (await alone.post(letter(f"{prefix}-1"))).json()["id"]
    alone.services["intake"].running().kill()
    assert records_noted(alone) == {filed}
    grow_old(alone)

    alone.settings["ROGATORY_CHECKPOINT_EVERY"] = "1"
    async with alone.listening(CHECKPOINTS) as ear:
        alone.launch("intake")
        alone.wait("intake")
        [one, *_] = await ear.wait_for(anchors(filed))

    document = alone.document("letters", filed)
    assert document is not None
    check(alone, one, document)
    await eventually(lambda: not records_noted(alone), "the notes' end")


async def test_a_checkpoint_that_was_not_sent_when_its_process_died_is_sent_later(alone: System, prefix: str) -> None:
    alone.stop()
    alone.settings["ROGATORY_CHECKPOINT_EVERY"] = "1"
    alone.launch("intake")
    alone.wait("intake")
    filed = (await alone.post(letter(f"{prefix}-1"))).json()["id"]
    await eventually(lambda: alone.documents("intake_checkpoints"), "a checkpoint")
    alone.services["intake"].running().kill()

    async with alone.listening(CHECKPOINTS) as ear:
        alone.launch("intake")
        alone.wait("intake")
        await ear.from_the_beginning()
        await ear.wait_for(anchors(filed))

    numbers = sorted(document["state"]["number"] for document in alone.documents("intake_checkpoints"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert heard_numbers(alone, ear) == set(numbers)


async def test_who_rewrites_a_history_with_all_its_hashes_is_found_by_its_checkpoint(
    alone: System, prefix: str
) -> None:
    alone.stop()
    alone.settings["ROGATORY_CHECKPOINT_EVERY"] = "1"
    alone.launch("intake")
    alone.wait("intake")
    since = times.now()
    async with alone.listening(CHECKPOINTS) as ear:
        filed = (await alone.post(letter(f"{prefix}-1"))).json()["id"]
        await ear.wait_for(anchors(filed))
    assert of_checkpoints(alone, since, filed) == set()

    rewrite(alone, filed)

    assert of_checkpoints(alone, since, filed) == {Kind.REWRITTEN}


def of_checkpoints(alone: System, since: datetime, record: str) -> set[str]:
    """What a verification finds of a record that checkpoints alone show."""
    findings = report_on(alone.settings, since).tally.findings
    return {one.kind for one in findings if one.record == record} & BY_CHECKPOINTS


def rewrite(alone: System, record: str) -> None:
    """Let somebody else have filed a letter, with every hash as it would then be."""
    with pymongo.MongoClient[Document](alone.mongo, tz_aware=True) as client:
        letters = client[alone.database]["letters"]
        document = letters.find_one({"_id": record})
        assert document is not None
        chain = b""
        for form in document["history"]:
            form["by"] = "somebody-else"
            f = {"sealed": None, **form}
            chain = link(
                chain, record, f["seq"], f["type"], f["at"], f["by"], f["cause"], f["to"], f["data"], f["sealed"]
            )
            form["chain"] = chain
        letters.replace_one({"_id": record}, document)


def heard_numbers(alone: System, ear: Ear) -> set[int]:
    """The numbers of this database's checkpoints that were heard."""
    own = {document["_id"] for document in alone.documents("intake_checkpoints")}
    return {one.data["number"] for one in ear.heard if one.record in own}


def records_noted(alone: System) -> set[str]:
    """The records that stand in notes."""
    return {record for note in alone.documents("intake_unanchored") for record in note["records"]}


def grow_old(alone: System) -> None:
    """Let the notes be of an hour before, as if so long had passed."""
    with pymongo.MongoClient[Document](alone.mongo, tz_aware=True) as client:
        for note in client[alone.database]["intake_unanchored"].find():
            before = {"at": note["at"] - timedelta(hours=1)}
            client[alone.database]["intake_unanchored"].update_one({"_id": note["_id"]}, {"$set": before})
