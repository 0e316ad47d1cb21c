"""What the tests of a run counted, and the file that keeps it: written only when asked, `ROGATORY_FAULT_RESULTS=1`."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

    def summary(self, failed: bool) -> dict[str, Any]:
        """In the contract's shape."""

        def total(kind: Kind) -> int:
            return sum(verdict.count(kind) for verdict in self.verdicts)

        return {
            "verdict": "failed" if failed else "ok",
            "seed": self.seed,
            "commit": _commit(),
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

    def write(self, failed: bool) -> None:
        """Replace the file."""
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(self.summary(failed), indent=2) + "\n")


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=FILE.parents[3], capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"
