"""Batches that unpack to far more than they are: set aside, and the letters before and behind them are heard."""

from typing import Any

from aiokafka import AIOKafkaProducer

from shared.unpacking import MOST_UNPACKED
from tests.fuzz import costs
from tests.fuzz.feeding import GATES
from tests.service.running import AGENCY, System, eventually, filed, letter

UNPACKED = 4 * MOST_UNPACKED
MOST_GROWTH = 2 * MOST_UNPACKED
CODECS = ("gzip", "snappy", "lz4", "zstd")


async def put(services: System, codec: str | None, value: bytes, headers: Any = ()) -> int:
    """The offset of what is put on one partition of an agency's topic."""
    producer = AIOKafkaProducer(
        bootstrap_servers=services.kafka,
        compression_type=codec,
        max_request_size=2 * UNPACKED,
        max_batch_size=2 * UNPACKED,
        acks="all",
    )
    await producer.start()
    try:
        sent = await producer.send_and_wait(GATES[0], value, headers=[*headers], partition=0)
    finally:
        await producer.stop()
    return int(sent.offset)


async def test_bombs_are_set_aside_and_hold_up_no_letter(services: System, prefix: str) -> None:
    async def heard(reference: str) -> None:
        said = filed(letter(reference), reference)
        await put(services, "gzip", said.value or b"", said.headers)
        letter_id = services.ids.letter(AGENCY, reference)
        await eventually(lambda: services.document("letters", letter_id), f"letter {reference}", patience=60)

    await heard(f"{prefix}-before")
    before = costs.held(services)["intake"]
    # Zeros pack to almost nothing, but for Snappy, which packs them to a twentieth: what Kafka takes of it is less.
    offsets = {await put(services, codec, bytes(UNPACKED if codec != "snappy" else 20_000_000)) for codec in CODECS}
    await heard(f"{prefix}-behind")
    after = costs.held(services)["intake"]

    asked = {"state.topic": GATES[0], "state.partition": 0, "state.offset": {"$in": [*offsets]}}
    kept = [one["state"] for one in services.documents("intake_quarantine", asked)]
    assert {state["offset"] for state in kept} == offsets
    assert {state["reason"] for state in kept} == {"a batch that unpacks to too much"}
    assert all(state["cut"] and state["urgent"] for state in kept)
    assert after - before < MOST_GROWTH
    assert not services.has_said("intake", "bug")
