"""What a letter, a case, a notice and an entry count for; and that what is made of parts is their sum."""

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.intake.domain.accounts import terms_by as of_letter_by
from services.notifier.acknowledgement.notices_views import STATUSES
from services.notifier.domain.accounts import terms as of_notice
from services.router.domain.accounts import terms_by as of_case_by
from shared.accounting import Accounting
from shared.accounts import ADDS_UP, adds_up, difference, of_entry, quantities, terms_of, total
from shared.totals import LEFT_AFTER, Totals
from tests.unit.test_loop import Fed, loop, says
from tests.unit.totals import World

ENDS = ("executed", "closed")
of_letter, of_case = of_letter_by(ENDS), of_case_by(ENDS)


def letter(*statuses: str | None) -> Mapping[str, Any]:
    """A letter with a measure per status; None for one of whose case nothing was heard yet."""
    measures = [{"measure": n, "type": "expedited_preservation"} for n, _ in enumerate(statuses, 1)]
    cases = [{"measure": n, "status": status} for n, status in enumerate(statuses, 1) if status]
    return {"status": "received", "measures": measures, "cases": cases}


LETTERS = {
    (None,): {"letter/open": 1, "measure/accepted": 1, "measure/open": 1},
    ("received",): {"letter/open": 1, "measure/accepted": 1, "measure/open": 1},
    ("executed", "received"): {"letter/open": 1, "measure/accepted": 2, "measure/open": 1, "measure/ended": 1},
    ("executed", None): {"letter/open": 1, "measure/accepted": 2, "measure/open": 1, "measure/ended": 1},
    ("executed", "closed"): {"letter/ended": 1, "measure/accepted": 2, "measure/ended": 2},
}


@pytest.mark.parametrize("statuses", LETTERS, ids=str)
def test_a_letter_ends_with_the_last_of_its_measures(statuses: tuple[str | None, ...]) -> None:
    counts = of_letter(letter(*statuses))

    assert counts == {"letter/arrived": 1, "letter/accepted": 1, **LETTERS[statuses]}
    assert adds_up("letter", counts)
    assert adds_up("measure", counts)


def test_a_refused_letter_has_arrived_and_has_no_measures() -> None:
    counts = of_letter({"status": "refused"})

    assert counts == {"letter/arrived": 1, "letter/refused": 1}
    assert adds_up("letter", counts)


def test_a_case_counts_each_of_its_clocks_by_how_it_ended() -> None:
    running, stopped, missed = {"clock": "a"}, {"stopped_at": "..."}, {"missed_at": "..."}
    state = {"status": "received", "clocks": [running, running, stopped, missed, missed | stopped]}

    counts = of_case(state)

    assert counts == {
        "case/opened": 1,
        "case/open": 1,
        "clock/started": 5,
        "clock/running": 2,
        "clock/stopped": 1,
        "clock/missed": 2,
    }
    assert adds_up("clock", counts)
    assert of_case({**state, "status": "closed"})["case/ended"] == 1


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_a_notice_has_its_place(status: str) -> None:
    assert adds_up("notice", of_notice({"status": status}))


@pytest.mark.parametrize("status", ["climbing", "acknowledged", "ended", "silenced"])
def test_every_status_of_a_ladder_has_its_place(status: str) -> None:
    assert adds_up("ladder", of_notice({"record": "ladder", "status": status}))


def test_an_entry_counts_and_another_alert_that_is_kept_beside_it_does_not() -> None:
    assert of_entry({"kind": "quarantine", "status": "held"}) == {"quarantine/kept": 1, "quarantine/held": 1}
    assert of_entry({"kind": "stopped", "status": "held"}) == {}


@pytest.mark.parametrize("terms", [of_letter, of_case, of_notice, of_entry])
def test_what_is_not_there_counts_for_nothing(terms: Any) -> None:
    assert terms({}) == {}


def test_a_difference_leads_from_the_one_to_the_other() -> None:
    before, after = {"case/open": 1, "case/opened": 1}, {"case/ended": 1, "case/opened": 1}

    assert difference(before, after) == {"case/open": -1, "case/ended": 1}
    assert difference(after, after) == difference({}, {}) == {}


@pytest.mark.parametrize(
    ("quantity", "totals"),
    [
        ("case", {"case/opened": 2, "case/open": 1}),
        ("case", {"case/open": 1, "case/ended": -1}),
        ("letter", {"letter/arrived": 1, "letter/accepted": 1}),
        ("notice", {"notice/raised": 1, "notice/of_a_newer_build": 1}),
    ],
)
def test_what_is_missing_from_a_whole_is_seen(quantity: str, totals: Mapping[str, int]) -> None:
    assert not adds_up(quantity, totals)
    assert quantities(totals) == [quantity]


def test_every_part_is_a_term_once() -> None:
    for quantity in ADDS_UP:
        assert len(terms_of(quantity)) == len(set(terms_of(quantity)))
    assert total([{"case/open": 1}, {"case/open": 2, "case/ended": 1}]) == {"case/open": 3, "case/ended": 1}


# Shown


class Alarms:
    """Remembers what was raised."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, str, Mapping[str, str]]] = []

    async def raise_one(self, kind: str, key: str, facts: Mapping[str, str]) -> None:
        """Take an alert."""
        self.raised.append((kind, key, facts))


def shown(world: World, totals: Totals) -> tuple[Accounting, CollectorRegistry, Alarms]:
    """The gauges over a world."""
    registry, alarms = CollectorRegistry(), Alarms()
    return Accounting([totals], registry, alarms.raise_one, world.now), registry, alarms


async def test_the_sum_of_all_slots_is_shown_the_same_by_every_replica() -> None:
    world = World()
    (one, totals), (two, others) = world.start("router-1"), world.start("router-2")
    await one.handle([says("one", "a"), says("one", "b", "cas_2")], "kafka")
    await two.handle([says("one", "c", "cas_3")], "kafka")
    for each in (totals, others):
        await each.flush(idle=0)

    pages = []
    for each in (totals, others):
        accounting, registry, alarms = shown(world, each)
        await accounting.look()
        pages.append(generate_latest(registry).decode())
        assert alarms.raised == []

    assert pages[0] == pages[1]
    assert 'rogatory_accounts{quantity="case",term="opened"} 3.0' in pages[0]
    assert 'rogatory_accounts{quantity="case",term="ended"} 0.0' in pages[0]
    assert 'rogatory_accounts_balanced{quantity="case"} 1.0' in pages[0]


async def test_what_is_not_known_yet_is_not_shown_as_nothing() -> None:
    world = World()
    _, totals = world.start("router-1")
    accounting, registry, alarms = shown(world, totals)

    await accounting.look()

    assert "rogatory_accounts{" not in generate_latest(registry).decode()
    assert alarms.raised == []


async def test_what_does_not_add_up_is_an_alert_once_a_day() -> None:
    world = World()
    one, totals = world.start("router-1")
    await one.handle([says("one", "a")], "kafka")
    await totals.flush(idle=0)
    next(iter(world.slots.documents.values()))["totals"]["case/open"] = 7

    accounting, registry, alarms = shown(world, totals)
    await accounting.look()
    await accounting.look()

    assert 'rogatory_accounts_balanced{quantity="case"} 0.0' in generate_latest(registry).decode()
    # The key is the same, so the quarantine raises it once.
    assert alarms.raised == [("unbalanced", "case/2026-11-24", {"quantity": "case"})] * 2


async def test_what_ended_before_its_beginning_was_settled_is_no_alert() -> None:
    """As after a kill: the batch that began it is noted and not settled yet, the one that ended it is."""
    world = World()
    one, totals = world.start("router-1")
    await one.handle([says("one", "a")], "kafka")
    slot = next(iter(world.slots.documents.values()))
    assert slot["pending"]
    ended = {"totals": {"case/open": -1, "case/ended": 1}, "pending": b"", "deltas": []}
    world.slots.documents["cases/router-2/1"] = {**slot, **ended, "_id": "cases/router-2/1"}

    accounting, registry, alarms = shown(world, totals)
    await accounting.look()

    assert 'rogatory_accounts_balanced{quantity="case"} 1.0' in generate_latest(registry).decode()
    assert alarms.raised == []


async def test_what_a_dead_process_left_is_settled_by_whoever_looks() -> None:
    world = World()
    one, _ = world.start("router-1")
    await one.handle([says("one", "a")], "kafka")
    world.wait(2 * LEFT_AFTER)
    _, totals = world.start("router-2")
    accounting, registry, _ = shown(world, totals)

    await accounting.look()
    assert "rogatory_accounts_unsettled_batches 1.0" in generate_latest(registry).decode()
    await totals.flush(idle=0)
    await accounting.look()

    page = generate_latest(registry).decode()
    assert "rogatory_accounts_unsettled_batches 0.0" in page
    assert 'rogatory_accounts{quantity="case",term="opened"} 1.0' in page


async def test_a_loop_without_totals_works_as_before() -> None:
    world = World()
    plain = loop(world.store, Fed())

    await plain.handle([says("one", "a")], "kafka")

    assert world.slots.documents == {}
