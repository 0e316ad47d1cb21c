"""What is held until a request that followed is decided: tells the preservation when all of these have ended."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from services.router.domain.clocking import HOLD
from services.router.domain.linking import FollowUpDecided, following
from services.router.domain.rules import Rules
from shared.decisions import Message
from shared.failures import TryAgain
from shared.loop import Loop

EVERY = 5.0
"""Seconds between looks."""
AT_ONCE = 200
PATIENCE = 5.0
_HELD = {"state.preservation.phase": HOLD}


class Holding:
    """Looks at held preservations until cancelled, page by page; every replica does, and telling twice is harmless."""

    INDEX: ClassVar[Mapping[str, Any]] = {
        "keys": [("state.preservation.phase", 1), ("_id", 1)],
        "name": "held",
        "partialFilterExpression": _HELD,
    }

    def __init__(self, cases: Loop, rules: Rules) -> None:
        self._cases, self._rules = cases, rules

    async def run(self) -> None:
        """Look until cancelled."""
        after = ""
        while True:
            await asyncio.sleep(EVERY)
            try:
                after = await self.look(after)
            except TryAgain:
                continue  # MongoDB is away: the loop says so

    async def look(self, after: str = "") -> str:
        """One page of what is held; the id after which the next one begins."""
        query, wanted = {**_HELD, "_id": {"$gt": after}}, {"state.links": 1, "state.decided": 1}
        held = await self._cases.store.find(query, wanted, limit=AT_ONCE, sort=["_id"])
        open_ones = {one["_id"]: following(one["state"], self._rules) for one in held}
        of_them = {"_id": {"$in": sorted({case for cases in open_ones.values() for case in cases})}}
        heads = await self._cases.store.find(of_them, {"state.status": 1}, limit=len(of_them["_id"]["$in"]))
        ended = {head["_id"] for head in heads if head["state"]["status"] in self._rules.life.ends}
        told = [
            Message(case, f"decided/{'/'.join(sorted(cases))}", "router", FollowUpDecided(tuple(cases)))
            for case, cases in open_ones.items()
            if ended.issuperset(cases)
        ]
        await self._cases.handle(told, "clock", PATIENCE)
        return str(held[-1]["_id"]) if len(held) == AT_ONCE else ""
