"""What becomes of letters, and of what is said on them, decided; all pure.

filing.py     a letter at the door: accepted, again, in conflict, refused
messages.py   what an agency says on a letter of before, and who may say what
news.py       what happened to a letter's cases, as far as its agency may see it
answers.py    what the router has for an agency or a gateway: it is kept with the letter and said on
deciding.py   which of these judges which message, and how a letter's state follows from its events
"""

from services.intake.domain.answers import Due
from services.intake.domain.deciding import decide_by, evolve
from services.intake.domain.filing import AgencyEvent, Conflict, Filing, Refusal, filing
from services.intake.domain.messages import NotTaken, Said, Why
from services.intake.domain.news import CaseNews

__all__ = [
    "AgencyEvent",
    "CaseNews",
    "Conflict",
    "Due",
    "Filing",
    "NotTaken",
    "Refusal",
    "Said",
    "Why",
    "decide_by",
    "evolve",
    "filing",
]
