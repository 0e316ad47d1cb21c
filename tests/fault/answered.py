"""What authorities and recipients said, against what became of it: each word that Kafka took counts once; pure."""

from collections import Counter
from collections.abc import Collection, Iterator

from shared import topics
from shared.events import NOTICE_ACKNOWLEDGED
from tests.fault.checker import First, Held, Histories, Wanted, by_subject, exactly
from tests.fault.verdict import Fault, Kind

CASE_ACKNOWLEDGED, ANSWER_ACKNOWLEDGEMENT = "case.acknowledged", "answer.acknowledgement"


def updates(said: Collection[str], wanted: Wanted, first: First, histories: Histories) -> Iterator[Fault]:
    """Every acknowledged case is so once, on its topics too, and its agency heard of it once."""
    on_topics = by_subject(first, CASE_ACKNOWLEDGED)
    to_agencies = {topic: records for topic, records in first.items() if topic.startswith("agency.")}
    told = [letter for letter, places in by_subject(to_agencies, ANSWER_ACKNOWLEDGEMENT).items() for _ in places]
    letters: Counter[str] = Counter()
    for case_id, (letter_id, _, case) in wanted.items():
        letters[letter_id] += case_id in said
        yield from _once(histories["cases"].get(case_id), CASE_ACKNOWLEDGED, case_id in said, f"case {case_id}")
        places = [topics.cases_of(case.authority, case.lane), topics.case_events(case.lane)]
        yield from exactly(on_topics[case_id], places if case_id in said else [], f"acknowledgement of {case_id}")
    yield from exactly(
        list(Counter(told).elements()), list(letters.elements()), "acknowledgements told to the agencies"
    )


def notices(said: Collection[str], histories: Histories) -> Iterator[Fault]:
    """Every notice that its recipient has seen says so, once."""
    for notice_id in said:
        yield from _once(histories["notices"].get(notice_id), NOTICE_ACKNOWLEDGED, True, notice_id)


def _once(held: Held | None, event_type: str, is_said: bool, what: str) -> Iterator[Fault]:
    found = sum(event.type == event_type for event in held.history) if held else 0
    if found < is_said:
        yield Fault(Kind.LOST, f"{what}: {event_type} was said and is not in its history")
    if found > is_said:
        yield Fault(Kind.TWICE, f"{what}: {event_type} is {found} times in its history")
