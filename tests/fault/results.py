"""What the tests of a run counted, and the file that keeps it: written only when asked, `ROGATORY_FAULT_RESULTS=1`."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.jars import ROOT
from tests.fault.verdict import Kind, Verdict

FILE = Path(__file__).parent / "results" / "latest.json"


@dataclass
class Results:
    """Counted over all tests of one run."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    """Per process, the kills that counted."""
    letters: int = 0
    planted: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    clocks: dict[str, float] = field(default_factory=dict)
    """What the proofs of the clocks counted and measured."""
    ladders: dict[str, float] = field(default_factory=dict)
    """The same of the ladders of alerts."""
    nemesis: dict[str, Any] = field(default_factory=dict)
    """The same of the nemesis."""
    isolation: dict[str, float] = field(default_factory=dict)
    """The same of recipients beside two that do not work."""

    tests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """In the contract's shape, and by which run at which commit each test was made."""

        def total(kind: Kind) -> int:
            return sum(verdict.count(kind) for verdict in self.verdicts)

        return {
            "verdict": "failed" if self.failed else "ok",
            "seed": self.seed,
            "commit": _commit(),
            "runs": [{"commit": _commit(), "seed": self.seed, "tests": self.tests, "failed": self.failed}],
            "letters": self.letters,
            "kills": dict(sorted(self.kills.items())),
            "lost": total(Kind.LOST),
            "twice": total(Kind.TWICE),
            "out_of_order": total(Kind.OUT_OF_ORDER),
            "late_clocks": total(Kind.LATE),
            "clocks": self.clocks,
            "ladders": self.ladders,
            "isolation": self.isolation,
            "nemesis": self.nemesis,
            "planted": self.planted,
        }

    def write(self, *, add: bool) -> None:
        """Replace the file, or add to what it has of other tests."""
        FILE.parent.mkdir(exist_ok=True)
        told = self.summary()
        FILE.write_text(json.dumps(added(json.loads(FILE.read_text()), told) if add else told, indent=2) + "\n")


def added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Both together. What a test counted that is made again counts twice; that it failed counts until then."""
    again = {test for run in now["runs"] for test in run["tests"]}
    runs = [
        run | {what: [test for test in run[what] if test not in again] for what in ("tests", "failed")}
        for run in before["runs"]
    ]
    runs = [run for run in runs if run["tests"] or run["failed"]] + now["runs"]
    told = {**now, "verdict": "failed" if any(run["failed"] for run in runs) else "ok", "runs": runs}
    for name, value in before.items():
        if isinstance(value, int) and not isinstance(value, bool) and name != "seed":
            told[name] = value + now[name]
        elif name == "kills":
            told[name] = dict(sorted((Counter(value) + Counter(now[name])).items()))
        elif isinstance(value, dict):
            told[name] = value | now[name]
    return told


def _commit() -> str:
    head = _git("rev-parse", "--short=12", "HEAD")
    # What a run itself writes is no change to what it tests.
    changed = _git("status", "--porcelain", "-uno", "--", ".", f":!{FILE.parent.relative_to(ROOT)}")
    return f"{head}-dirty" if changed else head or "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
