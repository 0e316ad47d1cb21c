"""What can go wrong outside the processes: links, disks and clocks."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from datetime import timedelta

from tests.fault.harms import Harm
from tests.fault.linked import LinkedKafka, LinkedMongo
from tests.fault.links import Link
from tests.fault.skew import Skew

HOUR = timedelta(hours=1)
JUMP = timedelta(seconds=20)
"""Of MongoDB's clock, by which clocks ring: longer, and those of weeks would ring in a test."""
SLOW_MONGOD = "links to mongod slow"
SLOW = 0.1
"""Seconds by which everything is late on a slow link, each way."""


def of_links(kafka: LinkedKafka, mongo: LinkedMongo) -> Iterator[Harm]:
    """Each link cut, one ended, all slow."""
    for node, link in kafka.links.items():
        yield _cut(link, f"broker {node} cut off", "broker", f"broker {node}")
    for node, link in mongo.links.items():
        yield _cut(link, f"mongod {node} cut off", "mongod", "mongod")
    for what, links in (("brokers", kafka.links), ("mongod", mongo.links)):
        every = frozenset({"mongod"} if what == "mongod" else {f"broker {node}" for node in links})
        yield _reset(links, f"links to {what} reset", every)
        yield _slow(links, SLOW_MONGOD if what == "mongod" else "links to brokers slow")


def _cut(link: Link, name: str, kind: str, process: str) -> Harm:
    async def strike() -> None:
        link.cut()

    async def mend() -> None:
        link.mend()

    return Harm(f"{kind} cut off", name, frozenset({process}), strike, mend, seconds=(1.0, 12.0))


def _reset(links: Mapping[int, Link], name: str, processes: frozenset[str]) -> Harm:
    async def strike() -> None:
        for link in links.values():
            link.reset()

    async def mend() -> None:
        for link in links.values():
            link.mend()

    return Harm(name, name, processes, strike, mend, seconds=(0.0, 3.0))


def _slow(links: Mapping[int, Link], name: str) -> Harm:
    async def strike() -> None:
        for link in links.values():
            link.slow(SLOW)

    async def mend() -> None:
        for link in links.values():
            link.slow(0.0)

    # Whatever else is wrong, it can be slow besides.
    return Harm(name, name, frozenset({name}), strike, mend, seconds=(2.0, 6.0))


def of_disks(mongo: LinkedMongo) -> Iterator[Harm]:
    """The disk of whoever is the primary then."""
    full: list[int] = []

    async def strike() -> None:
        node = await _primary(mongo)
        full.append(node)
        await asyncio.to_thread(mongo.disks[node].fill)

    async def mend() -> None:
        node = full.pop()
        await asyncio.to_thread(mongo.disks[node].free)
        await asyncio.to_thread(mongo.kill, node)  # as it is, it may be half dead
        await asyncio.to_thread(mongo.restart, node)

    if mongo.disks:
        name = "disk of the primary full"
        yield Harm(name, name, frozenset({"mongod"}), strike, mend, seconds=(2.0, 8.0), often=3)


def of_clocks(mongo: LinkedMongo, services: Mapping[str, Skew], rng: random.Random) -> Iterator[Harm]:
    """The wall clock of each service, and that of the primary."""
    for name, clock in services.items():

        async def jump(clock: Skew = clock) -> None:
            clock.move(rng.choice((HOUR, -HOUR)))

        async def back(clock: Skew = clock) -> None:
            clock.move(timedelta())

        own = frozenset({f"clock of {name}"})
        yield Harm("clock of a service set", f"clock of {name} set", own, jump, back, seconds=(1.0, 5.0), often=1)

    moved: list[Skew] = []

    async def jump_primary() -> None:
        moved.append(mongo.clocks[await _primary(mongo)])
        moved[-1].move(rng.choice((JUMP, -JUMP)))

    async def primary_back() -> None:
        moved.pop().move(timedelta())

    if mongo.clocks:
        own = frozenset({"clock of mongod"})
        name = "clock of the primary set"
        yield Harm(name, name, own, jump_primary, primary_back, seconds=(1.0, 5.0), moves_time=True)


async def _primary(mongo: LinkedMongo) -> int:
    while (node := await asyncio.to_thread(mongo.primary)) is None:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.1)
    return node
