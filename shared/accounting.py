"""The running totals, shown: two gauges from the sum of all slots, and an alert where something does not add up."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from shared.accounts import adds_up, quantities, terms_of, total
from shared.events import UNBALANCED
from shared.failures import TryAgain
from shared.log import logger
from shared.sender import Alarm
from shared.times import text_of
from shared.totals import Totals

EVERY = 15.0
"""Seconds between two looks."""


class Accounting:
    """Looks until cancelled; every replica does, and shows the same."""

    def __init__(
        self, totals: Sequence[Totals], registry: CollectorRegistry, alarm: Alarm, now: Callable[[], datetime]
    ) -> None:
        """`totals`: of every collection that is counted; some join the list later. `now`: the real time."""
        self._totals, self._alarm, self._now = totals, alarm, now
        self._log = logger(part="accounts")
        self._accounts = Gauge(
            "rogatory_accounts",
            "How many there are of what is conserved, by term; the same from every replica. What nobody can read is in "
            "quarantine and no letter.",
            ("quantity", "term"),
            registry=registry,
        )
        self._balanced = Gauge(
            "rogatory_accounts_balanced",
            "1 while every whole of a quantity is the sum of its parts: of what was recorded; what is on the "
            "topics, `rogatory verify` counts.",
            ("quantity",),
            registry=registry,
        )
        self._unsettled = Gauge(
            "rogatory_accounts_unsettled_batches",
            "Batches of before of which is not known yet whether they landed.",
            registry=registry,
        )

    async def run(self) -> None:
        """Look at once and every fifteen seconds, until cancelled."""
        while True:
            with contextlib.suppress(TryAgain):  # the loops say that MongoDB is away
                await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once; raises `TryAgain`."""
        sums, unsettled, settled = [], 0, True
        for totals in self._totals:
            documents = await totals.documents()
            sums.append(total(document["totals"] for document in documents))
            settled &= not any(document["pending"] for document in documents)
            left = [document for document in documents if totals.is_left(document)]
            unsettled += len(left)
            for document in left:
                await totals.adopt(document)
        self._unsettled.set(unsettled)
        await self._show(total(sums), settled)

    async def _show(self, summed: Mapping[str, int], settled: bool) -> None:
        for quantity in quantities(summed):
            for term in terms_of(quantity):
                self._accounts.labels(quantity, term).set(summed.get(f"{quantity}/{term}", 0))
            balanced = adds_up(quantity, summed, settled=settled)
            self._balanced.labels(quantity).set(balanced)
            if not balanced:
                self._log.error("accounts do not add up", quantity=quantity)
                # Once a day: what does not add up stays so until somebody has looked.
                await self._alarm(UNBALANCED, f"{quantity}/{text_of(self._now())[:10]}", {"quantity": quantity})
