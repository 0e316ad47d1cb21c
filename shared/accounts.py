"""The conserved quantities: their terms, and what must add up.

A term is named `quantity/term`. Each domain says which terms one of its records counts for, as a pure function of the
record's state; the running totals (`shared.totals`) and a recount (`shared.recount`) both sum that function.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.events import QUARANTINE

Terms = Callable[[Mapping[str, Any]], Mapping[str, int]]
"""What a record counts for, from its state; pure, and nothing for the empty state of a record that is not there."""

ADDS_UP: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "letter": {"arrived": ("accepted", "refused"), "accepted": ("open", "ended")},
    "measure": {"accepted": ("open", "ended")},
    "case": {"opened": ("open", "ended")},
    "clock": {"started": ("running", "stopped", "missed")},
    "notice": {"raised": ("open", "published", "delivered", "handed_on", "acknowledged", "failed", "silenced")},
    "ladder": {"begun": ("climbing", "acknowledged", "ended", "silenced")},
    "quarantine": {"kept": ("held", "replaying", "replayed", "discarded")},
}
"""By quantity: each whole, and the parts that make it up."""


def terms_of(quantity: str) -> tuple[str, ...]:
    """The terms of a quantity, the wholes first."""
    sums = ADDS_UP[quantity]
    return tuple(dict.fromkeys([*sums, *(part for parts in sums.values() for part in parts)]))


NAMES = frozenset(f"{quantity}/{term}" for quantity in ADDS_UP for term in terms_of(quantity))
"""Every name that a total may have."""


def quantities(totals: Mapping[str, int]) -> list[str]:
    """The quantities of which these totals say something, in the order of the table."""
    known = {name.partition("/")[0] for name in totals}
    return [quantity for quantity in ADDS_UP if quantity in known]


def adds_up(quantity: str, totals: Mapping[str, int], *, settled: bool = True) -> bool:
    """Whether every whole of a quantity is the sum of its parts, and nothing is less than nothing.

    Not `settled`: batches are missing whose outcome is still to be noted. Each would add up by itself, but that a thing
    ended may count before that it began.
    """
    count = {term: totals.get(f"{quantity}/{term}", 0) for term in terms_of(quantity)}
    sums = ADDS_UP[quantity].items()
    is_whole = all(count[whole] == sum(count[part] for part in parts) for whole, parts in sums)
    return is_whole and (not settled or min(count.values()) >= 0)


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What must be added to the one to get the other; without zeros."""
    if before == after:
        return {}
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in (*after, *before)}
    return {name: change for name, change in changes.items() if change}


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of many."""
    summed: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            summed[name] = summed.get(name, 0) + number
    return summed


def of_entry(state: Mapping[str, Any]) -> Mapping[str, int]:
    """An entry of a quarantine counts once, by how it stands; other alerts that are kept there do not."""
    if state.get("kind") != QUARANTINE:
        return {}
    return {"quarantine/kept": 1, f"quarantine/{state['status']}": 1}
