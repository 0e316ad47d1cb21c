"""The conserved quantities, counted anew from the records: whether they add up, and agree with what was kept of it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping

from services.intake.domain.accounts import terms_by as of_letters
from services.notifier.domain.accounts import terms as of_notices
from services.router.domain.accounts import terms_by as of_cases
from shared.accounts import Terms, adds_up, of_entry, quantities, terms_of, total
from verify.documents import Documents
from verify.findings import Finding, Kind
from verify.world import SERVICES

TOTALS = "totals"
"""The collection in which the services keep their running totals."""
_COUNTED = "account "
ARRIVED = ("messages heard", "not readable", "events that must be told")
"""What stands on the topics for a reader, as the first pass counts it: within retention, and since the time asked."""
BECAME = (
    "taken",
    "told of",
    "nothing to do",
    "nothing new",
    "heard before",
    "quarantined",
    "in flight",
    "settled meanwhile",
    "passed over",
)
"""What became of each, as the second pass finds it; the last is a finding of its own."""


def terms_by(ends: frozenset[str]) -> Mapping[str, Terms]:
    """What the records of each collection count for, by the services' own pure functions."""
    entries = {f"{name}_quarantine": of_entry for name in SERVICES}
    return {"letters": of_letters(ends), "cases": of_cases(ends), "notices": of_notices, **entries}


def count(collection: str, state: Mapping[str, object], terms: Mapping[str, Terms], counts: Counter[str]) -> None:
    """Add what a record counts for."""
    if (of := terms.get(collection)) is not None:
        for name, number in of(state).items():
            counts[f"{_COUNTED}{collection} {name}"] += number


def counted(counts: Mapping[str, int], collection: str) -> dict[str, int]:
    """What the records of a collection count for."""
    begins = f"{_COUNTED}{collection} "
    return {name.removeprefix(begins): number for name, number in counts.items() if name.startswith(begins) and number}


def without(counts: Counter[str]) -> Counter[str]:
    """The other counts."""
    return Counter({name: number for name, number in counts.items() if not name.startswith(_COUNTED)})


def table(counts: Mapping[str, int], collections: Mapping[str, Terms]) -> dict[str, dict[str, int]]:
    """By quantity its terms, wholes first; and what became of all that arrived."""
    summed = total(counted(counts, name) for name in collections)
    shown = {
        quantity: {term: summed.get(f"{quantity}/{term}", 0) for term in terms_of(quantity)}
        for quantity in quantities(summed)
    }
    became = {name: counts[name] for name in BECAME if counts.get(name)}
    return {"message": {"arrived": _arrived(counts), **became}, **shown} if became or _arrived(counts) else shown


def _arrived(counts: Mapping[str, int]) -> int:
    return sum(counts.get(name, 0) for name in ARRIVED)


def unbalanced(counts: Mapping[str, int], collections: Mapping[str, Terms]) -> Iterator[Finding]:
    """Quantities whose parts do not make up the whole."""
    became = {name: counts[name] for name in BECAME if counts.get(name)}
    if (arrived := _arrived(counts)) != sum(became.values()):
        parts = ", ".join(f"{name} {number:,}" for name, number in {"arrived": arrived, **became}.items())
        yield Finding(Kind.UNBALANCED, "message", parts)
    summed = total(counted(counts, name) for name in collections)
    for quantity in quantities(summed):
        if not adds_up(quantity, summed):
            parts = ", ".join(f"{term} {summed.get(f'{quantity}/{term}', 0):,}" for term in terms_of(quantity))
            yield Finding(Kind.UNBALANCED, quantity, parts)


Recount = Callable[[str], Awaitable[Mapping[str, tuple[int, int]]]]
"""What differs of a collection at one moment: by term, what was kept and what there is; raises `TryAgain`."""


async def no_recount(_collection: str) -> Mapping[str, tuple[int, int]]:
    """Where there is no way to read everything at one moment: then nothing is said of a difference."""
    return {}


async def against_totals(
    counts: Mapping[str, int], collections: Mapping[str, Terms], documents: Documents, recount: Recount
) -> tuple[str, list[Finding]]:
    """What is said of the running totals, and what of them is wrong."""
    kept: dict[str, dict[str, int]] = {}
    pending: set[str] = set()
    for slot in documents.all(TOTALS):
        kept[slot["collection"]] = total([kept.get(slot["collection"], {}), slot["totals"]])
        if slot["pending"]:
            pending.add(slot["collection"])
    found: list[Finding] = []
    agree = []
    for name in collections:
        there = {term: number for term, number in kept.get(name, {}).items() if number}
        if name not in pending and there == counted(counts, name):
            agree += [name] if name in kept else []
            continue
        # Both may have moved on meanwhile: they are read once more, as they are at one moment.
        differs = await recount(name)
        found += [
            Finding(Kind.TOTALS, name, f"{term}: {was:,} kept, {there_are:,} counted")
            for term, (was, there_are) in sorted(differs.items())
        ]
        if not differs and name in kept:
            agree.append(name)
    lacking = [name for name in collections if name not in kept and counted(counts, name)]
    says = [f"The running totals of {', '.join(agree)} agree."] if agree else []
    says += [f"No totals are kept of {', '.join(lacking)}."] if lacking else []
    return " ".join(says), found
