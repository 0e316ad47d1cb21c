"""Cases that lie in MongoDB, each with something about to happen to it: an acknowledgement, or a clock that is due."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from benchmarks.ground import Ground
from benchmarks.letters import AGENCY, bodies
from benchmarks.prepared import Out, Preparer, Step, Steps, heard_as, save
from services.router.domain.clocking import Tick
from shared import times
from shared.decisions import Message
from shared.records import Record

OVERDUE = timedelta(minutes=5)
"""How long a clock that is measured has been due when its case is put into MongoDB."""


@dataclass(frozen=True, slots=True)
class Lying:
    """Cases by their ids, the documents of them, and what lies on Kafka about them."""

    ids: list[bytes]
    documents: list[RawBSONDocument]
    outs: list[Out]


@dataclass(frozen=True, slots=True)
class Lives:
    """All cases of a key."""

    parts: Mapping[str, Lying]
    """`warm` ones and measured ones (`run`)."""
    shows_on: tuple[str, ...]
    """The topics on which each case shows once."""


def acknowledgements(ground: Ground, warm: int, count: int) -> Lives:
    """Cases that were just opened, and what their authority says of them; what the bare loop does then is saved."""
    preparer = _preparer(ground)
    steps: Steps = {}

    def next_of(case: Record, now: datetime) -> list[Out]:
        out = preparer.said(case, "acknowledged", now, number=f"2-{case.id[4:10]}/26", officer="Maj. R. Aliyev")
        steps[heard_as(out)] = preparer.heard(case, out, now)
        return [out]

    parts = _parts(preparer, warm, count, "normal", timedelta(), next_of)
    save(ground.steps, "updates", steps)
    return Lives(parts, _topics(steps))


def due(ground: Ground, warm: int, count: int) -> Lives:
    """Urgent cases that nobody has acknowledged in time; what the bare loop does then is saved, by case."""
    preparer = _preparer(ground)
    steps: dict[str, Step] = {}

    def next_of(case: Record, now: datetime) -> list[Out]:
        (clock,) = case.state["clocks"]
        ((at, _),) = clock["steps"]
        tick = Message(case.id, f"clock/{clock['clock']}/{at}", "clock", Tick(clock["clock"], at))
        steps[case.id] = preparer.step(case, tick, now)
        return []

    parts = _parts(preparer, warm, count, "urgent", _first_due(preparer) + OVERDUE, next_of)
    save(ground.steps, "clocks", steps)
    return Lives(parts, _topics(steps))


def _topics(steps: Mapping[Any, Step]) -> tuple[str, ...]:
    """Where each step says something, once: the same for all."""
    (names,) = {tuple(out.topic for wave in step.waves for out in wave) for step in steps.values()}
    return names


def _preparer(ground: Ground) -> Preparer:
    return Preparer(ground.keys.id_key, ground.keys.sealing_key, AGENCY)


def _first_due(preparer: Preparer) -> timedelta:
    """How long such a case's clock runs."""
    now = times.now()
    case, _ = preparer.opened(bodies("first", 1, "urgent")[0], now)
    return times.read(case.state["next_due"]) - now


def _parts(
    preparer: Preparer,
    warm: int,
    count: int,
    urgency: str,
    age: timedelta,
    next_of: Callable[[Record, datetime], list[Out]],
) -> dict[str, Lying]:
    now = times.now()
    parts: dict[str, Lying] = {}
    for name, number in (("warm", warm), ("run", count)):
        lying = parts[name] = Lying([], [], [])
        for body in bodies(name, number, urgency):
            case, opening = preparer.opened(body, now - age)
            lying.ids.append(case.id.encode())
            lying.documents.append(as_marked(opening))
            lying.outs.extend(next_of(case, now))
    return parts


def as_marked(opening: Step) -> RawBSONDocument:
    """The document of a case as it stands once its opening is sent."""
    document: dict[str, Any] = bson.decode(opening.insert or b"")
    document["published"] = document["version"]
    del document["unsent_since"]
    return RawBSONDocument(bson.encode(document))
