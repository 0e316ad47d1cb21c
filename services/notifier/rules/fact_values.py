"""What each fact can be: a rule or a silence that waits for anything else would never match, and nobody would know."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from services.notifier.domain.facts import FACTS
from shared.clocks import DUE
from shared.events import ALERT_RAISED, CASE_TYPES, KINDS
from shared.law import Law
from shared.life_cycle import LifeCycle
from shared.states import STATES
from shared.vocabulary import DESK, Direction, Lane, Urgency
from shared.yaml_file import did_you_mean, quoted

SERVICES = ("intake", "router", "notifier", "alertmanager")
"""Who can raise an alert; Alertmanager's own come as the technical ones."""
SEVERITIES = ("critical", "error", "warning", "info", "none")
"""Of a technical alert."""
ALERTNAME = re.compile(r"[A-Za-z0-9_:.-]{1,100}", re.ASCII)
"""The name of a technical alert: no closed list, for whoever watches the machines gives it."""


@dataclass(frozen=True)
class FactValues:
    """The closed lists, by fact."""

    lists: Mapping[str, Collection[str]]

    def wrong_with(self, fact: str, values: Iterable[str] = ()) -> str | None:
        """What is wrong with a fact and the values that it is to have, as one sentence; None where nothing is."""
        if fact not in FACTS:
            return f"{quoted(fact)} is no fact{did_you_mean(fact, FACTS)}"
        for value in values:
            if not self._can_be(fact, value):
                hint = did_you_mean(value, self.lists.get(fact, ()))
                return f"{quoted(value)} is no {fact} that there can be{hint}"
        return None

    def _can_be(self, fact: str, value: str) -> bool:
        known = self.lists.get(fact)
        return ALERTNAME.fullmatch(value) is not None if known is None else value in known


def fact_values(law: Law, life: LifeCycle, rotas: Collection[str]) -> FactValues:
    """The values of this deployment."""
    clocks = law.text.clocks.values()
    return FactValues(
        {
            "event": (*CASE_TYPES, ALERT_RAISED),
            "type": tuple(law.request_types),
            "authority": (*law.authorities, DESK),
            "status": tuple(life.statuses),
            "lane": tuple(Lane),
            "urgency": tuple(Urgency),
            "direction": tuple(Direction),
            "party": tuple(STATES),
            "clock": tuple(law.text.clocks),
            "clock_kind": tuple({clock.kind for clock in clocks}),
            "step": (DUE, *{warn for clock in clocks for span in clock.versions for warn in span.warn}),
            "kind": KINDS,
            "service": SERVICES,
            "severity": SEVERITIES,
            "rota": tuple(rotas),
        }
    )
