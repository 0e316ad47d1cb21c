"""The checks on ladders find what they should: nothing where one was climbed rightly, and every planted fault."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.domain import decide, evolve
from services.notifier.domain.bodies import Ack, Raising, Resolved
from services.notifier.domain.ladders import Begin, NobodyCame, Step, Told
from services.notifier.domain.ladders import Place as At
from shared.decisions import Message
from shared.ids import Ids
from shared.records import Record
from shared.sealing import Sealer
from shared.times import text_of
from tests.fault.checker import Held
from tests.fault.climbing import NOBODY, Climbed, Ladder, Lives, climbed, late
from tests.fault.results import Results
from tests.fault.rings import Life
from tests.fault.verdict import Fault, Kind

IDS, SEALER = Ids(bytes(32)), Sealer(bytes(32))
NOON, PACE = datetime(2026, 3, 10, 12, tzinfo=UTC), timedelta(seconds=6)
ALERT, CASE, FACTS = "alt_1", "cas_1", {"event": "case.assigned"}
TELLS = [("duty-officers", "webhook")], [("person.vera", "apprise")]
LADDER = Ladder([frozenset(tells) for tells in TELLS], PACE, rounds=1, reminds=False)
REMINDS = replace(LADDER, reminds=True)
ALWAYS = [[Life(NOON - timedelta(seconds=60), NOON - timedelta(seconds=55))]]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass
class Story:
    """A ladder and its notices, as the notifier's own decisions make them."""

    record: Record = field(default_factory=lambda: Record(ALERT, CASE, {}))
    notices: list[Record] = field(default_factory=list)

    def hear(self, body: object, seconds: float, record: Record | None = None) -> None:
        """Say something to the ladder, or to a notice."""
        record = self.record if record is None else record
        message = Message(record.id, f"{len(record.fresh)}", "test", body)
        for draft in decide(record, message, at(seconds)).events:
            record.append(draft, by="test", cause=message.cause, now=at(seconds), evolve=evolve, sealer=SEALER)

    def begin(self, *, reminds: bool = False) -> None:
        self.hear(
            Begin("urgent", "plain", "Says", FACTS, text_of(NOON), _tells(0), PACE, PACE if reminds else None), 0.1
        )
        self.tell(0, 0, 0.2)

    def step(self, round_: int, step: int, seconds: float) -> None:
        """Taken, and told at once."""
        due = self.record.state.get("follow_at", text_of(at(seconds)))
        self.hear(Step(due, At(round_, step), _tells(step), PACE), seconds)
        self.tell(round_, step, seconds + 0.1)

    def tell(self, round_: int, step: int, seconds: float) -> None:
        """Raise the notices of a step, and note that they stand."""
        for recipient in TELLS[step]:
            self.notices.append(self.raised(round_, step, seconds, *recipient))
        self.hear(Told(At(round_, step)), seconds)

    def raised(self, round_: int, step: int, seconds: float, subscriber: str, channel: str) -> Record:
        """One notice."""
        notice = Record(IDS.notice(f"{round_}.{step}.{len(self.notices)}", subscriber, channel), CASE, {})
        where = f"{round_}.{step}"
        self.hear(Raising(ALERT, "urgent", "Says", subscriber, channel, FACTS, step=where), seconds, notice)
        return notice

    def faults(self, ladder: Ladder = LADDER, lives: Iterable[Iterable[Life]] = ALWAYS) -> list[Fault]:
        """What the checks say."""
        held = [_held(notice) for notice in self.notices]
        result: Climbed = climbed(ALERT, _held(self.record), held, ladder, NOON, at(600))
        both = [list(of_one) for of_one in lives]
        return [*result.faults, *late([result], Lives(both, both))]


def _tells(step: int) -> list[dict[str, str]]:
    return [{"subscriber": subscriber, "channel": channel} for subscriber, channel in TELLS[step]]


def _held(record: Record) -> Held:
    return Held(record, record.fresh, unsent=False, next_due=None)


def whole() -> Story:
    """To its end: nobody came."""
    story = Story()
    story.begin()
    story.step(0, 1, 6.2)
    story.step(1, 1, 12.3)
    story.hear(NobodyCame(story.record.state["follow_at"], NOBODY), 18.4)
    return story


def acknowledged(seconds: float = 7, *, reminds: bool = False) -> Story:
    """After its second step."""
    story = Story()
    story.begin(reminds=reminds)
    story.step(0, 1, 6.2)
    story.hear(Ack("lala", "api"), seconds)
    return story


def test_a_ladder_that_nobody_stops_is_climbed_to_its_end() -> None:
    assert whole().faults() == []


def test_a_ladder_that_is_acknowledged_stops() -> None:
    assert acknowledged().faults() == []


def test_a_ladder_on_whose_case_something_is_done_stops() -> None:
    story = Story()
    story.begin()
    story.hear(Resolved("case.begun", text_of(at(3))), 3)

    assert story.faults() == []


def test_who_acknowledged_and_did_nothing_is_told_again_from_the_first_step() -> None:
    story = acknowledged(reminds=True)
    story.step(1, 0, 13.1)
    story.step(1, 1, 19.2)
    story.hear(NobodyCame(story.record.state["follow_at"], NOBODY), 25.3)

    assert story.faults(REMINDS) == []


def test_what_was_owed_when_somebody_acknowledged_need_not_be_raised() -> None:
    story = Story()
    story.begin()
    story.hear(Step(story.record.state["follow_at"], At(0, 1), _tells(1), PACE), 6.2)
    story.hear(Ack("lala", "api"), 6.25)

    assert story.faults() == []


def test_a_step_that_was_due_while_nobody_lived_is_in_time_after_the_return() -> None:
    story = acknowledged(13)
    lives = [Life(at(-60), at(-55), at(5)), Life(at(5.5), at(5.9))]

    assert story.faults(lives=[lives]) == []


def without_its_second_step() -> Story:
    story = Story()
    story.begin()
    return story


def without_a_notice() -> Story:
    story = whole()
    story.notices.pop()
    return story


def told_twice() -> Story:
    story = whole()
    story.notices.append(story.raised(1, 1, 12.4, *TELLS[1][0]))
    return story


def taken_twice() -> Story:
    story = acknowledged(6.5)
    again = story.record.fresh[2]  # two processes took it: neither saw the other
    story.record.fresh.insert(3, replace(again, at=text_of(at(6.3))))
    return story


def a_stranger_told() -> Story:
    story = whole()
    story.notices.append(story.raised(1, 1, 12.4, "operations", "kafka"))
    return story


def told_without_a_step() -> Story:
    story = acknowledged()
    story.notices.append(story.raised(1, 1, 12.4, *TELLS[1][0]))
    return story


def told_before_the_step() -> Story:
    story = acknowledged()
    story.notices[-1] = story.raised(0, 1, 6.1, *TELLS[1][0])
    return story


def stepped_after_an_acknowledgement() -> Story:
    story, other = acknowledged(), whole()
    story.record.fresh += other.record.fresh[4:6]
    story.notices.append(other.notices[-1])
    return story


def taken_early() -> Story:
    story = Story()
    story.begin()
    story.step(0, 1, 5.9)
    story.hear(Ack("lala", "api"), 6.5)
    return story


def given_up_early() -> Story:
    story = Story()
    story.begin()
    story.hear(NobodyCame(story.record.state["follow_at"], NOBODY), 6.2)
    return story


def taken_late() -> Story:
    story = Story()
    story.begin()
    story.step(0, 1, 8.2)
    story.hear(Ack("lala", "api"), 9)
    return story


def not_taken_before_an_acknowledgement() -> Story:
    story = Story()
    story.begin()
    story.hear(Ack("lala", "api"), 8.2)
    return story


PLANTED: dict[str, tuple[Callable[[], Story], Kind]] = {
    "a step of a ladder was missed": (without_its_second_step, Kind.LOST),
    "a recipient of a step was not told": (without_a_notice, Kind.LOST),
    "a ladder was given up before its end": (given_up_early, Kind.LOST),
    "a recipient was told twice of a step": (told_twice, Kind.TWICE),
    "a step was taken twice": (taken_twice, Kind.TWICE),
    "somebody was told whom the step does not name": (a_stranger_told, Kind.WRONG),
    "somebody was told of a step that was not taken": (told_without_a_step, Kind.WRONG),
    "somebody was told before the step was decided": (told_before_the_step, Kind.WRONG),
    "a step was taken after an acknowledgement": (stepped_after_an_acknowledgement, Kind.WRONG),
    "a step was taken before its time": (taken_early, Kind.WRONG),
    "a step was taken late": (taken_late, Kind.LATE),
    "a step was due long before the acknowledgement": (not_taken_before_an_acknowledgement, Kind.LATE),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str, results: Results) -> None:
    plant, kind = PLANTED[name]

    kinds = {fault.kind for fault in plant().faults()}
    results.planted[name] = "caught" if kind in kinds else "missed"
    assert kind in kinds
