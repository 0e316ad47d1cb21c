"""What the decisions on cases rest on: the law, the life cycle, and the ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.ids import Ids
from shared.law import ClockRule, Law
from shared.law.text import PARENT, holding
from shared.life_cycle import LifeCycle
from shared.times import read
from shared.vocabulary import Direction


@dataclass(frozen=True)
class Rules:
    """The law, the life cycle and the ids of one deployment."""

    law: Law
    life: LifeCycle
    ids: Ids

    def day(self, state: Mapping[str, Any]) -> date:
        """The day whose law counts for a case: that on which its letter was received."""
        return self.law.day_of(read(state["received_at"]))

    def follows_another(self, state: Mapping[str, Any]) -> bool:
        """Whether the law gives such a case to whoever has the one that it follows."""
        rows = self.law.request_types[state["type"]].rows(Direction(state["direction"]))
        return any(row.to == PARENT for row in holding(rows, self.day(state)))

    def clock(self, name: str, on: date) -> ClockRule | None:
        """The rule of a clock that runs already, whatever else has changed about its case."""
        text = self.law.text.clocks.get(name)
        spans = holding(text.versions, on) if text else ()
        return ClockRule(name, text.kind, text.says, spans[0], text.tells_sender) if text and spans else None

    def clocks(self, state: Mapping[str, Any], on: date | None = None) -> tuple[ClockRule, ...]:
        """The clocks that may run for a case as it stands."""
        return self.law.clocks_for(
            state["type"],
            state["direction"],
            state["urgency"],
            state.get("treaty"),
            on or self.day(state),
            state["authority"],
        )
