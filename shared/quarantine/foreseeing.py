"""What a replay would do now: decided by the functions that decide, with nothing written."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import BaseModel

from shared.arrivals import Taken
from shared.quarantine.deciding import Status

_RECORDS = {"let": "letter", "cas": "case", "not": "notice", "alt": "ladder"}

_Record = ConsumerRecord[Any, Any]


class Would(BaseModel):
    """What would happen to one record of ours."""

    record: str | None
    """None: nothing could be read, so it is about none."""
    what: str
    """`begin`, `change`, `heard before`, `nothing` or `refused`."""
    events: list[str] = []
    reason: str | None = None


class Foreseen(BaseModel):
    """What a replay of one entry would do now."""

    entry: str
    would: list[Would]
    says: str


class Forecast(BaseModel):
    """What a replay of many would do now; nothing was changed."""

    entries: list[Foreseen]
    counts: dict[str, int]
    cut: int
    """Those of which only the beginning is kept: each needs an edited copy, so they are left out."""
    more: bool


def foreseen(entry: str, record: _Record, taken: Taken) -> Foreseen:
    """What became of one record among those that were looked at."""
    would: list[Would] = []
    for message, origin, outcome in zip(taken.messages, taken.origins, taken.outcomes, strict=True):
        if origin is not record:
            continue
        told = outcome.record
        events = [event.type for event in told.fresh if event.cause == message.cause]
        if outcome.refused is not None:
            would.append(Would(record=told.id, what="refused", reason=str(outcome.refused)))
        elif outcome.fresh:
            is_new = told.stored_version == 0 and told.fresh[0].cause == message.cause
            would.append(Would(record=told.id, what="begin" if is_new else "change", events=events))
        else:
            would.append(Would(record=told.id, what="heard before" if message.cause in told.causes else "nothing"))
    known = {one.reason for one in would}
    for origin, reason in taken.aside:
        if origin is record and reason not in known:
            would.insert(0, Would(record=None, what="refused", reason=reason))
    return Foreseen(entry=entry, would=would, says=" ".join(map(_sentence, would)) or "It would change nothing.")


def refused(entry: str, reason: str) -> Foreseen:
    """A replay that would be refused, or that would fail whatever the entry holds."""
    would = [Would(record=None, what="refused", reason=reason)]
    return Foreseen(entry=entry, would=would, says=_sentence(would[0]))


def unchanged(entry: str, status: str) -> Foreseen:
    """A replay of what is being tried, or was heard."""
    stands = "is being tried" if status == Status.REPLAYING else "was heard"
    return Foreseen(entry=entry, would=[], says=f"It {stands}: nothing would happen.")


def counted(found: Sequence[Foreseen]) -> dict[str, int]:
    """How many entries would come to what, by the words of their sentences without the ids."""
    counts: dict[str, int] = {}
    for one in found:
        for told in sorted({_kind(would) for would in one.would} or {"nothing"}):
            counts[told] = counts.get(told, 0) + 1
    return counts


def _kind(would: Would) -> str:
    if would.what == "refused":
        return f"refused: {would.reason}"
    return f"{would.what} a {_noun(would)}" if would.what in ("begin", "change") else would.what


def _noun(would: Would) -> str:
    return _RECORDS.get((would.record or "")[:3], "record")


def _sentence(would: Would) -> str:
    told: Mapping[str, str] = {
        "begin": f"It would begin the {_noun(would)} {would.record}: {', '.join(would.events)}.",
        "change": f"It would change the {_noun(would)} {would.record}: {', '.join(would.events)}.",
        "heard before": f"It was heard before: the {_noun(would)} {would.record} would stay as it is.",
        "nothing": f"It would change nothing in the {_noun(would)} {would.record}.",
        "refused": f"It would be refused: {would.reason}.",
    }
    return told[would.what]
