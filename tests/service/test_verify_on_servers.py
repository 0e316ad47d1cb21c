"""`rogatory verify` on real servers: beside live services, as a command, and with faults in MongoDB and on topics."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import times, topics
from shared.events import CASE_ASSIGNED
from shared.failures import BadStart
from shared.times import text_of
from shared.vocabulary import Lane
from tests.service.running import AGENCY, SERVICES, Document, Said, System, cloud_event, eventually, letter, make_topics
from tests.service.running import system as running
from tests.verified import report_on
from verify.command import mended
from verify.findings import Kind


@pytest.fixture(scope="module")
def system(needs_kafka: None, mongo: Mongo, module_folder: Path) -> Iterator[System]:
    """Services with a database and a Kafka of their own: on the others' topics the others' services write."""
    with Kafka(module_folder / "kafka") as kafka:
        asyncio.run(make_topics(kafka.bootstrap))
        with running(kafka.bootstrap, mongo.uri, "verify_tests", module_folder / "services", *SERVICES) as made:
            yield made


@pytest.fixture(scope="module")
def since() -> str:
    """When this file began: what other tests left on the topics is theirs."""
    return text_of(times.now())


async def at_rest(system: System, cases: int) -> None:
    """Every case is open, told and answered."""

    def is_so() -> bool:
        left = [system.documents(name, {"unsent_since": {"$exists": True}}) for name in ("letters", "cases", "notices")]
        known = [case for one in system.documents("letters") for case in one["state"].get("cases", ())]
        return not any(left) and len(known) >= cases

    await eventually(is_so, "rest")


async def test_beside_live_services_nothing_is_wrong(system: System, since: str, prefix: str) -> None:
    async def file(number: int) -> None:
        answer = await system.post(letter(f"{prefix}-{number}", "stored_data_access", "extradition"))
        assert answer.status_code == 202
        await asyncio.sleep(0.02)

    async def file_all() -> None:
        for number in range(0, 120, 4):
            await asyncio.gather(*(file(n) for n in range(number, number + 4)))

    began = times.read(since)
    filing = asyncio.create_task(file_all())
    reports = []
    while not filing.done():
        reports.append(await asyncio.to_thread(report_on, system.settings, began))
    await filing
    await at_rest(system, 240)
    reports.append(await asyncio.to_thread(report_on, system.settings, began))

    assert [one.numbers for one in reports] == [{}] * len(reports)
    counts = reports[-1].tally.counts
    assert (counts["letters"], counts["cases"]) == (120, 240)
    assert counts["events told"] >= 120 * 8
    assert counts["measures with their case"] == 240


def verify(system: System, *options: str) -> tuple[int, dict[str, Any]]:
    """The command as a user gives it."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "verify", "--json", *options],
        cwd=ROOT,
        env=os.environ | system.settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def changed(system: System, collection: str, document: Document) -> Iterator[None]:
    """A document in the place of its own, until the block ends."""
    with pymongo.MongoClient[Document](system.mongo, w="majority") as client:
        held = client[system.database][collection]
        before = held.find_one({"_id": document["_id"]})
        assert before
        held.replace_one({"_id": document["_id"]}, document)
        try:
            yield
        finally:
            held.replace_one({"_id": document["_id"]}, before)


async def test_a_history_that_was_changed_in_mongodb_is_named_by_the_command(
    system: System, since: str, prefix: str
) -> None:
    await system.post(letter(prefix))
    record = system.ids.letter(AGENCY, prefix)
    await eventually(lambda: (system.document("letters", record) or {}).get("state", {}).get("cases"), "the case")
    await at_rest(system, 1)
    document = system.document("letters", record) or {}
    document["history"][0]["data"] = document["history"][0]["data"].replace(b'"FR"', b'"DE"')

    with changed(system, "letters", document):
        code, said = await asyncio.to_thread(verify, system, "--since", since, "--only", "letters")

    assert (code, said["verdict"]) == (1, "failed")
    assert {one["kind"] for one in said["findings"]} == {Kind.CHAIN, Kind.STATE, Kind.CHANGED}
    assert {one["record"] for one in said["findings"]} == {record}


async def test_a_record_that_is_gone_leaves_its_events_behind(
    system: System, since: str, prefix: str, tmp_path: Path
) -> None:
    """And the totals know of it; so does a checkpoint, if there was time for one."""
    await system.post(letter(prefix))
    letter_id = system.ids.letter(AGENCY, prefix)
    case = system.ids.case(letter_id, 1)
    await eventually(lambda: (system.document("letters", letter_id) or {}).get("state", {}).get("cases"), "the case")
    await at_rest(system, 1)
    with pymongo.MongoClient[Document](system.mongo, w="majority") as client:
        cases = client[system.database]["cases"]
        gone = cases.find_one_and_delete({"_id": case})
        assert gone
        code, said = await asyncio.to_thread(verify, system, "--since", since, "--state", str(tmp_path))
        cases.insert_one(gone)

    assert code == 1
    assert {(one["kind"], one["record"]) for one in said["findings"]} - {(Kind.REMOVED, case)} == {
        (Kind.UNKNOWN, case),
        (Kind.NOT_TAKEN, case),
        (Kind.NO_CASE, letter_id),
        (Kind.TOTALS, "cases"),
    }
    code, said = await asyncio.to_thread(verify, system, "--since", since, "--state", str(tmp_path))
    assert (code, said["findings"]) == (0, [])


async def test_totals_that_are_gone_are_found(system: System, since: str, prefix: str) -> None:
    """Every slot of the letters is gone; nothing else says so, for each letter is there."""
    await system.post(letter(prefix))
    record = system.ids.letter(AGENCY, prefix)
    await eventually(lambda: (system.document("letters", record) or {}).get("state", {}).get("cases"), "the case")
    await at_rest(system, 1)
    with pymongo.MongoClient[Document](system.mongo, w="majority") as client:
        totals = client[system.database]["totals"]
        await asyncio.sleep(3)  # the services have settled what they noted
        kept = list(totals.find({"collection": "letters"}))
        totals.delete_many({"collection": "letters"})
        try:
            code, said = await asyncio.to_thread(verify, system, "--since", since, "--only", "letters")
        finally:
            for one in kept:
                totals.replace_one({"_id": one["_id"]}, one, upsert=True)

    assert (code, {(one["kind"], one["record"]) for one in said["findings"]}) == (1, {(Kind.TOTALS, "letters")})
    assert "No totals are kept of letters" in said["totals"]


async def test_totals_that_are_wrong_are_found_and_put_right(system: System, since: str) -> None:
    def totals() -> dict[str, Any]:
        return verify(system, "--since", since)[1]

    before = await asyncio.to_thread(totals)
    with pymongo.MongoClient[Document](system.mongo, w="majority") as client:
        slot = {"_id": "cases/planted/1", "owner": "nobody", "instance": "planted", "collection": "cases", "at": None}
        more = {"totals": {"case/open": 3}, "deltas": [], "pending": b""}
        client[system.database]["totals"].insert_one({**slot, **more})
    wrong = await asyncio.to_thread(totals)
    mended = await asyncio.to_thread(verify, system, "--mend-totals", "--by", "Maud Vernier")
    after = await asyncio.to_thread(totals)

    there = before["accounts"]["case"]["open"]
    assert [one["detail"] for one in wrong["findings"]] == [f"case/open: {there + 3:,} kept, {there:,} counted"]
    assert mended == (0, {"by": "Maud Vernier", "mended": {"cases": {"case/open": [there + 3, there]}}})
    assert (before["verdict"], after["verdict"]) == ("ok", "ok")
    assert after["totals"] == before["totals"]


async def test_totals_stay_as_they_are_while_a_record_is_damaged(system: System, since: str, prefix: str) -> None:
    record = system.ids.case(system.ids.letter(AGENCY, prefix), 7)
    with pymongo.MongoClient[Document](system.mongo, w="majority") as client:
        cases, totals = client[system.database]["cases"], client[system.database]["totals"]
        cases.insert_one({"_id": record, "state": 7})
        try:
            found = await asyncio.to_thread(verify, system, "--since", since, "--only", "cases")
            with pytest.raises(BadStart, match=f"the first is cases/{record}, and `rogatory verify` names all"):
                await asyncio.to_thread(mended, system.settings, "Ines Okafor")
        finally:
            cases.delete_one({"_id": record})
        corrections = totals.count_documents({"_id": "cases/mended", "corrections.by": "Ines Okafor"})

    assert (found[0], corrections) == (1, 0)
    assert (Kind.STRANGE, record) in {(one["kind"], one["record"]) for one in found[1]["findings"]}


async def test_what_somebody_else_wrote_on_our_topic_is_unknown(system: System, prefix: str) -> None:
    """Nobody of ours reads that topic."""
    began = times.now()
    topic = topics.cases_of("security-service", Lane.NORMAL)
    forged = system.ids.case(system.ids.letter(AGENCY, prefix), 9)
    headers = cloud_event(
        "evt_" + "0" * 32, f"/{topic}/{forged}", CASE_ASSIGNED, sequence="0000000001", subject="key", chain="0" * 64
    )
    await system.produce(topic, Said(b"{}", headers))

    report = await asyncio.to_thread(report_on, system.settings, began)

    assert [(one.kind, one.record, one.topic) for one in report.tally.findings] == [(Kind.UNKNOWN, forged, topic)]
