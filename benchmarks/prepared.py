"""The bytes for the bare loop: what our own services would write, send and answer, made beforehand by their own code.

Every document and every record is the one that ours makes of the same letter (other times, other keys): same sizes,
same ids, same partitions. The bare loop only looks them up.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import orjson

from benchmarks.letters import PATH, reference_in
from deploy.local.jars import ROOT
from services.intake import domain as intake
from services.intake import handlers as intake_hears
from services.intake.door import receipt_of
from services.notifier import domain as notifier
from services.notifier import handlers as notifier_hears
from services.notifier.rules import load_rules
from services.router import domain as router
from services.router import handlers as router_hears
from shared import records, times, topics
from shared.decisions import Decide, Message
from shared.envelope import Headers, headers_for
from shared.events import Event
from shared.ids import Ids
from shared.law import load_law
from shared.letter import parse_letter
from shared.partners import load_partners
from shared.producer import partition_of
from shared.records import Evolve, Record
from shared.sealing import Sealer

PARTNERS, ALERTS = ROOT / "partners.yaml", ROOT / "alerts.yaml"
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


@dataclass(slots=True)
class Prepared:
    """The steps of many letters, by what each service is told of them."""

    posts: dict[bytes, Step] = field(default_factory=dict)
    """By reference."""
    openings: dict[bytes, Step] = field(default_factory=dict)
    """By letter id: what the router does."""
    raisings: dict[bytes, Step] = field(default_factory=dict)
    """By case id: what the notifier does."""
    news: dict[bytes, Step] = field(default_factory=dict)
    """By case id: what intake does when it hears of the case."""

    @property
    def letters_out(self) -> list[Out]:
        """The records on `letters.received`, as intake sends them."""
        return [step.waves[0][0] for step in self.posts.values()]

    def save(self, folder: Path) -> None:
        """Write one file per service, so that each loads only its own."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {"intake": (self.posts, self.news), "router": self.openings, "notifier": self.raisings}
        for name, part in parts.items():
            (folder / f"{name}.pickle").write_bytes(pickle.dumps(part))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A record as a consumer would give it to our handlers."""

    topic: str
    value: bytes
    headers: Headers


class Preparer:
    """Runs our services' pure functions over letters, and keeps what would be written and sent."""

    def __init__(self, id_key: str, sealing_key: str, agency: str) -> None:
        partners = load_partners(PARTNERS)
        law = load_law(ROOT / partners.law_file, ASSUMPTIONS)
        self._ids, self._sealer = Ids(bytes.fromhex(id_key)), Sealer(bytes.fromhex(sealing_key))
        self._agency, self._types = agency, frozenset(law.request_types)
        self._partitions = topics.all_topics(law.authorities, partners.agencies, partners.subscribers)
        self._decide_letter, self._decide_case = intake.decide_by(law), router.decide_by(law)
        self._read_letter = router_hears.on_letter(self._ids)
        self._read_case = notifier_hears.on_event(load_rules(ALERTS, partners, law), partners.subscribers, self._ids)

    def prepare(self, bodies: Iterable[bytes], prepared: Prepared) -> None:
        """Add all steps of these letters."""
        for body in bodies:
            self._one(body, prepared)

    def _one(self, body: bytes, prepared: Prepared) -> None:
        parsed = parse_letter(body, self._types)
        message = intake.filing(self._agency, parsed, self._ids)
        letter = Record(message.record, message.record, message.context)
        post = self._step(letter, message, self._decide_letter, intake.evolve)
        receipt = receipt_of(letter.id, letter.state, parsed.reference)
        prepared.posts[reference_in(body)] = _answering(post, receipt)
        opening = self._hear(self._read_letter, post.waves[0][0], self._decide_case, router.evolve)
        prepared.openings[letter.id.encode()] = opening
        _, event = opening.waves[0]
        prepared.raisings[event.key] = self._hear(self._read_case, event, notifier.decide, notifier.evolve)
        (news,) = intake_hears.on_case(_heard(event))  # type: ignore[arg-type]
        letter.stored_version = letter.published = letter.version
        letter.fresh.clear()
        prepared.news[event.key] = self._step(letter, news, self._decide_letter, intake.evolve)

    def _hear(self, read: Any, out: Out, decide: Decide, evolve: Evolve) -> Step:
        (message,) = read(_heard(out))
        record = Record(message.record, message.subject or message.record, message.context)
        return self._step(record, message, decide, evolve)

    def _step(self, record: Record, message: Message, decide: Decide, evolve: Evolve) -> Step:
        now = times.now()
        for draft in decide(record, message, now).events:
            record.append(draft, by=message.by, cause=message.cause, now=now, evolve=evolve, sealer=self._sealer)
        waves = tuple(self._outs(record, event) for event in record.fresh)
        if record.stored_version == 0:
            return Step(record.id, record.version, waves, insert=bson.encode(records.insertion(record, now)))
        update = {name: bson.encode(part) for name, part in records.update(record, now).items()}
        return Step(record.id, record.version, waves, update=update, guard=record.stored_version)

    def _outs(self, record: Record, event: Event) -> tuple[Out, ...]:
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


def _heard(out: Out) -> _Heard:
    return _Heard(out.topic, out.value, out.headers)


def _answering(step: Step, receipt: dict[str, Any]) -> Step:
    location = f"{PATH}/{step.id}".encode()
    return Step(step.id, step.version, step.waves, insert=step.insert, answer=(location, orjson.dumps(receipt)))
