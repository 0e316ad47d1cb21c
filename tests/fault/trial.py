"""One kill test's random choices, and what it counted: printed whether captured or not, kept, and judged."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fault.load import Load
from tests.fault.results import Results
from tests.fault.system import Kill
from tests.fault.verdict import Verdict


@dataclass(frozen=True)
class Trial:
    """What a kill test needs beside its system."""

    rng: random.Random
    results: Results
    say: Callable[[str], None]

    def judge(self, load: Load, kills: Sequence[Kill], verdict: Verdict) -> None:
        """Keep and print what was counted; nothing may be wrong in what is left or in what clients were told."""
        self.results.kills.update(kill.process for kill in kills)
        self.results.letters += len(load.filed)
        tries = ", ".join(f"{n} {outcome}" for outcome, n in sorted(load.history.counts.items()))
        self.say("\n".join([*map(str, kills), f"tries: {tries}"]))
        self.pronounce(verdict)
        assert load.strange == []

    def pronounce(self, verdict: Verdict) -> None:
        """Keep and print a verdict; it may name no fault."""
        self.results.verdicts.append(verdict)
        self.say(str(verdict))
        assert verdict.faults == []
