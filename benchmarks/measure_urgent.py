"""How long an urgent letter takes from the door to its authority, while nothing else is there and under a backlog."""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace

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
from shared import times, topics
from shared.vocabulary import Lane

URGENT_CASES = topics.cases_of(AUTHORITY, Lane.URGENT)
AT_ONCE = 5_000
PATIENCE_FOR_ALL = 900.0
"""Seconds for the whole backlog."""
PHASES = ("idle", "backlog")
_WARM = "urgwarm"

UNDER_BACKLOG = replace(
    END_TO_END,
    # Of normal letters: what is still to come of one that intake has taken and told its agency of.
    records={RECEIVED: 1, ANSWERS: 1, CASES: 1, EVENTS: 1, NOTICES: 1},
    records_of_other={
        topics.letters_received(Lane.URGENT): 1,
        URGENT_CASES: 1,
        topics.case_events(Lane.URGENT): 1,
        ANSWERS: 2,
        NOTICES: 1,
    },
    collections_of_other=END_TO_END.collections,
)
"""Urgent letters are what comes beside the normal ones."""


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
        now = times.now()
        self._cases = {
            name: [preparer.opened(body, now)[0].id.encode() for body in bodies(name, number, "urgent")]
            for name, number in ((_WARM, warm), *((phase, count) for phase in PHASES))
        }
        self._lying = {name: Backlog(preparer, name, number) for name, number in (("lywarm", warm), ("lying", backlog))}

    def run(self, side: Side, phases: tuple[str, ...]) -> dict[str, Latency]:
        """Measure both phases in this order."""
        with self._rounds.fresh(side, SERVICES):
            return asyncio.run(self._run(side, phases))

    async def _run(self, side: Side, phases: tuple[str, ...]) -> dict[str, Latency]:
        seen: dict[str, Latency] = {}
        async with self._rounds.watch(side, URGENT_CASES) as watch, self._rounds.watch(side, CASES) as normal:
            books = Books(self._ground, side, UNDER_BACKLOG, watch)
            await books.open()
            books.others = letters = self._warm
            await self._pile_up(side, self._lying["lywarm"])
            await self._rounds.post(side, _WARM, self._warm, urgency="urgent")
            await books.settle(letters)
            for phase in phases:
                watch.forget()
                before, lying = await normal.records(CASES), self._lying["lying"]
                if phase == "backlog":
                    letters += len(lying.outs)
                    await self._pile_up(side, lying)
                books.others += self._count
                began, *_ = await self._rounds.post(side, phase, self._count, self._rate, "urgent")
                await watch.until(set(self._cases[phase]), PATIENCE)
                done = await normal.records(CASES) - before
                # Otherwise the last urgent letters had met no backlog.
                assert phase == "idle" or done < len(lying.outs), "the backlog was done before the last urgent letter"
                due = (began + moment for moment in moments(self._rate, self._count, self._count))
                seen[phase] = latency(watch.at[case] - at for case, at in zip(self._cases[phase], due, strict=True))
                await books.settle(letters, PATIENCE_FOR_ALL)
            await asyncio.sleep(0.3)
            await books.check(letters)
        return seen

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


def _portions(documents: list[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    for at in range(0, len(documents), AT_ONCE):
        yield documents[at : at + AT_ONCE]


def alerts(ground: Ground) -> dict[str, str]:
    """An alerts file by which an urgent letter, like any other, is told of by one Kafka notice and wakes nobody."""
    file = ground.folder / "one-notice.yaml"
    file.write_text(yaml.safe_dump({"rules": [{"name": "all", "tell": [SUBSCRIBER], "says": SAYS}]}))
    return {"ROGATORY_ALERTS": str(file)}
