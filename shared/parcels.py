"""Parcels: events of one record that are to be sent, and where they stand in its history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared import topics
from shared.events import Event
from shared.log import logger
from shared.mongo import Store
from shared.records import Record, event_of, record_of
from shared.sealing import Broken, Sealer
from shared.vocabulary import Lane


@dataclass(frozen=True, slots=True)
class Parcel:
    """Events of one record, in order and without gaps, that are to be sent."""

    store: Store
    record: str
    subject: str
    context: Mapping[str, str]
    published: int
    """The version up to which MongoDB had the record marked as sent when it was read."""
    events: tuple[Event, ...]
    lane: Lane = Lane.NORMAL
    """Of a record that has ever been told on an urgent topic: urgent, for all that is still to be told of it."""

    @property
    def size(self) -> int:
        """Bytes of what is to be sent."""
        return sum(len(event.data_json) + len(event.content or b"") for event in self.events)


def parcel_of(store: Store, record: Record, events: tuple[Event, ...]) -> Parcel:
    """Events of a record that are to be sent."""
    lane = Lane.URGENT if Lane.URGENT in map(topics.lane_of, record.sent) else Lane.NORMAL
    return Parcel(store, record.id, record.subject, record.context, record.published, events, lane)


def parcels_of(store: Store, documents: Iterable[Mapping[str, object]], sealer: Sealer) -> list[Parcel]:
    """The unsent events of whole documents; one that does not open is said and left out."""
    parcels = []
    for document in documents:
        history: list[Mapping[str, object]] = document["history"]  # type: ignore[assignment]
        head = {**document, "causes": (), "chain": b""}
        try:
            record = record_of(head, sealer)
            unsent = tuple(event_of(record.id, form, record.key) for form in history[record.published :])
        except Broken as error:
            logger(part="sender").error("cannot be sent", record=document["_id"], reason=str(error))
            continue
        if unsent:
            parcels.append(parcel_of(store, record, unsent))
    return parcels
