"""The demo's time: simulated, set in MongoDB, and seen by the services a moment later."""

import asyncio
import http.client
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from shared import times
from shared.mongo import Mongo
from shared.time_source import Time, set_simulated

DATABASE = "rogatory"
SIMULATED = "rogatory-simulated-time"
"""The header in which a service says that its time is simulated, and which it is."""
_TICK = 0.04
_LEEWAY = timedelta(seconds=1)
"""How much ahead the time is set, for it runs on while it is set."""


class SimulatedTime:
    """Moves the time of a whole deployment forward; who lives in it is asked until it has seen that."""

    def __init__(self, mongo: str, addresses: Sequence[str]) -> None:
        """`addresses`: of the services that live in the simulated time."""
        self._mongo, self._time = Mongo(mongo, DATABASE), Time(is_simulated=True)
        self._rate = 1.0
        self._services = [urlsplit(address) for address in addresses]

    async def __aenter__(self) -> "SimulatedTime":
        """Learn where the time stands."""
        await self._time.ask(self._mongo)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave MongoDB."""
        await self._mongo.close()

    def now(self) -> datetime:
        """The simulated time."""
        return self._time.now()

    async def go_to(self, moment: datetime) -> bool:
        """Make it this time; False where it is later already, for simulated time does not go back."""
        try:
            await self._set(moment, 1.0)
        except ValueError:
            return False
        await asyncio.gather(*(self._wait_for(service.netloc, moment) for service in self._services))
        return True

    async def run(self, rate: float) -> None:
        """Let it run at this rate from now on."""
        await self._set(self.now() + _LEEWAY * self._rate, rate)

    async def _set(self, moment: datetime, rate: float) -> None:
        await set_simulated(self._mongo, moment, rate)
        self._rate = rate
        await self._time.ask(self._mongo)

    async def _wait_for(self, address: str, moment: datetime) -> None:
        wanted = times.text_of(moment)
        while (await asyncio.to_thread(_told_by, address)) < wanted:  # noqa: ASYNC110 - a service tells nobody
            await asyncio.sleep(_TICK)


def _told_by(address: str) -> str:
    """The time of a service; nothing while it does not answer."""
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/live")
        return connection.getresponse().headers.get(SIMULATED, "")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
