"""Authorities and duty officers who answer by Kafka, as soon as they hear: every case and every notice is acknowledged.

Both say so again until Kafka has it, some of them once more: what they say has an id, so it counts once.
"""

import asyncio
import random
from collections.abc import Sequence

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from shared import times, topics
from shared.events import CASE_ASSIGNED, NOTICE_ACKNOWLEDGED, NOTICE_RAISED
from shared.times import text_of
from shared.vocabulary import Lane
from tests.fault.history import History, Outcome
from tests.fault.openings import Said
from tests.fault.outsiders import producer_of
from tests.servers import partitions_of

OFFICERS = "duty-officers"
_AGAIN = 0.05
"""The share of answers that are given once more."""
_LATER = 5.0
"""Seconds at most after which they are: who heard the first one may be dead by then."""


class Answering:
    """Reads what the authorities and the officers are told, and answers; `async with` starts and stops it."""

    def __init__(self, bootstrap: str, authorities: Sequence[str], rng: random.Random) -> None:
        """`authorities`: those of the law, and the desk."""
        self._bootstrap, self._rng = bootstrap, rng
        self._cases = {topics.cases_of(one, lane): (one, lane) for one in authorities for lane in Lane}
        self.history = History()
        self.cases: set[str] = set()
        """Of which an authority has heard."""
        self.notices: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Answering":
        """Read from the beginning."""
        partitions = await partitions_of(self._bootstrap, [*self._cases, topics.notices_to(OFFICERS)])
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._producer = producer_of(self._bootstrap)
        await self._consumer.start()
        await self._producer.start()
        self._consumer.assign(partitions)
        for partition in partitions:
            self._consumer.seek(partition, 0)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        for task in (self._reading, *self._tasks):
            task.cancel()
        await asyncio.gather(self._reading, *self._tasks, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def finish(self, cases: int, patience: float = 180) -> None:
        """Wait until so many cases have been heard of, and all that was heard of is answered."""
        async with asyncio.timeout(patience):
            while len(self.cases) < cases or self._tasks:
                if self._reading.done():
                    self._reading.result()
                await asyncio.sleep(0.1)

    async def _read(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    self._hear(record)

    def _hear(self, record: ConsumerRecord[bytes, bytes]) -> None:
        headers = {name: text.decode() for name, text in record.headers}
        about = headers["ce_source"].rsplit("/", 1)[1]
        if record.topic in self._cases and headers["ce_type"] == CASE_ASSIGNED and about not in self.cases:
            self.cases.add(about)
            self._begin("acknowledgement of a case", about, _update(about, *self._cases[record.topic]))
        elif headers["ce_type"] == NOTICE_RAISED and about not in self.notices:
            self.notices.add(about)
            self._begin("acknowledgement of a notice", about, _acknowledgement(about))

    def _begin(self, what: str, about: str, said: Said) -> None:
        task = asyncio.create_task(self._say(what, about, said))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, what: str, about: str, said: Said) -> None:
        again = self._rng.random() < _AGAIN
        await self._until_taken(what, about, said)
        if again:
            await asyncio.sleep(self._rng.uniform(0.0, _LATER))
            await self._until_taken(what, about, said)

    async def _until_taken(self, what: str, about: str, said: Said) -> None:
        while True:
            with self.history.invoke(what, about) as one:
                try:
                    await self._producer.send_and_wait(said.topic, said.value, key=said.key, headers=list(said.headers))
                except KafkaError:
                    await asyncio.sleep(self._rng.uniform(0.1, 0.5))
                else:
                    one.outcome = Outcome.OK
                    return


def _update(case: str, authority: str, lane: Lane) -> Said:
    """The authority has the case."""
    headers = _headers("update.acknowledged", f"ack-{case}", authority)
    value = orjson.dumps({"case": case, "number": case[-8:]})
    return Said(topics.updates_from(authority, lane), case.encode(), value, headers)


def _acknowledgement(notice: str) -> Said:
    """The officers have seen the notice."""
    headers = _headers(NOTICE_ACKNOWLEDGED, f"ack-{notice}", OFFICERS)
    value = orjson.dumps({"notice": notice, "by": "officer-1"})
    return Said(topics.acknowledgements_of(OFFICERS), notice.encode(), value, headers)


def _headers(event: str, name: str, source: str) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", event.encode()),
        ("ce_id", name.encode()),
        ("ce_source", f"/{source}".encode()),
        ("ce_time", text_of(times.now()).encode()),
        ("content-type", b"application/json"),
    ]
