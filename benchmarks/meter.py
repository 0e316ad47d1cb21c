"""What servers and processes have done so far, in numbers that only grow: the difference tells what was done."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ground import Ground, Side

OPERATIONS = ("queries", "getmore", "insert", "update", "remove", "commands")
"""As MongoDB counts them for each collection."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All meters at one moment, by name."""

    of: Mapping[str, float]

    def since(self, before: "Reading", each: float) -> dict[str, dict[str, float]]:
        """How much more there is than before, for each of so many, by the first part of the names."""
        grouped: dict[str, dict[str, float]] = {}
        for name, now in self.of.items():
            group, _, one = name.partition("/")
            more = (now - before.of.get(name, 0)) / each
            if more:
                grouped.setdefault(group, {})[one] = round(more, 4)
        return grouped


def read(ground: Ground, side: Side) -> Reading:
    """Read all meters."""
    found: dict[str, float] = {}
    for name, pid in {**side.pids, **ground.pids}.items():
        if name != "watch":
            used = psutil.Process(pid).cpu_times()
            found[f"cpu_us/{name}"] = (used.user + used.system) * 1e6
    status: Mapping[str, Any] = ground.client.admin.command("serverStatus")
    journal = status["wiredTiger"]["log"]
    found |= {
        "mongod/round_trips": status["network"]["numRequests"],
        "mongod/bytes_in": status["network"]["bytesIn"],
        "mongod/bytes_out": status["network"]["bytesOut"],
        "mongod/journal_bytes": journal["log bytes written"],
        "mongod/journal_syncs": journal["log sync operations"],
        "mongod/written_bytes": status["wiredTiger"]["block-manager"]["bytes written"],
        "mongod/oplog_bytes": ground.client.local.command("collStats", "oplog.rs")["size"],
    }
    found |= {f"documents/{name}": count for name, count in status["metrics"]["document"].items()}
    for name, used in ground.client.admin.command("top")["totals"].items():
        database, _, collection = name.partition(".")
        if database == side.name:
            found[f"operations/{collection}"] = sum(used[kind]["count"] for kind in OPERATIONS)
    return Reading(found | {f"topics/{name}": size for name, size in _topics(ground).items()})


def collections(ground: Ground, side: Side) -> dict[str, dict[str, float]]:
    """How large the documents of each collection are, and their indexes beside them, each on average."""
    found = {}
    database = ground.client[side.name]
    for name in sorted(database.list_collection_names()):
        stats = database.command("collStats", name)
        if count := stats["count"]:
            found[name] = {
                "documents": count,
                "document_bytes": round(stats["size"] / count),
                "stored_bytes": round(stats["storageSize"] / count),
                "index_bytes": round(stats["totalIndexSize"] / count),
                "indexes": stats["nindexes"],
            }
    return found


def _topics(ground: Ground) -> dict[str, int]:
    """The bytes of each topic's records as the broker keeps them."""
    found: dict[str, int] = {}
    for segment in ground.folder.glob("kafka/**/*.log"):
        topic, _, partition = segment.parent.name.rpartition("-")
        if partition.isdigit() and not topic.startswith("__"):
            found[topic] = found.get(topic, 0) + _size(segment)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a topic that is being deleted
        return 0
