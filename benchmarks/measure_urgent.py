"""How long an urgent letter takes from the door to its authority, while nothing else is there and under a backlog."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import yaml
from bson.raw_bson import RawBSONDocument
from pymongo import WriteConcern

from benchmarks.books import PATIENCE, Books
from benchmarks.ground import SERVICES, Ground, Side, hold
from benchmarks.letters import AGENCY, AUTHORITY, SUBSCRIBER, bodies
from benchmarks.measure import ANSWERS, CASES, END_TO_END, EVENTS, NOTICES, RECEIVED, Latency, Rounds, latency
from benchmarks.offices import SAYS
from benchmarks.pace import moments
from benchmarks.prepared import Out, Preparer
from benchmarks.prepared_cases import as_marked
from benchmarks.watch import Watch
from shared import times, topics
from shared.vocabulary import Lane

URGENT_LETTERS = topics.letters_received(Lane.URGENT)
URGENT_CASES = topics.cases_of(AUTHORITY, Lane.URGENT)
AT_ONCE = 5_000
PATIENCE_FOR_ALL = 900.0
"""Seconds for the whole backlog."""
PHASES = ("idle", "backlog")
CONNECTIONS = 8
"""Few, so that none is idle for so long that intake closes it."""

UNDER_BACKLOG = replace(
    END_TO_END,
    # Of normal letters: what is still to come of one that intake has taken and told its agency of.
    records={RECEIVED: 1, ANSWERS: 1, CASES: 1, EVENTS: 1, NOTICES: 1},
    records_of_other={
        URGENT_LETTERS: 1,
        URGENT_CASES: 1,
        topics.case_events(Lane.URGENT): 1,
        ANSWERS: 2,
        NOTICES: 1,
    },
    collections_of_other=END_TO_END.collections,
)
"""Urgent letters are what comes beside the normal ones."""


@dataclass(frozen=True, slots=True)
class Way:
    """How far urgent letters were after how long, each from the moment at which it was due to be posted."""

    answered: Latency
    received: Latency
    """Until its record came on `letters.received`."""
    arrived: Latency
    """Until its case came on its authority's topic."""


class Backlog:
    """Normal letters as intake has taken and sent them: their documents, and their records on `letters.received`."""

    def __init__(self, preparer: Preparer, name: str, count: int) -> None:
        self.documents: list[RawBSONDocument] = []
        self.outs: list[Out] = []
        now = times.now()
        for body in bodies(name, count):
            _, post = preparer.posted(body, now)
            self.documents.append(as_marked(post))
            self.outs.append(post.waves[0][0])
        gc.collect()
        gc.freeze()


class UrgentRounds:
    """Each round has fresh processes and an empty database; both phases are in it."""

    def __init__(self, rounds: Rounds, ground: Ground, warm: int, backlog: int, rate: float, count: int) -> None:
        """`rate`: of urgent letters, `count` of them in each phase."""
        self._rounds, self._ground, self._warm, self._rate, self._count = rounds, ground, warm, rate, count
        preparer = Preparer(ground.keys.id_key, ground.keys.sealing_key, AGENCY)
        self._ids = {phase: [_ids(preparer, body) for body in bodies(phase, count, "urgent")] for phase in PHASES}
        self._warm_lying, self._lying = Backlog(preparer, "lywarm", warm), Backlog(preparer, "lying", backlog)

    def run(self, side: Side, phases: Sequence[str]) -> dict[str, Way]:
        """Measure both phases in this order."""
        with self._rounds.fresh(side, SERVICES):
            return asyncio.run(self._run(side, phases))

    async def _run(self, side: Side, phases: Sequence[str]) -> dict[str, Way]:
        seen: dict[str, Way] = {}
        async with self._rounds.watch(side, URGENT_LETTERS) as letters, self._rounds.watch(side, URGENT_CASES) as cases:
            books = Books(self._ground, side, UNDER_BACKLOG, cases)
            await books.open()
            books.others = normal = self._warm
            await self._pile_up(side, self._warm_lying)
            await self._rounds.post(side, "urgwarm", self._warm, CONNECTIONS, urgency="urgent")
            await books.settle(normal)
            for phase in phases:
                wanted = await cases.records(CASES) + len(self._lying.outs)
                if phase == "backlog":
                    await self._pile_up(side, self._lying)
                    normal += len(self._lying.outs)
                books.others += self._count
                seen[phase] = await self._go(side, phase, letters, cases)
                # Otherwise the last urgent letters had met no backlog.
                assert await cases.records(CASES) < wanted, "the backlog was done before the last urgent letter came"
                await books.settle(normal, PATIENCE_FOR_ALL)
            await asyncio.sleep(0.3)
            await books.check(normal)
        return seen

    async def _go(self, side: Side, phase: str, letters: Watch, cases: Watch) -> Way:
        """Post the urgent letters of a phase, and see each of them come, once."""
        letters.forget()
        cases.forget()
        posted = await self._rounds.post(side, phase, self._count, CONNECTIONS, self._rate, "urgent")
        due = [posted.began + moment for moment in moments(self._rate, self._count, self._count)]

        async def until(watch: Watch, ids: Sequence[bytes]) -> Latency:
            await watch.until(set(ids), PATIENCE)
            return latency(watch.at[one] - at for one, at in zip(ids, due, strict=True))

        of_letters, of_cases = zip(*self._ids[phase], strict=True)
        return Way(posted.answered, await until(letters, of_letters), await until(cases, of_cases))

    async def _pile_up(self, side: Side, lying: Backlog) -> None:
        """Put the backlog where it lies, while nobody works, and let them go on."""
        hold(side, True)
        try:
            letters = self._ground.client[side.name].get_collection("letters", write_concern=WriteConcern("majority"))
            for documents in _portions(lying.documents):
                letters.insert_many(documents, ordered=False)
            await self._rounds.file(side, lying.outs)
        finally:
            hold(side, False)


def _ids(preparer: Preparer, body: bytes) -> tuple[bytes, bytes]:
    """Of a letter and of its case: the keys under which they come."""
    now = times.now()
    letter, _ = preparer.posted(body, now)
    case, _ = preparer.opened(body, now)
    return letter.id.encode(), case.id.encode()


def _portions(documents: list[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    for at in range(0, len(documents), AT_ONCE):
        yield documents[at : at + AT_ONCE]


def alerts(ground: Ground) -> dict[str, str]:
    """An alerts file by which an urgent letter, like any other, is told of by one Kafka notice and wakes nobody."""
    file = ground.folder / "one-notice.yaml"
    file.write_text(yaml.safe_dump({"rules": [{"name": "all", "tell": [SUBSCRIBER], "says": SAYS}]}))
    return {"ROGATORY_ALERTS": str(file)}
