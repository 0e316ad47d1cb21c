"""The loop: every message decided once, every record written once, whatever MongoDB answers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions

from shared.decisions import Decision, Message, history_of
from shared.events import ALERT_RAISED, Draft, Event
from shared.failures import NeverWill, TryAgain
from shared.loop import BUGS_A_MINUTE, Loop, Outcome
from shared.metrics import Metrics
from shared.mongo import Change, Store
from shared.parcels import Parcel
from shared.records import Record, State
from shared.sealing import Sealer
from shared.sender import Sender

TOPIC = "security-service.cases.v1"
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


class MemoryStore(Store):
    """A stand-in for MongoDB, which no test of milliseconds can start: it keeps, guards and encodes as the real one.

    `faults`: what happens at each write instead of an honest one, from the first on.
    """

    def __init__(self) -> None:
        self.name = "cases"
        self.documents: dict[str, dict[str, Any]] = {}
        self.faults: list[Callable[[Sequence[Change]], bool]] = []
        self.elected: list[dict[str, dict[str, Any]]] = []
        """What the next reads find instead: a primary that was just elected knows of no more."""
        self.reads, self.writes, self.looks = 0, 0, 0
        self.is_away = False

    async def read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        self.reads += 1
        if self.is_away:
            raise TryAgain("away")
        assert len(ids) == len(set(ids))
        documents = self.elected.pop(0) if self.elected else self.documents
        found = [documents[i] for i in ids if i in documents]
        return [
            {
                **document,
                "causes": [form["cause"] for form in document["history"]],
                "chain": document["history"][-1]["chain"],
                "history": None,
            }
            for document in found
        ]

    async def histories(self, ids: Sequence[str], *, sure: bool = False) -> list[dict[str, Any]]:
        return [self.documents[i] for i in ids if i in self.documents]

    async def versions(self, ids: Sequence[str]) -> dict[str, int]:
        self.looks += 1
        if self.is_away:
            raise TryAgain("away")
        return {i: self.documents[i]["version"] for i in ids if i in self.documents}

    async def write(self, changes: Sequence[Change]) -> bool:
        self.writes += 1
        return self.faults.pop(0)(changes) if self.faults else self.keep(changes)

    def keep(self, changes: Sequence[Change]) -> bool:
        """Write what the guards let through; False if that was not all."""
        landed = [self._insert(change) if change.insert else self._update(change) for change in changes]
        return all(landed)

    def _insert(self, change: Change) -> bool:
        assert change.insert is not None
        document = bson.decode(change.insert.raw, AWARE)
        if document["_id"] in self.documents:
            return False
        self.documents[document["_id"]] = document
        return True

    def _update(self, change: Change) -> bool:
        assert change.update is not None
        guard, update = change.update._filter, change.update._doc
        assert isinstance(update, dict)
        how = bson.decode(bson.encode(update), AWARE)
        document = self.documents[guard["_id"]]
        if document["version"] != guard["version"]:
            return False
        history = [*document["history"], *how["$push"]["history"]["$each"]]
        self.documents[guard["_id"]] = {**document, **how["$set"], "history": history}
        return True


class Fed(Sender):
    """A stand-in for the sender, which would want Kafka: it remembers what it was fed."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def feed(self, parcels: Iterable[Parcel]) -> None:
        self.parcels += parcels

    def events(self, record: str = "cas_1") -> list[int]:
        return [event.seq for parcel in self.parcels if parcel.record == record for event in parcel.events]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.loop.random.uniform", lambda _low, _high: 0.0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def fed() -> Fed:
    return Fed()


def says(body: str, cause: str, record: str = "cas_1") -> Message:
    """A message to a record: the body is what its event will say."""
    return Message(record, cause, "somebody", body)


def decide(record: Record, message: Message, _now: datetime) -> Decision:
    """Whatever is said happens; a few words are not what they seem."""
    body = message.body
    if body == "nothing":
        return Decision(reply="nothing to do")
    if body == "refuse":
        raise NeverWill("the life cycle forbids it")
    if body == "answer" and not record.version:
        raise NeverWill("no such record")
    if body == "end" and not record.version:
        return Decision(reply="nothing to end")
    if body == "bug":
        raise KeyError("Maud Vernier")
    if body == "twice, then too much":
        return Decision([Draft(ALERT_RAISED, (TOPIC,), {"said": 1}), Draft(ALERT_RAISED, (TOPIC,), {"x": "x" * 10**6})])
    if body == "how much is sealed":
        return Decision(reply=[event.content for event in history_of(record)])
    if body == "sealed":
        return Decision([Draft(ALERT_RAISED, (TOPIC,), {"said": body}, {"officer": "Maud"})])
    if body == "silent":
        return Decision([Draft(ALERT_RAISED, (), {"said": body})])
    return Decision([Draft(ALERT_RAISED, (TOPIC,), {"said": body})], reply=f"after {record.version}")


def evolve(state: State, event: Event) -> State:
    said = [*state.get("said", ()), event.data["said"]]
    if event.data["said"] == "not to be stored":
        return {"said": said, "number": 2**70}
    return {"said": said}


def loop(store: MemoryStore, fed: Fed) -> Loop:
    return Loop(store, decide, evolve, Sealer(b"s" * 32), fed, Metrics("test"))


async def handled(loop: Loop, *messages: Message) -> list[Outcome]:
    return await loop.handle(messages, "kafka")


def said(store: MemoryStore, record: str = "cas_1") -> list[str]:
    found: list[str] = store.documents[record]["state"]["said"]
    return found


# Deciding and keeping


async def test_a_message_begins_a_record_and_the_next_one_goes_on_with_it(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)

    (first,) = await handled(one, says("hello", "a"))
    (second,) = await handled(one, says("again", "b"))

    assert (first.fresh, first.reply, second.fresh, second.reply) == (True, "after 0", True, "after 1")
    assert said(store) == ["hello", "again"]
    assert fed.events() == [1, 2]


async def test_the_same_message_twice_changes_nothing_and_is_answered_the_same_way(
    store: MemoryStore, fed: Fed
) -> None:
    (first,) = await handled(loop(store, fed), says("hello", "a"))
    before = dict(store.documents)

    (again,) = await handled(loop(store, fed), says("hello", "a"))

    assert store.documents == before
    assert (again.fresh, again.refused) == (False, None)
    assert again.record.state == first.record.state
    assert store.writes == 1
    assert fed.events() == [1]


async def test_the_same_message_twice_in_one_batch_counts_once(store: MemoryStore, fed: Fed) -> None:
    outcomes = await handled(loop(store, fed), says("hello", "a"), says("hello", "a"))

    assert [outcome.fresh for outcome in outcomes] == [True, False]
    assert said(store) == ["hello"]


async def test_messages_for_one_record_fold_into_one_write(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, fed), says("one", "a"))

    outcomes = await handled(loop(store, fed), says("two", "b"), says("else", "b", "cas_2"), says("three", "c"))

    assert said(store) == ["one", "two", "three"]
    assert (store.documents["cas_1"]["version"], store.writes, store.reads) == (3, 2, 2)
    assert [outcome.reply for outcome in outcomes] == ["after 1", "after 0", "after 2"]
    assert [len(parcel.events) for parcel in fed.parcels] == [1, 2, 1]


async def test_a_large_batch_does_not_hold_up_what_comes_while_it_is_decided(store: MemoryStore, fed: Fed) -> None:
    whole = loop(store, fed)
    large = asyncio.create_task(whole.handle([says("a", f"c{n}", f"cas_{n}") for n in range(500)], "kafka"))
    await asyncio.sleep(0)

    await whole.handle([says("urgent", "c", "cas_urgent")], "kafka")
    assert not large.done()
    assert len(await large) == 500


async def test_nothing_to_say_means_nothing_to_write(store: MemoryStore, fed: Fed) -> None:
    (outcome,) = await handled(loop(store, fed), says("nothing", "a"))

    assert (outcome.fresh, outcome.reply, store.writes, fed.parcels) == (False, "nothing to do", 0, [])
    assert await handled(loop(store, fed)) == []


async def test_what_goes_to_no_topic_is_kept_and_not_fed(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, fed), says("silent", "a"))

    assert said(store) == ["silent"]
    assert store.documents["cas_1"]["published"] == 1
    assert fed.parcels == []


async def test_what_goes_to_no_topic_is_fed_where_what_came_before_is_not_marked_yet(
    store: MemoryStore, fed: Fed
) -> None:
    await handled(loop(store, fed), says("one", "a"), says("silent", "b"))
    await handled(loop(store, fed), says("silent", "c"))

    # Otherwise the next event for a topic would wait for the mark of one that nobody sends.
    assert [[event.seq for event in parcel.events] for parcel in fed.parcels] == [[1, 2], [3]]


async def test_the_sender_is_told_how_far_the_record_was_published_when_it_was_read(
    store: MemoryStore, fed: Fed
) -> None:
    await handled(loop(store, fed), says("one", "a"))
    store.documents["cas_1"]["published"] = 1

    await handled(loop(store, fed), says("two", "b"))

    assert [parcel.published for parcel in fed.parcels] == [0, 1]


# What must not be tried again

COST_ONLY_THEIR_MESSAGE = {
    "refuse": "the life cycle forbids it",
    "bug": "unexpected KeyError",
    "twice, then too much": "the event is larger than 900000 bytes",
}


@pytest.mark.parametrize("body", COST_ONLY_THEIR_MESSAGE)
@pytest.mark.parametrize("record", ["cas_1", "cas_2"])
async def test_a_refused_message_costs_itself_alone(store: MemoryStore, fed: Fed, body: str, record: str) -> None:
    outcomes = await handled(loop(store, fed), says("one", "a"), says(body, "b", record), says("two", "c"))

    assert [str(outcome.refused) if outcome.refused else None for outcome in outcomes] == [
        None,
        COST_ONLY_THEIR_MESSAGE[body],
        None,
    ]
    assert said(store) == ["one", "two"]
    assert store.documents.keys() == {"cas_1"}
    assert [event["seq"] for event in store.documents["cas_1"]["history"]] == [1, 2]
    assert store.documents["cas_1"]["state"]["sent"] == {TOPIC: 2}


async def test_a_refused_message_may_come_again_for_it_is_not_remembered(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, fed), says("one", "a"), says("refuse", "b"))

    (again,) = await handled(loop(store, fed), says("two", "b"))

    assert again.fresh


async def test_a_message_refused_halfway_is_not_remembered_in_its_own_batch_either(
    store: MemoryStore, fed: Fed
) -> None:
    outcomes = await handled(
        loop(store, fed), says("twice, then too much", "a"), says("twice, then too much", "a"), says("one", "b")
    )

    assert [outcome.refused is None for outcome in outcomes] == [False, False, True]
    assert said(store) == ["one"]


async def test_what_bson_cannot_hold_fails_alone(store: MemoryStore, fed: Fed) -> None:
    outcomes = await handled(
        loop(store, fed), says("one", "a"), says("not to be stored", "b", "cas_2"), says("three", "c", "cas_3")
    )

    assert [str(outcome.refused) if outcome.refused else None for outcome in outcomes] == [
        None,
        "MongoDB cannot store it",
        None,
    ]
    assert [outcome.fresh for outcome in outcomes] == [True, False, True]
    assert store.documents.keys() == {"cas_1", "cas_3"}
    assert fed.events("cas_2") == []


async def test_what_bson_cannot_hold_does_not_undo_what_its_record_heard_before(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, fed), says("one", "a"))

    again, bad = await handled(loop(store, fed), says("one", "a"), says("not to be stored", "b"))

    assert again.refused is None
    assert str(bad.refused) == "MongoDB cannot store it"
    assert said(store) == ["one"]


async def test_the_reason_of_a_bug_does_not_quote_the_message(
    store: MemoryStore, fed: Fed, capsys: pytest.CaptureFixture[str]
) -> None:
    (outcome,) = await handled(loop(store, fed), says("bug", "a"))

    printed = capsys.readouterr()
    assert "Vernier" not in f"{outcome.refused}{printed.out}{printed.err}"


async def test_more_than_five_bugs_within_a_minute_stop_the_service(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)

    await handled(one, *(says("bug", f"{n}") for n in range(BUGS_A_MINUTE)))
    assert not one.broken.is_set()

    await handled(one, says("bug", "one too many"))
    assert one.broken.is_set()


async def test_bugs_that_are_minutes_apart_do_not_add_up(
    store: MemoryStore, fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, clock = loop(store, fed), iter(range(0, 10_000, 15))
    monkeypatch.setattr("shared.loop.time.monotonic", lambda: float(next(clock)))

    await handled(one, *(says("bug", f"{n}") for n in range(20)))

    assert not one.broken.is_set()


async def test_refusals_are_no_bugs(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)

    await handled(one, *(says("refuse", f"{n}") for n in range(50)))

    assert not one.broken.is_set()


# History


async def test_a_decision_that_needs_the_sealed_history_gets_it(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, fed), says("sealed", "a"), says("plain", "b"))

    (outcome,) = await handled(loop(store, fed), says("how much is sealed", "c"))

    assert outcome.reply == [b'{"officer":"Maud"}', None]


async def test_the_history_holds_what_this_batch_has_added_too_and_is_asked_for_once(
    store: MemoryStore, fed: Fed
) -> None:
    await handled(loop(store, fed), says("sealed", "a"))
    reads = store.reads

    first, _, last = await handled(
        loop(store, fed),
        says("how much is sealed", "b"),
        says("plain", "c"),
        says("how much is sealed", "d"),
    )

    assert (len(first.reply), len(last.reply)) == (1, 2)
    assert store.reads == reads + 2
    assert said(store) == ["sealed", "plain"]


async def test_a_history_that_has_grown_since_the_head_was_read_is_taken_as_long_as_the_head_says(
    store: MemoryStore, fed: Fed
) -> None:
    await handled(loop(store, fed), says("sealed", "a"), says("plain", "b"))
    store.documents["cas_1"]["version"] = 1

    (outcome,) = await handled(loop(store, fed), says("how much is sealed", "c"))

    assert outcome.reply == [b'{"officer":"Maud"}']


# Races and answers that do not come


def lands_unknown(store: MemoryStore) -> Callable[[Sequence[Change]], bool]:
    def write(changes: Sequence[Change]) -> bool:
        store.keep(changes)
        raise TryAgain("no answer")

    return write


def lands_short(store: MemoryStore) -> Callable[[Sequence[Change]], bool]:
    def write(changes: Sequence[Change]) -> bool:
        store.keep(changes)
        return False

    return write


def lands_half(store: MemoryStore) -> Callable[[Sequence[Change]], bool]:
    def write(changes: Sequence[Change]) -> bool:
        store.keep(changes[:1])
        raise TryAgain("no answer")

    return write


def lands_not(_store: MemoryStore) -> Callable[[Sequence[Change]], bool]:
    def write(_changes: Sequence[Change]) -> bool:
        raise TryAgain("no primary")

    return write


FAULTS = (lands_unknown, lands_short, lands_half, lands_not)
Fault = Callable[[MemoryStore], Callable[[Sequence[Change]], bool]]


@pytest.mark.parametrize("stored_before", [False, True])
@pytest.mark.parametrize("faults", [(one,) for one in FAULTS] + [(one, two) for one in FAULTS for two in FAULTS])
async def test_a_write_of_unknown_outcome_is_done_again_until_all_of_it_stands_once(
    store: MemoryStore, fed: Fed, faults: tuple[Fault, ...], stored_before: bool
) -> None:
    if stored_before:
        await handled(loop(store, Fed()), says("before", "0"), says("before", "0", "cas_2"))
    store.faults = [fault(store) for fault in faults]
    before = ["before"] if stored_before else []

    outcomes = await handled(
        loop(store, fed), says("one", "a"), says("else", "a", "cas_2"), says("two", "b"), says("one", "a")
    )

    assert said(store) == [*before, "one", "two"]
    assert said(store, "cas_2") == [*before, "else"]
    assert [outcome.fresh for outcome in outcomes] == [True, True, True, False]
    assert all(outcome.refused is None for outcome in outcomes)
    first = len(before) + 1
    assert (fed.events("cas_1"), fed.events("cas_2")) == ([first, first + 1], [first])


async def test_who_loses_a_race_decides_again_on_what_the_other_wrote(store: MemoryStore, fed: Fed) -> None:
    await handled(loop(store, Fed()), says("one", "a"))

    def lose(changes: Sequence[Change]) -> bool:
        document = store.documents["cas_1"]
        other = {**document["history"][0], "seq": 2, "cause": "other", "chain": b"o" * 32}
        state = {"said": ["one", "other"], "sent": {TOPIC: 2}}
        store.documents["cas_1"] = {
            **document,
            "version": 2,
            "state": state,
            "history": [*document["history"], other],
        }
        return store.keep(changes)

    store.faults = [lose]
    (outcome,) = await handled(loop(store, fed), says("two", "b"))

    assert (outcome.fresh, outcome.reply) == (True, "after 2")
    assert said(store) == ["one", "other", "two"]
    assert fed.events() == [3]
    assert fed.parcels[0].events[0].to == {TOPIC: 3}


async def test_who_loses_the_race_for_a_new_record_finds_the_message_heard_already(
    store: MemoryStore, fed: Fed
) -> None:
    def lose(changes: Sequence[Change]) -> bool:
        (document,) = (bson.decode(change.insert.raw, AWARE) for change in changes if change.insert)
        document["history"][0]["chain"] = b"w" * 32  # the winner's own: another time, another nonce
        store.documents["cas_1"] = document
        return store.keep(changes)

    store.faults = [lose]
    (outcome,) = await handled(loop(store, fed), says("one", "a"))

    assert (outcome.fresh, outcome.refused) == (False, None)
    assert (said(store), fed.parcels) == (["one"], [])


async def test_what_landed_but_was_overtaken_is_left_to_who_overtook_it_and_to_the_sweep(
    store: MemoryStore, fed: Fed
) -> None:
    def overtaken(changes: Sequence[Change]) -> bool:
        store.keep(changes)
        document = store.documents["cas_1"]
        other = {**document["history"][0], "seq": 2, "cause": "other", "chain": b"o" * 32}
        store.documents["cas_1"] = {**document, "version": 2, "history": [*document["history"], other]}
        raise TryAgain("no answer")

    store.faults = [overtaken]
    (outcome,) = await handled(loop(store, fed), says("one", "a"))

    assert outcome.refused is None
    assert fed.parcels == []
    assert store.documents["cas_1"]["unsent_since"] is not None


async def test_a_database_that_stays_away_is_told_to_the_caller_when_its_patience_ends(
    store: MemoryStore, fed: Fed
) -> None:
    store.is_away = True

    with pytest.raises(TryAgain):
        await loop(store, fed).handle([says("one", "a")], "http", patience=0)

    assert store.documents == {}
    assert fed.parcels == []


async def test_a_database_that_comes_back_in_time_is_not_noticed_by_the_caller(store: MemoryStore, fed: Fed) -> None:
    store.faults = [lands_not(store)] * 20

    (outcome,) = await handled(loop(store, fed), says("one", "a"))

    assert outcome.fresh
    assert fed.events() == [1]


async def test_a_record_whose_key_does_not_open_holds_up_no_other(store: MemoryStore, fed: Fed) -> None:
    """A wrong key of the deployment stops the start; here one document is damaged."""
    await handled(loop(store, fed), says("sealed", "a"))
    other = Loop(store, decide, evolve, Sealer(b"S" * 32), fed, Metrics("test"))

    damaged, healthy = await other.handle([says("one", "b"), says("one", "c", record="cas_2")], "kafka", patience=0)

    assert damaged.refused
    assert healthy.fresh


async def test_every_outcome_is_counted_by_what_became_of_it(store: MemoryStore, fed: Fed) -> None:
    metrics = Metrics("test")
    one = Loop(store, decide, evolve, Sealer(b"s" * 32), fed, metrics)

    await handled(one, says("one", "a"), says("one", "a"), says("refuse", "b"), says("two", "c"))

    counted = {
        outcome: metrics.registry.get_sample_value("rogatory_messages_total", {"source": "kafka", "outcome": outcome})
        for outcome in ("new", "repeated", "refused")
    }
    assert counted == {"new": 2, "repeated": 1, "refused": 1}


# A primary that was just elected


@pytest.mark.parametrize("body", ["answer", "end"])
async def test_nothing_is_refused_or_left_because_who_was_just_elected_did_not_know_the_record(
    store: MemoryStore, fed: Fed, body: str
) -> None:
    one = loop(store, fed)
    await handled(one, says("hello", "a"))
    store.elected = [{}, {}, {}]

    (outcome,) = await handled(one, says(body, "b"))

    assert (outcome.fresh, outcome.refused, outcome.reply) == (True, None, "after 1")
    assert said(store) == ["hello", body]
    assert fed.events() == [1, 2]


async def test_what_is_written_beside_it_is_written_and_told_once(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)
    await handled(one, says("hello", "a"))
    store.elected = [{}]

    answer, new, nothing = await handled(
        one, says("answer", "b"), says("beside", "c", "cas_2"), says("nothing", "d", "cas_3")
    )

    assert (answer.fresh, new.fresh, nothing.fresh) == (True, True, False)
    assert (new.reply, nothing.reply) == ("after 0", "nothing to do")
    assert (said(store), said(store, "cas_2")) == (["hello", "answer"], ["beside"])
    assert (fed.events(), fed.events("cas_2")) == ([1, 2], [1])


@pytest.mark.parametrize("body", ["refuse", "answer", "end", "nothing"])
async def test_what_writes_nothing_is_looked_at_once_more_and_stands(store: MemoryStore, fed: Fed, body: str) -> None:
    await handled(loop(store, fed), says(body, "a"))

    assert (store.reads, store.looks, store.writes) == (1, 1, 0)


async def test_what_a_write_guards_and_what_was_heard_already_is_not_looked_at_again(
    store: MemoryStore, fed: Fed
) -> None:
    one = loop(store, fed)
    await handled(one, says("refuse", "a"), says("hello", "b"))
    await handled(one, says("hello", "b"))

    assert (store.reads, store.looks, store.writes) == (2, 0, 1)


async def test_without_that_look_nothing_is_decided(store: MemoryStore, fed: Fed) -> None:
    looks = store.versions

    async def away(_ids: Sequence[str]) -> dict[str, int]:
        store.versions = looks  # type: ignore[method-assign]
        raise TryAgain("away")

    store.versions = away  # type: ignore[method-assign, assignment]
    refused, new = await handled(loop(store, fed), says("refuse", "a"), says("beside", "b", "cas_2"))

    assert isinstance(refused.refused, NeverWill)
    assert (new.fresh, new.reply, said(store, "cas_2"), fed.events("cas_2")) == (True, "after 0", ["beside"], [1])
    assert (store.reads, store.looks, store.writes) == (2, 1, 1)


async def test_what_stood_is_not_decided_again_whatever_changes_beside_it(store: MemoryStore, fed: Fed) -> None:
    """Two records that others change in turn, each while the other is looked at: no look would find both at rest."""
    one, others = loop(store, fed), loop(store, Fed())
    await handled(others, says("x", "0", "cas_1"), says("x", "0", "cas_2"))
    look = store.versions

    async def changing(ids: Sequence[str]) -> dict[str, int]:
        await handled(others, says("x", f"change {store.looks}", ("cas_1", "cas_2")[store.looks % 2]))
        return await look(ids)

    store.versions = changing  # type: ignore[method-assign]
    outcomes = await handled(one, says("nothing", "a", "cas_1"), says("refuse", "b", "cas_2"))

    assert [(outcome.reply, str(outcome.refused)) for outcome in outcomes] == [
        ("nothing to do", "None"),
        (None, "the life cycle forbids it"),
    ]
    assert store.looks == 2


async def test_a_message_that_was_refused_before_another_of_its_record_stays_so(store: MemoryStore, fed: Fed) -> None:
    """The batch runs again because of another record: what was written meanwhile makes the refusal no other."""
    await handled(loop(store, fed), says("hello", "a", "cas_2"))
    store.elected = [{}]

    refused, new, other = await handled(
        loop(store, fed), says("answer", "b"), says("beside", "c"), says("end", "d", "cas_2")
    )

    assert (str(refused.refused), new.fresh, other.fresh) == ("no such record", True, True)
    assert said(store) == ["beside"]


async def test_the_same_message_twice_keeps_both_outcomes_when_the_batch_runs_again(
    store: MemoryStore, fed: Fed
) -> None:
    await handled(loop(store, fed), says("hello", "a", "cas_2"))
    store.elected = [{}]

    outcomes = await handled(
        loop(store, fed), says("answer", "b"), says("beside", "c"), says("answer", "b"), says("end", "d", "cas_2")
    )

    assert [str(outcome.refused) for outcome in outcomes] == ["no such record", "None", "None", "None"]
    assert [outcome.fresh for outcome in outcomes] == [False, True, True, True]
    assert said(store) == ["beside", "answer"]


async def test_a_record_whose_history_is_cut_takes_no_more_and_holds_no_other_up(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)
    await handled(one, says("sealed", "a"), says("sealed", "b"))
    store.documents["cas_1"]["history"] = store.documents["cas_1"]["history"][1:]

    cut, new = await handled(one, says("how much is sealed", "c"), says("beside", "d", "cas_2"))

    assert (str(cut.refused), new.fresh) == ("its record's history is shorter than it says", True)
    (foreseen,) = await one.foresee([says("how much is sealed", "c")])
    assert str(foreseen.refused) == str(cut.refused)


async def test_who_is_stopped_while_both_are_under_way_stops(store: MemoryStore, fed: Fed) -> None:
    async def never(_: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TryAgain("no answer") from None

    store.versions, store.write = never, never  # type: ignore[method-assign, assignment]
    handling = asyncio.ensure_future(handled(loop(store, fed), says("refuse", "a"), says("beside", "b", "cas_2")))
    await asyncio.sleep(0.01)

    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(handling, 5)


@pytest.mark.parametrize("known", [0, 1])
async def test_a_history_that_is_shorter_than_its_head_is_read_again(
    store: MemoryStore, fed: Fed, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    one, histories = loop(store, fed), store.histories
    await handled(one, says("sealed", "a"), says("sealed", "b"))

    async def short(ids: Sequence[str], *, sure: bool = False) -> list[dict[str, Any]]:
        monkeypatch.setattr(store, "histories", histories)
        return [{**one, "history": one["history"][:1]} for one in await histories(ids)][:known]

    monkeypatch.setattr(store, "histories", short)
    (outcome,) = await handled(one, says("how much is sealed", "c"))

    assert outcome.reply == [b'{"officer":"Maud"}'] * 2


async def test_what_cannot_be_stored_is_looked_at_again_as_well(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)
    await handled(one, says("hello", "a"))
    store.elected = [{}]

    again, outcome = await handled(one, says("hello", "a"), says("not to be stored", "b"))

    assert (again.fresh, again.refused, str(outcome.refused)) == (False, None, "MongoDB cannot store it")


# What it would do


async def test_what_would_be_done_is_decided_and_nothing_is_kept_or_sent(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)
    await handled(one, says("sealed", "a"))
    before = dict(store.documents)

    foreseen = await one.foresee(
        [
            says("sealed", "a"),
            says("again", "b"),
            says("how much is sealed", "c"),
            says("refuse", "d"),
            says("hello", "e", "cas_2"),
        ]
    )

    assert [outcome.fresh for outcome in foreseen] == [False, True, False, False, True]
    assert foreseen[2].reply == [b'{"officer":"Maud"}', None]
    assert str(foreseen[3].refused) == "the life cycle forbids it"
    assert (store.documents, store.writes, fed.events()) == (before, 1, [1])


async def test_bugs_of_what_is_only_tried_again_never_stop_the_service(store: MemoryStore, fed: Fed) -> None:
    one = loop(store, fed)

    messages = [says("bug", str(n), f"cas_{n}") for n in range(BUGS_A_MINUTE + 5)]
    outcomes = [*await one.handle(messages, "replay"), *await one.foresee(messages)]

    assert {str(outcome.refused) for outcome in outcomes} == {"unexpected KeyError"}
    assert not one.broken.is_set()
