"""`rogatory simulate` beside a real Kafka: it answers what is there, says what it said, and needs no database."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.kafka import Kafka
from shared.envelope import read_envelope
from shared.events import CASE_ASSIGNED, schema_of
from shared.law import load_law
from shared.partners import load_partners
from shared.topics import all_topics
from tests.servers import MakeTopics, listening

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.usefixtures("needs_kafka"), pytest.mark.timeout(120)]


def simulate(role: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "simulate", role, *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROGATORY_")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def assign(bootstrap: str, case: str, reference: str) -> None:
    """What the router would write for the desk."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": case,
        "ce_source": f"/desk.cases.v1/{case}",
        "ce_type": CASE_ASSIGNED,
        "ce_dataschema": schema_of(CASE_ASSIGNED),
        "ce_time": "2026-03-10T08:00:00.000000Z",
        "ce_sequence": "0000000001",
    }
    data = {
        "case": case,
        "type": "asset_freeze",
        "lane": "normal",
        "status": "triage",
        "content": {"reference": reference},
    }
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        sent = [(name, value.encode()) for name, value in headers.items()]
        await producer.send_and_wait("desk.cases.v1", orjson.dumps(data), case.encode(), headers=sent)
    finally:
        await producer.stop()


async def said_of(case: str, consumer: AIOKafkaConsumer) -> list[str]:
    """The ids of what was said of a case so far."""
    ids = []
    for records in (await consumer.getmany(timeout_ms=2000)).values():
        for record in records:
            event = read_envelope(record.headers, record.value)
            if orjson.loads(event.data)["case"] == case:
                assert event.type == "update.triage_decided"
                ids.append(event.id)
    return ids


async def test_it_answers_what_is_there_and_a_restart_says_nothing_new(
    kafka: Kafka, kafka_topics: MakeTopics, prefix: str
) -> None:
    partners = load_partners(ROOT / "partners.yaml")
    await kafka_topics(all_topics(load_law(partners.law_file).authorities, partners.agencies, partners.subscribers))
    case = "cas_" + prefix.encode().hex().ljust(32, "0")[:32]
    await assign(kafka.bootstrap, case, prefix)

    async with listening(kafka.bootstrap, "desk.updates.v1") as consumer:
        first = simulate("desk", "--once", "--pace", "0", "--kafka", kafka.bootstrap)
        before = await said_of(case, consumer)
        simulate("desk", "--once", "--pace", "0", "--kafka", kafka.bootstrap)
        after = await said_of(case, consumer)

    assert f"desk  {prefix}  triage_decided" in first.stdout.splitlines(), first.stderr
    assert len(before) == 1
    assert after == before


@pytest.mark.parametrize(
    ("role", "options", "says"),
    [
        ("nobody", ("--kafka", "127.0.0.1:1"), "nobody is called 'nobody' here"),
        ("desk", (), "where is Kafka?"),
        ("desk", ("--kafka", "127.0.0.1:1"), "no Kafka answers at 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_one_sentence(role: str, options: tuple[str, ...], says: str) -> None:
    wrong = simulate(role, *options)

    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1), wrong.stderr
    assert says in wrong.stderr
