"""Ours over a database in which many cases lie already: as our own code writes them, copied in bulk with other ids.

A thousand letters, with their cases and notices, are made by the services' own functions, as they stand once
everything is sent. A copy is the same bytes with every id in them changed in the same way, so that a copied case still
belongs to its copied letter. The key of a copy is its own, for services look at one when they start; what is sealed
under it does not open and the chain does not hold: nothing here reads either.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import WriteConcern

from benchmarks.ground import SERVICES, Ground
from benchmarks.letters import AGENCY, bodies
from benchmarks.ours import Ours
from benchmarks.prepared import Prepared, Preparer, Step
from deploy.local.keys import Keys
from shared.sealing import Sealer

COLLECTIONS = ("letters", "cases", "notices")
ORIGINALS = 1_000
AT_ONCE, TOGETHER = 500, 2
"""Cases in one insert, and inserts at a time."""
SAY_EVERY = 100_000
_ID = re.compile(rb"(?<=[a-z]{3}_)[0-9a-f]{32}")
"""What follows the prefix of an id; ids stand in fields and in the bytes of events alike."""

Documents = dict[str, list[RawBSONDocument]]
"""By collection."""


class Pattern:
    """One document, of which others are made that differ in their ids and their key alone."""

    def __init__(self, document: bytes, sealer: Sealer) -> None:
        self._between, self._ids = _ID.split(document), [int(one, 16) for one in _ID.findall(document)]
        known = bson.decode(document)
        self._id, self._key, self._sealer = known["_id"], known.get("key", b""), sealer

    def copy(self, change: int) -> RawBSONDocument:
        """Equal ids stay equal, within a document and beyond it."""
        parts = [b""] * (len(self._between) + len(self._ids))
        parts[::2] = self._between
        parts[1::2] = [b"%032x" % (one ^ change) for one in self._ids]
        copied = b"".join(parts)
        if self._key:
            prefix, number = self._id.split("_")
            key = self._sealer.new_key(f"{prefix}_{int(number, 16) ^ change:032x}")
            copied = copied.replace(self._key, key.wrapped)
        return RawBSONDocument(copied)


class Patterns:
    """The originals of every collection; those with the same number belong together."""

    def __init__(self, keys: Keys) -> None:
        prepared = Prepared()
        preparer = Preparer(keys.id_key, keys.sealing_key, AGENCY)
        preparer.prepare(bodies("stored", ORIGINALS), prepared)
        letters = zip(prepared.posts.values(), prepared.news.values(), strict=True)
        self._patterns: dict[str, list[Pattern]] = {
            "letters": [Pattern(standing(*both), preparer.sealer) for both in letters],
            "cases": [Pattern(standing(one), preparer.sealer) for one in prepared.openings.values()],
            "notices": [Pattern(standing(one), preparer.sealer) for one in prepared.raisings.values()],
        }

    def copies(self, count: int) -> Iterator[Documents]:
        """So many cases and what belongs to them, in portions."""
        chance, numbers = random.Random(count), iter(range(count))
        while portion := list(islice(numbers, AT_ONCE)):
            changes = [chance.getrandbits(128) for _ in portion]
            yield {
                name: [
                    patterns[number % ORIGINALS].copy(change) for number, change in zip(portion, changes, strict=True)
                ]
                for name, patterns in self._patterns.items()
            }


def standing(*steps: Step) -> bytes:
    """The document that these writes of one record leave once everything is sent."""
    first, *later = steps
    document = bson.decode(first.insert or b"")
    for step in later:
        update = {name: bson.decode(part) for name, part in (step.update or {}).items()}
        document |= update["$set"]
        document["history"] += update["$push"]["history"]["$each"]
    document["published"] = document["version"]
    del document["unsent_since"]
    return bson.encode(document)


class Storing(Ours):
    """Ours over so many cases; they are stored before the first round, and after every round they alone are left."""

    def __init__(self, ground: Ground, name: str, patterns: Patterns, count: int) -> None:
        super().__init__(ground, name=name)
        self._patterns, self._count = patterns, count
        self._database = ground.client[name]

    @property
    def stored(self) -> Mapping[str, int]:
        """Collection -> documents."""
        return dict.fromkeys(COLLECTIONS, self._count)

    def store(self) -> None:
        """Put them there; the indexes are those that the services make, but made last, which is quicker."""
        began, done, said = time.monotonic(), 0, 0
        self.start(SERVICES)
        self.stop()
        indexes = {name: self._indexes(name) for name in COLLECTIONS}
        for name in COLLECTIONS:
            self._database[name].drop_indexes()
            self._database[name].delete_many({})
        with ThreadPoolExecutor(TOGETHER) as pool:
            under_way: list[Future[None]] = []
            for documents in self._patterns.copies(self._count):
                if len(under_way) > TOGETHER:
                    under_way.pop(0).result()
                under_way.append(pool.submit(self._insert, documents))
                done += len(documents["cases"])
                if done - said >= SAY_EVERY or done == self._count:
                    said = done
                    print(f"  {done:,} of {self._count:,} cases stored ({time.monotonic() - began:.0f} s)", flush=True)
            for one in under_way:
                one.result()
        for name in COLLECTIONS:
            self._database.command("createIndexes", name, indexes=indexes[name])
        self.empty()
        # What is still to be written to disk must not be written during a round.
        self._database.client.admin.command("fsync")
        print(f"  with their indexes, and on disk ({time.monotonic() - began:.0f} s)", flush=True)

    def _indexes(self, name: str) -> list[Any]:
        return [index for index in self._database[name].list_indexes() if index["name"] != "_id_"]

    def drop(self) -> None:
        """Give the disk back."""
        self._database.client.drop_database(self.name)

    def empty(self) -> None:
        """Leave what was stored, and nothing else: what came later stands behind it."""
        for name in self._database.list_collection_names():
            if name not in COLLECTIONS:
                self._database.drop_collection(name)
                continue
            collection = self._database[name]
            later = collection.estimated_document_count() - self._count
            newest = collection.find({}, {"_id": 1}).sort("$natural", -1).limit(later) if later > 0 else ()
            collection.delete_many({"_id": {"$in": [one["_id"] for one in newest]}})

    def _insert(self, documents: Documents) -> None:
        for name, ones in documents.items():
            collection = self._database.get_collection(name, write_concern=WriteConcern(1, j=False))
            collection.insert_many(ones, ordered=False)
