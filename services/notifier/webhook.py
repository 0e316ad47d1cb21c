"""The webhook channel: one POST, signed as Standard Webhooks wants it, with its outcome in our words."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from pydantic import BaseModel, SecretStr
from standardwebhooks import Webhook

from services.notifier.domain import Delivered, Failed
from shared.failures import BadStart
from shared.partners import NoticeChannel, Partners
from shared.settings import is_address

TIMEOUT = 15.0
"""Seconds for each part of a request (to connect, to write, to read); Standard Webhooks asks for 15 to 30."""
WHOLE = 20.0
"""Seconds for a request as a whole, however slowly its answer drips; well below the claim on its notice."""


class Target(BaseModel):
    """Where one subscriber takes webhooks, and the secret (`whsec_...`) that signs them."""

    url: str
    secret: SecretStr


def check_targets(targets: Mapping[str, Target], partners: Partners, allow_http: bool) -> None:
    """Every subscriber with the channel has a target, and no other; raises `BadStart` with the one that has not."""
    wanted = {name for name, subscriber in partners.subscribers.items() if NoticeChannel.WEBHOOK in subscriber.channels}
    for name in sorted(wanted - targets.keys()):
        raise BadStart(f"ROGATORY_WEBHOOKS says nothing for {name}, who hears by webhook in the partners file")
    for name in sorted(targets.keys() - wanted):
        raise BadStart(f"ROGATORY_WEBHOOKS names {name}, who does not hear by webhook in the partners file")
    for name, target in targets.items():
        if not is_address(target.url, {"https", "http"} if allow_http else {"https"}):
            raise BadStart(f"ROGATORY_WEBHOOKS: the address of {name} must be like https://host/...")
        if not _is_secret(target.secret.get_secret_value()):
            raise BadStart(f"ROGATORY_WEBHOOKS: the secret of {name} is not whsec_ and base64")


def _is_secret(text: str) -> bool:
    """Checked here, for `Webhook` skips what is not base64 and signs with what is left."""
    prefix, _, key = text.partition("_")
    try:
        return prefix == "whsec" and bool(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except ValueError:
        return False


class Webhooks:
    """Sends notices to their subscribers' addresses."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = {name: (t.url, Webhook(t.secret.get_secret_value())) for name, t in targets.items()}
        self._client = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)

    async def send(
        self, subscriber: str, notice: str, body: Mapping[str, object], attempt: int, now: datetime
    ) -> Delivered | Failed:
        """One attempt; `webhook-id` is the notice's id, the same over all attempts."""
        url, signer = self._targets[subscriber]
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        headers = {
            "content-type": "application/json",
            "webhook-id": notice,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(notice, now, text),
        }
        try:
            async with asyncio.timeout(WHOLE):
                response = await self._client.post(url, content=text.encode(), headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            # The text of the error may hold the address, which may hold a token.
            return Failed(attempt, type(error).__name__)
        if response.is_success:
            return Delivered(attempt)
        gone = response.status_code == httpx.codes.GONE
        return Failed(attempt, f"HTTP {response.status_code}", _retry_after(response, now), for_good=gone)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def _retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """Seconds or a date (RFC 9110 section 10.2.3)."""
    text = response.headers.get("retry-after", "")
    try:
        return timedelta(seconds=int(text)) if text.isdigit() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return None
