"""What so many letters a second take, and what gives first: arithmetic on what one letter costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.costs import SERVICES, SLOW, Costs
from shared import topics
from shared.vocabulary import Lane

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Assumed:
    """What was not measured."""

    share: float = 0.6
    """A core and a disk are filled no further: bursts must find room."""
    primary_cores: int = 8
    broker_cores: int = 4
    brokers: int = 3
    disk_mb: int = 300
    """Megabytes a second that a server's disk takes for long."""
    copies: int = 3
    kept_days: int = 7
    """In Kafka."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something of which there are some, and which gives at a rate."""

    name: str
    each: float
    """Letters a second of one of them."""
    deployed: int
    most: int | None = None
    """None: as many as one wants."""
    because: str = ""

    @property
    def gives_at(self) -> float:
        """As it is deployed."""
        return self.each * self.deployed

    @property
    def ends_at(self) -> float | None:
        """With as many as can be."""
        return None if self.most is None else self.each * self.most


@dataclass(frozen=True, slots=True)
class Need:
    """What a rate takes."""

    rate: int
    processes: Mapping[str, int]
    partitions: int
    primary_cores: int
    shards: int
    written_mb: float
    syncs: int
    broker_cores: int
    brokers: int
    records_mb: float
    looks: int
    """Operations a second that go to every shard whatever comes, counted on each."""
    operations: int
    """All others."""
    kept_gb: float
    """A day's, with its copies."""
    in_kafka_gb: float
    verify_hours: float | None
    """One process's, for the letters of a day."""


@dataclass(frozen=True, slots=True)
class Model:
    """What follows from the costs."""

    costs: Costs
    replicas: int
    """Of each service, as deployed."""
    partitions: int
    agency: float
    """Letters a second that one may file at each intake."""
    assumed: Assumed = field(default_factory=Assumed)

    def parts(self) -> list[Part]:
        """What gives first comes first."""
        cpu, a = self.costs.fast, self.assumed
        shared_out, at_the_door = "one for each partition of {}", "the door nothing; what it reads, a partition of {}"
        events = topics.case_events(Lane.NORMAL)
        of = {"router": topics.letters_received(Lane.NORMAL), "notifier": events}
        found = [
            Part(
                f"{name}, processes",
                1e6 / cpu[name],
                self.replicas,
                self.partitions if name in of else None,
                shared_out.format(of[name]) if name in of else at_the_door.format(events),
            )
            for name in SERVICES
        ]
        disk = a.disk_mb * 1e6
        found += [
            Part("one agency over HTTP, intakes", self.agency, self.replicas, None, "`ROGATORY_RATE_PER_AGENCY`"),
            Part("MongoDB, cores of the primary", 1e6 / cpu["mongod"], a.primary_cores, None, "shards"),
            Part("MongoDB, the primary's disk", disk / self.costs.written, 1, None, "shards"),
            # Each of three brokers keeps a copy of all: it does what the one here does.
            Part("Kafka, cores of each broker", 1e6 / cpu["kafka"], a.broker_cores, None, "brokers"),
            Part("Kafka, each broker's disk", disk / sum(self.costs.records.values()), 1, None, "brokers"),
        ]
        return sorted(found, key=lambda part: part.gives_at)

    def need(self, rate: int) -> Need:
        """What a rate takes, with room for bursts."""
        costs, a = self.costs, self.assumed
        is_slow = rate <= SLOW  # batches are larger beyond
        cpu, index = (costs.slow, 1) if is_slow else (costs.fast, 0)

        def cores(name: str, copies: int = 1) -> int:
            return math.ceil(rate * cpu[name] * copies / 1e6 / a.share)

        processes = {name: max(self.replicas, cores(name)) for name in SERVICES}
        written, records = rate * costs.written / 1e6, rate * sum(costs.records.values()) / 1e6
        shards = max(1, *(math.ceil(one) for one in (cores("mongod") / a.primary_cores, written / a.disk_mb / a.share)))
        broker_cores = cores("kafka", a.copies)
        brokers = max(
            a.brokers, math.ceil(broker_cores / a.broker_cores), math.ceil(records * a.copies / a.disk_mb / a.share)
        )
        looks = sum(count * costs.operations[name][2] for name, count in processes.items())
        return Need(
            rate,
            processes,
            max(self.partitions, *processes.values()),
            cores("mongod"),
            shards,
            written,
            round(rate * costs.syncs[index]),
            broker_cores,
            brokers,
            records,
            round(looks * shards),
            round(rate * sum(by[index] for by in costs.operations.values())),
            rate * sum(map(sum, costs.kept.values())) * a.copies * _DAY / 1e9,
            rate * sum(costs.records.values()) * a.copies * a.kept_days * _DAY / 1e9,
            rate * _DAY / costs.verified / 3_600 if costs.verified else None,
        )
