"""Bad records by the hundred on every real topic: each is set aside, and healthy letters among them are not held up."""

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from hypothesis import Phase, given
from hypothesis import strategies as st

from shared.quarantine.reading import ENTRIES
from tests.fuzz import costs, scale
from tests.fuzz.feeding import GATES, RECEIVED, TOPICS, Position, all_read, feeding
from tests.fuzz.order import Handled, Place, batches_late
from tests.fuzz.records import records
from tests.servers import listening
from tests.service.running import SERVICES, System

AGAIN = "rogatory_batches_again_total"
PARTS = 10
"""The bad records come in so many parts, healthy letters with each."""
HALF = 5
"""After so many parts the services hold what is compared with the end: 10,000 records are a tenth of all that the long
run tries; until then the short one fills what may wait."""
AMONG = 4
"""Healthy letters among the bad records of one part at one gate."""


def some(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many of a strategy's values."""
    found: list[Any] = []

    @scale.drawing(count, Phase.generate)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


async def test_bad_records_hinder_no_healthy_letter(services: System, prefix: str) -> None:
    # Some no client can send, or they stop a service on purpose.
    each = scale.of("topics") * 12 // 10 // len(TOPICS) + 1
    bad = {topic: some(records(topic), each) for topic in TOPICS}
    after_half = costs.held(services)
    async with listening(services.kafka, *RECEIVED) as consumer, feeding(services) as feeder:
        for part in range(PARTS):
            for topic, found in bad.items():
                references = [f"{prefix}-{topic}-{part}-{n}" for n in range(AMONG)] if topic in GATES else []
                await feeder.send(topic, found[part::PARTS], references)
            await all_read(services)  # so that no part is more at once than another
            if part + 1 == HALF:
                after_half = costs.held(services)
        await all_read(services)  # what followed from what was read before
        sent = feeder.sent
        received = await positions(consumer, sent.letters)

    scale.tried("topics", sent.count)
    assert sent.count >= scale.of("topics")
    kept = set_aside(services)
    assert sent.aside <= kept.keys()
    letters = times_of(services, "letters", sent.letters)
    cases = {services.ids.case(name, 1): name for name in sent.letters}
    opened = {cases[case]: at for case, at in times_of(services, "cases", cases).items()}
    at_the_gates = {name: Handled(place, offset, letters[name]) for name, (place, offset) in sent.letters.items()}
    forwarded = {name: Handled(place, offset, opened[name]) for name, (place, offset) in received.items()}
    for service, healthy in (("intake", at_the_gates), ("router", forwarded)):
        assert healthy.keys() == sent.letters.keys()
        bad_ones = [Handled(place, offset, at) for (by, place, offset), at in kept.items() if by == service]
        late = batches_late(healthy.values(), [*healthy.values(), *bad_ones])
        assert {one: batches for one, batches in late.items() if batches} == {}
    scale.NOTES.append(f"topics: {len(kept):,} set aside; {len(letters)} healthy letters, none a batch late")

    for name in SERVICES:
        counted = await services.metrics(name)
        again = {metric: count for metric, count in counted.items() if metric.startswith(AGAIN)}
        assert again
        assert not any(again.values())  # a batch that comes again holds up healthy letters, each in its own batch
        assert not services.has_said(name, "bug"), services.said(name, "bug")
        assert not services.has_said(name, "stopping")
    costs.compared("topics", "half", after_half, costs.held(services))


async def positions(consumer: AIOKafkaConsumer, letters: Collection[str]) -> Mapping[str, Position]:
    """Where each letter stands on the topics that a consumer has begun to read."""
    found: dict[str, Position] = {}
    ends = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records_there in (await consumer.getmany(timeout_ms=200)).values():
            for one in records_there:
                name = (one.key or b"").decode()
                if name in letters:
                    found.setdefault(name, ((one.topic, one.partition), one.offset))
    return found


def times_of(services: System, collection: str, ids: Collection[str]) -> Mapping[str, str]:
    """When the first thing happened to each record."""
    found = services.documents(collection, {"_id": {"$in": [*ids]}})
    return {one["_id"]: one["history"][0]["at"] for one in found}


def set_aside(services: System) -> Mapping[tuple[str, Place, int], str]:
    """Which service set aside what, and when."""
    return {
        (name, (state["topic"], state["partition"]), state["offset"]): state["kept_at"]
        for name in SERVICES
        for state in (one["state"] for one in services.documents(f"{name}_quarantine", ENTRIES))
    }
