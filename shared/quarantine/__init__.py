"""Quarantine: what could not be read or must not be tried again, kept whole and sealed, with the reason.

`deciding` says what becomes of an entry, `keeping` sets records aside, `replaying` tries them again, `reading` and
`safe` show them, `acting` and `api` let people work with them, `counting` measures.
"""

from shared.quarantine.deciding import decide, evolve
from shared.quarantine.keeping import KEPT_OF_HUGE, Quarantine

__all__ = ["KEPT_OF_HUGE", "Quarantine", "decide", "evolve"]
