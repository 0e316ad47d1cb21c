"""The results file: what `docs` and tests read. A run replaces only the keys that it measured."""

import importlib.metadata
import json
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.jars import ROOT

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
LEAST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be, and how to say what it is."""

    says: str
    value: float
    at_most: bool = False

    def is_met(self, median: float) -> bool:
        """Whether a median reaches the aim."""
        return median <= self.value if self.at_most else median >= self.value

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.value:g}"


class TooFewRounds(Exception):
    """Fewer rounds than a median is worth."""


def write(key: str, rounds: Sequence[float], load: Sequence[float], more: Mapping[str, Any], path: Path) -> float:
    """Replace one key of the results file and give its median; raises `TooFewRounds`."""
    if len(rounds) < LEAST_ROUNDS:
        raise TooFewRounds(f"{key}: {len(rounds)} rounds; {LEAST_ROUNDS} are the least that are written")
    results = json.loads(path.read_text()) if path.exists() else {}
    median = round(statistics.median(rounds), 3)
    results[key] = {
        "median": median,
        "rounds": [round(one, 3) for one in rounds],
        "commit": commit(),
        "load": [round(one, 2) for one in load],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return median


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each name over the rounds."""
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]} if rounds else {}


def commit() -> str:
    """The commit that was measured; `+` where tracked files have changed since."""
    head = _git("rev-parse", "HEAD")
    # What a run itself writes is no change to what it measures.
    return head + ("+" if _git("status", "--porcelain", "-uno", "--", ".", ":!benchmarks/results") else "")


def versions() -> dict[str, str]:
    """What was measured with."""
    names = (
        "aiohttp",
        "aiokafka",
        "faststream",
        "motor",
        "pymongo",
        "pydantic",
        "uvicorn",
        "uvloop",
        "httptools",
        "starlette",
    )
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _git(*command: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *command], capture_output=True, text=True, check=False).stdout.strip()
