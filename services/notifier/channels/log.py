"""The log as a channel, for the local stack: what would be sent is a line for each notice, without an address."""

from datetime import datetime

from services.notifier.channels import Parcel
from services.notifier.domain.bodies import Delivered
from shared.log import logger


class Logs:
    """Writes notices to the log."""

    def __init__(self) -> None:
        self._log = logger(part="notices")

    async def send(self, parcel: Parcel, now: datetime) -> Delivered:
        """Never fails. No link either: who reads the log is not who may acknowledge."""
        for shown in parcel.shown:
            data = shown.data
            more = {name: data[name] for name in ("due", "never_held") if data.get(name)}
            self._log.info(
                "notice",
                notice=shown.notice,
                rule=data["rule"],
                about=data["about"],
                says=data["says"],
                facts=dict(data["facts"]),
                channel=str(parcel.to.channel),
                recipient=parcel.to.recipient,
                **more,
            )
        return Delivered(parcel.attempt)

    async def close(self) -> None:
        """There is nothing to close."""
