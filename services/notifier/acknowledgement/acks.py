"""Acknowledgements as they are kept: on the notice, and on the ladder that its alert climbs."""

from services.notifier.acknowledgement.acknowledging import Acknowledged
from services.notifier.domain.bodies import Ack
from services.notifier.moving import Moving
from shared.decisions import Message
from shared.failures import NeverWill
from shared.mongo import Store
from shared.posts import Posts


class Acks:
    """Takes what the signed link and the API say."""

    def __init__(self, posts: Posts, moving: Moving, store: Store) -> None:
        self._posts, self._moving, self._store = posts, moving, store

    async def acknowledge(self, notice: str, by: str, via: str) -> Acknowledged | None:
        """How the notice stands now; None where there is none. Raises `TryAgain`, `QueueFull` and `Bug`."""
        ack = Message(notice, f"ack/{by}", by, Ack(by, via))
        of_ladder = await self._moving.of_acks([ack])
        # The ladder first: if we die in between, asking again does the rest.
        outcome, *_ = (await self._posts.put([*of_ladder, ack], 0))[-1:]
        if isinstance(outcome.refused, NeverWill):
            return None
        state = outcome.record.state
        [ladder, *_] = await self._store.find({"_id": state["alert"]}, {"state": 1}, limit=1) or [{"state": {}}]
        return Acknowledged(
            notice,
            state["alert"],
            state["subscriber"],
            state["acknowledged_at"],
            state["acknowledged_by"],
            already=not outcome.fresh,
            ended=ladder["state"].get("reason") or state.get("resolved_why"),
        )
