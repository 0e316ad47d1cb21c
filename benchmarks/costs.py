"""What one letter costs, read from the results of the benchmarks and of the footprint."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

SERVICES = ("intake", "router", "notifier")
SERVERS = ("mongod", "kafka")
_PROCESSES = (*SERVICES, *SERVERS)
SLOW = 100
"""Letters a second of the slower way."""
TOTALS = "totals"
"""The collection into which every service writes before each batch."""
_SERVICE_OF = {"letters": "intake", "cases": "router", TOTALS: TOTALS}
"""Whose a collection is; those that begin with a service's name are its own, and all others the notifier's."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a letter costs, by process."""

    fast: Mapping[str, float]
    """CPU microseconds, as fast as it goes."""
    slow: Mapping[str, float]
    """At 100 letters a second: batches are smaller."""
    at_rest: Mapping[str, float]
    """CPU microseconds a second without letters."""
    operations: Mapping[str, tuple[float, float, float]]
    """MongoDB's, by service: a letter as fast as it goes, a letter at 100 a second, a second at rest."""
    round_trips: tuple[float, float]
    written: float
    """Bytes that MongoDB writes to its disk, journal and data, as fast as it goes."""
    journal: float
    oplog: float
    syncs: tuple[float, float]
    kept: Mapping[str, tuple[int, int]]
    """Bytes in MongoDB: documents and indexes, as they are stored, by collection."""
    records: Mapping[str, float]
    """Bytes in Kafka, by topic."""
    rates: tuple[float, float]
    """Letters a second here: measured, and what the processors' time allows."""
    verified: float | None
    """Letters a second that `rogatory verify` looks at, with all that came of them; None: not measured."""
    measured: str
    """When and of what."""

    @classmethod
    def of(cls, latest: Mapping[str, Any], footprint: Mapping[str, Any]) -> Self:
        """From the two results files."""
        end_to_end, slow, fast = latest["e2e_vs_bare"], footprint["slow"], footprint["fast"]
        cpu = end_to_end["cpu_us_per_letter"]["ours"]
        cores = int(end_to_end["servers"]["cores"])
        letters = sum(footprint[name]["letters"] for name in ("slow", "fast")) + footprint["warm"]
        return cls(
            fast={name: cpu[name] for name in _PROCESSES},
            slow={name: slow["cpu_us"][name] for name in _PROCESSES},
            at_rest={name: footprint["at_rest"]["cpu_us"].get(name, 0.0) for name in _PROCESSES},
            operations={
                name: (_operations(fast, name), _operations(slow, name), _operations(footprint["at_rest"], name))
                for name in (*SERVICES, TOTALS)
            },
            round_trips=(fast["mongod"]["round_trips"], slow["mongod"]["round_trips"]),
            written=fast["mongod"]["written_bytes"],
            journal=fast["mongod"]["journal_bytes"],
            oplog=fast["mongod"]["oplog_bytes"],
            syncs=(fast["mongod"]["journal_syncs"], slow["mongod"]["journal_syncs"]),
            kept={
                name: (
                    round(one["stored_bytes"] * one["documents"] / letters),
                    round(one["index_bytes"] * one["documents"] / letters),
                )
                for name, one in footprint["collections"].items()
            },
            records=fast["topics"],
            rates=(statistics.median(end_to_end["per_second"]["ours"]), cores * 1e6 / sum(cpu.values())),
            verified=_verified(latest.get("verify_vs_scan")),
            measured=f"CPU at {end_to_end['at'][:10]}, {end_to_end['commit'][:9]}; "
            f"bytes, operations and CPU at {SLOW} letters/s at {footprint['at'][:10]}, {footprint['commit'][:9]}, once "
            f"(load of the machine before: {slow['load']:.1f})",
        )


def _verified(measured: Mapping[str, Any] | None) -> float | None:
    return measured["letters"] / statistics.median(measured["seconds"]["verify"]) if measured else None


def _operations(phase: Mapping[str, Any], service: str) -> float:
    counts: Mapping[str, float] = phase["operations"]
    return sum(count for name, count in counts.items() if _service_of(name) == service)


def _service_of(collection: str) -> str:
    own = next((name for name in SERVICES if collection.startswith(f"{name}_")), None)
    return own or _SERVICE_OF.get(collection, "notifier")
