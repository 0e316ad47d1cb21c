"""Kills at the very moments at which a careless service would lose or repeat something.

Kafka or MongoDB does not answer for a while, so what the services have begun stays half done; then all intakes and
routers die at once, what they had sent is lost on its way, and nobody is left who remembers.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from tests.fault.harms import Harm
from tests.fault.linked import LinkedKafka, LinkedMongo
from tests.fault.links import Link
from tests.fault.system import System

BEFORE_SENDING = "kill -9 before it is sent"
BEFORE_WRITING = "kill -9 before it is written"
BEFORE_COMMITTING = "kill -9 before it is committed"
_HALF_A_SECOND = 0.5
"""By which everything is late, each way: a commit is on its way for so long."""


def of_moments(system: System, kafka: LinkedKafka, mongo: LinkedMongo) -> Iterator[Harm]:
    """What is in MongoDB and not on Kafka; what was read and is not in MongoDB; what is, and not yet committed."""

    def slow(link: Link) -> None:
        link.slow(_HALF_A_SECOND)

    brokers, mongods = kafka.links.values(), mongo.links.values()
    yield _killed(system, BEFORE_SENDING, brokers, Link.cut, (1.0, 2.0))
    yield _killed(system, BEFORE_WRITING, mongods, Link.cut, (1.0, 2.0))
    yield _killed(system, BEFORE_COMMITTING, brokers, slow, (3.0, 4.0))


def _killed(
    system: System, name: str, links: Iterable[Link], spoil: Callable[[Link], None], seconds: tuple[float, float]
) -> Harm:
    victims = {one: service.name for one, service in system.services.items() if service.name in ("intake", "router")}

    async def strike() -> None:
        for link in links:
            spoil(link)

    async def mend() -> None:
        await asyncio.gather(*(asyncio.to_thread(system.services[one].running().kill) for one in victims))
        for link in links:
            link.slow(0.0)
            link.reset()
            link.mend()
        await asyncio.gather(*(system.bring_back(one) for one in victims))

    brokers = (f"broker {node}" for node in range(1, len(system.kafka.children) + 1))
    processes = frozenset({*victims, "mongod", *brokers})
    return Harm(name, name, processes, strike, mend, seconds, kills=tuple(victims.values()), often=2)
