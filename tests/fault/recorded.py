"""What a faultless run leaves behind, made in memory from the services' own pure functions: data to plant faults in."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, cast

import orjson

from benchmarks.fanout import fanout
from deploy.local.jars import ROOT
from services.intake import domain as intake
from services.intake.handlers import on_answer_due, on_case
from services.notifier import domain as notifier
from services.notifier.domain import Happened
from services.notifier.domain.bodies import Attempt, Delivered
from services.notifier.domain.ladders import FIRST, Begin, Told
from services.router import domain as router
from services.router.domain import opening
from services.router.handlers import heard_from
from shared import envelope
from shared.arrivals import Read
from shared.decisions import Decide, Message
from shared.events import CASE_ASSIGNED
from shared.ids import Ids
from shared.law import load_law
from shared.letter import parse_letter
from shared.life_cycle import load_life_cycle
from shared.partitions import partition_of
from shared.partners import load_partners
from shared.payloads import CaseEvent, LetterReceived
from shared.records import Evolve, Record, insertion, value_on
from shared.sealing import Sealer
from shared.times import text_of
from tests.fault.evidence import QUARANTINES, Evidence, Seen
from tests.fault.letters import Filed, letters

IDS, SEALER = Ids(b"i" * 32), Sealer(b"s" * 32)
ASSUMPTION = ROOT / "laws" / "assumptions" / "in-force.yaml"
_NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


class _Run:
    """One run without a loop: records in memory, topics as lists."""

    def __init__(self) -> None:
        self.partners = partners = load_partners(ROOT / "partners.yaml")
        self.law = load_law(partners.law_file, (ASSUMPTION,))
        self.life = load_life_cycle(ROOT / "life-cycle.yaml", self.law)
        self.decide = router.decide_by(router.Rules(self.law, self.life, IDS))
        self.fanout = fanout(partners, self.law, self.life, IDS, lambda: _NOW)
        self.records: dict[str, dict[str, Record]] = {"letters": {}, "cases": {}, "notices": {}}
        self.topics: defaultdict[str, list[Seen]] = defaultdict(list)
        self.webhooks: Counter[str] = Counter()

    def hear(self, collection: str, message: Message, decide: Decide, evolve: Evolve) -> Record:
        """Decide one message, keep what follows, send it."""
        new = Record(message.record, message.subject or message.record, message.context)
        record = self.records[collection].setdefault(message.record, new)
        before = len(record.fresh)
        for draft in decide(record, message, _NOW).events:
            record.append(draft, by=message.by, cause=message.cause, now=_NOW, evolve=evolve, sealer=SEALER)
        for event in record.fresh[before:]:
            for topic in event.to:
                headers = envelope.headers_for(
                    topic, event, IDS.event(record.id, event.seq), record.id, record.subject, record.context
                )
                key, places = record.subject.encode(), self.topics[topic]
                place = (topic, partition_of(key, 3), len(places))
                seen = Seen(*place, key, value_on(topic, event), tuple(headers), round(_NOW.timestamp() * 1_000))
                places.append(seen)
        return record

    def letter(self, filed: Filed) -> None:
        """One letter, all the way."""
        parsed = parse_letter(filed.body, frozenset(self.law.request_types))
        decide = intake.decide_by(self.law)
        record = self.hear("letters", intake.filing(filed.agency, parsed, IDS), decide, intake.evolve)
        filed.acknowledged = True
        filed.receipts.append((record.id, record.state["received_at"], record.state["digest"]))
        received, content = record.fresh[0], record.fresh[0].content or b"{}"
        letter = LetterReceived.model_validate({**received.data, "content": orjson.loads(content)})
        for measure, asked in enumerate(opening.split(letter, f"{record.id}/1", IDS), 1):
            case = self.hear("cases", asked, self.decide, router.evolve)
            data = case.fresh[0].data
            news = intake.CaseNews(filed.agency, measure, CaseEvent.model_validate(data), 1)
            self.hear("letters", Message(record.id, f"{case.id}/1", "router", news), decide, intake.evolve)
            self._notices(case, data)

    def acknowledge(self, filed: Filed) -> None:
        """Whoever has its cases says that they arrived, and its agency hears of it."""
        letter_id = IDS.letter(filed.agency, filed.reference)
        for measure, case in enumerate(filed.kind.cases, 1):
            before = {topic: len(records) for topic, records in self.topics.items()}
            heard = heard_from(case.authority, "acknowledged", {"number": "1"}, self.life)
            case_id = IDS.case(letter_id, measure)
            said = Message(case_id, f"ack-{case_id}", case.authority, heard)
            self.hear("cases", said, self.decide, router.evolve)
            for topic, records in list(self.topics.items()):
                for seen in records[before.get(topic, 0) :]:
                    self._tell_agency(seen)

    def _tell_agency(self, seen: Seen) -> None:
        read: Read | None = None
        if seen.topic.startswith("cases.events"):
            read = on_case
        if seen.topic.startswith("answers.due"):
            read = on_answer_due(self.partners.agencies, self.life)
        for message in read(cast("Any", seen)) if read else ():
            self.hear("letters", message, intake.decide_by(self.law), intake.evolve)

    def _notices(self, case: Record, data: Mapping[str, Any]) -> None:
        happened = Happened(notifier.facts_of(CASE_ASSIGNED, data), case.id, f"{case.id}/1", text_of(_NOW))
        for message in self.fanout.messages(happened):
            if isinstance(message.body, Begin):
                self._climb(message)
            else:
                self._notice(message)

    def _climb(self, message: Message) -> None:
        """An alert begins to climb its ladder, and its first step is told."""
        alert = self.hear("notices", message, notifier.decide, notifier.evolve)
        for told in self.fanout.raisings(alert.id, alert.state, FIRST, alert.state["owed"]):
            self._notice(told)
        self.hear(
            "notices", Message(alert.id, f"told/{FIRST}", "notifier", Told(FIRST)), notifier.decide, notifier.evolve
        )

    def _notice(self, message: Message) -> None:
        notice = self.hear("notices", message, notifier.decide, notifier.evolve)
        if due := notice.state.get("next_due"):
            attempt = Message(notice.id, f"clock/{due}", "notifier", Attempt(due))
            self.hear("notices", attempt, notifier.decide, notifier.evolve)
            delivered = Message(notice.id, "delivery/1", "notifier", Delivered(1))
            self.hear("notices", delivered, notifier.decide, notifier.evolve)
            if notice.state["channel"] == "webhook":
                self.webhooks[notice.id] += 1

    def evidence(self) -> Evidence:
        """What a look at the end shows."""
        documents: dict[str, Sequence[dict[str, Any]]] = dict.fromkeys(QUARANTINES, ())
        for name, records in self.records.items():
            documents[name] = [_document(record) for record in records.values()]
        return Evidence(dict(self.topics), documents, dict(self.webhooks), _NOW)


def _document(record: Record) -> dict[str, Any]:
    document = insertion(record, _NOW)
    document.pop("unsent_since", None)
    return {**document, "published": record.version}


@cache
def a_good_run(count: int = 40, *, is_answered: bool = False) -> tuple[Evidence, Sequence[Filed]]:
    """So many letters of all kinds, and what they leave; nobody may change it. `is_answered`: acknowledged, too."""
    run, filed = _Run(), list(islice(letters(random.Random(7), "recorded"), count))
    for letter in filed:
        run.letter(letter)
        if is_answered:
            run.acknowledge(letter)
    return run.evidence(), filed
