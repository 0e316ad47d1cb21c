"""Ours with a full quarantine: entries as the services themselves keep them, put there before they start."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pymongo
from aiokafka import ConsumerRecord
from bson.raw_bson import RawBSONDocument

from benchmarks.ground import Ground
from benchmarks.letters import AGENCY
from benchmarks.ours import Ours
from shared import topics
from shared.ids import Ids
from shared.metrics import REASONS
from shared.quarantine import counting, decide, evolve
from shared.quarantine.keeping import entry_of
from shared.quarantine.reading import INDEXES as OF_ENTRIES
from shared.quarantine.replaying import INDEXES as OF_REPLAYS
from shared.records import Record, insertion
from shared.sealing import Sealer
from shared.vocabulary import Lane

BEGAN = datetime(2026, 3, 10, 8, tzinfo=UTC)
AT_ONCE = 5_000
VALUE = 500
"""Bytes of what each holds."""
GATES: Mapping[str, str] = {
    "intake": topics.letters_from(AGENCY, Lane.NORMAL),
    "router": topics.updates_from("security-service", Lane.NORMAL),
}
"""Whose quarantine is filled, and whose topic the records came from; half of the entries each."""


class Holding(Ours):
    """Ours, with so many entries held in its quarantines."""

    def __init__(self, ground: Ground, entries: int) -> None:
        super().__init__(ground)
        self._keys, self._client, self._each = ground.keys, ground.client, entries // len(GATES)
        self._made: dict[str, list[RawBSONDocument]] = {}

    @property
    def held(self) -> dict[str, int]:
        """Collection -> entries in it."""
        return {f"{service}_quarantine": self._each for service in GATES}

    def start(self, services: Sequence[str]) -> None:
        """Fill the quarantines of the empty database, then start."""
        for service, gate in GATES.items():
            if service not in self._made:
                self._made[service] = list(self._documents(service, gate))
            made = self._made[service]
            collection = self._client[self.name][f"{service}_quarantine"]
            for index in (*OF_ENTRIES, *OF_REPLAYS, counting.INDEX):
                collection.create_indexes([pymongo.IndexModel(**index)])
            for at in range(0, len(made), AT_ONCE):
                collection.insert_many(made[at : at + AT_ONCE], ordered=False)
        super().start(services)

    def _documents(self, service: str, gate: str) -> Iterator[RawBSONDocument]:
        ids, sealer = Ids(bytes.fromhex(self._keys.id_key)), Sealer(bytes.fromhex(self._keys.sealing_key))
        reasons = itertools.cycle(REASONS)
        for number in range(self._each):
            value, at = (b"%d " % number).ljust(VALUE, b"x"), BEGAN + timedelta(seconds=number)
            record: ConsumerRecord[Any, Any] = ConsumerRecord(
                gate, number % 3, number, 0, 0, b"key-%d" % (number % 1_000), value, None, 0, VALUE, ()
            )
            message = entry_of(record, next(reasons), service, ids)
            entry = Record(message.record, message.record, {})
            for draft in decide(entry, message, at).events:
                entry.append(draft, by=service, cause=message.cause, now=at, evolve=evolve, sealer=sealer)
            document = insertion(entry, at)
            # Long ago, and told since.
            document["published"] = document["version"]
            del document["unsent_since"]
            yield RawBSONDocument(bson.encode(document))
