"""Open-loop load: letters come when they come, whether the system is well or not, and clients ask again.

A letter whose tries were not ok is filed again with the same reference until one is, as a client would.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence

import httpx
from aiokafka.errors import KafkaError

from shared import topics
from tests.fault.history import History, Outcome
from tests.fault.letters import Filed
from tests.fault.outsiders import producer_of

_AGAIN = 0.02
"""The share of acknowledged letters that their client files once more."""


class Load:
    """Files letters at a rate until it is stopped; `async with` stops it in any case."""

    def __init__(
        self,
        urls: Sequence[str],
        tokens: Mapping[str, str],
        bootstrap: str,
        source: Iterator[Filed],
        rng: random.Random,
    ) -> None:
        """`urls`: of the doors; every try takes one of them."""
        self._urls, self._bootstrap, self._source, self._rng = urls, bootstrap, source, rng
        self._headers = {agency: {"authorization": f"Bearer {token}"} for agency, token in tokens.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pace: asyncio.Task[None] | None = None
        self.filed: list[Filed] = []
        self.history = History()
        self.rate = 0.0
        self._before = 0
        """What was filed before the rate that is now."""
        self.cases_acknowledged = 0
        """Cases that there will be, by what clients were told."""
        self.in_flight = 0
        """Posts without an answer."""
        self.strange: list[str] = []
        """Answers that no client should ever get."""

    async def start(self, rate: float) -> None:
        """Begin, with so many letters a second."""
        self.change(rate)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self._client = httpx.AsyncClient(timeout=20, limits=limits)
        self._producer = producer_of(self._bootstrap)
        await self._producer.start()
        self._pace = asyncio.create_task(self._run())

    def change(self, rate: float) -> None:
        """From now on so many letters a second; what is measured begins anew."""
        self.rate, self._began, self._before = rate, time.monotonic(), len(self.filed)

    @property
    def measured(self) -> float:
        """Letters a second at which they came since the rate is what it is."""
        return (len(self.filed) - self._before) / (time.monotonic() - self._began)

    async def finish(self, patience: float = 120) -> None:
        """File nothing new, and wait until every letter is acknowledged."""
        if self._pace:
            self._pace.cancel()
            await asyncio.gather(self._pace, return_exceptions=True)
        try:
            async with asyncio.timeout(patience):
                while self._tasks:
                    await asyncio.gather(*self._tasks)
        finally:
            await self.close()

    async def close(self) -> None:
        """End everything at once."""
        for task in [*self._tasks, *([self._pace] if self._pace else [])]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()
        await self._producer.stop()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop()
        due = clock.time()
        while True:
            due += self._rng.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - clock.time()))
            letter = next(self._source)
            self.filed.append(letter)
            task = asyncio.create_task(self._file(letter))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _file(self, letter: Filed) -> None:
        file = self._send if letter.by_kafka else self._post
        again = self._rng.random() < _AGAIN
        while not letter.acknowledged:
            with self.history.invoke("letter by Kafka" if letter.by_kafka else "letter", letter.reference) as one:
                one.outcome = await file(letter)
            letter.acknowledged = one.outcome is Outcome.OK
            if not letter.acknowledged:
                await asyncio.sleep(self._rng.uniform(0.1, 0.5))
        self.cases_acknowledged += len(letter.kind.cases)
        if again and not letter.by_kafka:
            with self.history.invoke("letter once more", letter.reference) as one:
                one.outcome = await self._post(letter)

    async def _post(self, letter: Filed) -> Outcome:
        headers = {**self._headers[letter.agency], "content-type": "application/json"}
        self.in_flight += 1
        try:
            url = f"{self._rng.choice(self._urls)}/v1/letters"
            answer = await self._client.post(url, content=letter.body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Outcome.FAILED
        except httpx.HTTPError:
            return Outcome.UNKNOWN
        finally:
            self.in_flight -= 1
        if answer.status_code in (200, 202):
            receipt = answer.json()
            letter.receipts.append((receipt["id"], receipt["received_at"], receipt["digest"]))
            return Outcome.OK
        if answer.status_code != 503:
            self.strange.append(f"{letter.reference}: HTTP {answer.status_code} {answer.text[:200]}")
        return Outcome.UNKNOWN

    async def _send(self, letter: Filed) -> Outcome:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", b"letter.received"),
            ("ce_id", letter.reference.encode()),
            ("ce_source", b"/registry"),
            ("content-type", b"application/json"),
        ]
        topic = topics.letters_from(letter.agency, letter.kind.lane)
        try:
            await self._producer.send_and_wait(topic, letter.body, key=letter.reference.encode(), headers=headers)
        except KafkaError:
            return Outcome.UNKNOWN
        return Outcome.OK
