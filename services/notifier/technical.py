"""Technical alerts from Alertmanager: the same people hear of them, by the same ladders."""

from collections.abc import Callable, Sequence
from datetime import datetime

from services.notifier.alertmanager_in import Technical
from services.notifier.domain import Happened
from services.notifier.domain.notices import BY
from services.notifier.fanout import Fanout
from services.notifier.moving import Moved, Moving
from shared.decisions import Message
from shared.events import ALERT_RAISED, TECHNICAL
from shared.loop import Outcome
from shared.posts import Posts
from shared.times import text_of

SERVICE = "alertmanager"


class TechnicalAlerts:
    """Takes alerts that fire, and ends what those began that are resolved."""

    def __init__(
        self,
        fanout: Fanout,
        posts: Posts,
        now: Callable[[], datetime],
        moving: Moving,
        heard: Callable[[Sequence[Message], Sequence[Outcome]], None],
    ) -> None:
        """`heard`: told of what is kept."""
        self._fanout, self._posts, self._now = fanout, posts, now
        self._moving, self._heard = moving, heard

    async def take(self, alerts: Sequence[Technical]) -> None:
        """Keep them; the same alert of the same beginning is the same one. Raises `TryAgain` and `QueueFull`."""
        messages = await self._moving.enrich([message for alert in alerts for message in self._messages(alert)])
        if messages:
            self._heard(messages, await self._posts.put(messages, 0))

    def _messages(self, alert: Technical) -> list[Message]:
        cause = f"{SERVICE}/{alert.fingerprint}/{text_of(alert.starts_at)}"
        facts = {
            "event": ALERT_RAISED,
            "kind": TECHNICAL,
            "service": SERVICE,
            "alertname": alert.alertname,
            "severity": alert.severity,
        }
        about = self._fanout.ids.alert(TECHNICAL, cause)
        happened = Happened(facts, about, cause, text_of(alert.starts_at))
        if alert.firing:
            return self._fanout.messages(happened)
        return [Message(about, f"{cause}/over", BY, Moved("resolved", text_of(self._now())))]
