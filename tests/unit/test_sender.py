"""The sender: events leave in order per record, nothing is marked that was not acknowledged, nothing is forgotten."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import gaps, sender, sweep
from shared.events import ALERT_RAISED, NOTICE_RAISED, Draft, Event
from shared.failures import TryAgain
from shared.ids import Ids
from shared.metrics import Metrics
from shared.mongo import Store
from shared.parcels import Parcel, parcel_of
from shared.precedence import LEAST
from shared.producer import Outgoing, Producer, Refused, Result, Unknown
from shared.records import Record, State, insertion
from shared.sealing import Sealer
from shared.sender import MAX_QUEUED, MAX_TAKEN, Sender

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
OPEN, INTERNAL = "security-service.cases.v1", "cases.events.v1"
URGENT = "security-service.cases.urgent.v1"
SEALER, IDS = Sealer(b"s" * 32), Ids(b"k" * 32)


class MemoryProducer(Producer):
    """A stand-in for Kafka: it keeps the waves, and answers each record as it is told to."""

    def __init__(self) -> None:
        self.waves: list[list[tuple[str, str]]] = []
        self.sent: list[Outgoing] = []
        self.answer: Callable[[Outgoing], Result] = lambda _: None
        self.away = False

    @property
    def is_away(self) -> bool:
        return self.away

    async def send(self, outgoing: Sequence[Outgoing]) -> list[Result]:
        await asyncio.sleep(0)
        self.waves.append([(out.topic, said(out)) for out in outgoing])
        self.sent += outgoing
        return [self.answer(out) for out in outgoing]


class MemoryStore(Store):
    """A stand-in for MongoDB: whole documents, and the marks that were made on them."""

    def __init__(self, name: str = "cases") -> None:
        self.name = name
        self.documents: dict[str, dict[str, Any]] = {}
        self.marks: list[dict[int, list[str]]] = []
        self.marks_to_lose = 0
        self.looks = self.loads = 0
        self.is_away = False

    async def histories(self, ids: Sequence[str], *, sure: bool = False) -> list[dict[str, Any]]:
        self.loads += 1
        if self.is_away:
            raise TryAgain("away")
        return [self.documents[i] for i in ids if i in self.documents]

    async def marked(self, ids: Sequence[str]) -> dict[str, tuple[int, str | None]]:
        self.looks += 1
        if self.is_away:
            raise TryAgain("away")
        found = [self.documents[i] for i in ids if i in self.documents]
        return {one["_id"]: (one["published"], next_at(one)) for one in found}

    async def mark_sent(self, ids_by_version: Mapping[int, Sequence[str]]) -> None:
        if self.marks_to_lose:
            self.marks_to_lose -= 1
            raise TryAgain("no answer")
        self.marks.append({version: list(ids) for version, ids in ids_by_version.items()})
        for version, ids in ids_by_version.items():
            for record in ids:
                document = self.documents.get(record)
                if document and document["version"] >= version:
                    document["published"] = max(version, document["published"])
                if document and document["version"] == version:
                    document.pop("unsent_since", None)

    async def count_unsent(self, limit: int = 100_000) -> tuple[int, datetime | None]:
        waiting = [document["unsent_since"] for document in self.documents.values() if "unsent_since" in document]
        return len(waiting), min(waiting, default=None)

    async def unsent(self, before: datetime, limit: int, skip: int = 0) -> list[dict[str, Any]]:
        waiting = [d for d in self.documents.values() if "unsent_since" in d and d["unsent_since"] < before]
        return waiting[skip : skip + limit]

    def keep(self, record: Record, published: int = 0) -> None:
        self.documents[record.id] = {**insertion(record, NOW), "published": published}


def next_at(document: Mapping[str, Any]) -> str | None:
    """When the first event without a mark was written."""
    beyond = document["history"][document["published"] :]
    return beyond[0]["at"] if beyond else None


class Sending:
    """A sender with its stand-ins, and what it raised alarms about."""

    def __init__(self) -> None:
        self.producer, self.store = MemoryProducer(), MemoryStore()
        metrics = Metrics("test")
        self.sender = Sender(self.producer, IDS, SEALER, metrics)
        self.sweeper = sweep.Sweep(self.sender, metrics)
        self.alarms: list[tuple[str, str, Mapping[str, str]]] = []
        self.sender.alarm = self.alarm

    async def alarm(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        self.alarms.append((kind, key, facts))

    async def deliver(self, *parcels: Parcel) -> None:
        """Feed and wait until all is sent and marked."""
        self.sender.feed(parcels)
        running = asyncio.create_task(self.sender.run())
        await self.sender.drain(5)
        await stopped(running)

    async def sweep(self) -> None:
        """One look for what was forgotten, which is then sent."""
        await self.sweeper.look(self.store, 0)
        await self.deliver()

    def said(self) -> list[str]:
        return [said(out) for out in self.producer.sent]


def said(out: Outgoing) -> str:
    """Which event this is: the record and the word that it carries."""
    return f"{out.key.decode()}:{out.value.decode()[9:-2]}"


async def stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - other tasks bring it about
            await asyncio.sleep(0.001)


def as_it_was(state: State, _event: Event) -> State:
    return state


def record(record_id: str, *said: str, to: Sequence[str] = (OPEN,), at: datetime = NOW) -> Record:
    """A record whose events each carry one word."""
    made = Record(record_id, record_id, {"letterid": "let_1"})
    for word in said:
        draft = Draft(NOTICE_RAISED, tuple(to), {"said": word})
        made.append(draft, by="router", cause=word, now=at, evolve=as_it_was, sealer=SEALER)
    return made


def parcel(sending: Sending, whole: Record, first: int, last: int, published: int | None = None) -> Parcel:
    """The events `first` to `last` of a record, as the loop feeds them."""
    before = first - 1 if published is None else published
    return replace(parcel_of(sending.store, whole, tuple(whole.fresh[first - 1 : last])), published=before)


# In order


async def test_events_leave_in_waves_the_next_of_a_record_only_after_the_one_before() -> None:
    sending = Sending()
    one, two = record("cas_1", "a", "b", "c"), record("cas_2", "x")

    await sending.deliver(parcel(sending, one, 1, 3), parcel(sending, two, 1, 1))

    assert sending.producer.waves == [
        [(OPEN, "cas_1:a"), (OPEN, "cas_2:x")],
        [(OPEN, "cas_1:b")],
        [(OPEN, "cas_1:c")],
    ]


async def test_an_urgent_record_waits_for_one_delivery_and_no_lane_for_all_of_the_other() -> None:
    sending = Sending()
    normal = [record(f"cas_n{n}", "a") for n in range(3 * LEAST)]
    urgent = [record(f"cas_u{n}", "a", to=(URGENT,)) for n in range(2 * MAX_TAKEN)]
    late = record("cas_late", "a", to=(URGENT,))
    # What follows on a topic of no lane goes the same way, so that nothing overtakes.
    said_b = Draft(NOTICE_RAISED, (OPEN,), {"said": "b"})
    late.append(said_b, by="router", cause="b", now=NOW, evolve=as_it_was, sealer=SEALER)

    await sending.deliver(*(parcel(sending, one, 1, 1) for one in (*normal, *urgent)), parcel(sending, late, 1, 2))

    first = [(wave[0][1][:5], len(wave)) for wave in sending.producer.waves]
    assert first == [
        ("cas_u", MAX_TAKEN),
        ("cas_n", LEAST),
        ("cas_u", MAX_TAKEN),
        ("cas_n", LEAST),
        ("cas_l", 1),
        ("cas_l", 1),
        ("cas_n", LEAST),
    ]


async def test_what_is_normal_goes_in_large_deliveries_while_nothing_urgent_is_about() -> None:
    sending = Sending()

    await sending.deliver(*(parcel(sending, record(f"cas_n{n}", "a"), 1, 1) for n in range(MAX_TAKEN + 1)))

    assert [len(wave) for wave in sending.producer.waves] == [MAX_TAKEN, 1]


async def test_an_event_goes_to_all_its_topics_in_one_wave_with_one_id() -> None:
    sending = Sending()

    await sending.deliver(parcel(sending, record("cas_1", "a", to=(OPEN, INTERNAL)), 1, 1))

    first, second = sending.producer.sent
    assert (first.topic, second.topic) == (OPEN, INTERNAL)
    assert {dict(out.headers)["ce_id"] for out in (first, second)} == {IDS.event("cas_1", 1).encode()}
    assert "ce_letterid" not in dict(first.headers)
    assert dict(second.headers)["ce_letterid"] == b"let_1"


async def test_two_parcels_of_one_record_in_one_take_are_one_run_of_events() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")

    await sending.deliver(parcel(sending, whole, 1, 2, published=0), parcel(sending, whole, 3, 3, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b", "cas_1:c"]
    assert sending.store.marks == [{3: ["cas_1"]}]
    assert sending.store.loads == 0


async def test_what_was_fed_twice_is_sent_once() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b")

    await sending.deliver(parcel(sending, whole, 1, 2, published=0), parcel(sending, whole, 1, 2, published=0))
    await sending.deliver(parcel(sending, whole, 1, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b"]


async def test_an_event_for_nobody_is_passed_over_and_counts_as_sent() -> None:
    sending = Sending()
    whole = record("cas_1", "a", to=())
    whole.append(
        Draft(ALERT_RAISED, (OPEN,), {"said": "b"}),
        by="router",
        cause="b",
        now=NOW,
        evolve=as_it_was,
        sealer=SEALER,
    )

    await sending.deliver(parcel(sending, whole, 1, 2))

    assert sending.said() == ["cas_1:b"]
    assert sending.store.marks == [{2: ["cas_1"]}]


# Marks


async def test_records_are_marked_together_by_the_version_they_have_come_to() -> None:
    sending = Sending()
    long, short, also_short = record("cas_1", "a", "b"), record("cas_2", "x"), record("cas_3", "y")

    await sending.deliver(parcel(sending, long, 1, 2), parcel(sending, short, 1, 1), parcel(sending, also_short, 1, 1))

    assert sending.store.marks == [{2: ["cas_1"], 1: ["cas_2", "cas_3"]}]


async def test_each_store_marks_its_own_records() -> None:
    sending, notices = Sending(), MemoryStore("notices")
    one, two = record("cas_1", "a"), record("not_1", "b")

    await sending.deliver(parcel(sending, one, 1, 1), parcel_of(notices, two, tuple(two.fresh)))

    assert (sending.store.marks, notices.marks) == ([{1: ["cas_1"]}], [{1: ["not_1"]}])


async def test_a_lost_mark_is_made_by_the_next_sweep_and_nothing_is_sent_again() -> None:
    sending = Sending()
    whole = record("cas_1", "a")
    sending.store.keep(whole)
    sending.store.marks_to_lose = 1
    await sending.deliver(parcel(sending, whole, 1, 1))
    assert sending.store.documents["cas_1"]["published"] == 0

    await sending.sweep()

    assert sending.store.documents["cas_1"]["published"] == 1
    assert await sending.store.count_unsent() == (0, None)
    assert sending.said() == ["cas_1:a"]


async def test_a_record_that_has_moved_on_stays_unsent() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b")
    sending.store.keep(whole)

    await sending.deliver(parcel(sending, whole, 1, 1))

    assert sending.store.marks == [{1: ["cas_1"]}]
    assert sending.store.documents["cas_1"]["published"] == 1
    assert "unsent_since" in sending.store.documents["cas_1"]


# Failures


def fails(word: str, result: Result) -> Callable[[Outgoing], Result]:
    return lambda out: result if said(out).endswith(f":{word}") else None


async def test_an_unknown_result_stops_its_record_alone_and_marks_nothing_of_it() -> None:
    sending = Sending()
    one, two = record("cas_1", "a", "b", "c"), record("cas_2", "x", "y")
    sending.producer.answer = fails("b", Unknown())

    await sending.deliver(parcel(sending, one, 1, 3), parcel(sending, two, 1, 2))

    assert sending.said() == ["cas_1:a", "cas_2:x", "cas_1:b", "cas_2:y"]
    assert sending.store.marks == [{2: ["cas_2"]}]
    assert sending.alarms == []


async def test_the_sweep_sends_again_what_had_no_answer_from_the_first_unmarked_event_on() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b")
    sending.store.keep(whole)
    sending.producer.answer = fails("b", Unknown())
    await sending.deliver(parcel(sending, whole, 1, 2))

    sending.producer.answer = lambda _: None
    await sending.sweep()

    assert sending.said() == ["cas_1:a", "cas_1:b", "cas_1:a", "cas_1:b"]
    assert sending.store.documents["cas_1"]["published"] == 2


async def test_an_event_that_is_refused_on_one_of_its_topics_holds_the_next_back_on_all() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", to=(OPEN, INTERNAL))
    sending.producer.answer = lambda out: Refused("TopicAuthorizationFailedError") if out.topic == OPEN else None

    await sending.deliver(parcel(sending, whole, 1, 2))

    assert sending.said() == ["cas_1:a", "cas_1:a"]
    assert sending.store.marks == []


async def test_what_is_refused_raises_one_alarm_an_hour_for_a_topic_and_a_reason() -> None:
    sending = Sending()
    one, two = record("cas_1", "a"), record("cas_2", "a")
    sending.store.keep(one)
    sending.store.keep(two)
    sending.producer.answer = fails("a", Refused("MessageSizeTooLargeError"))

    await sending.deliver(parcel(sending, one, 1, 1), parcel(sending, two, 1, 1))
    await sending.sweep()

    [(kind, key, facts)] = sending.alarms
    assert (kind, key) == ("event-refused", f"{OPEN}/MessageSizeTooLargeError/2026-03-10T08")
    assert facts == {"topic": OPEN, "record": "cas_1", "event": NOTICE_RAISED, "reason": "MessageSizeTooLargeError"}


async def test_an_alert_that_is_refused_raises_no_alert() -> None:
    sending = Sending()
    alert = Record("alt_1", "alt_1", {})
    draft = Draft(ALERT_RAISED, (OPEN,), {"said": "a"})
    alert.append(draft, by="router", cause="a", now=NOW, evolve=as_it_was, sealer=SEALER)
    sending.store.keep(alert)
    sending.producer.answer = lambda _: Refused("TopicAuthorizationFailedError")

    await sending.deliver(parcel(sending, alert, 1, 1))

    assert sending.alarms == []


async def test_an_alarm_that_cannot_be_kept_now_is_raised_with_the_next_delivery() -> None:
    sending = Sending()
    one, two = record("cas_1", "a"), record("cas_2", "x")
    sending.store.keep(one)
    sending.store.keep(two)
    keep = sending.sender.alarm

    async def away(_kind: str, _key: str, _facts: Mapping[str, str]) -> None:
        raise TryAgain("MongoDB is away")

    sending.sender.alarm = away
    sending.producer.answer = fails("a", Refused("InvalidTopicError"))
    await sending.deliver(parcel(sending, one, 1, 1))
    assert sending.alarms == []

    sending.sender.alarm = keep
    await sending.deliver(parcel(sending, two, 1, 1))
    assert [kind for kind, *_ in sending.alarms] == ["event-refused"]
    assert sending.store.marks == [{1: ["cas_2"]}]


# What this process was not fed


async def test_a_gap_before_the_fed_events_is_filled_from_the_history() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole, published=1)

    await sending.deliver(parcel(sending, whole, 3, 3, published=1))

    assert sending.said() == ["cas_1:b", "cas_1:c"]
    assert sending.store.marks == [{3: ["cas_1"]}]


async def test_a_gap_between_two_parcels_is_filled_too() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole)

    await sending.deliver(parcel(sending, whole, 1, 1, published=0), parcel(sending, whole, 3, 3, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b", "cas_1:c"]


async def test_what_this_process_sent_itself_is_no_gap_though_nobody_has_marked_it_yet() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b")
    await sending.deliver(parcel(sending, whole, 1, 1, published=0))

    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b"]
    assert sending.store.loads == 0


async def test_a_gap_is_filled_without_what_this_process_sent_before_it() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole)
    await sending.deliver(parcel(sending, whole, 1, 1, published=0))

    await sending.deliver(parcel(sending, whole, 3, 3, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b", "cas_1:c"]
    assert sending.store.loads == 1


async def test_a_gap_that_somebody_else_has_sent_meanwhile_needs_nothing() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b")
    sending.store.keep(whole, published=2)

    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == []


async def test_while_a_history_cannot_be_read_events_wait_and_hold_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaps, "PAUSE", 0.001)
    sending = Sending()
    whole, other = record("cas_1", "a", "b", "c"), record("cas_2", "x")
    sending.store.keep(whole)
    sending.store.is_away = True
    running = asyncio.create_task(sending.sender.run())

    sending.sender.feed([parcel(sending, whole, 2, 2, published=0), parcel(sending, other, 1, 1)])
    await until(lambda: sending.store.looks > 2)
    assert sending.said() == ["cas_2:x"]
    assert (sending.sender.has("cas_1"), sending.sender.has("cas_2")) == (True, False)

    sending.sender.feed([parcel(sending, whole, 3, 3, published=0)])
    sending.store.is_away = False
    await sending.sender.drain(5)
    await stopped(running)
    assert sending.said() == ["cas_2:x", "cas_1:a", "cas_1:b", "cas_1:c"]
    assert sending.store.documents["cas_1"]["published"] == 3
    assert not sending.sender.has("cas_1")


async def test_what_another_process_is_just_sending_is_left_to_it() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", at=datetime.now(UTC))
    sending.store.keep(whole)
    running = asyncio.create_task(sending.sender.run())

    sending.sender.feed([parcel(sending, whole, 2, 2, published=0)])
    await until(lambda: sending.store.looks > 1)
    assert sending.said() == []

    sending.store.documents["cas_1"]["published"] = 1
    await sending.sender.drain(5)
    await stopped(running)
    assert (sending.said(), sending.store.loads) == (["cas_1:b"], 0)


async def test_what_another_process_left_is_sent_when_it_is_no_longer_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "GRACE", timedelta(seconds=0.1))
    sending = Sending()
    whole = record("cas_1", "a", "b", at=datetime.now(UTC))
    sending.store.keep(whole)

    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b"]


async def test_what_another_process_wrote_after_ours_is_left_to_it() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole)

    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b"]
    assert sending.store.marks == [{2: ["cas_1"]}]


async def test_what_came_while_a_gap_was_filled_goes_after_it() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole)
    load = sending.store.histories

    async def slow(ids: Sequence[str]) -> list[dict[str, Any]]:
        found = await load(ids)
        if sending.store.loads == 1:
            found = [{**document, "history": document["history"][:2]} for document in found]
            sending.sender.feed([parcel(sending, whole, 3, 3, published=0)])
            await until(lambda: sending.sender._gaps.count == 2)
        return found

    sending.store.histories = slow  # type: ignore[method-assign, assignment]
    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b", "cas_1:c"]
    assert sending.store.documents["cas_1"]["published"] == 3


async def test_where_others_sent_meanwhile_what_was_missing_only_ours_is_sent() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c", "d")
    sending.store.keep(whole)
    load = sending.store.histories

    async def when_marked(ids: Sequence[str]) -> list[dict[str, Any]]:
        sending.store.documents["cas_1"]["published"] = 3
        return await load(ids)

    sending.store.histories = when_marked  # type: ignore[method-assign, assignment]
    await sending.deliver(parcel(sending, whole, 2, 2, published=0), parcel(sending, whole, 4, 4, published=0))

    assert sending.said() == ["cas_1:d"]


async def test_where_others_sent_meanwhile_all_of_ours_nothing_is_sent() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", "c")
    sending.store.keep(whole)
    load = sending.store.histories

    async def when_marked(ids: Sequence[str]) -> list[dict[str, Any]]:
        sending.store.documents["cas_1"]["published"] = 2
        return await load(ids)

    sending.store.histories = when_marked  # type: ignore[method-assign, assignment]
    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == []
    assert sending.store.loads == 1
    assert not sending.sender.has("cas_1")


async def test_a_gap_whose_time_cannot_be_read_is_one_that_was_left() -> None:
    sending = Sending()
    whole = record("cas_1", "a", "b", at=datetime.now(UTC))
    sending.store.keep(whole)

    async def marked(ids: Sequence[str]) -> dict[str, tuple[int, str | None]]:
        return dict.fromkeys(ids, (0, "yesterday"))

    sending.store.marked = marked  # type: ignore[method-assign]
    await sending.deliver(parcel(sending, whole, 2, 2, published=0))

    assert sending.said() == ["cas_1:a", "cas_1:b"]


async def test_a_record_that_does_not_open_waits_for_nothing() -> None:
    sending = Sending()
    sealed = Record("cas_1", "cas_1", {})
    for word in ("a", "b"):
        draft = Draft(ALERT_RAISED, (OPEN,), {"said": word}, {"officer": "Maud"})
        sealed.append(draft, by="router", cause=word, now=NOW, evolve=as_it_was, sealer=Sealer(b"S" * 32))
    sending.store.keep(sealed)

    await sending.deliver(parcel(sending, sealed, 2, 2, published=0))

    assert sending.said() == []
    assert not sending.sender.has("cas_1")


async def test_a_record_that_does_not_open_does_not_hold_back_the_others() -> None:
    sending = Sending()
    sealed = Record("cas_1", "cas_1", {})
    draft = Draft(ALERT_RAISED, (OPEN,), {"said": "a"}, {"officer": "Maud"})
    sealed.append(draft, by="router", cause="a", now=NOW, evolve=as_it_was, sealer=Sealer(b"S" * 32))
    sending.store.keep(sealed)
    sending.store.keep(record("cas_2", "x"))

    await sending.sweep()

    assert sending.said() == ["cas_2:x"]


# Limits


async def test_more_than_fits_is_dropped_and_delivered_by_the_sweep() -> None:
    sending = Sending()
    one, last = record("cas_1", "a"), record("cas_2", "x")
    sending.store.keep(last)

    await sending.deliver(*[parcel(sending, one, 1, 1)] * MAX_QUEUED, parcel(sending, last, 1, 1))
    assert sending.said() == ["cas_1:a"]

    await sending.sweep()
    assert sending.said() == ["cas_1:a", "cas_2:x"]


async def test_a_sweep_that_began_near_the_end_goes_on_with_what_it_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 2)
    monkeypatch.setattr("shared.sweep.random.random", lambda: 0.0)
    monkeypatch.setattr("shared.sweep.random.randrange", lambda beyond: beyond - 1)
    sending = Sending()
    for n in range(5):
        sending.store.keep(record(f"cas_{n}", "a"))
    sending.store.documents["cas_4"]["unsent_since"] = datetime.now(UTC)  # counted, and too young for this look

    assert await sending.sweeper.look(sending.store, 0.5)
    await sending.deliver()
    assert sending.said() == ["cas_3:a"]


async def test_the_sweep_goes_on_while_others_are_still_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 2)
    monkeypatch.setattr(gaps, "GRACE", timedelta(hours=1))
    sending = Sending()
    for n in range(6):
        sending.store.keep(record(f"cas_{n}", "a"))
    waits = record("cas_7", "a", "b", at=datetime.now(UTC))
    sending.sender.feed([parcel(sending, waits, 2, 2, published=0)])
    sending.store.documents["cas_7"] = {**insertion(waits, NOW), "published": 0, "unsent_since": datetime.now(UTC)}
    running = asyncio.create_task(sending.sender.run())
    await until(lambda: sending.sender._gaps.count == 1)

    sweeping = asyncio.create_task(sending.sweeper.run([sending.store]))
    await until(lambda: len(sending.said()) == 6)

    assert sending.sender.has("cas_7")
    await stopped(sweeping)
    await stopped(running)


async def test_while_much_is_to_be_sent_no_more_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "LOADED_AT_ONCE", 2)
    monkeypatch.setattr(gaps, "PAUSE", 0.001)
    monkeypatch.setattr(sender, "MAX_QUEUED_BYTES", 5_000)
    sending = Sending()
    held: list[int] = []
    for n in range(20):
        whole = record(f"cas_{n}", "a" * 1_000, "b")
        sending.store.keep(whole)
        sending.sender.feed([parcel(sending, whole, 2, 2, published=0)])
    load = sending.store.histories

    async def looked(ids: Sequence[str]) -> list[dict[str, Any]]:
        held.append(sending.sender._queued_bytes)
        return await load(ids)

    sending.store.histories = looked  # type: ignore[method-assign, assignment]
    await sending.deliver()

    assert len(sending.said()) == 40
    assert max(held) <= 5_000
    assert sending.sender._queued_bytes == 0
    assert not sending.sender._waiting


async def test_the_sweep_leaves_alone_what_waits_here_already() -> None:
    sending = Sending()
    whole = record("cas_1", "a")
    sending.store.keep(whole)
    sending.sender.feed([parcel(sending, whole, 1, 1)])

    await sending.sweeper.look(sending.store, 0)
    assert sending.sender._queued == 1

    await sending.deliver()
    assert sending.said() == ["cas_1:a"]


async def test_while_kafka_is_away_the_sweep_sends_a_few_to_find_out_when_it_is_back() -> None:
    sending = Sending()
    for n in range(sweep.PROBE + 1):
        sending.store.keep(record(f"cas_{n}", "a"))
    sending.producer.away = True

    await sending.sweep()

    assert len(sending.said()) == sweep.PROBE


async def test_the_first_sweep_takes_what_an_earlier_process_left_and_later_ones_what_is_old() -> None:
    sending = Sending()
    sending.store.keep(record("cas_1", "a"))
    sending.store.keep(record("cas_2", "a"))
    sending.store.documents["cas_1"]["unsent_since"] = datetime.now(UTC) - timedelta(seconds=1)
    sending.store.documents["cas_2"]["unsent_since"] = datetime.now(UTC)  # somebody else is just sending it

    await sending.sweeper.look(sending.store, sweep.EVERY)
    await sending.deliver()
    assert sending.said() == []

    sweeping = asyncio.create_task(sending.sweeper.run([sending.store]))
    await asyncio.sleep(0)
    await sending.deliver()
    await stopped(sweeping)
    assert sending.said() == ["cas_1:a"]


async def test_a_first_sweep_that_failed_is_made_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AGAIN", 0.001)
    sending = Sending()
    sending.store.keep(record("cas_1", "a"))
    sending.store.documents["cas_1"]["unsent_since"] = datetime.now(UTC) - timedelta(seconds=1)
    sending.store.is_away = True
    sweeping = asyncio.create_task(sending.sweeper.run([sending.store]))
    await until(lambda: sending.store.loads > 2)

    sending.store.is_away = False
    await until(lambda: sending.sender.has("cas_1"))
    await stopped(sweeping)


async def test_what_waits_since_an_hour_ahead_is_sent_after_the_databases_clock_was_put_back() -> None:
    sending = Sending()
    sending.store.keep(record("cas_1", "a"))
    sending.store.documents["cas_1"]["unsent_since"] = datetime.now(UTC) + timedelta(minutes=50)

    await sending.sweep()

    assert sending.said() == ["cas_1:a"]
