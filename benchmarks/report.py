"""The results file: what `docs` and tests read. A run replaces only the keys that it measured.

Beside it lies a file for every commit that was measured, so that what a change did can be looked up later.
"""

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
_SHORT = 9
"""Digits by which a commit is known."""


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


@dataclass(frozen=True, slots=True)
class Change:
    """A median and the one before it."""

    before: float
    now: float
    commit: str
    """Where the one before was measured."""
    is_within: bool
    """The rounds of before went as far as that: chance alone may have done it."""

    def __str__(self) -> str:
        """For people; no share is told of what was nothing, or less."""
        share = f", {(self.now / self.before - 1) * 100:+.0f} %" if self.before > 0 else ""
        within = ", within its rounds" if self.is_within else ""
        return f"before {self.before:.2f} at {self.commit[:_SHORT]}{share}{within}"


class Results:
    """The results as they were before this run, and the file that it changes."""

    def __init__(self, path: Path = LATEST) -> None:
        """What is measured from now on is measured of the present commit."""
        self._path, self.commit = path, commit()
        self._before = _read(path)

    def write(self, key: str, rounds: Sequence[float], load: Sequence[float], more: Mapping[str, Any]) -> float:
        """Replace one key, here and at its commit, and give its median; raises `TooFewRounds`."""
        if len(rounds) < LEAST_ROUNDS:
            raise TooFewRounds(f"{key}: {len(rounds)} rounds; {LEAST_ROUNDS} are the least that are written")
        median = round(statistics.median(rounds), 3)
        result = {
            "median": median,
            "rounds": [round(one, 3) for one in rounds],
            "commit": self.commit,
            "load": [round(one, 2) for one in load],
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            **more,
        }
        # What holds changes that nobody committed belongs to no commit.
        for path in (self._path, *([] if self.commit.endswith("+") else [self.of_commit(self.commit)])):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_read(path) | {key: result}, indent=1, sort_keys=True) + "\n")
        return median

    def of_commit(self, commit: str) -> Path:
        """Where the results of one commit are kept."""
        return self._path.parent / "by-commit" / f"{commit[:_SHORT]}.json"

    def change(self, key: str, median: float) -> Change | None:
        """What a median is beside the last one; None where there was none."""
        if not (last := self._before.get(key)):
            return None
        within = min(last["rounds"]) <= median <= max(last["rounds"])
        return Change(last["median"], median, last["commit"], within)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


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
