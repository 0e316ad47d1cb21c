"""A whole deployment in memory, run by the services' own pure functions: a good state, in which tests plant faults."""

import asyncio
import copy
import random
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import bson
import orjson
from aiokafka import ConsumerRecord
from bson.codec_options import CodecOptions

from benchmarks.fanout import fanout
from deploy.local.jars import ROOT
from services.intake import domain as intake
from services.notifier import domain as notifier
from services.notifier.audit.audit_rules import RulesInForce
from services.notifier.domain.bodies import Attempt, Delivered
from services.notifier.domain.ladders import FIRST, Begin, Told
from services.notifier.handlers import on_event
from services.router import domain as router
from shared import envelope, quarantine, topics
from shared.decisions import Decide, Message
from shared.events import LETTER_RECEIVED, schema_of
from shared.failures import NeverWill
from shared.ids import Ids
from shared.law import load_law
from shared.letter import parse_letter
from shared.life_cycle import load_life_cycle
from shared.metrics import Metrics
from shared.partitions import partition_of
from shared.partners import load_partners
from shared.quarantine import Quarantine
from shared.records import Record, insertion, value_on
from shared.sealing import Sealer
from shared.times import text_of
from tests.fault.letters import letters
from verify.accounts import Recount, no_recount
from verify.deployment import Deployment
from verify.documents import NoticeHead, notice_head
from verify.findings import Report
from verify.running import Asked, Verification
from verify.shards import Shards
from verify.world import COLLECTIONS, GONE, Bounds, Place, Reader

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
IDS, SEALER = Ids(b"i" * 32), Sealer(b"s" * 32)
_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)

Document = dict[str, Any]


def deployment() -> Deployment:
    """This repository's own files."""
    partners = load_partners(ROOT / "partners.yaml")
    law = load_law(partners.law_file, (ROOT / "laws" / "assumptions" / "in-force.yaml",))
    return Deployment(IDS, SEALER, law, load_life_cycle(ROOT / "life-cycle.yaml", law), partners, "in memory")


def set_aside(service: str, record: ConsumerRecord[Any, Any], reason: str) -> Message:
    """What a service tells its quarantine of a record."""
    kept = Quarantine(service, None, IDS, Metrics(f"v{uuid.uuid4().hex}"))  # type: ignore[arg-type]
    return kept._entry(record, reason)


@dataclass
class World:
    """What stands in MongoDB and on the topics; a test may change anything."""

    deployment: Deployment
    documents: dict[str, dict[str, Document]] = field(default_factory=dict)
    topics: dict[Place, list[ConsumerRecord[Any, Any]]] = field(default_factory=dict)
    committed: dict[tuple[str, str, int], int] = field(default_factory=dict)
    starts: dict[Place, int] = field(default_factory=dict)
    others: dict[tuple[str, str], Document] = field(default_factory=dict)
    emptied: dict[Place, int] = field(default_factory=dict)
    """Before when, in milliseconds, what lay in a partition of which nothing is left; otherwise nobody knows."""
    for_ever: frozenset[str] = frozenset()
    """Topics that are kept for ever."""
    no_age: frozenset[str] = frozenset()
    """Topics of which nobody says for how long they are kept."""
    later: dict[Place, list[ConsumerRecord[Any, Any]]] = field(default_factory=dict)
    """What comes to a partition while the documents are checked."""
    time: datetime = NOW

    def copy(self) -> "World":
        """Another one like it, that may be changed."""
        parts = {name: copy.deepcopy(getattr(self, name)) for name in ("documents", "topics", "committed", "others")}
        return World(self.deployment, **parts)

    def verify(self, folder: Path, **asked: Any) -> Report:
        """What a verification says, each in a state of its own."""
        shards = Shards(folder / uuid.uuid4().hex)
        return asyncio.run(self.verification(shards, **asked).run())

    def verification(self, shards: Shards, recount: Recount = no_recount, **asked: Any) -> Verification:
        """One that goes on where the state stands."""
        parts = self.deployment, Topics(self), Documents(self), shards, Asked(**asked)
        return Verification(*parts, waits=(0.0,), recount=recount)

    @cached_property
    def partitions(self) -> Mapping[str, int]:
        """Of each topic."""
        law, partners = self.deployment.law, self.deployment.partners
        return topics.all_topics(law.authorities, partners.agencies, partners.subscribers)

    def put(
        self, topic: str, key: bytes, value: bytes | None, headers: Sequence[tuple[str, bytes]], partition: int = -1
    ) -> ConsumerRecord[Any, Any]:
        """Put a record on a topic, by default where its key belongs."""
        place = topic, partition_of(key, self.partitions[topic]) if partition < 0 else partition
        records = self.topics.setdefault(place, [])
        record: ConsumerRecord[Any, Any] = ConsumerRecord(
            topic, place[1], len(records), int(self.time.timestamp() * 1000), 0, key, value, None, 0, 0, headers
        )
        records.append(record)
        return record

    def again(self, record: ConsumerRecord[Any, Any], **changed: Any) -> None:
        """Put a record on its topic once more, changed."""
        place = record.topic, changed.get("partition", record.partition)
        offset = len(self.topics.setdefault(place, []))
        self.topics[place].append(replace(record, offset=offset, **changed))

    def on(self, topic: str) -> list[ConsumerRecord[Any, Any]]:
        """All records of a topic."""
        return [one for place, records in self.topics.items() if place[0] == topic for one in records]

    def take_away(self, record: ConsumerRecord[Any, Any]) -> None:
        """As if it had never come."""
        records = self.topics[record.topic, record.partition]
        records.remove(record)
        for offset, one in enumerate(records):
            one.offset = offset

    def some(self, collection: str, **state: Any) -> Document:
        """A record of a collection whose state has these values."""
        found = self.documents[collection].values()
        return next(one for one in found if all(one["state"].get(name) == value for name, value in state.items()))


class _Run:
    """Carries letters through the pure functions until nothing is left to be heard."""

    def __init__(self) -> None:
        self.world = World(deployment())
        known = self.world.deployment
        rules = router.Rules(known.law, known.life, IDS)
        self.fanout = fanout(known.partners, known.law, known.life, IDS, lambda: NOW)
        self.on_event = on_event(self.fanout, lambda *_: False)
        self.decides: dict[str, Decide] = {
            "letters": intake.decide_by(known.law),
            "cases": router.decide_by(rules),
            "notices": notifier.decide,
            **{name: quarantine.decide for name in COLLECTIONS if name.endswith("_quarantine")},
        }
        self.records: dict[str, dict[str, Record]] = defaultdict(dict)
        self.queue: deque[ConsumerRecord[Any, Any]] = deque()
        self.inputs = defaultdict(list)
        for one in known.inputs:
            self.inputs[one.topic].append(one)

    def say(self, collection: str, message: Message) -> Record:
        """Decide a message, keep what follows and send it."""
        new = Record(message.record, message.subject or message.record, message.context)
        record = self.records[collection].setdefault(message.record, new)
        if message.cause in record.causes:
            return record
        before = len(record.fresh)
        record.history = None
        for draft in self.decides[collection](record, message, NOW).events:
            evolve = COLLECTIONS[collection].evolve
            record.append(draft, by=message.by, cause=message.cause, now=NOW, evolve=evolve, sealer=SEALER)
        for event in record.fresh[before:]:
            for topic in event.to:
                key, event_id = record.subject.encode(), IDS.event(record.id, event.seq)
                headers = envelope.headers_for(topic, event, event_id, record.id, record.subject, record.context)
                self.queue.append(self.world.put(topic, key, value_on(topic, event), headers))
        return record

    def hear(self, record: ConsumerRecord[Any, Any]) -> None:
        """Let every service read a record."""
        for one in self.inputs[record.topic]:
            try:
                messages = one.read(record) if one.read else self.on_event(record)
                for message in messages:
                    if isinstance(message.body, Begin):
                        self._climb(message)
                    elif one.service == "notifier":
                        self._notice(message)
                    else:
                        self.say(one.collection, message)
            except NeverWill as reason:
                for message in reason.also:
                    self.say(one.collection, message)
                self._keep(one.service, record, str(reason))
            place = one.group, record.topic, record.partition
            self.world.committed[place] = record.offset + 1

    def _keep(self, service: str, record: ConsumerRecord[Any, Any], reason: str) -> None:
        self.say(f"{service}_quarantine", set_aside(service, record, reason))

    def _climb(self, message: Message) -> None:
        alert = self.say("notices", message)
        for told in self.fanout.raisings(alert.id, alert.state, FIRST, alert.state.get("owed", ())):
            self._notice(told)
        self.say("notices", Message(alert.id, f"told/{FIRST}", "notifier", Told(FIRST)))

    def _notice(self, message: Message) -> None:
        notice = self.say("notices", message)
        if due := notice.state.get("next_due"):
            self.say("notices", Message(notice.id, f"clock/{due}", "notifier", Attempt(due)))
            self.say("notices", Message(notice.id, "delivery/1", "notifier", Delivered(1)))

    def hear_all(self) -> None:
        """Hear everything that was said, and what follows from it."""
        while self.queue:
            self.hear(self.queue.popleft())

    def end(self) -> World:
        """Hear everything, and write the documents as MongoDB gives them back."""
        self.hear_all()
        for name in COLLECTIONS:
            kept = self.world.documents[name] = {}
            for record in self.records[name].values():
                document = {**insertion(record, NOW), "published": record.version}
                document.pop("unsent_since", None)
                kept[record.id] = bson.decode(bson.encode(document), codec_options=_AWARE)
        channels = {name: one.channels for name, one in self.world.deployment.partners.subscribers.items()}
        rules = RulesInForce(self.fanout.rules, channels, None, lambda: NOW)  # type: ignore[arg-type]
        began = "2026-11-24T07:00:00.000000Z"
        sets = [{"rules": rules._own, "since": began, "held": text_of(NOW)}]
        self.world.others["audit", "rules"] = {"_id": "rules", "began": began, "sets": sets}
        return self.world


def a_good_world(count: int = 30) -> World:
    """Letters of all kinds by both doors, one of them twice, and one record that nobody can read."""
    run = _Run()
    for filed in islice(letters(random.Random(7), "verified"), count):
        if not filed.by_kafka:
            parsed = parse_letter(filed.body, frozenset(run.world.deployment.law.request_types))
            run.say("letters", intake.filing(filed.agency, parsed, IDS))
            continue
        headers = _event(filed.reference, filed.agency)
        for _ in range(2):
            run.queue.append(run.world.put(topics.letters_from(filed.agency, _normal()), b"k", filed.body, headers))
    run.queue.append(run.world.put(topics.letters_from("contact-point", _normal()), b"k", None, []))
    run.queue.append(run.world.put(topics.updates_from("desk", _normal()), b"k", b"{", _event("u", "desk", "update.x")))
    run.hear_all()
    authority, lane = "security-service", _normal()
    cases = run.records["cases"].values()
    case = next(one.id for one in cases if (one.state["authority"], one.state["lane"]) == (authority, lane))
    for officer in ("A", "B"):  # the second tells the letter nothing new
        said = orjson.dumps({"case": case, "officer": officer})
        headers = _event(officer, authority, "update.officer_assigned")
        run.queue.append(run.world.put(topics.updates_from(authority, lane), case.encode(), said, headers))
    return run.end()


def _normal() -> Any:
    from shared.vocabulary import Lane

    return Lane.NORMAL


def _event(name: str, source: str, event_type: str = LETTER_RECEIVED) -> list[tuple[str, bytes]]:
    named = {"specversion": "1.0", "id": name, "source": f"/{source}", "type": event_type}
    named["dataschema"] = schema_of(event_type)
    return [*((f"ce_{key}", text.encode()) for key, text in named.items()), ("content-type", b"application/json")]


class Topics:
    """The topics of a world, as a verification reads them."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def bounds(self, names: Sequence[str], groups: Sequence[str], since: int | None) -> Bounds:
        """How far they reach."""
        world = self._world
        partitions = {name: world.partitions[name] for name in names if name in world.partitions}
        places = [(name, n) for name, count in partitions.items() for n in range(count)]
        begins = {place: world.starts.get(place, 0) for place in places}
        starts, ends = dict(begins), {place: len(world.topics.get(place, ())) for place in places}
        emptied = (place for place, end in ends.items() if 0 < end == begins[place])
        first_at = {place: world.emptied.get(place, GONE) for place in emptied}
        if since is not None:
            for place in places:
                early = [one.offset for one in world.topics.get(place, ()) if one.timestamp < since]
                if early and max(early) >= begins[place]:
                    starts[place], first_at[place] = max(early) + 1, since
        return Bounds(starts, ends, dict(world.committed), partitions, first_at, begins, world.for_ever, world.no_age)

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """How far they reach after what came meanwhile."""
        for place in places:
            self._world.topics.setdefault(place, []).extend(self._world.later.pop(place, ()))
        return {place: len(self._world.topics[place]) for place in places}

    async def committed(self, groups: Sequence[str]) -> Mapping[Reader, int]:
        """What these groups have read."""
        return {reader: offset for reader, offset in self._world.committed.items() if reader[0] in groups}

    async def records(
        self, starts: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> AsyncIterator[Sequence[ConsumerRecord[Any, Any]]]:
        """Every record between, a few at once."""
        for place, end in ends.items():
            records = self._world.topics.get(place, [])
            for at in range(starts[place], end, 10):
                yield records[at : min(at + 10, end)]


class Documents:
    """The documents of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def between(self, collection: str, low: str, high: str) -> Iterator[Document]:
        """In the order of their ids."""
        return (one for name, one in sorted(self._kept(collection).items()) if low <= name < high)

    def some(self, collection: str, ids: Sequence[str]) -> Iterator[Document]:
        """With these ids."""
        return (one for name, one in self._kept(collection).items() if name in ids)

    def present(self, collection: str, ids: Sequence[str]) -> set[str]:
        """Which are there."""
        return set(ids) & self._kept(collection).keys()

    def heads(self, collection: str, ids: Sequence[str], wanted: Sequence[str]) -> Iterator[Document]:
        """Whole ones: whoever asks takes what it wants."""
        return self.some(collection, ids)

    def notices(self, about: Collection[str]) -> Iterator[NoticeHead]:
        """By what they are about."""
        return (notice_head(one) for one in self._kept("notices").values() if one["state"].get("about") in about)

    def outside(self, collection: str, ranges: Sequence[tuple[str, str]]) -> list[str]:
        """Ids beside the ranges."""
        names = self._kept(collection)
        return [name for name in names if not any(low <= name < high for low, high in ranges)]

    def one(self, collection: str, name: str) -> Document | None:
        """No record."""
        return self._world.others.get((collection, name))

    def all(self, collection: str) -> Iterator[Document]:
        """Of a small collection."""
        return (one for (of, _), one in self._world.others.items() if of == collection)

    def count(self, collection: str) -> int:
        """How many."""
        return len(self._kept(collection))

    def now(self) -> datetime:
        """The world's time."""
        return self._world.time

    def _kept(self, collection: str) -> dict[str, Document]:
        return self._world.documents.get(collection, {})
