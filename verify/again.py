"""The last look: what may have come, or come right, since the two passes."""

import asyncio
from collections.abc import Callable, Sequence

from verify.findings import Finding, Tally
from verify.sending import Missing
from verify.shard import Checker
from verify.shards import Shards
from verify.topics import Topics
from verify.world import Bounds

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


async def settle(
    tally: Tally, checker: Callable[[], Checker], shards: Shards, waits: Sequence[float], told: Told
) -> None:
    """Look again at what may be right a moment later, until it is or a minute has passed."""
    for wait in waits:
        if not any(one.settles for one in tally.findings):
            return
        told("looking again", 0, 0)
        await asyncio.sleep(wait)
        stand = _that_stand([one for one in tally.findings if one.settles], checker(), shards)
        tally.replace([*(one for one in tally.findings if not one.settles), *stand])


def _that_stand(findings: Sequence[Finding], checker: Checker, shards: Shards) -> list[Finding]:
    """Of findings that may settle those that stand: their whole shards are checked anew."""
    standing = {(one.kind, one.record, one.detail, one.topic) for one in findings}
    found: list[Finding] = []
    for shard in sorted({shards.of_name(one.record) for one in findings}):
        found += [one for one in checker.check(shard).tally.findings if one.settles]
    return [one for one in found if (one.kind, one.record, one.detail, one.topic) in standing]
