"""The checkpoints in both passes: leaves go to the shards of their records, links to that of their instance.

What is right and what is wrong is said by `anchored`, which is pure.
"""

import hashlib
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from shared.ids import Ids
from shared.topics import CHECKPOINTS
from verify.anchored import Link, chain_at, differs, link_of, read, unlinked
from verify.documents import Documents
from verify.findings import Finding, Kind, Tally
from verify.history import Known
from verify.rows import packed, unpacked
from verify.shards import Shards
from verify.topics import Topics
from verify.world import SERVICES, Bounds

_LEAF = struct.Struct(">20sI32s")
LEAVES, LINKS = "leaves", "links"
OWN = "chk_"
"""How the ids of checkpoints begin; they are not anchored themselves."""


class Checkpoints:
    """Takes the checkpoints in the first pass, and gives back in the second what each shard is held against."""

    def __init__(self, keys: Mapping[str, bytes], ids: Ids, shards: Shards, documents: Documents) -> None:
        """`keys`: the public keys by their names; without any, signatures are not checked."""
        self._keys, self._ids, self._shards, self._documents = keys, ids, shards, documents

    def take(self, record: ConsumerRecord[Any, Any], tally: Tally) -> None:
        """Note what a record of the checkpoints' topic says."""
        checkpoint, found = read(record, self._keys)
        tally.found(found)
        if checkpoint is None:
            return
        tally.counts["checkpoints"] += 1
        if not self._keys:
            tally.counts["signatures_unchecked"] += 1
        try:
            rows = [(packed(name), version, bytes.fromhex(chain)) for name, version, chain in checkpoint.leaves]
            leaves = [(row[0], _LEAF.pack(*row)) for row in rows]
        except (ValueError, struct.error):
            where = f"at {record.partition}/{record.offset}: leaves that are none of ours"
            tally.found([Finding(Kind.UNREADABLE, "", where, CHECKPOINTS)])
            return
        for name, leaf in leaves:
            self._shards.add(LEAVES, self._shards.of(name), leaf)
        link = link_of(checkpoint)
        of_instance = hashlib.sha256(f"{link.service}/{link.instance}".encode()).digest()
        self._shards.add(LINKS, self._shards.of(OWN.encode() + of_instance), orjson.dumps(tuple(link)) + b"\n")

    def of(self, shard: int) -> "Held":
        """What the records of a shard were anchored as."""
        leaves: defaultdict[bytes, set[tuple[int, bytes]]] = defaultdict(set)
        for name, version, chain in _LEAF.iter_unpack(self._shards.read(LEAVES, shard)):
            leaves[name].add((version, chain))
        return Held(leaves)

    def linked(self, shard: int, bounds: Bounds) -> Iterator[Finding]:
        """What is wrong with the links of the instances of a shard."""
        rows: defaultdict[tuple[str, str], list[Link]] = defaultdict(list)
        for line in self._shards.read(LINKS, shard).splitlines():
            link = Link(*orjson.loads(line))
            rows[link.service, link.instance].append(link)
        is_whole = not any(start for place, start in bounds.starts.items() if place[0] == CHECKPOINTS)
        for row in rows.values():
            yield from unlinked(row, self._is_kept, is_whole)

    def _is_kept(self, service: str, instance: str, number: int) -> bool:
        name = self._ids.checkpoint(service, instance, number)
        return bool(self._documents.present(f"{service}_checkpoints", [name]))

    async def gone(self, bounds: Bounds, topics: Topics) -> AsyncIterator[Finding]:
        """Whether MongoDB holds checkpoints that were sent, and nothing ever stood on their topic: it was made anew."""
        collections = [f"{service}_checkpoints" for service in SERVICES]
        kept = (one for name in collections for one in self._documents.between(name, OWN, f"{OWN}g"))
        if not any(one.get("published") for one in kept):
            return
        # What was marked as sent stands there by now, also where the topics were read a moment before.
        places = [place for place in bounds.ends if place[0] == CHECKPOINTS]
        ends = await topics.ends(places) if places else {}
        if not any(ends.values()):
            yield Finding(Kind.MISSING, "", "MongoDB holds checkpoints, and none stands on their topic", CHECKPOINTS)


def cut_off(bounds: Bounds) -> Iterator[Finding]:
    """Topics that keep for ever, and begin later than at their beginning all the same; checkpoints of which none is
    left, though their topic does not say for how long it keeps them."""
    for (topic, partition), begin in bounds.begins.items():
        if not begin:
            continue
        if topic in bounds.for_ever:
            kind = Kind.MISSING if topic == CHECKPOINTS else Kind.LOST
            detail = f"{partition} begins at {begin}: what stood before was removed, though it is kept for ever"
            yield Finding(kind, "", detail, topic)
        elif topic == CHECKPOINTS and topic in bounds.no_age and begin == bounds.ends[topic, partition]:
            yield Finding(Kind.MISSING, "", f"{partition} is empty, and its retention does not say why", topic)


class Held:
    """What the records of one shard are held against."""

    def __init__(self, leaves: dict[bytes, set[tuple[int, bytes]]]) -> None:
        self._leaves = leaves

    def look(self, known: Known, tally: Tally) -> None:
        """Hold a record against what was anchored of it."""
        anchored = sorted(self._leaves.pop(packed(known.record), ()))
        is_checkpoint = known.record.startswith(OWN)
        if not is_checkpoint and (not anchored or anchored[-1][0] < len(known.events)):
            tally.counts["unanchored"] += 1
        for version, chain in anchored:
            tally.counts["anchored"] += 1
            wrong = differs((known.record, version, chain.hex()), chain_at(known.events, version))
            tally.found([wrong] if wrong else [])

    def left(self, prefixes: Collection[bytes]) -> Iterator[Finding]:
        """What was anchored of records that are not there any more, of the kinds that were looked at."""
        for name, anchored in self._leaves.items():
            if name[:4] in prefixes:
                version, chain = max(anchored)
                wrong = differs((unpacked(name), version, chain.hex()), None)
                yield from [wrong] if wrong else []
