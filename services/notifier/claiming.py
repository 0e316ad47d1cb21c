"""Claiming as raised: what can be sent soon is claimed by the write that raises it, one write instead of two."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.notifier.choosing import Choosing
from services.notifier.domain.bodies import Raising
from services.notifier.recipients import IN_FLIGHT
from shared.decisions import Message
from shared.loop import Outcome
from shared.partners import NoticeChannel
from shared.records import Record

MOST_AHEAD = 5_000
"""Notices that wait in this process, claimed as they were raised, at most."""
ALWAYS_AHEAD, WITHIN = 500, 2.0
"""So many may always wait, and beyond them as many as ended within so many seconds: in a flood this process is slower
than each of its recipients, and what waits too long is given back and claimed a second time."""
TIMES_URGENT, TIMES_LITTLE = 2, 2
"""So many times as much may wait before what nothing may hold back, and before what is for somebody who has little
waiting and so no part in a flood, is left to a look for what is due."""


@dataclass(slots=True)
class Heard:
    """What a batch that is in MongoDB means for the delivery."""

    claimed: list[Record] = field(default_factory=list)
    """Won by the write that raised them, to be sent now."""
    forgotten: list[Record] = field(default_factory=list)
    """Claimed by an earlier run of the batch that failed before anybody was told."""
    is_more: bool = False
    """There is more to look for."""


class Claiming:
    """Claims for one process, by what its recipients can take soon."""

    def __init__(self, choosing: Choosing, instance: str) -> None:
        self._choosing, self._instance = choosing, instance
        self._ended: deque[float] = deque(maxlen=MOST_AHEAD)
        """When the last attempts ended, on the event loop's clock."""
        self.sought: set[str] = set()
        """Notices that a look is just claiming."""

    def ended(self) -> None:
        """An attempt is over, however it ended."""
        self._ended.append(asyncio.get_running_loop().time())

    def claim(self, messages: Sequence[Message]) -> Sequence[Message]:
        """A batch before it is decided, with the claims."""
        more: Counter[tuple[int, bool]] = Counter()
        left: set[tuple[int, bool]] = set()
        """Lines in which something of this batch is due and not claimed: what follows waits behind it."""
        waiting = sum(len(recipient.ahead) for recipient in self._choosing.recipients())
        room = self._may_wait()
        claimed: list[Message] = []
        for message in messages:
            body = message.body
            if isinstance(body, Raising) and _is_due(body):
                recipient = self._choosing.recipient(body.subscriber, body.channel)
                first = body.never_held
                line = id(recipient), first
                ahead = more[line] + (0 if first else more[id(recipient), True])
                is_free = line not in left and recipient.may_claim(ahead, never_held=first)
                has_little = recipient.waiting(never_held=first) + ahead < IN_FLIGHT
                times = (TIMES_URGENT if first else 1) * (TIMES_LITTLE if has_little else 1)
                if is_free and (first or not body.rate) and waiting < min(MOST_AHEAD, room * times):
                    more[line] += 1
                    waiting += 1
                    message = replace(message, body=replace(body, claimant=self._instance))
                else:
                    left.add(line)
            claimed.append(message)
        return claimed

    def _may_wait(self) -> int:
        """How many may wait in this process."""
        since = asyncio.get_running_loop().time() - WITHIN
        while self._ended and self._ended[0] < since:
            self._ended.popleft()
        return min(MOST_AHEAD, max(ALWAYS_AHEAD, len(self._ended)))

    def heard(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> Heard:
        """What became of a batch."""
        heard, new = Heard(), set[str]()
        for message, outcome in zip(messages, outcomes, strict=True):
            body, state = message.body, outcome.record.state
            if not isinstance(body, Raising) or "next_due" not in state:
                continue
            recipient = self._choosing.recipient(body.subscriber, body.channel)
            claimant = state.get("claimant") if state["status"] == "attempting" else ""
            is_mine = bool(claimant) and claimant == self._instance
            notice = outcome.record.id
            if not outcome.fresh:
                # An earlier run may have claimed, this one not. One batch may say the same twice.
                if is_mine and _is_due(body) and not (notice in new or notice in self.sought or recipient.has(notice)):
                    heard.forgotten.append(outcome.record)
            elif is_mine:
                heard.claimed.append(outcome.record)
                new.add(notice)
            else:
                if not body.not_before:
                    line = recipient.line(never_held=body.never_held)
                    line.behind = line.raised = True
                heard.is_more = True
        return heard


def _is_due(body: Raising) -> bool:
    """Whether a notice is due as soon as it is raised."""
    return body.channel != NoticeChannel.KAFKA and not (body.silence or body.not_before or body.in_digest)
