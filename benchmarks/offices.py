"""Fifty offices that hear by webhook: the partners and alerts files of the benchmark, and what our notifier is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.letters import AGENCY
from benchmarks.prepared import PARTNERS
from deploy.local.jars import ROOT
from deploy.local.ports import HOST
from shared import topics
from shared.events import CASE_ASSIGNED
from shared.states import STATES

COUNT = 50
"""So many that the few requests which one recipient gets at a time hold nobody back."""
NAMES = tuple(f"office-{number:02}" for number in range(1, COUNT + 1))
PARTIES = dict(zip(sorted(STATES), NAMES, strict=False))
"""The State whose letters one office hears of."""
ALL = sorted(STATES)[COUNT]
"""The State whose letters all of them hear of."""
SAYS = {"en": "{type} ({direction}, {party}) is with {authority}."}


@dataclass(frozen=True, slots=True)
class Offices:
    """They all have one address, but for its path: the sink's."""

    folder: Path
    port: int
    secret: str
    """What signs for each of them."""

    @property
    def partners(self) -> Path:
        """The partners file."""
        return self.folder / "partners.yaml"

    @property
    def alerts(self) -> Path:
        """The alerts file: a rule for each office, one for all of them, and one for the rest, which never comes."""
        return self.folder / "alerts.yaml"

    @property
    def topics(self) -> dict[str, int]:
        """The topics that a notifier needs for them."""
        return topics.all_topics((), (), NAMES)

    def url(self, name: str) -> str:
        """Where one of them takes webhooks."""
        return f"http://{HOST}:{self.port}/{name}"

    def settings(self) -> Mapping[str, str]:
        """What our notifier is told of them."""
        targets = {name: {"url": self.url(name), "secret": self.secret} for name in NAMES}
        return {
            "ROGATORY_PARTNERS": str(self.partners),
            "ROGATORY_ALERTS": str(self.alerts),
            "ROGATORY_WEBHOOKS": json.dumps(targets),
        }

    def write(self) -> None:
        """Write both files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        law = yaml.safe_load(PARTNERS.read_text())["law"]
        partners = {
            "law": str(ROOT / law),
            "agencies": {AGENCY: {"title": "Contact point", "gateway": "24/7"}},
            "subscribers": {name: {"title": name, "channels": ["webhook"]} for name in NAMES},
        }
        rules = [_rule(f"of-{party.lower()}", [name], party) for party, name in PARTIES.items()]
        rules += [_rule("of-all", list(NAMES), ALL), {"name": "the-rest", "tell": [NAMES[0]], "says": SAYS}]
        self.partners.write_text(json.dumps(partners))
        self.alerts.write_text(json.dumps({"rules": rules}))  # JSON is YAML too


def _rule(name: str, tell: list[str], party: str) -> dict[str, object]:
    return {"name": name, "when": {"event": [CASE_ASSIGNED], "party": [party]}, "tell": tell, "says": SAYS}
