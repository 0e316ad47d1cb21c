"""What a verification finds: nothing in a good world, and of each kind of fault that is planted exactly that."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import bson
import pytest
from aiokafka import ConsumerRecord

from shared import quarantine, topics
from shared.accounts import total
from shared.decisions import Message
from shared.failures import BadStart
from shared.ids import Ids
from shared.quarantine.deciding import NOTHING, Replay, Settled
from shared.quarantine.replaying import TAKEN
from shared.records import Record, insertion
from shared.sealing import Sealer
from shared.times import text_of
from shared.vocabulary import Lane
from tests.unit.verify_world import _AWARE, IDS, NOW, SEALER, World, a_good_world, set_aside
from verify import accounts, again, rows
from verify.findings import Kind
from verify.running import Verification
from verify.shard import Checked, Checker
from verify.shards import Shards
from verify.telling import sentences
from verify.unread import TOO_LONG
from verify.world import Reader

CASE_EVENTS = topics.case_events(Lane.NORMAL)
RECEIVED = topics.letters_received(Lane.NORMAL)
_LETTERS = topics.letters_from("contact-point", Lane.NORMAL)


@cache
def _good() -> World:
    return a_good_world()


@pytest.fixture
def world() -> World:
    """A good world, for one test alone."""
    return _good().copy()


def test_nothing_is_wrong_in_a_good_world(world: World, tmp_path: Path) -> None:
    report = world.verify(tmp_path)

    assert report.numbers == {}
    assert report.is_right
    counts = report.tally.counts
    assert counts["letters"] >= 30
    assert counts["events told"] == counts["events on topics"] > 100
    assert counts["taken"] > 60
    assert counts["quarantined"] == 2
    assert counts["nothing new"] == 1


def _chain(world: World) -> None:
    world.some("cases")["history"][0]["data"] += b" "


def _version(world: World) -> None:
    one = world.some("notices", status="delivered")
    one["version"] = one["published"] = one["version"] + 1


def _state(world: World) -> None:
    world.some("cases")["state"]["status"] = "triage?"


def _clock(world: World) -> None:
    world.some("notices", status="delivered")["next_due"] = "2026-11-24T08:00:00.000000Z"


def _sent(world: World) -> None:
    world.some("letters", status="received")["state"]["sent"][RECEIVED] = 7


def _unsent(world: World) -> None:
    world.some("letters", status="received").update(published=1, unsent_since=NOW - timedelta(minutes=2))


def _unmarked(world: World) -> None:
    world.some("letters", status="received")["published"] = 1


def _another_agency(world: World) -> None:
    world.some("letters", status="received")["context"]["agency"] = "interpol-bureau"


def _nobodys(world: World) -> None:
    del world.some("letters", status="received")["context"]


def _another_agencys_case(world: World) -> None:
    world.some("cases")["context"]["agency"] = "interpol-bureau"


def _another_measure(world: World) -> None:
    world.some("cases")["context"]["measure"] = "40"


def _key(world: World) -> None:
    del world.some("cases")["key"]


def _sealed(world: World) -> None:
    one = world.some("cases")["history"][0]
    one["sealed"] = one["sealed"][:-1] + bytes([one["sealed"][-1] ^ 1])


def _twice(world: World) -> None:
    letter = world.some("letters", status="received")
    letter["history"][-1]["cause"] = letter["history"][0]["cause"]


def _twice_running(world: World) -> None:
    """What was said last had its effect once more, a moment later."""
    letter = world.some("letters", status="received")
    history = letter["history"]
    last = history[-1]
    history.append({**last, "seq": last["seq"] + 1, "at": text_of(NOW + timedelta(seconds=1)), "to": {}})
    letter["version"] = letter["published"] = len(history)


def _strange(world: World) -> None:
    world.some("notices", status="delivered")["history"] = None


def _alien(world: World) -> None:
    world.documents["letters"]["zzz"] = {"_id": "zzz"}


def _lost(world: World) -> None:
    world.topics[_one(world).topic, _one(world).partition].pop()


def _one(world: World, topic: str = topics.answers_to("contact-point")) -> ConsumerRecord[Any, Any]:
    """The last record of a topic that no service of ours reads."""
    return world.on(topic)[-1]


def _header(record: ConsumerRecord[Any, Any], name: str, value: bytes) -> list[tuple[str, bytes]]:
    return [(one, value if one == name else text) for one, text in record.headers]


def _unknown(world: World) -> None:
    world.again(_one(world), headers=_header(_one(world), "ce_sequence", b"0000000099"))
    world.topics[_one(world).topic, _one(world).partition][-1].headers = _header(
        _one(world), "ce_id", b"evt_" + b"0" * 32
    )


def _not_ours(world: World) -> None:
    world.again(_one(world), headers=[])


def _conflict(world: World) -> None:
    one = _one(world)
    world.topics[one.topic, one.partition][-1] = replace(one, headers=_header(one, "ce_id", b"evt_" + b"0" * 32))


def _changed(world: World) -> None:
    world.again(_one(world), value=(_one(world).value or b"")[:-1] + b' ,"more":1}')


def _order(world: World) -> None:
    """Two events of one letter, the later one first."""
    one = _one(world)
    records = world.topics[one.topic, one.partition]
    source = dict(one.headers)["ce_source"]
    first, second = [n for n, record in enumerate(records) if dict(record.headers)["ce_source"] == source][:2]
    a, b = records[first], records[second]
    records[first], records[second] = replace(b, offset=first), replace(a, offset=second)


def _partition(world: World) -> None:
    one = _one(world)
    world.again(one, partition=(one.partition + 1) % 3)


def _misrouted(world: World) -> None:
    one = _one(world)
    there = topics.answers_to("interpol-bureau")
    source = dict(one.headers)["ce_source"].replace(one.topic.encode(), there.encode())
    world.put(there, one.key or b"", one.value, _header(one, "ce_source", source))


def _passed_over(world: World) -> None:
    """A letter comes, its reader has committed it, and nothing says so."""
    good = next(one for one in world.topics[_LETTERS, world.on(_LETTERS)[0].partition] if one.value)
    world.again(good, headers=_header(good, "ce_id", b"another"))
    world.committed["rogatory-intake-letters-normal", _LETTERS, good.partition] = 1_000


def _replay(world: World, record: ConsumerRecord[Any, Any], *after: Replay | Settled, service: str = "intake") -> None:
    """Set a record aside that a service has passed over, and say what became of it."""
    first = set_aside(service, record, "a reason")
    entry = Record(first.record, first.subject or first.record, first.context)
    said = (Message(entry.id, f"act/{n}", service, one) for n, one in enumerate(after))
    for message in (first, *said):
        for draft in quarantine.decide(entry, message, NOW).events:
            by, cause = message.by, message.cause
            entry.append(draft, by=by, cause=cause, now=NOW, evolve=quarantine.evolve, sealer=SEALER)
    document = {**insertion(entry, NOW), "unsent_since": NOW}
    world.documents[f"{service}_quarantine"][entry.id] = bson.decode(bson.encode(document), codec_options=_AWARE)


def _no_news(world: World) -> None:
    """A letter does not say what its case's event told it."""
    case = next(one for one in world.documents["cases"].values() if one["state"]["status"] == "assigned")
    letter = world.documents["letters"][case["context"]["letterid"]]
    said = letter["history"].pop()
    assert said["type"] == "answer.status"
    letter["version"] = letter["published"] = len(letter["history"])


def _not_set_aside(world: World) -> None:
    world.documents["router_quarantine"].clear()


def _no_case(world: World) -> None:
    """A case is gone, with all that was said of it."""
    case = world.some("cases")
    del world.documents["cases"][case["_id"]]


def _no_letter(world: World) -> None:
    letter = world.some("letters", status="received")
    del world.documents["letters"][letter["_id"]]


def _never_ended(world: World) -> None:
    """The router closed a case, and nobody told the letter."""
    world.some("cases")["state"]["status"] = "closed"


def _never_fired(world: World) -> None:
    late = text_of(NOW - timedelta(minutes=2))
    case = world.some("cases")
    case["next_due"] = case["state"]["next_due"] = late


def _never_alerted(world: World) -> None:
    told = [one for one in world.documents["notices"].values() if "step" in one["state"]]
    alert = told[0]["state"]["alert"]
    notices = world.documents["notices"]
    world.documents["notices"] = {name: one for name, one in notices.items() if one["state"]["alert"] != alert}


def _one_never_told(world: World) -> None:
    """A subscriber was told on one channel, and of the other nobody thought."""
    notice = world.some("notices", channel="webhook", subscriber="duty-officers")
    del world.documents["notices"][notice["_id"]]


def _never_climbed(world: World) -> None:
    """The first notice of an alert stands, and nobody sees to it that it is answered."""
    ladder = world.some("notices", record="ladder")
    del world.documents["notices"][ladder["_id"]]


def _step_never_told(world: World) -> None:
    """A ladder says that its first step was told, and the notice to a person is gone."""
    notice = next(one for one in world.documents["notices"].values() if one["state"].get("step") == "0.0")
    del world.documents["notices"][notice["_id"]]


def _no_rules(world: World) -> None:
    del world.others["audit", "rules"]


def _emptied_rules(world: World) -> None:
    world.others["audit", "rules"] = {"_id": "rules", "sets": []}


def _alien_rules(world: World) -> None:
    world.others["audit", "rules"] = {"_id": "rules", "began": "today", "sets": [{"held": 1}]}


def _overdue(world: World) -> None:
    late = text_of(NOW - timedelta(minutes=6))
    ladder = world.some("notices", record="ladder")
    ladder["state"]["follow_at"] = late
    waiting = world.some("notices", status="delivered")
    waiting["next_due"] = waiting["state"]["next_due"] = late


def _unbalanced(world: World) -> None:
    """A notice that counts as raised, and as nothing of which it could consist."""
    world.some("notices", status="delivered")["state"]["status"] = "of a newer build"


PLANTED: dict[Callable[[World], None], set[str]] = {
    _chain: {Kind.CHAIN, Kind.CHANGED},
    _version: {Kind.GAP},
    _state: {Kind.STATE},
    _twice: {Kind.TWICE, Kind.CHAIN, Kind.NOT_TAKEN},
    _twice_running: {Kind.TWICE, Kind.CHAIN},
    _unbalanced: {Kind.UNBALANCED, Kind.STATE},
    _no_case: {Kind.NO_CASE, Kind.UNKNOWN, Kind.NOT_TAKEN},
    _no_letter: {Kind.NO_LETTER, Kind.UNKNOWN, Kind.NOT_TAKEN},
    _never_ended: {Kind.NEVER_ENDED, Kind.STATE},
    _never_fired: {Kind.NEVER_FIRED, Kind.STATE},
    _never_alerted: {Kind.NEVER_ALERTED, Kind.UNKNOWN},
    _one_never_told: {Kind.NEVER_ALERTED},
    _never_climbed: {Kind.NEVER_ALERTED},
    _step_never_told: {Kind.NEVER_TOLD},
    _no_rules: {Kind.NO_RULES},
    _emptied_rules: {Kind.NO_RULES},
    _alien_rules: {Kind.NO_RULES},
    _overdue: {Kind.OVERDUE, Kind.STATE},
    _clock: {Kind.STATE},
    _sent: {Kind.SENT},
    _another_agency: {Kind.CONTEXT},
    _nobodys: {Kind.CONTEXT},
    _another_agencys_case: {Kind.CONTEXT},
    _another_measure: {Kind.CONTEXT},
    _unsent: {Kind.UNSENT},
    _unmarked: {Kind.UNSENT},
    _key: {Kind.KEY},
    _sealed: {Kind.SEALED, Kind.CHAIN},
    _strange: {Kind.STRANGE},
    _alien: {Kind.STRANGE},
    _lost: {Kind.LOST},
    _unknown: {Kind.UNKNOWN},
    _not_ours: {Kind.UNKNOWN},
    _conflict: {Kind.CONFLICT},
    _changed: {Kind.CHANGED},
    _order: {Kind.ORDER},
    _partition: {Kind.PARTITION},
    _misrouted: {Kind.MISROUTED},
    _passed_over: {Kind.NOT_TAKEN},
    _no_news: {Kind.NOT_TAKEN, Kind.STATE, Kind.SENT, Kind.UNKNOWN},
    _not_set_aside: {Kind.NOT_TAKEN, Kind.UNKNOWN},
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.strip("_"))
def test_what_is_planted_is_found_and_nothing_else(
    world: World, tmp_path: Path, plant: Callable[[World], None]
) -> None:
    plant(world)

    report = world.verify(tmp_path)

    assert report.numbers.keys() == PLANTED[plant]
    assert not report.is_right


@pytest.mark.parametrize("name", ["letters", "cases"])
@pytest.mark.parametrize("value", [None, [], [1], {"a": 1}, 7, float("inf"), "x"], ids=repr)
def test_whatever_stands_in_a_record_the_rest_is_looked_at(
    world: World, tmp_path: Path, name: str, value: object
) -> None:
    paths: list[tuple[str | int, ...]] = [("context",), ("state",), ("history",), ("version",), ("key",), ("next_due",)]
    paths += [("context", inner) for inner in ("agency", "letterid", "measure")]
    paths += [("state", inner) for inner in ("status", "measures", "cases", "sent")]
    paths += [("history", 0, inner) for inner in ("seq", "type", "at", "by", "cause", "to", "data", "chain")]
    kept, letter = copy.deepcopy(world.documents[name]), world.some(name, **_ACCEPTED[name])["_id"]
    others = sum(len(one["history"]) for one in kept.values() if one["_id"] != letter)
    for path in paths:
        world.documents[name] = copy.deepcopy(kept)
        inside: Any = world.documents[name][letter]
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = value

        report = world.verify(tmp_path)

        assert report.tally.counts["events"] >= others, path
        assert report.tally.counts[name] == len(kept), path


_ACCEPTED: dict[str, dict[str, str]] = {"letters": {"status": "received"}, "cases": {}}


def test_the_conserved_quantities_are_counted_anew(world: World, tmp_path: Path) -> None:
    report = world.verify(tmp_path)

    letters, cases = report.accounts["letter"], report.accounts["case"]
    assert letters["arrived"] == letters["accepted"] + letters["refused"] == len(world.documents["letters"])
    assert cases["opened"] == cases["open"] + cases["ended"] == len(world.documents["cases"])
    assert report.accounts["measure"]["accepted"] == cases["opened"]
    assert report.accounts["quarantine"]["held"] == 2
    assert "No totals are kept of letters" in report.totals


def _slots(world: World, **more: int) -> None:
    """The running totals as the records add up, but for these."""
    for collection, terms in accounts.terms_by(world.deployment.life.ends).items():
        sums = total(terms(one["state"]) for one in world.documents[collection].values())
        slot = {"_id": collection, "collection": collection, "totals": sums, "pending": b""}
        world.others["totals", collection] = slot
    world.others["totals", "cases"]["totals"] |= more


def test_running_totals_that_agree_are_said_to(world: World, tmp_path: Path) -> None:
    _slots(world)

    report = world.verify(tmp_path)

    assert report.is_right
    assert report.totals.startswith("The running totals of letters, cases, notices, ")
    assert report.totals.endswith(" agree.")


@pytest.mark.parametrize("differs", [{}, {"case/open": (7, 8)}])
async def test_totals_that_differ_are_read_again_at_one_moment(
    world: World, tmp_path: Path, differs: dict[str, tuple[int, int]]
) -> None:
    _slots(world, **{"case/open": 7})
    asked = []

    async def recount(collection: str) -> dict[str, tuple[int, int]]:
        asked.append(collection)
        return differs

    report = await world.verification(Shards(tmp_path / "again"), recount=recount).run()

    assert asked == ["cases"]
    said = [(one.kind, one.record, one.detail) for one in report.tally.findings]
    assert said == [(Kind.TOTALS, "cases", f"{term}: 7 kept, 8 counted") for term in differs]


async def test_totals_that_are_gone_are_a_finding(world: World, tmp_path: Path) -> None:
    """The collection was dropped: where nothing counts, none are missed."""
    counted = {"letters": {"letter/arrived": (0, 30)}, "cases": {"case/opened": (0, 40), "case/open": (0, 40)}}
    asked = []

    async def recount(collection: str) -> dict[str, tuple[int, int]]:
        asked.append(collection)
        return counted.get(collection, {})

    report = await world.verification(Shards(tmp_path), recount=recount).run()

    assert asked == ["letters", "cases", "notices", "intake_quarantine", "router_quarantine"]
    assert report.numbers == {Kind.TOTALS: 3}
    assert "No totals are kept of letters, cases" in report.totals


async def test_a_system_that_has_just_started_misses_no_totals(world: World, tmp_path: Path) -> None:
    world.documents.clear()
    world.topics.clear()

    async def recount(_collection: str) -> dict[str, tuple[int, int]]:
        raise AssertionError("there is nothing to count")

    report = await world.verification(Shards(tmp_path), recount=recount).run()

    assert report.is_right
    assert report.totals == ""


def test_what_arrived_is_counted_on_the_topics_and_what_became_of_it_on_the_records(
    world: World, tmp_path: Path
) -> None:
    """Also where something was passed over: that is a finding of its own, and the account holds."""
    good = world.verify(tmp_path).accounts["message"]
    _passed_over(world)
    report = world.verify(tmp_path)

    assert good["arrived"] == sum(number for name, number in good.items() if name != "arrived") > 100
    assert report.numbers == {Kind.NOT_TAKEN: 1}
    assert report.accounts["message"]["passed over"] == 1
    assert report.accounts["message"]["arrived"] == good["arrived"] + 1


@pytest.mark.parametrize("family", ["heard", "aside", "owed"])
def test_what_arrived_and_became_nothing_at_all_is_unbalanced(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Between the two passes a row was lost, so that no finding could say what became of it."""
    read = Shards.read

    def read_less(shards: Shards, of: str, shard: int) -> bytes:
        found = read(shards, of, shard)
        if of != family:
            return found
        return found[: -rows.HEARD_SIZE] if of == "heard" else b"".join(found.splitlines(keepends=True)[:-1])

    monkeypatch.setattr(Shards, "read", read_less)

    report = world.verify(tmp_path)

    assert [(one.kind, one.record) for one in report.tally.findings] == [(Kind.UNBALANCED, "message")]
    message = report.accounts["message"]
    assert message["arrived"] == sum(number for name, number in message.items() if name != "arrived") + 1


@pytest.mark.parametrize("kept", [1, 3])
async def test_findings_that_are_only_counted_are_looked_at_again_too(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Of nine that waited all but two are sent a moment later."""
    monkeypatch.setattr("verify.findings.KEPT", kept)
    waiting = [one for one in world.documents["letters"].values() if one["version"] > 1][:9]
    for one in waiting:
        one.update(published=1, unsent_since=NOW - timedelta(minutes=2))
    _state(world)
    first = await world.verification(Shards(tmp_path / "first")).run()
    check, looks = Checker.check, []

    def check_and_send(checker: Checker, shard: int) -> Checked:
        looks.append(shard)
        if len(looks) == 2:
            for one in waiting[2:]:
                one["published"] = one["version"]
                del one["unsent_since"]
        return check(checker, shard)

    monkeypatch.setattr(Checker, "check", check_and_send)

    report = await world.verification(Shards(tmp_path / "again")).run()

    assert first.numbers == {Kind.UNSENT: 9, Kind.STATE: 1}
    assert report.numbers == {Kind.UNSENT: 2, Kind.STATE: 1}


def test_what_reached_its_topic_while_the_documents_were_checked_is_not_lost(world: World, tmp_path: Path) -> None:
    one = _one(world)
    place = one.topic, one.partition
    world.later[place] = [world.topics[place].pop()]

    assert world.verify(tmp_path).is_right


@pytest.mark.parametrize("digits", [0, 1])
def test_nothing_is_lost_that_was_not_looked_for_however_much_is_missing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: int
) -> None:
    monkeypatch.setattr("verify.running.MOST_MISSING", 3)
    monkeypatch.setattr("verify.running.digits_for", lambda _: digits)
    one = _one(world)
    place = one.topic, one.partition
    world.topics[place], world.later[place] = world.topics[place][:-8], world.topics[place][-8:]
    _, gone = world.later[place][:2]
    world.later[place] = [replace(one, offset=one.offset - 1) for one in world.later[place] if one is not gone]

    report = world.verify(tmp_path)

    assert report.numbers == {Kind.LOST: 1}


def test_what_its_reader_has_not_committed_is_on_its_way(world: World, tmp_path: Path) -> None:
    _passed_over(world)
    world.committed.clear()

    report = world.verify(tmp_path)

    assert report.is_right
    assert report.tally.counts["in flight"] == 3


def _unread(world: World, ages: Sequence[timedelta]) -> Reader:
    """The last records of a partition of the router's are these ages, and it has read none of them."""
    reader = next(one for one in world.committed if one[1] == RECEIVED and len(world.topics[one[1:]]) >= len(ages))
    records = world.topics[reader[1:]]
    for record, age in zip(records[-len(ages) :], ages, strict=True):
        record.timestamp = int((NOW - age).timestamp() * 1000)
    world.committed[reader] = len(records) - len(ages)
    return reader


YOUNG, OLD = TOO_LONG - timedelta(seconds=1), TOO_LONG + timedelta(seconds=1)


@pytest.mark.parametrize(("ages", "is_dead"), [((YOUNG, YOUNG), False), ((OLD, YOUNG), True), ((YOUNG, OLD), True)])
def test_a_reader_that_stands_still_is_said_once_for_each_partition(
    world: World, tmp_path: Path, ages: tuple[timedelta, ...], is_dead: bool
) -> None:
    """Not for each record, which counts as on its way."""
    group, topic, partition = _unread(world, ages)

    report = world.verify(tmp_path)

    detail = f"{group}: 2 records wait on {partition}, the oldest for {OLD}"
    found = [(one.kind, one.topic, one.detail) for one in report.tally.findings]
    assert found == ([(Kind.NOT_READ, topic, detail)] if is_dead else [])


def test_a_reader_that_was_never_there_is_said_where_its_records_are_old(world: World, tmp_path: Path) -> None:
    del world.committed[_unread(world, (OLD,))]

    assert world.verify(tmp_path).numbers == {Kind.NOT_READ: 1}


@pytest.mark.parametrize(("caught_up_to", "is_said"), [(2, False), (1, True), (0, True)])
async def test_a_reader_that_catches_up_while_it_is_looked_at_again_is_not_dead(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caught_up_to: int, is_said: bool
) -> None:
    """A system that was down and has just started; of three that waited two are too old."""
    reader = _unread(world, (OLD, OLD, YOUNG))
    still_unread = again.still_unread

    async def later(*asked: Any) -> Any:
        world.committed[reader] += caught_up_to
        return await still_unread(*asked)

    monkeypatch.setattr(again, "still_unread", later)

    report = await world.verification(Shards(tmp_path)).run()

    assert report.numbers == ({Kind.NOT_READ: 1} if is_said else {})


def test_only_readers_of_the_collections_that_are_asked_for_are_missed(world: World, tmp_path: Path) -> None:
    _unread(world, (OLD,))

    assert world.verify(tmp_path, only=("letters", "notices")).is_right


@pytest.mark.parametrize(
    ("is_edited", "is_named", "is_lost"), [(False, True, True), (False, False, False), (True, True, False)]
)
def test_what_a_replay_is_said_to_have_brought_must_stand_there(
    world: World, tmp_path: Path, is_edited: bool, is_named: bool, is_lost: bool
) -> None:
    """An edited copy is another message, and what is not named may have been heard before."""
    _passed_over(world)
    (letter,) = [one.record for one in world.verify(tmp_path).tally.findings]
    record = next(one for one in world.on(_LETTERS) if dict(one.headers).get("ce_id") == b"another")
    copy = (record.value or b"") + b" " if is_edited else None
    named = letter if is_named else world.some("letters", status="received")["_id"]
    _replay(world, record, Replay("Ana", "why", asked_at=text_of(NOW), value=copy), Settled(3, TAKEN, (named,)))

    report = world.verify(tmp_path)

    said = [(one.kind, one.record) for one in report.tally.findings]
    assert said == ([(Kind.NOT_TAKEN, letter)] if is_lost else [])
    assert report.tally.counts["passed over"] == is_lost


@pytest.mark.parametrize(
    ("outcome", "is_edited", "are_new", "is_missed"),
    [
        (None, False, False, False),
        (TAKEN, False, False, True),
        (NOTHING, False, False, True),
        (TAKEN, True, False, False),  # another message
        (TAKEN, False, True, False),  # by rules of which the rows do not know
    ],
)
def test_what_a_replay_brought_excuses_no_notice_that_is_not_there(
    world: World, tmp_path: Path, outcome: str | None, is_edited: bool, are_new: bool, is_missed: bool
) -> None:
    notice = world.some("notices", channel="webhook", subscriber="duty-officers")
    del world.documents["notices"][notice["_id"]]
    source, _, name = notice["history"][0]["cause"].partition("#")
    of_it = {"ce_source": source.encode(), "ce_id": name.encode()}
    event = next(one for one in world.on(source.split("/")[1]) if of_it.items() <= dict(one.headers).items())
    copy = (event.value or b"") + b" " if is_edited else None
    asked = Replay("Ana", "why", asked_at=text_of(NOW), value=copy)
    records = (notice["_id"],) if outcome == TAKEN else ()
    _replay(world, event, *((asked, Settled(2, outcome, records)) if outcome else ()), service="notifier")
    if are_new:
        (one,) = world.others["audit", "rules"]["sets"]
        one["since"] = text_of(NOW + timedelta(minutes=1))

    report = world.verify(tmp_path)

    assert (Kind.NEVER_ALERTED in report.numbers) is is_missed
    assert (report.tally.counts["passed over"] > 0) is is_missed


async def test_one_of_two_notices_that_comes_late_does_not_hide_the_other(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.some("notices", channel="webhook", subscriber="duty-officers")
    alert = first["state"]["alert"]
    second = world.some("notices", channel="kafka", subscriber="duty-officers", alert=alert)
    notices = world.documents["notices"]
    gone = {one["_id"]: notices.pop(one["_id"]) for one in (first, second)}
    check, looks, shards = Checker.check, [], Shards(tmp_path)

    def check_again(checker: Checker, shard: int) -> Checked:
        looks.append(shard)
        if len(looks) > shards.count:  # the last look
            notices[second["_id"]] = gone[second["_id"]]
        return check(checker, shard)

    monkeypatch.setattr(Checker, "check", check_again)

    report = await world.verification(shards).run()

    (one,) = [one for one in report.tally.findings if one.kind == Kind.NEVER_ALERTED]
    assert one.as_it_stands == f"no notice to duty-officers by webhook ({first['state']['rule']})"


@pytest.mark.parametrize(("minutes", "is_late"), [(14, False), (16, True)])
def test_a_replay_that_nobody_makes_is_late(world: World, tmp_path: Path, minutes: int, is_late: bool) -> None:
    _passed_over(world)
    record = next(one for one in world.on(_LETTERS) if dict(one.headers).get("ce_id") == b"another")
    _replay(world, record, Replay("Ana", "why", asked_at=text_of(NOW)))
    for of in world.documents.values():
        for one in of.values():
            one.update(published=one["version"])
            one.pop("unsent_since", None)
    world.time += timedelta(minutes=minutes)

    report = world.verify(tmp_path)

    late = [one.detail for one in report.tally.findings if "replay" in one.detail]
    assert late == ([f"it is to be replayed since {text_of(NOW)}"] if is_late else [])


def _case_unheard(world: World, *, own: bool) -> ConsumerRecord[Any, Any]:
    """A case is gone; the event that opened it, or another letter's, as the last of its partition that was read."""
    case = world.some("cases")
    del world.documents["cases"][case["_id"]]
    letter = case["context"]["letterid"].encode()
    received = [
        one for place in world.topics if place[0].startswith("letters.received.") for one in world.topics[place]
    ]
    return next(one for one in received if (dict(one.headers)["ce_source"].rpartition(b"/")[2] == letter) is own)


@pytest.mark.parametrize("own", [True, False])
def test_a_case_waits_for_its_own_letter_and_for_no_other(world: World, tmp_path: Path, own: bool) -> None:
    unheard = _case_unheard(world, own=own)
    (place,) = [one for one in world.committed if one[1:] == (unheard.topic, unheard.partition)]
    if own:
        world.committed[place] = unheard.offset
    else:  # one more that nobody has read
        world.again(unheard)

    report = world.verify(tmp_path)

    assert (Kind.NO_CASE not in report.numbers) is own
    assert (report.tally.counts["measures that wait"] > 0) is own


@pytest.mark.parametrize(
    ("status", "waits", "discarded"),
    [("held", 1, 0), ("replaying", 1, 0), ("discarded", 0, 1), ("replayed", 0, 0), (None, 0, 0)],
)
def test_a_letter_whose_own_event_was_set_aside_has_no_case_yet_and_none_by_decision_where_it_was_discarded(
    world: World, tmp_path: Path, status: str | None, waits: int, discarded: int
) -> None:
    aside = _case_unheard(world, own=status is not None)
    value = hashlib.sha256(aside.value or b"").hexdigest()
    entry = IDS.quarantined_as("router", aside.topic, aside.partition, aside.offset, value)
    like = next(iter(world.documents["router_quarantine"].values()))
    state = {**like["state"], "topic": aside.topic, "status": status or "held"}
    world.documents["router_quarantine"][entry] = {**like, "_id": entry, "state": state}

    report = world.verify(tmp_path)

    assert (Kind.NO_CASE not in report.numbers) is bool(waits or discarded)
    assert (report.tally.counts["measures that wait"], report.as_json()["discarded"]) == (waits, discarded)
    says = "1 times a letter was accepted and its record discarded by a person: no case came of it."
    assert (says in sentences(report)) is bool(discarded)


@pytest.mark.parametrize("own", [True, False])
def test_a_letter_knows_of_an_end_once_its_own_news_is_read(world: World, tmp_path: Path, own: bool) -> None:
    case = world.some("cases")
    case["state"]["status"] = "closed"
    case["history"][-1]["at"] = text_of(NOW - timedelta(minutes=5))
    name = case["_id"].encode()
    said = [one for place in world.topics if place[0].startswith("cases.events.") for one in world.topics[place]]
    news = [one for one in said if (one.key == name) is own][-1]
    groups = [one for one in world.committed if one[1:] == (news.topic, news.partition) and "intake" in one[0]]
    if own:
        world.committed[groups[0]] = news.offset
    else:
        world.again(news)

    assert (Kind.NEVER_ENDED not in world.verify(tmp_path).numbers) is own


@pytest.mark.parametrize(("minutes", "waits"), [(5, True), (1, False)])
def test_a_clock_waits_for_updates_that_came_before_it_and_for_no_others(
    world: World, tmp_path: Path, minutes: int, waits: bool
) -> None:
    _never_fired(world)
    came = int((NOW - timedelta(minutes=minutes)).timestamp() * 1000)
    topic = topics.updates_from("desk", Lane.NORMAL)
    unread = world.on(topic)[0]
    unread.timestamp = came
    world.committed.pop(("rogatory-router-updates-normal", topic, unread.partition))

    report = world.verify(tmp_path)

    assert (Kind.NEVER_FIRED not in report.numbers) is waits
    assert report.tally.counts["clocks that wait for updates"] == waits


def test_what_the_topics_no_longer_hold_is_beyond_retention_and_not_lost(world: World, tmp_path: Path) -> None:
    for place, records in world.topics.items():
        world.starts[place] = len(records) // 2
    whole = world.verify(tmp_path / "whole")
    later = NOW + timedelta(days=40)
    for records in world.topics.values():
        records[len(records) // 2 :] = [
            replace(one, timestamp=int(later.timestamp() * 1000)) for one in records[len(records) // 2 :]
        ]

    report = world.verify(tmp_path)

    assert report.is_right, report.tally.findings[:5]
    assert whole.is_right
    assert report.tally.counts["beyond_retention"] == whole.tally.counts["beyond_retention"] > 50


def test_what_was_said_after_a_partition_begins_is_lost_also_where_later_ones_stand(
    world: World, tmp_path: Path
) -> None:
    one = _one(world)
    place = one.topic, one.partition
    early = replace(one, offset=0, timestamp=one.timestamp - 3_600_000)
    records = [replace(record, offset=record.offset + 1) for record in world.topics[place]]
    records[0] = replace(records[0], timestamp=early.timestamp)
    world.topics[place], world.starts[place] = [early, *records], 1
    assert world.verify(tmp_path / "whole").is_right
    first = next(record for record in records[1:] if _sequence_of(record) == 1 and _stands(records, record, 2))
    world.take_away(next(record for record in world.topics[place] if record.offset == first.offset))

    assert world.verify(tmp_path).numbers == {Kind.LOST: 1}


def _sequence_of(record: ConsumerRecord[Any, Any]) -> int:
    return int(dict(record.headers)["ce_sequence"])


def _stands(records: list[ConsumerRecord[Any, Any]], of: ConsumerRecord[Any, Any], sequence: int) -> bool:
    return any(_sequence_of(one) == sequence and _source_of(one) == _source_of(of) for one in records)


def _source_of(record: ConsumerRecord[Any, Any]) -> bytes:
    return dict(record.headers)["ce_source"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_of_an_emptied_partition_only_what_its_retention_has_reached_is_not_lost(
    world: World, tmp_path: Path, hours: int
) -> None:
    one = _one(world)
    place = one.topic, one.partition
    world.starts[place] = len(world.topics[place])
    world.emptied[place] = int((NOW + timedelta(hours=hours)).timestamp() * 1000)

    report = world.verify(tmp_path)

    there = world.starts[place]
    assert report.numbers == ({Kind.LOST: there} if hours < 0 else {})
    assert report.tally.counts["beyond_retention"] == (0 if hours < 0 else there)


@pytest.mark.parametrize(("behind", "numbers", "apart"), [(3, {Kind.UNREAD: 1}, 0), (2, {}, 1), (0, {}, 0)])
def test_what_a_topic_no_longer_holds_and_nobody_has_read_is_said(
    world: World, tmp_path: Path, behind: int, numbers: dict[Kind, int], apart: int
) -> None:
    place = RECEIVED, next(n for topic, n in world.topics if topic == RECEIVED)
    before = world.verify(tmp_path / "before").tally.counts["cannot_tell"]
    world.starts[place] = 3
    world.committed["rogatory-router-letters-normal", *place] = 3 - behind

    report = world.verify(tmp_path)

    assert report.numbers == numbers
    assert report.tally.counts["cannot_tell"] - before == apart


def test_a_topic_that_is_gone_has_lost_its_events(world: World, tmp_path: Path) -> None:
    gone = topics.answers_to("contact-point")
    for place in [place for place in world.topics if place[0] == gone]:
        del world.topics[place]
    world.partitions = {name: count for name, count in world.partitions.items() if name != gone}

    assert world.verify(tmp_path).numbers.keys() == {Kind.LOST}


def test_what_is_still_to_be_sent_to_a_topic_that_is_not_there_is_not_lost(world: World, tmp_path: Path) -> None:
    gone = topics.answers_to("contact-point")
    world.topics = {place: records for place, records in world.topics.items() if place[0] != gone}
    world.partitions = {name: count for name, count in world.partitions.items() if name != gone}
    lost = world.verify(tmp_path).numbers[Kind.LOST]
    for one in (*world.documents["letters"].values(), *world.documents["intake_quarantine"].values()):
        one.update(published=0, unsent_since=NOW)

    assert lost > 10
    assert Kind.LOST not in world.verify(tmp_path).numbers


@pytest.mark.parametrize("topic", [RECEIVED, topics.answers_to("contact-point")])
def test_a_topic_that_is_kept_for_ever_has_lost_what_stood_before_its_beginning(
    world: World, tmp_path: Path, topic: str
) -> None:
    place = next(place for place in world.topics if place[0] == topic)
    world.starts[place] = 1
    assert world.verify(tmp_path).is_right

    world.for_ever = frozenset({topic})
    report = world.verify(tmp_path)

    assert [(one.kind, one.topic) for one in report.tally.findings] == [(Kind.LOST, topic)]


def test_only_what_came_since_a_time_is_looked_for(world: World, tmp_path: Path) -> None:
    report = world.verify(tmp_path, since=NOW + timedelta(hours=1))

    assert report.is_right
    assert report.tally.counts["events told"] == 0
    assert report.tally.counts["beyond_retention"] > 100


def test_what_was_erased_is_said_as_erased(world: World, tmp_path: Path) -> None:
    case = world.some("cases")
    case["history"][0]["type"] = "case.erased"
    del case["key"]

    report = world.verify(tmp_path)

    assert Kind.KEY not in report.numbers
    assert report.tally.counts["erased"] == 1


def test_without_the_sealing_key_the_rest_is_verified(world: World, tmp_path: Path) -> None:
    world.deployment = replace(world.deployment, sealer=None)

    report = world.verify(tmp_path)

    assert report.is_right
    assert report.tally.counts["cannot_tell"] > 0


def test_a_key_of_another_deployment_opens_nothing(world: World, tmp_path: Path) -> None:
    world.deployment = replace(world.deployment, sealer=Sealer(b"x" * 32))

    assert world.verify(tmp_path).numbers.keys() == {Kind.SEALED}


def test_only_the_collections_that_are_asked_for_are_looked_at(world: World, tmp_path: Path) -> None:
    _state(world)

    assert world.verify(tmp_path, only=("letters", "notices")).is_right
    assert not world.verify(tmp_path, only=("cases",)).is_right


def test_an_event_that_is_none_of_ours_is_nobodys_while_not_all_are_asked_for(world: World, tmp_path: Path) -> None:
    _not_ours(world)

    report = world.verify(tmp_path, only=("letters",))

    assert report.is_right
    assert report.tally.counts["cannot_tell"] == 1


@pytest.mark.parametrize("at", [1, 5, 12, 20])
async def test_one_that_is_cut_short_goes_on_and_says_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Cut between any two notes that it takes: after some records, or between two shards."""
    for plant in (_chain, _lost, _changed, _passed_over):
        plant(world)
    monkeypatch.setattr("verify.running.SAVE_EVERY", 50)
    monkeypatch.setattr("verify.running.digits_for", lambda _: 1)
    whole = await world.verification(Shards(tmp_path / "whole")).run()
    save, left = Shards.save, at

    def save_or_die(shards: Shards) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            shards.add("seen", 0, b"half a row")
            raise KeyboardInterrupt
        save(shards)

    monkeypatch.setattr(Shards, "save", save_or_die)
    with pytest.raises(KeyboardInterrupt):
        await world.verification(Shards(tmp_path / "cut")).run()
    monkeypatch.setattr(Shards, "save", save)

    report = await world.verification(Shards(tmp_path / "cut")).run()

    assert report.as_json() == whole.as_json()


async def test_no_more_rows_are_held_in_memory_than_may_be(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await world.verification(Shards(tmp_path / "whole")).run()
    monkeypatch.setattr("verify.shards.MOST_WAITING", 1_000)
    save, saved = Shards.save, list[bool]()

    def save_and_note(shards: Shards) -> None:
        saved.append(shards.is_full)
        save(shards)

    monkeypatch.setattr(Shards, "save", save_and_note)

    report = await world.verification(Shards(tmp_path / "bounded")).run()

    assert True in saved
    assert report.as_json() == whole.as_json()


async def test_a_state_of_another_question_is_not_gone_on_with(world: World, tmp_path: Path) -> None:
    shards = Shards(tmp_path)
    shards.note |= {"of": "in memory  letters"}
    shards.save()

    with pytest.raises(BadStart, match="another question"):
        await world.verification(Shards(tmp_path), only=("cases",)).run()


@pytest.mark.parametrize("what", ["one agency fewer", "another id key"])
async def test_a_state_of_other_files_or_another_key_is_not_gone_on_with(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Verification, "_check", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await world.verification(Shards(tmp_path)).run()
    before = world.deployment
    fewer = dict(islice(before.partners.agencies.items(), 1, None))
    world.deployment = {
        "one agency fewer": replace(before, partners=replace(before.partners, agencies=fewer)),
        "another id key": replace(before, ids=Ids(b"j" * 32)),
    }[what]

    with pytest.raises(BadStart, match="other files or another id key"):
        await world.verification(Shards(tmp_path)).run()

    world.deployment = before
    assert (await world.verification(Shards(tmp_path)).run()).is_right


async def test_one_that_has_come_to_its_end_leaves_no_state(world: World, tmp_path: Path) -> None:
    await world.verification(Shards(tmp_path)).run()

    assert list(tmp_path.iterdir()) == []


async def test_findings_are_the_same_by_any_number_of_shards(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for plant in (_chain, _lost, _changed, _passed_over, _not_set_aside):
        plant(world)
    said = []
    for digits in (0, 1, 2):
        monkeypatch.setattr("verify.running.digits_for", lambda _, digits=digits: digits)
        said.append((await world.verification(Shards(tmp_path / str(digits))).run()).numbers)

    assert said[0] == said[1] == said[2]
