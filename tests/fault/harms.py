"""What can be done to the processes of a system, and undone: each harm strikes, holds a while, and is mended."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared import times
from tests.fault.system import System
from tests.fault.verdict import Fault, Kind

GRACE = timedelta(seconds=60)
"""For which Kubernetes waits for a stop (deploy/k8s/base/pod.yaml)."""

Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Harm:
    """One thing that goes wrong."""

    kind: str
    """Harms of a kind are as good as one another where there is no time for all."""
    name: str
    processes: frozenset[str]
    """What it concerns: two harms at once never concern the same."""
    strike: Act
    mend: Act
    seconds: tuple[float, float] = (0.0, 2.0)
    """For which it holds, at least and at most."""
    moves_time: bool = False
    kills: tuple[str, ...] = ()
    """The processes that it kills as a crash does, by what they are counted as."""
    often: int = 2
    """How often it is done in the long run."""


@dataclass
class Harms:
    """The harms that can be done to one system."""

    system: System
    faults: list[Fault] = field(default_factory=list)
    """Of the stops that were no graceful ones."""
    stops: list[float] = field(default_factory=list)
    """Seconds that each graceful stop took."""

    def of_services(self) -> Iterator[Harm]:
        """Each instance of each service: killed, asked to stop, made to stand still."""
        for name, service in self.system.services.items():
            concerned = frozenset({name})

            async def kill(name: str = name) -> None:
                await asyncio.to_thread(self.system.services[name].running().kill)

            async def back(name: str = name) -> None:
                await self.system.bring_back(name)

            async def stop(name: str = name) -> None:
                await self._stop(name)

            async def freeze(name: str = name) -> None:
                self.system.services[name].running().signal(signal.SIGSTOP)

            async def thaw(name: str = name) -> None:
                self.system.services[name].running().signal(signal.SIGCONT)
                await self.system.until_ready(name)

            kind, killed = f"kill -9 {service.name}", (service.name,)
            yield Harm(kind, f"kill -9 {name}", concerned, kill, back, kills=killed, often=10)
            yield Harm("SIGTERM", f"SIGTERM {name}", concerned, stop, back)
            # Sometimes longer than Kafka waits before it gives the partitions to the other.
            yield Harm("SIGSTOP", f"SIGSTOP {name}", concerned, freeze, thaw, seconds=(1.0, 12.0))

    def of_brokers(self) -> Iterator[Harm]:
        """Each of the brokers, and all at once."""
        kafka = self.system.kafka
        nodes = range(1, len(kafka.children) + 1)
        for node in nodes:

            async def kill(node: int = node) -> None:
                await asyncio.to_thread(kafka.kill, node)

            async def back(node: int = node) -> None:
                await asyncio.to_thread(kafka.restart, node)

            own = frozenset({f"broker {node}"})
            yield Harm("kill -9 broker", f"kill -9 broker {node}", own, kill, back, kills=("broker",), often=5)

        async def kill_all() -> None:
            for node in nodes:
                await asyncio.to_thread(kafka.kill, node)

        async def all_back() -> None:
            kafka.launch()
            await asyncio.to_thread(kafka.wait)

        every = frozenset(f"broker {node}" for node in nodes)
        name, killed = "kill -9 all brokers", ("broker",) * len(every)
        yield Harm(name, name, every, kill_all, all_back, (0.0, 4.0), kills=killed, often=2)

    def of_primary(self) -> Iterator[Harm]:
        """Whoever is the primary then."""
        mongo = self.system.mongo
        killed: list[int] = []

        async def kill() -> None:
            killed.append(await asyncio.to_thread(mongo.kill_primary))

        async def back() -> None:
            await asyncio.to_thread(mongo.restart, killed.pop())

        name = "kill -9 the primary"
        yield Harm(name, name, frozenset({"mongod"}), kill, back, (0.0, 4.0), kills=("primary",), often=20)

    def rolling_restart(self, is_whole: bool) -> Iterator[Harm]:
        """Everything is stopped in order and started again, one of a kind at a time; or only the first of each kind."""
        system = self.system

        async def restart() -> None:
            steps = max(len(system.kafka.children), len(system.mongo.children))
            for n in range(1, (steps if is_whole else 1) + 1):
                await asyncio.gather(self._roll_services(n), self._roll_broker(n), self._roll_mongod(n))

        async def nothing() -> None:
            pass

        every = {*system.services, "mongod", *(f"broker {n}" for n in range(1, len(system.kafka.children) + 1))}
        name = "a rolling restart of everything"
        yield Harm(name, name, frozenset(every), restart, nothing, (0.0, 0.0), often=1)

    async def _roll_services(self, number: int) -> None:
        async def roll(name: str) -> None:
            await self._stop(name)
            await self.system.bring_back(name)

        await asyncio.gather(*(roll(name) for name in self.system.services if name.endswith(f"-{number}")))

    async def _roll_broker(self, node: int) -> None:
        if node <= len(self.system.kafka.children):
            await asyncio.to_thread(self.system.kafka.restart, node)

    async def _roll_mongod(self, node: int) -> None:
        if node <= len(self.system.mongo.children):
            await asyncio.to_thread(self.system.mongo.restart, node)

    async def _stop(self, name: str) -> None:
        """Ask a service to stop, as Kubernetes does, and see how it does."""
        child, began = self.system.services[name].running(), times.now()
        child.signal(signal.SIGTERM)
        while child.is_running and times.now() < began + GRACE:  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.02)
        took = _since(began)
        if child.exit_code != 0:
            self.faults.append(Fault(Kind.UNGRACEFUL, f"{name} ended with {child.exit_code} after {took:.1f} s"))
            child.kill()
        self.stops.append(took)


def _since(began: datetime) -> float:
    return (times.now() - began).total_seconds()
