"""The directory: who hears now and what is silenced, from the store's records, opened only where they have changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.silences import End
from services.notifier.domain.subscription_state import Status
from services.notifier.domain.subscriptions import Gone, Hears, Pause, Remove, RotateKey
from services.notifier.lists import directory as directories
from services.notifier.lists.directory import Directory, Subscription
from services.notifier.lists.listed import heard_by, matches, silenced_by
from services.notifier.rules.never_held import is_never_held, of_law
from shared.failures import TryAgain
from shared.mongo import Store
from shared.records import stored_form
from shared.sealing import Sealer
from shared.times import text_of
from tests.unit.kept_lists import (
    ADDRESS,
    IDS,
    KEY,
    NEXT_KEY,
    NOW,
    PAUSE,
    RULES,
    SEALER,
    Kept,
    added,
    begin,
    left_address,
    silence,
)

PLAIN = {"event": "case.assigned", "type": "data_preservation", "urgency": "normal", "lane": "normal"}
EMERGENCY = PLAIN | {"urgency": "emergency"}


class Shelf:
    """A store's reading side over records in memory, which counts what it is asked for and can be away."""

    name = "shelf"

    def __init__(self) -> None:
        self.records: list[Kept] = []
        self.read_whole: list[str] = []
        self.is_away = False

    async def find(
        self, query: Mapping[str, Any], _wanted: Any, *, limit: int, sort: Sequence[str], sure: bool = False
    ) -> list[Any]:
        if self.is_away:
            raise TryAgain("away")
        found = [kept.record for kept in self.records if is_wanted(query, kept.record.id, kept.state)]
        return [{"_id": one.id, "version": one.version} for one in sorted(found, key=lambda one: one.id)[:limit]]

    async def histories(self, ids: Sequence[str], *, sure: bool = False) -> list[Any]:
        self.read_whole += ids
        return [document(kept) for kept in self.records if kept.record.id in ids]


def is_wanted(query: Mapping[str, Any], record: str, state: Mapping[str, Any]) -> bool:
    """The two conditions that the directory asks by, and the place that its reading has come to."""
    return all(
        value in condition["$in"] if "$in" in condition else value > condition["$gt"]
        for name, condition in query.items()
        for value in [record if name == "_id" else state[name.removeprefix("state.")]]
    )


def document(kept: Kept) -> dict[str, Any]:
    """As it stands in MongoDB."""
    record = kept.record
    return {
        "_id": record.id,
        "version": record.version,
        "published": record.version,
        "state": {**record.state, "sent": {}},
        "size": record.size,
        "key": record.key.wrapped if record.key else None,
        "context": {},
        "history": [stored_form(event) for event in record.fresh],
    }


class Lists:
    """A directory, the shelves that it reads, and its time."""

    def __init__(self, sealer: Sealer = SEALER) -> None:
        self.subscriptions, self.silences, self.now = Shelf(), Shelf(), NOW
        self.directory = Directory(
            cast("Store", self.subscriptions),
            cast("Store", self.silences),
            sealer,
            RULES.is_never_held,
            self._time,
            IDS,
        )

    def _time(self) -> datetime:
        return self.now

    async def looks(self, **later: float) -> Directory:
        """What it shows after some time."""
        self.now += timedelta(**later)
        await self.directory.refresh()
        return self.directory

    def names(self, facts: Mapping[str, str], audiences: Collection[str] = ()) -> list[str]:
        """Who hears."""
        return [one.name for one in self.directory.hearing(facts, audiences)]


async def test_who_hears_by_audience_and_who_by_facts() -> None:
    lists = Lists()
    lists.subscriptions.records = [
        added("by-audience", {"audience": "duty"}),
        added("by-facts", {"when": {"type": ["data_preservation", "asset_freeze"], "lane": ["normal"]}}),
        added("all-of-it", {"when": {}}),
        added("another", {"when": {"type": ["asset_freeze"]}}),
    ]
    await lists.looks()

    assert lists.names(PLAIN, {"duty"}) == ["all-of-it", "by-audience", "by-facts"]
    assert lists.names(PLAIN, {"woken"}) == ["all-of-it", "by-facts"]
    assert lists.names({"event": "alert.raised"}) == ["all-of-it"]


async def test_before_the_first_look_and_without_records_nobody_hears() -> None:
    lists = Lists()

    assert (lists.names(PLAIN), lists.directory.silence_for(PLAIN, NOW)) == ([], None)
    await lists.looks()
    await lists.directory.loaded()
    assert lists.names(PLAIN) == []


async def test_a_pause_holds_back_all_but_what_nothing_holds_back_and_a_dead_address_all() -> None:
    lists = Lists()
    lists.subscriptions.records = [
        added("active"),
        added("gone").hear(Gone(1)),
        added("paused").hear(PAUSE),
        added("removed").hear(Remove()),
    ]
    found = await lists.looks()

    assert lists.names(PLAIN) == ["active"]
    assert [one.name for one in found.held_back(PLAIN, ())] == ["gone", "paused"]
    # What is owed to a dead address fails at once, and somebody hears of that.
    assert lists.names(EMERGENCY) == ["active", "gone", "paused"]
    assert [one.name for one in found.held_back(EMERGENCY, ())] == []
    assert [*found.subscriptions] == ["active", "gone", "paused"]


async def test_a_pause_that_has_an_end_ends_by_itself_and_the_subscription_is_told_again() -> None:
    lists = Lists()
    until = text_of(NOW + timedelta(hours=1))
    lists.subscriptions.records = [added("paused").hear(Pause("desk", "works", until))]
    found = await lists.looks(minutes=59)
    assert (lists.names(PLAIN), found.subscriptions["paused"].state) == ([], "paused")

    await lists.looks(minutes=1)

    assert (lists.names(PLAIN), found.subscriptions["paused"].state) == (["paused"], "active")
    assert found.subscriptions["paused"].pause is None
    assert len(lists.subscriptions.read_whole) == 1


@pytest.mark.parametrize("matcher", of_law(["provisional_arrest"]), ids=lambda matcher: matcher.says)
async def test_no_silence_and_no_pause_holds_back_any_of_the_class(matcher: Any) -> None:
    facts = {"event": "case.assigned"} | {fact: min(values) for fact, values in matcher.when.items()}
    lists = Lists()
    lists.subscriptions.records = [added("paused").hear(PAUSE)]
    lists.silences.records = [silence().hear(begin({"event": [facts["event"], "case.closed"], "lane": ["normal"]}))]
    lists.silences.records += [silence("two").hear(begin({"event": ["case.closed", facts["event"]]}))]
    found = await lists.looks()

    assert found.silence_for(facts, NOW) is None
    assert lists.names(facts) == ["paused"]


async def test_a_silence_holds_back_what_matches_until_its_end_also_while_nothing_answers() -> None:
    lists = Lists()
    kept = silence().hear(begin({"type": ["data_preservation"]}))
    lists.silences.records = [kept]
    found = await lists.looks()

    held = found.silence_for(PLAIN, NOW)
    assert held is not None
    assert (held.id, held.author) == (kept.record.id, "AUTHOR-MARK")
    assert found.silence_for(PLAIN | {"type": "asset_freeze"}, NOW) is None
    assert found.silence_for(EMERGENCY, NOW) is None
    lists.silences.is_away = True
    with pytest.raises(TryAgain):
        await lists.looks(hours=1)
    assert found.silence_for(PLAIN, lists.now) is None


async def test_a_silence_that_is_ended_or_has_run_out_is_no_longer_shown() -> None:
    lists = Lists()
    first, second = silence().hear(begin({"lane": ["normal"]})), silence("two").hear(begin({"lane": ["urgent"]}))
    lists.silences.records = [first, second]
    assert len((await lists.looks()).silences) == 2

    first.hear(End(), minutes=1)
    assert [one.id for one in (await lists.looks(minutes=1)).silences] == [second.record.id]
    assert lists.directory.silence_for(PLAIN, lists.now) is None
    assert (await lists.looks(hours=1)).silences == ()


async def test_only_what_is_new_or_changed_is_read_whole_and_what_was_found_is_kept_until_then() -> None:
    lists = Lists()
    first, second = added("first"), added("second")
    lists.subscriptions.records = [first, second]
    found = await lists.looks()
    before = found.hearing(PLAIN, ())
    await lists.looks()
    assert sorted(lists.subscriptions.read_whole) == sorted([first.record.id, second.record.id])
    assert found._hearing(PLAIN, ()) is found._hearing(dict(PLAIN), [])

    first.hear(PAUSE)
    await lists.looks()

    assert lists.subscriptions.read_whole[2:] == [first.record.id]
    assert [one.name for one in before] == ["first", "second"]
    assert lists.names(PLAIN) == ["second"]


async def test_an_old_key_runs_out_by_itself() -> None:
    lists = Lists()
    lists.subscriptions.records = [added().hear(RotateKey(NEXT_KEY))]

    assert (await lists.looks()).subscriptions["ministry"].keys == (NEXT_KEY, KEY)
    assert (await lists.looks(hours=24)).subscriptions["ministry"].keys == (NEXT_KEY,)
    assert lists.directory.hearing(PLAIN, ())[0].keys == (NEXT_KEY,)
    assert len(lists.subscriptions.read_whole) == 1


async def test_a_record_that_does_not_open_costs_no_other() -> None:
    lists = Lists()
    lists.subscriptions.records = [added("first"), added("second")]
    lists.subscriptions.records[0].record.key = Sealer(b"x" * 32).new_key(lists.subscriptions.records[0].record.id)

    assert [*(await lists.looks()).subscriptions] == ["second"]


@pytest.mark.parametrize("count", [3, 4, 7])
async def test_however_many_there_are_all_are_told_and_all_silence(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(directories, "PAGE", 3)
    lists, lanes = Lists(), [f"lane-{number}" for number in range(count)]
    lists.subscriptions.records = [added(f"s-{number}") for number in range(count)]
    lists.subscriptions.records += [added(f"removed-{number}").hear(Remove()) for number in range(count)]
    lists.silences.records = [silence(lane).hear(begin({"lane": [lane]})) for lane in lanes]
    found = await lists.looks()

    assert lists.names(PLAIN) == [f"s-{number}" for number in range(count)]
    assert all(found.silence_for(PLAIN | {"lane": lane}, NOW) for lane in lanes)

    lists.subscriptions.records[count - 1].hear(Remove())
    lists.silences.records[0].hear(End(), minutes=1)
    found = await lists.looks(minutes=1)
    assert len(lists.names(PLAIN)) == len(found.silences) == count - 1


async def test_an_address_that_a_subscriber_of_the_partners_file_has_left_is_known_until_it_has_another() -> None:
    lists, address = Lists(), "https://duty.example/ADDRESS-MARK"
    left = left_address("duty-officers", address)
    assert not (await lists.looks()).has_left("duty-officers", address)

    lists.subscriptions.records = [added("all-of-it"), left, left_address("operations", ADDRESS)]
    found = await lists.looks()

    assert found.has_left("duty-officers", address)
    assert not found.has_left("duty-officers", "https://new.duty.example/")
    assert not found.has_left("operations", address)
    assert [*found.subscriptions] == ["all-of-it"]
    assert "ADDRESS-MARK" not in repr(document(left))


async def test_the_cache_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "MOST_CACHED", 3)
    lists = Lists()
    lists.subscriptions.records = [added("all-of-it")]
    await lists.looks()

    for number in range(10):
        assert lists.names({"alertname": f"name-{number}"}) == ["all-of-it"]

    assert len(lists.directory._heard) <= 3


FACTS = st.fixed_dictionaries(
    {"event": st.sampled_from(["case.assigned", "case.clock_missed", "case.closed"])},
    optional={
        "urgency": st.sampled_from(["normal", "emergency"]),
        "lane": st.sampled_from(["normal", "urgent"]),
        "type": st.sampled_from(["provisional_arrest", "asset_freeze"]),
    },
)
WHEN = st.dictionaries(
    st.sampled_from(["event", "urgency", "lane", "type"]),
    st.lists(
        st.sampled_from(["case.assigned", "case.clock_missed", "emergency", "urgent", "asset_freeze"]), min_size=1
    ),
    max_size=3,
)
HEARS: st.SearchStrategy[Hears] = st.one_of(
    st.fixed_dictionaries({"audience": st.sampled_from(["duty", "woken"])}), st.fixed_dictionaries({"when": WHEN})
)


def shown(number: int, hears: Hears, state: str) -> Subscription:
    """A subscription as the directory holds it."""
    return replace(added(f"s-{number}", hears).subscription, state=Status(state))


@given(FACTS, st.lists(st.tuples(HEARS, st.sampled_from(["active", "paused", "gone"]))), st.sets(st.just("duty")))
def test_everybody_who_hears_is_either_told_or_held_back_and_never_both(
    facts: Mapping[str, str], given_ones: Sequence[tuple[Hears, str]], audiences: Collection[str]
) -> None:
    every = [shown(number, hears, state) for number, (hears, state) in enumerate(given_ones)]

    heard = heard_by(every, facts, audiences, is_never_held(facts))

    hearing = [
        one
        for one in every
        if (one.hears["audience"] in audiences if "audience" in one.hears else matches(one.hears["when"], facts))
    ]
    assert sorted(one.name for one in (*heard.told, *heard.held)) == sorted(one.name for one in hearing)
    assert all(one.state in ("gone", "paused") and not is_never_held(facts) for one in heard.held)


@given(FACTS, WHEN)
def test_a_silence_matches_as_a_rule_does(facts: Mapping[str, str], when: Mapping[str, Sequence[str]]) -> None:
    one = silence().hear(begin(when or {"lane": ["normal"]}))

    if one.record.version:
        assert bool(silenced_by([one.silence], facts)) == all(facts.get(f) in of for f, of in one.silence.when.items())
