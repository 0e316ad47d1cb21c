"""The checker: what clients were told against what is on the topics and in MongoDB, with no word from the services.

Each check is pure and yields faults; `check` runs them all. That they find what they should is tested with planted
faults in test_checker.py.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from services.intake import domain as intake
from services.notifier import domain as notifier
from services.notifier.domain.ladders import LADDER
from services.router import domain as router
from shared import topics
from shared.events import (
    ANSWER_RECEIPT,
    ANSWER_STATUS,
    CASE_ASSIGNED,
    LADDER_BEGUN,
    LADDER_ENDED,
    LADDER_STEPPED,
    LADDER_TOLD,
    LETTER_RECEIVED,
    NOTICE_RAISED,
    Event,
)
from shared.ids import Ids
from shared.records import Evolve, Record, chain_holds, event_of, fold, record_of, value_on
from shared.sealing import Broken, Sealer
from shared.times import text_of
from tests.fault.evidence import QUARANTINES, Evidence, Seen
from tests.fault.letters import OF_RINGS, Case, Filed
from tests.fault.verdict import Fault, Kind, Verdict

_EVOLVE: Mapping[str, Evolve] = {"letters": intake.evolve, "cases": router.evolve, "notices": notifier.evolve}


@dataclass(frozen=True, slots=True)
class Held:
    """One document: its head, its history with the content opened, and whether anything is left to do with it."""

    record: Record
    history: Sequence[Event]
    unsent: bool
    next_due: str | None


Histories = Mapping[str, Mapping[str, Held]]
"""By collection and record id."""
Wanted = Mapping[str, tuple[str, int, Case]]
"""By case id: the letter, the number of the measure, and what must become of it."""


def check(
    evidence: Evidence,
    filed: Sequence[Filed],
    ids: Ids,
    sealer: Sealer,
    more: "More | None" = None,
    *,
    is_answered: bool = False,
) -> Verdict:
    """Everything, checked, and `more`; `is_answered`: every case was acknowledged by whoever has it."""
    histories, broken = opened(evidence, sealer)
    first, repeats = firsts(evidence.topics)
    wanted = wanted_cases(filed, ids, is_answered)
    verdict = Verdict(len(filed), len(wanted), sum(map(len, first.values())), repeats)
    verdict.faults += broken
    verdict.faults += sequences(evidence.topics)
    verdict.faults += topics_against_histories(first, histories)
    verdict.faults += letters(filed, wanted, first, histories, ids)
    verdict.faults += cases(wanted, first, histories)
    verdict.faults += notices(wanted, first, histories, evidence.webhooks)
    verdict.faults += ladders(wanted, histories)
    verdict.faults += records_hold(histories)
    verdict.faults += heard_once(histories)
    verdict.faults += late_clocks(histories, evidence.began)
    verdict.faults += quarantines(evidence)
    verdict.faults += (more or nothing_more)(wanted, first, histories)
    return verdict


def opened(evidence: Evidence, sealer: Sealer) -> tuple[Histories, list[Fault]]:
    """The documents as records with their histories, and those whose sealed content does not open."""
    histories: dict[str, dict[str, Held]] = {}
    broken = []
    for name in _EVOLVE:
        histories[name] = {}
        for document in evidence.documents[name]:
            try:
                record = record_of({**document, "causes": (), "chain": b""}, sealer)
                history = [event_of(record.id, form, record.key) for form in document["history"]]
            except Broken as why:
                broken.append(Fault(Kind.CHANGED, f"{name} {document['_id']}: {why}"))
                continue
            unsent = "unsent_since" in document or record.published != record.version
            histories[name][record.id] = Held(record, history, unsent, document.get("next_due"))
    return histories, broken


def wanted_cases(filed: Iterable[Filed], ids: Ids, is_answered: bool) -> Wanted:
    """The cases that there must be, and no other."""
    wanted: dict[str, tuple[str, int, Case]] = {}
    for letter in filed:
        letter_id = ids.letter(letter.agency, letter.reference)
        for measure, case in enumerate(letter.kind.cases, 1):
            rings = letter.deadline is not None
            right = replace(case, rings=rings, is_answered=is_answered)
            wanted[ids.case(letter_id, measure)] = (letter_id, measure, right)
    return wanted


Place = str | tuple[str, str]
"""A topic or a case; a subscriber and a channel; a step and whom it told."""
First = Mapping[str, Mapping[tuple[str, int], Seen]]
"""By topic, then by source and sequence: the first occurrence of every event."""
More = Callable[[Wanted, First, Histories], Iterable[Fault]]
"""Further checks."""


def nothing_more(_wanted: Wanted, _first: First, _histories: Histories) -> Iterable[Fault]:
    """No further checks."""
    return ()


def firsts(read: Mapping[str, Sequence[Seen]]) -> tuple[First, dict[str, int]]:
    """What a reader keeps who drops what it has seen, and how much it drops per topic."""
    first: dict[str, dict[tuple[str, int], Seen]] = {topic: {} for topic in read}
    for topic, records in read.items():
        for seen in records:
            first[topic].setdefault((seen.source, seen.sequence), seen)
    return first, {topic: len(records) - len(first[topic]) for topic, records in read.items()}


def sequences(read: Mapping[str, Sequence[Seen]]) -> Iterator[Fault]:
    """Per source: gapless from 1, first occurrences in order, one id per sequence, repeats the same to the byte."""
    for topic, records in read.items():
        by_source: defaultdict[str, list[Seen]] = defaultdict(list)
        for seen in records:
            by_source[seen.source].append(seen)
        for source, of_source in by_source.items():
            yield from _sequence(topic, source, of_source)


def _sequence(topic: str, source: str, records: Sequence[Seen]) -> Iterator[Fault]:
    if not source.startswith(f"/{topic}/"):
        yield Fault(Kind.WRONG, f"{source} stands on {topic}")
    if len({(seen.partition, seen.key) for seen in records}) > 1:
        yield Fault(Kind.OUT_OF_ORDER, f"{source} stands on several partitions or under several keys")
    first: dict[int, Seen] = {}
    for seen in records:
        earlier = first.setdefault(seen.sequence, seen)
        if (earlier.key, earlier.value, earlier.headers) != (seen.key, seen.value, seen.headers):
            yield Fault(Kind.CHANGED, f"{source} {seen.sequence} came once more with other bytes")
    arrived = list(first)
    if missing := set(range(1, max(arrived) + 1)) - first.keys():
        yield Fault(Kind.LOST, f"{source}: no {sorted(missing)} before {max(arrived)}")
    if arrived != sorted(arrived):
        yield Fault(Kind.OUT_OF_ORDER, f"{source}: first seen as {arrived}")
    if len({seen.id for seen in first.values()}) < len(first):
        yield Fault(Kind.TWICE, f"{source}: one event under two sequences")


def topics_against_histories(first: First, histories: Histories) -> Iterator[Fault]:
    """Every event of every history is on its topics as it was kept, and nothing else is."""
    kept: dict[tuple[str, str, int], tuple[Event, str]] = {}
    for held in (held for collection in histories.values() for held in collection.values()):
        for event in held.history:
            for topic, n in event.to.items():
                kept[topic, f"/{topic}/{held.record.id}", n] = (event, held.record.subject)
    for (topic, source, n), (event, subject) in kept.items():
        seen = first.get(topic, {}).get((source, n))
        if seen is None:
            yield Fault(Kind.LOST, f"{source} {n} ({event.type}) is in MongoDB and not on its topic")
        elif (seen.value, seen.attribute("chain"), seen.type, seen.key.decode(), seen.subject) != (
            value_on(topic, event),
            event.chain.hex(),
            event.type,
            subject,
            subject,
        ):
            yield Fault(Kind.CHANGED, f"{source} {n} ({event.type}) is not on its topic as it was kept")
    for topic, records in first.items():
        if topic == topics.CHECKPOINTS:
            continue  # verify holds what they anchor against MongoDB
        for source, n in records:
            if (topic, source, n) not in kept:
                yield Fault(Kind.WRONG, f"{source} {n} is on its topic and not in MongoDB")


def letters(filed: Sequence[Filed], cases: Wanted, first: First, histories: Histories, ids: Ids) -> Iterator[Fault]:
    """What was acknowledged is kept, went to the router once, and its agency heard of it and of every measure."""
    kept = histories["letters"]
    sent = by_subject(first, LETTER_RECEIVED)
    answers = {kind: by_subject(first, kind) for kind in (ANSWER_RECEIPT, ANSWER_STATUS)}
    news: Counter[str] = Counter()
    for letter_id, _, case in cases.values():
        news[letter_id] += case.news
    wanted = set()
    for letter in filed:
        letter_id = ids.letter(letter.agency, letter.reference)
        wanted.add(letter_id)
        if not letter.acknowledged:
            yield Fault(Kind.LOST, f"{letter.reference} was never acknowledged")
        if letter_id not in kept:
            yield Fault(Kind.LOST, f"{letter.reference} was acknowledged and is not in MongoDB")
            continue
        state = kept[letter_id].record.state
        said = (letter_id, state["received_at"], state["digest"])
        if any(receipt != said for receipt in letter.receipts):
            yield Fault(Kind.CHANGED, f"{letter.reference} was acknowledged as {letter.receipts}, and kept as {said}")
        yield from exactly(sent[letter_id], [topics.letters_received(letter.kind.lane)], f"letter {letter_id}")
        to_agency = topics.answers_to(letter.agency)
        yield from exactly(answers[ANSWER_RECEIPT][letter_id], [to_agency], f"receipt of {letter_id}")
        measures = len(letter.kind.cases)
        yield from exactly(answers[ANSWER_STATUS][letter_id], [to_agency] * news[letter_id], f"news of {letter_id}")
        known = [case["case"] for case in state["cases"]]
        if known != [ids.case(letter_id, measure) for measure in range(1, measures + 1)]:
            yield Fault(Kind.WRONG, f"letter {letter_id} knows of the cases {known}")
    for letter_id in kept.keys() - wanted:
        yield Fault(Kind.WRONG, f"nobody filed {letter_id}")


def cases(wanted: Wanted, first: First, histories: Histories) -> Iterator[Fault]:
    """Every measure has one case: one document, announced once to its authority alone and once to our own services."""
    kept = histories["cases"]
    opened = by_subject(first, CASE_ASSIGNED)
    for case_id, (letter_id, measure, case) in wanted.items():
        right = [topics.cases_of(case.authority, case.lane), topics.case_events(case.lane)]
        yield from exactly(opened[case_id], right, f"case {case_id}")
        if case_id not in kept:
            yield Fault(Kind.LOST, f"measure {measure} of {letter_id} has no case")
            continue
        state = kept[case_id].record.state
        found = (state["type"], state["authority"], state["lane"])
        if found != (case.type, case.authority, case.lane):
            yield Fault(Kind.WRONG, f"case {case_id} is {found}, and should be {case}")
    of_measure = Counter((held.record.context["letterid"], held.record.context["measure"]) for held in kept.values())
    for (letter_id, number), count in of_measure.items():
        if count > 1:
            yield Fault(Kind.TWICE, f"measure {number} of {letter_id} has {count} cases")
    for case_id in (kept.keys() | opened.keys()) - wanted.keys():
        yield Fault(Kind.WRONG, f"nobody asked for the case {case_id}")


def notices(wanted: Wanted, first: First, histories: Histories, webhooks: Mapping[str, int]) -> Iterator[Fault]:
    """Everybody whom the rules name hears once of each case on each channel, and nobody else hears anything."""
    raised: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for notice_id, held in histories["notices"].items():
        state = held.record.state
        if _is_ladder(held):
            continue
        if "step" not in state:
            raised[held.record.subject].append((state["subscriber"], state["channel"]))
        if state["channel"] == "webhook" and not webhooks.get(notice_id):
            yield Fault(Kind.LOST, f"{notice_id} never came by webhook")
        if state["status"] != ("published" if state["channel"] == "kafka" else "delivered"):
            yield Fault(Kind.WRONG, f"{notice_id} is {state['status']}")
    on_topics = by_subject(first, NOTICE_RAISED)
    for case_id, (_, _, case) in wanted.items():
        told = [*sorted(case.notices), *([OF_RINGS] if case.rings else [])]
        yield from exactly(raised[case_id], told, f"notices of {case_id}")
        by_kafka = [topics.notices_to(name) for name, channel in told if channel == "kafka"]
        yield from exactly(on_topics[case_id], by_kafka, f"notices on Kafka of {case_id}")
    ladders_of = {held.record.subject for held in histories["notices"].values() if _is_ladder(held)}
    for about in (raised.keys() | on_topics.keys() | ladders_of) - wanted.keys():
        yield Fault(Kind.WRONG, f"nobody asked for the notices about {about}")
    for notice_id in webhooks.keys() - histories["notices"].keys():
        yield Fault(Kind.WRONG, f"{notice_id} came by webhook and is not in MongoDB")


def ladders(wanted: Wanted, histories: Histories) -> Iterator[Fault]:
    """What must climbs one ladder; each of its steps was told to whom it says, once, and nobody else was."""
    kept = histories["notices"]
    climb = [held.record.subject for held in kept.values() if _is_ladder(held)]
    right = [case_id for case_id, (_, _, case) in wanted.items() if case.climbs]
    yield from exactly(climb, right, "ladders of cases")
    told: defaultdict[str, list[Place]] = defaultdict(list)
    for notice_id, held in kept.items():
        state = held.record.state
        if not _is_ladder(held) and "step" in state:
            told[state["alert"]].append((state["step"], f"{state['subscriber']} by {state['channel']}"))
            if not _is_ladder(kept.get(state["alert"])):
                yield Fault(Kind.WRONG, f"{notice_id} is of a step of no ladder")
    for alert, held in kept.items():
        if _is_ladder(held):
            yield from exactly(told[alert], list(_tells(held.history, told[alert])), f"steps of {alert}")
            if "owed" in held.record.state:
                yield Fault(Kind.LATE, f"{alert} owes notices of a step")


def _tells(history: Sequence[Event], told: Collection[Place]) -> Iterator[Place]:
    """Whom the steps of a ladder tell; a step that the ladder's end overtook need not tell anybody any more."""
    is_over = any(event.type == LADDER_ENDED for event in history)
    done = {event.data["at"] for event in history if event.type == LADDER_TOLD}
    for event in history:
        if event.type in (LADDER_BEGUN, LADDER_STEPPED):
            step = f"{event.data['round']}.{event.data['step']}"
            for tell in event.data["tells"]:
                place = (step, f"{tell['subscriber']} by {tell['channel']}")
                if step in done or not is_over or place in told:
                    yield place


def _is_ladder(held: Held | None) -> bool:
    return held is not None and held.record.state.get("record") == LADDER


def records_hold(histories: Histories) -> Iterator[Fault]:
    """Every chain holds, every state is the fold of its history, nothing is left to send."""
    for collection, records in histories.items():
        for record_id, held in records.items():
            where = f"{collection} {record_id}"
            if not chain_holds(record_id, held.history):
                yield Fault(Kind.CHANGED, f"{where}: the chain does not hold")
            if [event.seq for event in held.history] != list(range(1, held.record.version + 1)):
                yield Fault(Kind.CHANGED, f"{where}: version {held.record.version}, {len(held.history)} events")
            if fold(held.history, _EVOLVE[collection]) != held.record.state:
                yield Fault(Kind.CHANGED, f"{where}: the state is not the fold of the history")
            if held.unsent:
                yield Fault(Kind.UNSENT, where)


def heard_once(histories: Histories) -> Iterator[Fault]:
    """What a message leads to is written at once: nothing was heard twice and acted on again."""
    for collection, records in histories.items():
        for record_id, held in records.items():
            written: dict[str, str] = {}
            for event in held.history:
                if written.setdefault(event.cause, event.at) != event.at:
                    yield Fault(Kind.TWICE, f"{collection} {record_id}: {event.type} once more for {event.cause}")


def late_clocks(histories: Histories, began: datetime) -> Iterator[Fault]:
    """No clock was due and has not rung; a notice has none left, for a delivery is due as soon as it is raised."""
    for collection, records in histories.items():
        for record_id, held in records.items():
            if held.next_due and (collection == "notices" or held.next_due <= text_of(began)):
                yield Fault(Kind.LATE, f"{collection} {record_id} was due at {held.next_due}")
            follow_at = held.record.state.get("follow_at")
            if follow_at and follow_at <= text_of(began):
                yield Fault(Kind.LATE, f"{collection} {record_id} was to go on at {follow_at}")


def quarantines(evidence: Evidence) -> Iterator[Fault]:
    """Nothing was set aside, and no service raised an alert."""
    for name in QUARANTINES:
        for document in evidence.documents[name]:
            yield Fault(Kind.QUARANTINED, f"{name}: {document['state']}")
    for seen in evidence.topics.get(topics.ALERTS_RAISED, ()):
        yield Fault(Kind.QUARANTINED, f"an alert: {orjson.loads(seen.value)}")


def by_subject(first: First, event_type: str) -> defaultdict[str, list[str]]:
    """Per subject, the topics on which an event of a type stands; once for each time."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for topic, records in first.items():
        for seen in records.values():
            if seen.type == event_type:
                found[seen.subject].append(topic)
    return found


def exactly(found: Collection[Place], right: Collection[Place], what: str) -> Iterator[Fault]:
    """Each place as often as is right, and no other."""
    missing, excess = Counter(right) - Counter(found), Counter(found) - Counter(right)
    for place in missing.elements():
        yield Fault(Kind.LOST, f"{what}: not on {place}")
    for place in excess.elements():
        yield Fault(Kind.TWICE, f"{what}: once too often on {place}")
