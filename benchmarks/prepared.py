"""The bytes for the bare loop: what our own services would write, send and answer, made beforehand by their own code.

Every document and every record is the one that ours makes of the same letter (other times, other keys): same sizes,
same ids, same partitions. The bare loop only looks them up.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import orjson

from benchmarks.fanout import ALERTS, fanout
from benchmarks.letters import PATH, reference_in
from deploy.local.jars import ROOT
from services.intake import domain as intake
from services.intake import handlers as intake_hears
from services.intake.door import receipt_of
from services.notifier import domain as notifier
from services.notifier import handlers as notifier_hears
from services.notifier.moving import Moved
from services.router import domain as router
from services.router import handlers as router_hears
from shared import records, times, topics
from shared.decisions import Decide, Message
from shared.envelope import Headers, headers_for
from shared.events import Event
from shared.ids import Ids
from shared.law import load_law
from shared.letter import parse_letter
from shared.life_cycle import load_life_cycle
from shared.partitions import partition_of
from shared.partners import load_partners
from shared.records import Evolve, Record
from shared.sealing import Sealer

PARTNERS, LIFE_CYCLE = ROOT / "partners.yaml", ROOT / "life-cycle.yaml"
ASSUMPTIONS = (ROOT / "laws" / "assumptions" / "in-force.yaml",)


@dataclass(frozen=True, slots=True)
class Out:
    """One record for Kafka."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Step:
    """What a service does with one message: the write, the sends in their waves, the mark."""

    id: str
    version: int
    """The version after the write: what the mark sets."""
    waves: tuple[tuple[Out, ...], ...]
    insert: bytes | None = None
    update: dict[str, bytes] | None = None
    """The parts of a guarded update, each as BSON."""
    guard: int = 0
    answer: tuple[bytes, bytes] = (b"", b"")
    """Where a caller waits: the location and the body."""


Heard = tuple[bytes, bytes]
"""By what a service finds its step: the key of the record that it hears, and the event's type."""
Steps = dict[Heard, Step]


@dataclass(slots=True)
class Prepared:
    """The steps of many letters, by what each service is told of them."""

    posts: dict[bytes, Step] = field(default_factory=dict)
    """By reference."""
    openings: Steps = field(default_factory=dict)
    """What the router does with letters, and with what is said to their cases."""
    raisings: Steps = field(default_factory=dict)
    """What the notifier does."""
    news: Steps = field(default_factory=dict)
    """What intake does when it hears of a case."""
    cases: list[bytes] = field(default_factory=list)
    """Their ids, in the order of the letters."""
    said: list[Out] = field(default_factory=list)
    """What authorities say to cases."""

    @property
    def letters_out(self) -> list[Out]:
        """The records on `letters.received`, as intake sends them."""
        return [step.waves[0][0] for step in self.posts.values()]

    def save(self, folder: Path) -> None:
        """Write one file per service, so that each loads only its own."""
        parts = {"intake": (self.posts, self.news), "router": self.openings, "notifier": self.raisings}
        for name, part in parts.items():
            save(folder, name, part)


def save(folder: Path, name: str, part: object) -> None:
    """Write what one process of the bare loop loads at its start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pickle").write_bytes(pickle.dumps(part))


@dataclass(frozen=True, slots=True)
class _Record:
    """A record as a consumer would give it to our handlers."""

    topic: str
    value: bytes
    headers: Headers


class Preparer:
    """Runs our services' pure functions over letters, and keeps what would be written and sent."""

    def __init__(
        self, id_key: str, sealing_key: str, agency: str, partners_file: Path = PARTNERS, alerts: Path = ALERTS
    ) -> None:
        partners = load_partners(partners_file)
        law = load_law(ROOT / partners.law_file, ASSUMPTIONS)
        life = load_life_cycle(LIFE_CYCLE, law)
        self._ids, self.sealer = Ids(bytes.fromhex(id_key)), Sealer(bytes.fromhex(sealing_key))
        self._agency, self._types = agency, frozenset(law.request_types)
        self._partitions = topics.all_topics(law.authorities, partners.agencies, partners.subscribers)
        self._decide_letter = intake.decide_by(law)
        self.decide_case = router.decide_by(router.Rules(law, life, self._ids))
        self.read_letter = router_hears.on_letter(self._ids)
        self._read_update = router_hears.on_update(life, self._ids)
        tells = fanout(partners, law, life, self._ids, alerts=alerts)
        self.read_event = notifier_hears.on_event(tells, notifier_hears.doing(life))

    def prepare(self, bodies: Iterable[bytes], prepared: Prepared, *, assigned: bool = False) -> None:
        """Add all steps of these letters; where an officer gets each case, of that too."""
        now = times.now()
        for body in bodies:
            letter, post = self.posted(body, now)
            prepared.posts[reference_in(body)] = post
            case, opening = self._opened(post.waves[0][0], now)
            prepared.cases.append(case.id.encode())
            self._heard(letter, post.waves[0][0], opening, prepared)
            if assigned:
                out = self.said(case, "officer_assigned", now, officer="Maj. R. Aliyev", unit="Requests from abroad")
                prepared.said.append(out)
                self._heard(letter, out, self.heard(case, out, now), prepared)

    def opened(self, body: bytes, at: datetime) -> tuple[Record, Step]:
        """The case of a letter that was received at a time."""
        return self._opened(self.posted(body, at)[1].waves[0][0], at)

    def said(self, case: Record, name: str, at: datetime, **fields: str) -> Out:
        """An update of a case as its authority puts it on its topic."""
        topic, key = topics.updates_from(case.state["authority"], case.state["lane"]), case.id.encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", f"update.{name}".encode()),
            ("ce_id", f"{name}-{case.id}".encode()),
            ("ce_source", b"/case-system"),
            ("ce_time", times.text_of(at).encode()),
            ("ce_subject", key),
            ("content-type", b"application/json"),
        ]
        data = orjson.dumps({"case": case.id, **fields})
        return Out(topic, partition_of(key, self._partitions[topic]), key, data, headers)

    def heard(self, case: Record, out: Out, at: datetime) -> Step:
        """What the router does with that."""
        (message,) = self._read_update(as_read(out))  # type: ignore[arg-type]
        return self.step(case, message, at)

    def step(self, case: Record, message: Message, at: datetime) -> Step:
        """What the router does with a message to a case."""
        return self._step(case, message, self.decide_case, router.evolve, at)

    def raised(self, message: Message, at: datetime) -> Step:
        """What the notifier does with a message that raises a notice."""
        notice = Record(message.record, message.subject, message.context)
        return self._step(notice, message, notifier.decide, notifier.evolve, at)

    def posted(self, body: bytes, now: datetime) -> tuple[Record, Step]:
        """A letter, and what intake does with it."""
        parsed = parse_letter(body, self._types)
        message = intake.filing(self._agency, parsed, self._ids)
        letter = Record(message.record, message.record, message.context)
        post = self._step(letter, message, self._decide_letter, intake.evolve, now)
        return letter, _answering(post, receipt_of(letter.id, letter.state, parsed.reference))

    def _opened(self, out: Out, now: datetime) -> tuple[Record, Step]:
        (message,) = self.read_letter(as_read(out))  # type: ignore[arg-type]
        case = Record(message.record, message.record, message.context)
        return case, self.step(case, message, now)

    def _heard(self, letter: Record, out: Out, step: Step, prepared: Prepared) -> None:
        """What the router does with a record, and what the others do with what it says of the case."""
        prepared.openings[heard_as(out)] = step
        ((_, event),) = step.waves
        now = times.now()
        for message in self.read_event(as_read(event)):  # type: ignore[arg-type]
            if isinstance(message.body, Moved):
                continue  # no record of its own: ours looks for open ladders of the case, and here there are none
            raised = self.raised(message, now)
            assert prepared.raisings.setdefault(heard_as(event), raised) is raised, "a case raises one notice here"
        for message in intake_hears.on_case(as_read(event)):  # type: ignore[arg-type]
            prepared.news[heard_as(event)] = self._step(letter, message, self._decide_letter, intake.evolve, now)

    def _step(self, record: Record, message: Message, decide: Decide, evolve: Evolve, now: datetime) -> Step:
        """The step, after which the record stands as written, sent and marked."""
        for draft in decide(record, message, now).events:
            record.append(draft, by=message.by, cause=message.cause, now=now, evolve=evolve, sealer=self.sealer)
        waves = tuple(self.outs(record, event) for event in record.fresh)
        guard = record.stored_version
        if guard:
            update = {name: bson.encode(part) for name, part in records.update(record, now).items()}
            step = Step(record.id, record.version, waves, update=update, guard=guard)
        else:
            step = Step(record.id, record.version, waves, insert=bson.encode(records.insertion(record, now)))
        record.stored_version = record.published = record.version
        record.fresh.clear()
        return step

    def outs(self, record: Record, event: Event) -> tuple[Out, ...]:
        """An event on each of its topics."""
        event_id, key = self._ids.event(record.id, event.seq), record.subject.encode()
        return tuple(
            Out(
                topic,
                partition_of(key, self._partitions[topic]),
                key,
                records.value_on(topic, event),
                headers_for(topic, event, event_id, record.id, record.subject, record.context),
            )
            for topic in event.to
        )


def heard_as(out: Out) -> Heard:
    """By what the step is found that follows from a record."""
    return out.key, out.headers[1][1]


def as_read(out: Out) -> _Record:
    """What was sent, as a consumer gives it to a handler."""
    return _Record(out.topic, out.value, out.headers)


def _answering(step: Step, receipt: dict[str, Any]) -> Step:
    location = f"{PATH}/{step.id}".encode()
    return Step(step.id, step.version, step.waves, insert=step.insert, answer=(location, orjson.dumps(receipt)))
