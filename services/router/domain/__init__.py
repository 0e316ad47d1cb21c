"""What becomes of a case, decided: opened, updated, rung by its clocks, linked; all pure.

opening.py    one case per measure, to the authority that the law names
updating.py   what an authority, the desk or the sender did: the table decides, then the guards
moving.py     a case goes to another authority, in one decision
clocking.py   the case's clocks: started, stopped and rung
linking.py    cases that belong together
guards.py     what must hold beside the table
rules.py      what the decisions rest on: the law, the life cycle, the ids
events.py     how an event of a case looks, and how its state follows from it
"""

from services.router.domain.deciding import decide_by
from services.router.domain.events import evolve
from services.router.domain.rules import Rules

__all__ = ["Rules", "decide_by", "evolve"]
