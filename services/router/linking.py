"""The link finder: tells cases of each other when a prior reference is found, in whatever order they came.

A case that waits for its prior reference is looked for when a case of that reference opens, every second among the
latest that wait, and every ten minutes among all: nothing hangs on a hint that a crash may lose.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.router.domain.linking import CaseHead, Link, LinkedBy, SameElsewhere, with_parents
from services.router.domain.opening import Opening
from services.router.resting import Resting
from shared.decisions import Message
from shared.failures import TryAgain
from shared.ids import Ids
from shared.law import Law
from shared.loop import Loop, Outcome
from shared.times import text_of
from shared.vocabulary import DESK

EVERY = 1.0
"""Seconds between two looks."""
AT_ONCE = 500
ALL_EVERY = 600.0
"""Seconds between two looks at every case that waits."""
LOOK_BACK = timedelta(minutes=10)
"""How far back cases are looked at once more after a start."""
MOST_OPENED = 20_000
FUTILE = 600.0
"""Seconds for which a case is left alone that takes no link."""
MOST_FOUND = 5_000
PATIENCE = 5.0

_AWAITS = {"state.awaits": {"$exists": True}}
INDEXES = (
    {"keys": [("state.refs", 1)], "name": "refs"},
    {"keys": [("state.awaits", 1)], "name": "awaits", "partialFilterExpression": _AWAITS},
    {"keys": [("state.received_at", -1)], "name": "awaiting", "partialFilterExpression": _AWAITS},
)

Case = Mapping[str, Any]
_WANTED = {
    "context.letterid": 1,
    **{f"state.{name}": 1 for name in ("type", "authority", "status", "direction", "received_at", "refs", "awaits")},
    "state.preservation.phase": 1,
}


def parent_of(child: Case, others: Iterable[Case], follows: Sequence[str]) -> Case | None:
    """The case that a case follows: of another letter, best of a type that its own follows, the first that came."""
    others = [other for other in others if _letter(other) != _letter(child)]
    return min(others, key=lambda o: (_rank(o, follows), o["state"]["received_at"], o["_id"]), default=None)


def same_elsewhere(opened: Iterable[Case], others: Sequence[Case]) -> list[Message]:
    """A word to the newer of two cases whose letters have the same reference; one for each older letter."""
    told: dict[tuple[str, str], Message] = {}
    for one in opened:
        for other in others:
            if _own(one) == _own(other) and _letter(one) != _letter(other):
                newer = max(one, other, key=_age)
                older = _counterpart(newer, _letter(other if newer is one else one), others)
                told[newer["_id"], older["_id"]] = Message(
                    newer["_id"], f"same/{older['_id']}", "router", SameElsewhere(older["_id"], older["state"]["type"])
                )
    return list(told.values())


def _counterpart(case: Case, letter: str, others: Iterable[Case]) -> Case:
    """Of another letter's cases the one of the same type, or the first."""
    there = [other for other in others if _letter(other) == letter and _own(other) == _own(case)]
    return min(there, key=lambda other: (other["state"]["type"] != case["state"]["type"], _age(other)))


def head_of(case: Case) -> CaseHead:
    """What another case may know of this one."""
    state = case["state"]
    phase = state.get("preservation", {}).get("phase")
    return CaseHead(
        case["_id"], state["type"], state["authority"], state["status"], state["direction"], phase, state["received_at"]
    )


def _rank(case: Case, follows: Sequence[str]) -> int:
    type = case["state"]["type"]
    return follows.index(type) if type in follows else len(follows)


def _own(case: Case) -> str:
    own: str = case["state"]["refs"][0]
    return own


def _letter(case: Case) -> str:
    letter: str = case["context"]["letterid"]
    return letter


def _age(case: Case) -> tuple[str, str]:
    return case["state"]["received_at"], case["_id"]


class Linking:
    """Looks for what belongs together until cancelled; every replica does."""

    def __init__(self, cases: Loop, law: Law, ids: Ids) -> None:
        self._cases, self._law, self._ids = cases, law, ids
        self._opened: dict[str, str] = {}
        self._resting = Resting()

    async def enrich(self, messages: Sequence[Message]) -> Sequence[Message]:
        """A batch whose openings know their parents where these are there, and with a word to each parent.

        Raises `TryAgain` while MongoDB is away. A parent that is opened in the same batch is found a second later.
        """
        prior = {m.record: ref for m in messages if (ref := self._prior_of(m))}
        if not prior:
            return messages
        found = await self._with_refs(set(prior.values()))
        parents = {}
        for message in messages:
            ref = prior.get(message.record)
            if ref is not None:
                child = {"context": message.context, "state": {"type": message.body.type}}
                parent = parent_of(child, found.get(ref, ()), self._follows(message.body.type))
                if parent:
                    parents[message.record] = head_of(parent)
        return with_parents(messages, parents)

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Note what a batch has opened; one that was opened before counts too, for a crash may have lost its hint."""
        openings = [
            outcome.record
            for message, outcome in zip(messages, outcomes, strict=True)
            if type(message.body) is Opening and not outcome.refused
        ]
        self.opened({record.id: record.state.get("refs", ()) for record in openings})

    def opened(self, refs_by_record: Mapping[str, Sequence[str]]) -> None:
        """Cases were opened, each with its own reference first: others may wait for it, or have the same."""
        for record, refs in refs_by_record.items():
            if refs and len(self._opened) < MOST_OPENED:
                self._opened[record] = refs[0]

    async def run(self) -> None:
        """Look until cancelled."""
        looked_back, all_at = False, time.monotonic() + ALL_EVERY
        while True:
            await asyncio.sleep(EVERY)
            try:
                if not looked_back:
                    await self._look_back()
                    looked_back = True
                await self.look()
                if time.monotonic() >= all_at:
                    await self._look_at_all()
                    all_at = time.monotonic() + ALL_EVERY
            except TryAgain:
                continue  # MongoDB is away: the loop says so

    async def look(self) -> None:
        """Link what waits for what was opened meanwhile, and the latest that wait for anything."""
        while self._opened:
            taken = dict(list(self._opened.items())[:AT_ONCE])
            await self._link_opened(taken)
            for record in taken:
                self._opened.pop(record, None)
        await self._link_waiting(await self._waiting(_AWAITS, 0))

    async def _look_back(self) -> None:
        """Cases of the last minutes, as if they were opened now."""
        since = text_of(self._cases.now() - LOOK_BACK)
        of_all = {"$in": [*self._law.authorities, DESK]}  # for the index by authority
        query, wanted = {"state.authority": of_all, "state.received_at": {"$gte": since}}, {"state.refs": 1}
        found = await self._cases.store.find(query, wanted, limit=MOST_OPENED)
        self.opened({case["_id"]: case["state"].get("refs", ()) for case in found})

    async def _look_at_all(self) -> None:
        """Every case that waits, page by page; those that are linked make room for those behind them."""
        skip = 0
        while page := await self._waiting(_AWAITS, skip):
            skip += len(page) - await self._link_waiting(page)
            await asyncio.sleep(0.05)

    async def _waiting(self, query: Mapping[str, Any], skip: int = 0) -> list[dict[str, Any]]:
        """Cases without the case before them, the latest first."""
        return await self._cases.store.find(query, _WANTED, limit=AT_ONCE, sort=["-state.received_at"], skip=skip)

    async def _link_opened(self, opened: Mapping[str, str]) -> None:
        refs = sorted(set(opened.values()))
        await self._link_waiting(await self._waiting({"state.awaits": {"$in": refs}}))
        # What is not found here is looked for only once.
        found = await self._with_refs(refs, sure=True)
        told: list[Message] = []
        for record, ref in opened.items():
            same = [case for case in found.get(ref, ()) if _own(case) == ref]
            if len({_letter(case) for case in same}) > 1:
                told += same_elsewhere([case for case in same if case["_id"] == record], same)
        await self._cases.handle(list({(m.record, m.cause): m for m in told}.values()), "clock", PATIENCE)

    async def _link_waiting(self, children: Sequence[Case]) -> int:
        """Tell children and parents of each other; how many found theirs."""
        resting = set(self._resting.names())
        children = [child for child in children if child["_id"] not in resting]
        found = await self._with_refs({child["state"]["awaits"] for child in children})
        pairs = [
            (child, parent)
            for child in children
            if (parent := parent_of(child, found.get(child["state"]["awaits"], ()), self._follows_of(child)))
        ]
        # The parents first: a child that has its link waits no more, and would not come up again after a crash.
        to_parents = [Message(p["_id"], f"link/{c['_id']}", "router", LinkedBy(head_of(c))) for c, p in pairs]
        to_children = [Message(c["_id"], f"link/{p['_id']}", "router", Link(head_of(p))) for c, p in pairs]
        await self._cases.handle(to_parents, "clock", PATIENCE)
        outcomes = await self._cases.handle(to_children, "clock", PATIENCE)
        still = [outcome.record.id for outcome in outcomes if "awaits" in outcome.record.state]
        for record in still:
            self._resting.leave(record, FUTILE)
        return len(pairs) - len(still)

    async def _with_refs(self, refs: Iterable[str], *, sure: bool = False) -> dict[str, list[dict[str, Any]]]:
        """The cases that have one of these references, by reference."""
        wanted = sorted(set(refs))
        if not wanted:
            return {}
        found: dict[str, list[dict[str, Any]]] = {}
        query = {"state.refs": {"$in": wanted}}
        for case in await self._cases.store.find(query, _WANTED, limit=MOST_FOUND, sure=sure):
            for ref in case["state"]["refs"]:
                found.setdefault(ref, []).append(case)
        return found

    def _prior_of(self, message: Message) -> str | None:
        body = message.body
        if type(body) is not Opening:
            return None
        prior = body.content.get("prior_reference")
        return self._ids.reference(body.letter.party, prior) if prior else None

    def _follows_of(self, case: Case) -> Sequence[str]:
        return self._follows(case["state"]["type"])

    def _follows(self, request_type: str) -> Sequence[str]:
        known = self._law.request_types.get(request_type)
        return tuple(known.follows) if known else ()
