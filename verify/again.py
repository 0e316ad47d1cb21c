"""The last look: what may have come, or come right, since the two passes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from verify.findings import Finding, Tally
from verify.sending import Missing
from verify.shard import Checker
from verify.shards import Shards
from verify.topics import Topics
from verify.unread import Waiting
from verify.world import Bounds, Reader

WAITS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 22.0)
"""Seconds before each further look at what may settle: a minute in all."""

Told = Callable[[str, int, int], None]
"""Told how far a part of the work has come: its name, done, of so many."""


async def still_missing(missing: Sequence[Missing], topics: Topics, bounds: Bounds) -> list[Finding]:
    """What documents say was sent, less what has come to the topics since these were read."""
    if not missing:
        return []
    places = sorted({(one.topic, one.partition) for one in missing})
    starts = {place: bounds.ends[place] for place in places}
    came: set[tuple[str, str, bytes]] = set()
    async for batch in topics.records(starts, await topics.ends(places)):
        for record in batch:
            headers: dict[str, bytes] = dict(record.headers)
            name = headers.get("ce_source", b"").rpartition(b"/")[2].decode("ascii", "replace")
            came.add((record.topic, name, headers.get("ce_sequence", b"")))
    return [one.finding for one in missing if (one.topic, one.record, b"%010d" % one.sequence) not in came]


async def still_unread(
    overdue: Mapping[Reader, Waiting], topics: Topics, waits: Sequence[float]
) -> dict[Reader, Waiting]:
    """Of readers that were too late those that have not caught up a moment later."""
    standing = dict(overdue)
    for wait in waits:
        if not standing:
            break
        await asyncio.sleep(wait)
        committed = await topics.committed(sorted({group for group, *_ in standing}))
        standing = {reader: one for reader, one in standing.items() if committed.get(reader, 0) <= one.overdue_to}
    return standing


async def settle(
    tally: Tally, checker: Callable[[], Checker], shards: Shards, waits: Sequence[float], told: Told
) -> None:
    """Look again at what may be right a moment later, until it is or a minute has passed."""
    for wait in waits:
        if not any(one.settles for one in tally.findings):
            return
        told("looking again", 0, 0)
        await asyncio.sleep(wait)
        stand = _that_stand(tally, checker(), shards)
        kept = [one for one in tally.findings if not one.settles]
        tally.more = Counter({kind: n for kind, n in tally.more.items() if kind in {one.kind for one in kept}})
        tally.replace(kept)
        tally.add(stand)


def _that_stand(tally: Tally, checker: Checker, shards: Shards) -> Tally:
    """Of findings that may settle those that stand: their whole shards are checked anew.

    Of a kind with more findings than are kept, all are looked for in every shard, and those that are found anew count
    in the place of those that were not kept.
    """
    findings = [one for one in tally.findings if one.settles]
    standing = {one.same for one in findings}
    too_many = tally.more.keys() & {one.kind for one in findings}
    found = Tally()
    for shard in range(shards.count) if too_many else sorted({shards.of_name(one.record) for one in findings}):
        checked = checker.check(shard).tally
        again = [one for one in checked.findings if one.settles]
        found.found(one for one in again if one.kind in too_many or one.same in standing)
        found.more += Counter({kind: checked.more[kind] for kind in too_many})
    return found
