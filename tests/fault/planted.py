"""`python -m tests.fault.planted SERVICE BUG`: a service with a bug planted in it, for the kill test to catch."""

import asyncio
import inspect
import os
import re
import runpy
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, ModuleType
from typing import Any

from pymongo import UpdateOne

from deploy.local.jars import ROOT
from deploy.local.processes import Child
from deploy.local.services import Service
from services.notifier.domain import ladders
from services.notifier.following import Following
from shared import horizon, ids, kafka, records, records_read, sweep
from shared.mongo import Change, Store
from shared.records import Record
from shared.sealing import Sealer
from shared.times import text_of


def _plant(owner: ModuleType | type, name: str, bug: object) -> None:
    """Put a bug in the place of something that is there, and that its module uses under this name."""
    if isinstance(owner, ModuleType):
        assert re.search(rf"(?<!def )\b{name}\(", inspect.getsource(owner)), f"{owner.__name__} calls no {name}"
    assert hasattr(owner, name), f"{owner.__name__} has no {name}"
    setattr(owner, name, bug)


def commit_first() -> None:
    """Offsets are committed before MongoDB has the batch."""
    handle = kafka.KafkaSource._handle
    running: set[asyncio.Task[None]] = set()

    async def handle_later(*args: Any) -> None:
        running.add(asyncio.create_task(handle(*args)))

    _plant(kafka.KafkaSource, "_handle", handle_later)


def mark_first() -> None:
    """A record counts as sent as soon as it is written."""
    head = records._head

    def marked(record: Record, now: datetime) -> dict[str, Any]:
        marked = head(record, now)
        marked.pop("unsent_since", None)
        return {**marked, "published": record.version}

    _plant(records, "_head", marked)


def no_sweep() -> None:
    """Nobody looks for what a dead process left unsent."""

    async def sleep(_sweep: sweep.Sweep, _stores: Sequence[Store]) -> None:
        await asyncio.Event().wait()

    _plant(sweep.Sweep, "run", sleep)


def remember_in_memory() -> None:
    """What was heard before is known to the process that heard it, and to nobody else."""
    stored, append = records.record_of, Record.append
    heard: defaultdict[str, set[str]] = defaultdict(set)

    def forgetful(document: Mapping[str, Any], sealer: Sealer) -> Record:
        record = stored(document, sealer)
        record.causes = heard[record.id]
        return record

    def remembered(self: Record, *args: Any, cause: str, **more: Any) -> None:
        append(self, *args, cause=cause, **more)
        heard[self.id].add(cause)

    _plant(records_read, "record_of", forgetful)
    _plant(Record, "append", remembered)


def another_case_id() -> None:
    """A measure that is read twice becomes two cases."""
    _plant(ids.Ids, "case", lambda *_: f"cas_{secrets.token_hex(16)}")


def another_event_id() -> None:
    """An event that is sent twice has two ids."""
    _plant(ids.Ids, "event", lambda *_: f"evt_{secrets.token_hex(16)}")


def no_horizon() -> None:
    """A clock rings although not all has been read that was said before it was due."""
    _plant(horizon.Horizon, "until", property(lambda self: self._time.now()))


def told_first() -> None:
    """The notices of a step are raised before the step is decided."""
    step = Following._step

    async def told(self: Following, found: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
        for one in found:
            body = self._next(one["_id"], one["state"]).body
            if isinstance(body, ladders.Step):
                await self.notices.handle(self._fanout.raisings(one["_id"], one["state"], body.at, body.tells), "clock")
        return await step(self, found)

    _plant(Following, "_step", told)


def nobody_owes() -> None:
    """What a dead process took and did not tell, nobody tells."""
    tell = Following._tell

    async def own(self: Following, owing: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        now = text_of(self.notices.now())
        await tell(self, [(alert, state) for alert, state in owing if state["follow_at"] > now])

    _plant(Following, "_tell", own)


def no_guard() -> None:
    """Who writes a record does not look whether somebody else has written it since."""
    change = Store.change

    def unguarded(self: Store, record: Record, now: datetime) -> Change:
        made = change(self, record, now)
        if made.update is None:
            return made
        return Change(update=UpdateOne({"_id": record.id}, records.update(record, now)))

    _plant(Store, "change", unguarded)


BUGS: MappingProxyType[str, Callable[[], None]] = MappingProxyType(
    {
        plant.__name__: plant
        for plant in (
            commit_first,
            mark_first,
            no_sweep,
            remember_in_memory,
            another_case_id,
            another_event_id,
            no_horizon,
            told_first,
            nobody_owes,
            no_guard,
        )
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
