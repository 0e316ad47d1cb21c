"""What is said by Kafka counts once: the check that the nemesis makes, on words made by hand."""

from collections.abc import Iterable

from shared import topics
from shared.events import NOTICE_ACKNOWLEDGED, Event
from shared.records import Record
from shared.vocabulary import Lane
from tests.fault import answered
from tests.fault.answered import ANSWER_ACKNOWLEDGEMENT, CASE_ACKNOWLEDGED
from tests.fault.checker import First, Held, Histories, Wanted
from tests.fault.evidence import Seen
from tests.fault.letters import Case
from tests.fault.verdict import Fault, Kind

CASE, NOTICE, LETTER = "cas_1", "not_1", "let_1"
WANTED: Wanted = {CASE: (LETTER, 1, Case("extradition", "desk", Lane.NORMAL, frozenset()))}
PLACES = (topics.cases_of("desk", Lane.NORMAL), topics.case_events(Lane.NORMAL))
ANSWERS = topics.answers_to("contact-point")


def happened(*kinds: str) -> Held:
    history = [Event(n, kind, "", "", f"{n}", {}, {}, b"{}", None, None, b"") for n, kind in enumerate(kinds, 1)]
    return Held(Record("any", "any", {}), history, unsent=False, next_due=None)


def seen(topic: str, kind: str, about: str, n: int) -> Seen:
    said = {"id": f"evt_{topic}_{n}", "source": f"/{topic}/{about}", "type": kind, "subject": about}
    headers = tuple((f"ce_{name}", text.encode()) for name, text in said.items())
    return Seen(topic, 0, n, about.encode(), b"{}", headers, 0)


def on(topics: Iterable[str], *answers: str) -> First:
    first = {topic: {(CASE, 1): seen(topic, CASE_ACKNOWLEDGED, CASE, 1)} for topic in topics}
    told = {(about, n): seen(ANSWERS, ANSWER_ACKNOWLEDGEMENT, about, n) for n, about in enumerate(answers)}
    return {**first, ANSWERS: told}


def kinds(faults: Iterable[Fault]) -> set[Kind]:
    return {fault.kind for fault in faults}


def of_cases(*events: str) -> Histories:
    return {"cases": {CASE: happened(*events)}}


def test_what_was_said_once_and_is_everywhere_is_right() -> None:
    first, kept = on(PLACES, LETTER), of_cases("case.assigned", CASE_ACKNOWLEDGED)

    assert kinds(answered.updates({CASE}, WANTED, first, kept)) == set()


def test_what_was_said_and_is_nowhere_is_lost() -> None:
    assert kinds(answered.updates({CASE}, WANTED, on(()), of_cases("case.assigned"))) == {Kind.LOST}


def test_an_agency_that_never_heard_of_it_is_found() -> None:
    assert kinds(answered.updates({CASE}, WANTED, on(PLACES), of_cases(CASE_ACKNOWLEDGED))) == {Kind.LOST}


def test_what_counts_twice_is_found() -> None:
    first = on(PLACES, LETTER, LETTER)

    found = kinds(answered.updates({CASE}, WANTED, first, of_cases(CASE_ACKNOWLEDGED, CASE_ACKNOWLEDGED)))

    assert found == {Kind.TWICE}


def test_an_agency_that_heard_of_it_twice_is_found() -> None:
    first = on(PLACES, LETTER, LETTER)

    assert kinds(answered.updates({CASE}, WANTED, first, of_cases(CASE_ACKNOWLEDGED))) == {Kind.TWICE}


def test_what_nobody_said_is_found() -> None:
    assert kinds(answered.updates((), WANTED, on(PLACES, LETTER), of_cases(CASE_ACKNOWLEDGED))) == {Kind.TWICE}


def test_a_notice_that_its_recipient_has_seen_says_so_once() -> None:
    for count, wrong in ((0, {Kind.LOST}), (1, set()), (2, {Kind.TWICE})):
        kept = {"notices": {NOTICE: happened(*[NOTICE_ACKNOWLEDGED] * count)}}
        assert kinds(answered.notices({NOTICE}, kept)) == wrong
    assert kinds(answered.notices({NOTICE}, {"notices": {}})) == {Kind.LOST}
