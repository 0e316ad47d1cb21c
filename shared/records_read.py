"""Records as the loop reads them: one that is damaged takes no more events, and holds no other up."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.failures import TryAgain
from shared.log import Logger
from shared.mongo import Store
from shared.records import Record, event_of, record_of
from shared.sealing import Broken, Sealer

UNOPENED = "what is sealed in its record does not open"
CUT = "its record's history is shorter than it says"


def opened(head: Mapping[str, Any], sealer: Sealer, log: Logger) -> Record:
    """The record of a stored head; one whose key does not open is `broken`."""
    try:
        return record_of(head, sealer)
    except Broken:
        log.error("key does not open", record=head["_id"])
        record = record_of({**head, "key": None}, sealer)
        record.broken = UNOPENED
        return record


async def read_histories(store: Store, records: Mapping[str, Record], seen: Collection[str], log: Logger) -> None:
    """Read the events of records, none of them older than its head; one that does not open, or is cut, is `broken`.

    `seen`: those whose heads were not read now. Raises `TryAgain`, also where one of these is not as it was seen.
    """
    histories = {one["_id"]: one["history"] for one in await store.histories(list(records))}
    if short := [name for name, record in records.items() if not _reaches(histories.get(name, ()), record)]:
        # Between both reads another primary may have been elected, which does not know yet that it has the rest.
        histories |= {one["_id"]: one["history"] for one in await store.histories(short, sure=True)}
    for name, record in records.items():
        forms = histories.get(name, ())
        if _reaches(forms, record):
            try:
                record.history = [event_of(record.id, form, record.key) for form in forms[: record.stored_version]]
            except Broken:
                record.broken = UNOPENED
        elif name in seen:
            raise TryAgain("what was seen of a record is not what there is")
        else:
            log.error("history is shorter than its head says", record=name)
            record.broken = CUT


def _reaches(history: Sequence[Any], record: Record) -> bool:
    """Whether a history has all that a record's head counts."""
    return len(history) >= record.stored_version
