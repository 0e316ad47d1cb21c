"""Two processes write and send the same records in random turns, and die: first occurrences are in order and whole."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared import gaps, sweep
from shared.events import NOTICE_RAISED, Draft
from shared.metrics import Metrics
from shared.parcels import Parcel
from shared.producer import Outgoing, Result, Unknown
from shared.records import Record, insertion
from shared.sender import Sender
from tests.unit.test_sender import IDS, OPEN, SEALER, MemoryProducer, MemoryStore, as_it_was, stopped

RECORDS, EVENTS = 4, 40


class Kafka:
    """What has come to the topic, as (record, number) in the order in which it came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, int]] = []

    @property
    def first(self) -> list[tuple[str, int]]:
        """Without repeats."""
        return list(dict.fromkeys(self.came))


class SlowProducer(MemoryProducer):
    """Takes its time, and sometimes gets no answer although the record came."""

    def __init__(self, kafka: Kafka, rng: random.Random) -> None:
        super().__init__()
        self._kafka, self._rng = kafka, rng

    async def send(self, outgoing: Sequence[Outgoing]) -> list[Result]:
        for _ in range(self._rng.choice((0, 1, 3, 10))):
            await asyncio.sleep(0)
        self._kafka.came += [(out.key.decode(), int(out.value.decode()[9:-2])) for out in outgoing]
        return [Unknown() if self._rng.random() < 0.02 else None for _ in outgoing]


class Process:
    """One process: it writes records, as the loop does, and sends them."""

    def __init__(self, store: MemoryStore, kafka: Kafka, rng: random.Random) -> None:
        self._store = store
        metrics = Metrics("test")
        self.sender = Sender(SlowProducer(kafka, rng), IDS, SEALER, metrics)
        self.sweep = sweep.Sweep(self.sender, metrics)
        self._running = asyncio.create_task(self.sender.run())

    def write(self, record: Record) -> None:
        """One more event, kept and fed; what was marked by then is known."""
        number, published = record.version + 1, self._published(record)
        draft = Draft(NOTICE_RAISED, (OPEN,), {"said": str(number)})
        record.append(draft, by="", cause=str(number), now=datetime.now(UTC), evolve=as_it_was, sealer=SEALER)
        document = {**insertion(record, datetime.now(UTC)), "published": published}
        self._store.documents[record.id] = document
        self.sender.feed(
            [Parcel(self._store, record.id, record.subject, record.context, published, (record.fresh[-1],))]
        )

    def _published(self, record: Record) -> int:
        held = self._store.documents.get(record.id)
        return held["published"] if held else 0

    async def die(self) -> None:
        """All that it knows is lost."""
        await stopped(self._running)


@pytest.mark.parametrize("seed", range(30))
async def test_whoever_sends_first_occurrences_are_in_order_and_whole(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "GRACE", timedelta(seconds=0.01))
    monkeypatch.setattr(gaps, "AGAIN", 0.001)
    monkeypatch.setattr(gaps, "PAUSE", 0.001)
    rng, store, kafka = random.Random(seed), MemoryStore(), Kafka()
    processes = [Process(store, kafka, rng) for _ in range(2)]
    records = [Record(f"cas_{n}", f"cas_{n}", {}) for n in range(RECORDS)]

    for _ in range(EVENTS):
        rng.choice(processes).write(rng.choice(records))
        store.is_away = rng.random() < 0.1
        store.marks_to_lose = rng.random() < 0.1
        if rng.random() < 0.05:
            dead = rng.randrange(2)
            await processes[dead].die()
            processes[dead] = Process(store, kafka, rng)
        for _ in range(rng.choice((0, 1, 5, 30))):
            await asyncio.sleep(0)
    store.is_away, store.marks_to_lose = False, 0
    async with asyncio.timeout(20):
        while any("unsent_since" in document for document in store.documents.values()):
            for process in processes:
                await process.sweep.look(store, 0)
            await asyncio.sleep(0.005)

    assert sorted(kafka.first) == sorted((one.id, n) for one in records for n in range(1, one.version + 1))
    for record in records:
        assert [n for name, n in kafka.first if name == record.id] == list(range(1, record.version + 1))
    await asyncio.gather(*(process.sender.drain(5) for process in processes))
    assert all(not process.sender.has(record.id) for process in processes for record in records)
    for process in processes:
        await process.die()
