"""The webhook channel: one POST for a notice, signed as Standard Webhooks wants it; and the targets in the settings."""

from collections.abc import Mapping
from datetime import datetime

import orjson
from pydantic import BaseModel, SecretStr

from services.notifier.channels import Parcel, Shown
from services.notifier.channels.outgoing import Outgoing
from services.notifier.channels.signing import HMAC, is_key, signatures
from services.notifier.domain.bodies import Delivered, Failed
from shared.events import NOTICE_RAISED
from shared.failures import BadStart
from shared.partners import Partners, SubscriberChannel
from shared.settings import is_address

LEFT = "gone, as its system said before (HTTP 410)"


class Target(BaseModel):
    """Where one subscriber takes webhooks, and the secret (`whsec_...`) that signs them."""

    url: str
    secret: SecretStr


def check_targets(targets: Mapping[str, Target], partners: Partners, allow_http: bool) -> None:
    """Every subscriber with the channel has a target, and no other; raises `BadStart` with the one that has not."""
    wanted = {
        name for name, subscriber in partners.subscribers.items() if SubscriberChannel.WEBHOOK in subscriber.channels
    }
    for name in sorted(wanted - targets.keys()):
        raise BadStart(f"ROGATORY_WEBHOOKS says nothing for {name}, who hears by webhook in the partners file")
    for name in sorted(targets.keys() - wanted):
        raise BadStart(f"ROGATORY_WEBHOOKS names {name}, who does not hear by webhook in the partners file")
    for name, target in targets.items():
        if not is_address(target.url, {"https", "http"} if allow_http else {"https"}):
            raise BadStart(f"ROGATORY_WEBHOOKS: the address of {name} must be like https://host/...")
        if not (target.secret.get_secret_value().startswith(HMAC) and is_key(target.secret.get_secret_value())):
            raise BadStart(f"ROGATORY_WEBHOOKS: the secret of {name} is not whsec_ and base64")


class Webhooks:
    """Sends notices to their recipients' addresses, each signed with its recipient's keys."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def send(self, parcel: Parcel, now: datetime) -> Delivered | Failed:
        """One attempt with the one notice of a parcel; `webhook-id` is the parcel's, the same over all attempts.

        A system that is gone is asked again only for what nothing may hold back.
        """
        (shown,) = parcel.shown
        if parcel.to.left and not shown.data.get("never_held"):
            return Failed(parcel.attempt, LEFT, for_good=True, is_known=True)
        body = _body(shown)
        headers = {
            "content-type": "application/json",
            "webhook-id": parcel.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(parcel.to.keys, parcel.id, now, body.decode()),
        }
        return await self._outgoing.post(parcel.to.address, body, headers, parcel.attempt, now)

    async def close(self) -> None:
        """Close every connection."""
        await self._outgoing.close()


def _body(shown: Shown) -> bytes:
    """Standard Webhooks' recommended members, the notice as its data, with its link where there is one."""
    data = {**shown.data, "link": shown.link} if shown.link else dict(shown.data)
    return orjson.dumps({"type": NOTICE_RAISED, "timestamp": shown.raised_at, "data": data})
