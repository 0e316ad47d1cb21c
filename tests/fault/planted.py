"""`python -m tests.fault.planted SERVICE BUG`: a service with a bug planted in it, for the kill test to catch."""

import asyncio
import os
import runpy
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from deploy.local.jars import ROOT
from deploy.local.processes import Child
from deploy.local.services import Service
from shared import horizon, ids, kafka, records, sweep
from shared.mongo import Store
from shared.records import Record


def commit_first() -> None:
    """Offsets are committed before MongoDB has the batch."""
    handle = kafka.KafkaSource._handle
    running: set[asyncio.Task[None]] = set()

    async def handle_later(*args: Any) -> None:
        running.add(asyncio.create_task(handle(*args)))

    kafka.KafkaSource._handle = handle_later  # type: ignore[method-assign, assignment]  # a bug on purpose


def mark_first() -> None:
    """A record counts as sent as soon as it is written."""
    head = records._head

    def marked(record: Record, now: datetime) -> dict[str, Any]:
        marked = head(record, now)
        marked.pop("unsent_since", None)
        return {**marked, "published": record.version}

    records._head = marked


def no_sweep() -> None:
    """Nobody looks for what a dead process left unsent."""

    async def sleep(_sweep: sweep.Sweep, _stores: Sequence[Store]) -> None:
        await asyncio.Event().wait()

    sweep.Sweep.run = sleep  # type: ignore[method-assign, assignment]  # a bug on purpose


def another_case_id() -> None:
    """A measure that is read twice becomes two cases."""
    ids.Ids.case = lambda *_: f"cas_{secrets.token_hex(16)}"  # type: ignore[method-assign]  # a bug on purpose


def another_event_id() -> None:
    """An event that is sent twice has two ids."""
    ids.Ids.event = lambda *_: f"evt_{secrets.token_hex(16)}"  # type: ignore[method-assign]  # a bug on purpose


def no_horizon() -> None:
    """A clock rings although not all has been read that was said before it was due."""
    horizon.Horizon.until = property(lambda self: self._time.now())  # type: ignore[method-assign, assignment]  # a bug


BUGS: MappingProxyType[str, Callable[[], None]] = MappingProxyType(
    {
        plant.__name__: plant
        for plant in (commit_first, mark_first, no_sweep, another_case_id, another_event_id, no_horizon)
    }
)


class BuggyService(Service):
    """A service that starts with the bug that the environment names."""

    def launch(self) -> Child:
        """Start it without waiting; also after it was killed."""
        command = [sys.executable, "-m", "tests.fault.planted", self.name, self.environment["PLANTED"]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | self.settings
        self.child = Child(self.name, command, self.logs / f"{self.name}.log", environment)
        return self.child


if __name__ == "__main__":
    _, service, bug = sys.argv
    BUGS[bug]()
    runpy.run_module(f"services.{service}", run_name="__main__")
