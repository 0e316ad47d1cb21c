"""The three services as processes on servers that a test gives: each can be killed as a crash does, and comes back."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

from deploy.local.jars import ROOT
from deploy.local.kafka import Kafka
from deploy.local.keys import AUDIENCE, ISSUER, Keys
from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import stop_all
from deploy.local.services import PORTS, Service
from deploy.local.topics import create_topics
from shared import times, topics
from shared.ids import Ids
from shared.law import load_law
from shared.partners import load_partners
from shared.sealing import Sealer
from shared.topics import all_topics
from shared.vocabulary import DESK
from tests.fault.answering import Answering
from tests.fault.checker import More, check, nothing_more
from tests.fault.evidence import COLLECTIONS, collect
from tests.fault.letters import AGENCIES, Deadlines, letters, no_deadlines
from tests.fault.load import Load
from tests.fault.planted import BuggyService
from tests.fault.recorded import ASSUMPTION
from tests.fault.verdict import Verdict
from tests.fault.watch import COLLECTIONS_OF, Watch
from tests.fault.webhooks import Webhooks
from tests.verified import verify

SERVICES = tuple(PORTS)
_DATABASE = "rogatory"
_PATIENCE = 120.0
"""Seconds, for a machine that has other things to do."""
_SETTLE = 0.03
"""Seconds in which the servers answer what a stopped process had asked for already."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill that counts, and what was left undone by it."""

    process: str
    unsent: int
    uncommitted: int
    in_flight: int = 0

    def __str__(self) -> str:
        """For people."""
        left = {"unsent": self.unsent, "uncommitted": self.uncommitted, "posts without an answer": self.in_flight}
        return f"kill -9 {self.process}: {', '.join(f'{n} {what}' for what, n in left.items() if n)}"


class System:
    """Services, load and checks on one Kafka and one MongoDB."""

    def __init__(
        self,
        folder: Path,
        kafka: Kafka,
        mongo: Mongo,
        bug: str | None = None,
        *,
        instances: int = 1,
        told: Mapping[str, str] | None = None,
        own: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        """`instances` of every service; `bug`: one of `planted.BUGS`, for them to have.

        `told`: more settings for all, `own`: for one instance.
        """
        self._bug, self._instances, self._told, self._own = bug, instances, told or {}, own
        self.kafka, self.mongo, self._folder = kafka, mongo, folder
        self._partners = load_partners(ROOT / "partners.yaml")
        law = load_law(self._partners.law_file, (ASSUMPTION,))
        self._authorities = (*law.authorities, DESK)
        whole = all_topics(law.authorities, self._partners.agencies, self._partners.subscribers)
        # With every request of a broker to another each looks at all of its partitions: three of them, on what two
        # processors are left, do little else. Two are enough for two instances.
        self._topics = whole if instances == 1 else {name: max(1, number // 3) for name, number in whole.items()}
        self._keys = Keys.make()
        self.services: dict[str, Service] = {}
        """By instance."""
        self.settings: dict[str, str] = {}
        self._launched: dict[str, datetime] = {}
        self._loads = 0
        self._is_answered = False
        self._filed: list[Load] = []
        self._webhooks = Webhooks()

    async def __aenter__(self) -> Self:
        """Start; what has started is stopped again if anything fails."""
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the load and the services."""
        await self._stop()

    async def _start(self) -> None:
        """Make the topics, start the services and wait until they work."""
        self._folder.mkdir(parents=True)
        # Ports of their own: a preferred one could be taken by somebody else while its service is dead.
        names = [(name, f"{name}-{n}") for n in range(1, self._instances + 1) for name in SERVICES]
        webhook_port, *ports = free_ports(1 + len(names))
        await self._webhooks.start(webhook_port)
        await create_topics(self.kafka.bootstrap, self._topics, self.kafka.replication)
        settings = settings_of(self._folder, self._keys, self.kafka, self.mongo, webhook_port)
        self.settings = {**settings, **self._told, **({"PLANTED": self._bug} if self._bug else {})}
        self._began = times.now()
        kind = BuggyService if self._bug else Service
        self.services = {
            instance: kind(name, port, {**self.settings, **self._own(instance)}, self._folder, instance)
            for (name, instance), port in zip(names, ports, strict=True)
        }
        for instance in self.services:
            self.launch(instance)
        await asyncio.gather(*(self.until_ready(instance) for instance in self.services))

    async def _stop(self) -> None:
        for load in self._filed:
            await load.close()
        await asyncio.to_thread(stop_all, [service.child for service in self.services.values() if service.child])
        self._webhooks.stop()

    def watch(self) -> Watch:
        """Somebody who looks on."""
        return Watch(self.kafka.bootstrap, self.mongo.uri, _DATABASE, self._partners, self._authorities)

    async def load(self, rng: random.Random, rate: float, deadlines: Deadlines = no_deadlines) -> Load:
        """Letters at a rate, from now on."""
        self._loads += 1
        tokens = {agency: self._keys.token(agency=agency) for agency in AGENCIES}
        source = letters(rng, f"L{self._loads}", deadlines)
        urls = [service.url for service in self.services.values() if service.name == "intake"]
        load = Load(urls, tokens, self.kafka.bootstrap, source, rng)
        self._filed.append(load)
        await load.start(rate)
        return load

    def answering(self, rng: random.Random) -> Answering:
        """Authorities and officers who acknowledge what they hear of."""
        self._is_answered = True
        return Answering(self.kafka.bootstrap, self._authorities, random.Random(rng.random()))

    async def until_ready(self, name: str, patience: float = _PATIENCE) -> None:
        """Wait until a service says that it can work."""
        service, end = self.services[name], time.monotonic() + patience
        while not await asyncio.to_thread(service.is_ready):
            service.running().check()
            assert time.monotonic() < end, f"{name} is not ready after {patience:.0f} s"
            await asyncio.sleep(0.05)

    async def kill(self, name: str, watch: Watch, load: Load, rng: random.Random) -> Kill:
        """Kill a service while something of its own is unsent or uncommitted: it is stopped first, then looked at.

        Uncommitted is also what is done and was not committed yet: whoever comes back hears it again.
        """
        child, end, process = self.services[name].running(), time.monotonic() + _PATIENCE, self.services[name].name
        while time.monotonic() < end:
            await asyncio.sleep(rng.uniform(0.0, 0.1))
            ends, in_flight = await watch.ends(process), load.in_flight
            child.signal(signal.SIGSTOP)
            await asyncio.sleep(_SETTLE)
            # What an earlier kill left unsent does not count once more.
            own = watch.unsent(COLLECTIONS_OF[process], self._launched[name])
            unsent, behind = await asyncio.gather(own, watch.behind(process, ends))
            if unsent or behind:
                child.kill()
                return Kill(process, unsent, behind, in_flight if process == "intake" else 0)
            child.signal(signal.SIGCONT)
        raise AssertionError(f"{name} had nothing to do for {_PATIENCE:.0f} s")

    async def kill_broker(self, node: int, watch: Watch, load: Load) -> Kill:
        """Kill a node of Kafka while something is unsent."""
        child = self.kafka.children[node - 1]
        while True:
            child.signal(signal.SIGSTOP)
            in_flight, unsent = load.in_flight, await watch.unsent(COLLECTIONS)
            if unsent:
                await asyncio.to_thread(self.kafka.kill, node)
                return Kill("broker", unsent, 0, in_flight)
            child.signal(signal.SIGCONT)
            await asyncio.sleep(0.005)

    async def kill_primary(self, load: Load) -> tuple[Kill, int]:
        """Kill the primary while posts wait for it; also says which node it was."""
        while True:
            node = await asyncio.to_thread(self.mongo.primary)
            if node and (in_flight := load.in_flight):
                self.mongo.kill(node)
                return Kill("primary", 0, 0, in_flight), node
            await asyncio.sleep(0.005)

    async def bring_back(self, name: str) -> None:
        """Start a killed service again under its old name."""
        self.launch(name)
        await self.until_ready(name)

    @property
    def ids(self) -> Ids:
        """The deployment's ids."""
        return Ids(bytes.fromhex(self._keys.id_key))

    async def verdict(self, watch: Watch, more: More = nothing_more) -> Verdict:
        """Wait until all is still, then check everything since the start."""
        await watch.until_still()
        verdict = await self.judged(more)
        await self.verified()
        return verdict

    async def verified(self) -> None:
        """`rogatory verify` finds nothing wrong."""
        await asyncio.to_thread(verify, self.settings, self._began)

    async def judged(self, more: More = nothing_more) -> Verdict:
        """Check everything since the start, as it is now."""
        # What is anchored is for `rogatory verify`.
        written = [name for name in self._topics if not _is_anothers(name) and name != topics.CHECKPOINTS]
        evidence = await collect(self.kafka.bootstrap, written, self.mongo.uri, _DATABASE, self._webhooks.came)
        sealer = Sealer(bytes.fromhex(self._keys.sealing_key))
        filed = [letter for load in self._filed for letter in load.filed]
        judge = partial(check, more=more, is_answered=self._is_answered)
        return await asyncio.to_thread(judge, evidence, filed, self.ids, sealer)

    def launch(self, name: str) -> None:
        """Start an instance without waiting for it."""
        self._launched[name] = times.now()
        self.services[name].launch()


def settings_of(
    folder: Path, keys: Keys, kafka: Kafka, mongo: Mongo, webhook_port: int, database: str = _DATABASE
) -> dict[str, str]:
    """What every service is told; the keys of who issues tokens are written to the folder."""
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(keys.jwks))
    target = {"url": f"http://{HOST}:{webhook_port}/notices", "secret": keys.webhook_secret}
    return {
        "ROGATORY_KAFKA": kafka.bootstrap,
        "ROGATORY_MONGO": mongo.uri,
        "ROGATORY_DATABASE": database,
        "ROGATORY_ID_KEY": keys.id_key,
        "ROGATORY_SEALING_KEY": keys.sealing_key,
        "ROGATORY_CHECKPOINT_KEY": keys.checkpoint_key,
        "ROGATORY_CHECKPOINT_EVERY": "5",
        "ROGATORY_PARTNERS": str(ROOT / "partners.yaml"),
        "ROGATORY_ALERTS": str(ROOT / "alerts.yaml"),
        "ROGATORY_ROSTER": str(ROOT / "roster.yaml"),
        "ROGATORY_PEOPLE_BY_LOG": "true",
        "ROGATORY_LIFE_CYCLE": str(ROOT / "life-cycle.yaml"),
        "ROGATORY_LAW_ASSUMPTIONS": str(ASSUMPTION),
        "ROGATORY_JWKS": str(jwks),
        "ROGATORY_TOKEN_ISSUER": ISSUER,
        "ROGATORY_TOKEN_AUDIENCE": AUDIENCE,
        "ROGATORY_WEBHOOKS": json.dumps({"duty-officers": target}),
        "ROGATORY_WEBHOOKS_ALLOW_HTTP": "true",
    }


def _is_anothers(topic: str) -> bool:
    """Whether agencies, authorities or subscribers write the topic: what stands there is theirs."""
    owner, *_ = topic.split(".")
    return (owner == "agency" and ".letters" in topic) or ".updates." in topic or owner == "acknowledgements"
