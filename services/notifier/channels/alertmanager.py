"""The Alertmanager channel (its API, version 2): a notice is an alert, which fires while we post it again and again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from services.notifier.channels import Destination, Parcel, Shown
from services.notifier.channels.outgoing import Outgoing
from services.notifier.domain.bodies import Delivered, Failed
from shared.times import text_of

FIRES_FOR = timedelta(minutes=5)
"""How long an alert fires after a post; each is posted again well before, and ends by itself where we do not."""
OURS = {"rogatory": "notice"}
"""The label by which an alert of ours is known when it comes back."""
_HEADERS = {"content-type": "application/json"}


class Alertmanagers:
    """Posts notices to Alertmanagers, which tell people their own way."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        """Post the notices of a parcel for the first time."""
        return await self._post(parcel.to, parcel.shown, now + FIRES_FOR, parcel.attempt, now)

    async def repost(self, to: Destination, shown: Sequence[Shown], now: datetime) -> Delivered | Failed:
        """Let notices fire on, all in one request."""
        return await self._post(to, shown, now + FIRES_FOR, 1, now)

    async def resolve(self, to: Destination, shown: Sequence[Shown], now: datetime) -> Delivered | Failed:
        """Say that what notices were about is over, all in one request."""
        return await self._post(to, shown, now, 1, now)

    async def close(self) -> None:
        """Close every connection."""
        await self._outgoing.close()

    async def _post(
        self, to: Destination, shown: Sequence[Shown], ends: datetime, attempt: int, now: datetime
    ) -> Delivered | Failed:
        ends_at = text_of(ends)
        body = orjson.dumps([_alert(one, ends_at) for one in shown])
        return await self._outgoing.post(f"{to.address.rstrip('/')}/api/v2/alerts", body, _HEADERS, attempt, now)


def _alert(shown: Shown, ends_at: str) -> Mapping[str, Any]:
    """The labels say which alert it is, so they are the same in every post. Ours win over facts of the same name."""
    rule = shown.data["rule"]
    facts = {name: value for name, value in shown.data["facts"].items() if value}
    alert = {
        "labels": {"severity": _severity(facts), **facts, **OURS, "alertname": rule, "notice": shown.notice},
        "annotations": {"summary": shown.says["en"]},
        "startsAt": shown.raised_at,
        "endsAt": ends_at,
    }
    return {**alert, "generatorURL": shown.link} if shown.link else alert


def _severity(facts: Mapping[str, str]) -> str:
    """What is urgent is critical; an alert that came with its own severity keeps it."""
    return "critical" if facts.get("lane") == "urgent" or facts.get("urgency") == "emergency" else "warning"
