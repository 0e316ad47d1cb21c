"""Case events that lead to webhooks, and what the notifier keeps and posts of each: made by its own functions."""

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import bson

from benchmarks.letters import AGENCY, body
from benchmarks.offices import ALL, PARTIES, Offices
from benchmarks.prepared import Heard, Out, Preparer, Step, as_read, heard_as, save
from deploy.local.keys import Keys
from deploy.local.ports import HOST
from deploy.local.services import PORTS
from services.notifier.acknowledgement.links import Links
from services.notifier.channels import Shown
from services.notifier.channels.signing import signatures
from services.notifier.channels.webhook import _body as body_of
from services.notifier.domain.bodies import Raising
from shared import times
from shared.records import event_of


@dataclass(frozen=True, slots=True)
class Post:
    """One notice of ours, as it is kept, and as it is posted."""

    id: str
    insert: bytes
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Happening:
    """A case event as it lies on Kafka, and its notices."""

    out: Out
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happenings:
    """All events of a key."""

    parts: Mapping[str, list[Happening]]
    """`warm` ones and measured ones (`run`)."""

    def outs(self, name: str) -> list[Out]:
        """The events as they lie on their topic."""
        return [one.out for one in self.parts[name]]

    def notices(self, name: str) -> set[str]:
        """The ids of all their notices, which are the webhooks' ids."""
        return {notice for one in self.parts[name] for notice in one.notices}


def happenings(
    keys: Keys, steps: Path, offices: Offices, warm: int, count: int, *, for_all: bool = False
) -> Happenings:
    """Events of cases that one office each hears of, or `for_all`; what bare loops do then is saved in `steps`.

    The first warm ones are always for one office each.
    """
    preparer = Preparer(keys.id_key, keys.sealing_key, AGENCY, offices.partners, offices.alerts)
    links = Links(f"http://{HOST}:{PORTS['notifier']}", bytes.fromhex(keys.id_key))
    posts: dict[Heard, tuple[Post, ...]] = {}
    parts: dict[str, list[Happening]] = {}
    for name, number, parties in (("warm", warm, PARTIES), ("run", count, (ALL,) if for_all else PARTIES)):
        parts[name] = []
        for at, party in enumerate(islice(cycle(parties), number)):
            _, opening = preparer.opened(body(name, at, party=party), times.now())
            ((_, out),) = opening.waves
            of_it = posts[heard_as(out)] = tuple(_posts(preparer, offices, links, out))
            parts[name].append(Happening(out, tuple(post.id for post in of_it)))
    save(steps, "notices", posts)
    del posts
    gc.collect()
    gc.freeze()
    return Happenings(parts)


def _posts(preparer: Preparer, offices: Offices, links: Links, out: Out) -> Iterator[Post]:
    now = times.now()
    for message in preparer.read_event(as_read(out)):  # type: ignore[arg-type]
        assert isinstance(message.body, Raising), "an opened case ends no ladder"
        yield _post(preparer.raised(message, now), message.body, offices, links)


def _post(step: Step, raising: Raising, offices: Offices, links: Links) -> Post:
    """As `Delivery` and `Webhooks` make it."""
    assert step.insert is not None
    raised = event_of(step.id, bson.decode(step.insert)["history"][0])
    text = body_of(Shown(step.id, {"en": raising.says}, raised.data, raised.at, links.link(step.id)))
    now = times.now()
    headers = {
        "content-type": "application/json",
        "webhook-id": step.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures((offices.secret,), step.id, now, text.decode()),
    }
    return Post(step.id, step.insert, offices.url(raising.subscriber), headers, text)
