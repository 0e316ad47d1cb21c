"""The notifier's decisions: who must hear, what becomes of each notice, how an alert climbs its ladder. All pure."""

from services.notifier.domain.deciding import decide, evolve
from services.notifier.domain.facts import FACTS, Happened, bound_of, due_of, facts_of

__all__ = ["FACTS", "Happened", "bound_of", "decide", "due_of", "evolve", "facts_of"]
