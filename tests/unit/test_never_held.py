"""What nothing may hold back: every event of the class is known, and no silence can hide one behind other words."""

from collections.abc import Iterator, Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.facts import FACTS
from services.notifier.rules.alert_rules import AlertRules, Rule
from services.notifier.rules.never_held import BUILT_IN, can_only_be_never_held, is_never_held, matcher, touches
from shared.events import (
    ALERT_RAISED,
    CASE_ASSIGNED,
    CASE_CLOCK_MISSED,
    CASE_CLOCK_WARNED,
    CASE_LAPSED,
    CASE_TYPES,
    KINDS,
)
from tests.unit.alerts import facts, law, rules

NEVER_HELD_KINDS = {"audit-gap", "roster-gap", "stopped", "notice-failed"}


@pytest.mark.parametrize("event", CASE_TYPES)
def test_whatever_happens_to_an_emergency_is_never_held(event: str) -> None:
    assert rules().is_never_held(facts(event=event, urgency="emergency"))


@pytest.mark.parametrize("event", CASE_TYPES)
def test_whatever_happens_to_a_provisional_arrest_is_never_held(event: str) -> None:
    assert rules().is_never_held(facts(event=event, type="provisional_arrest"))


@pytest.mark.parametrize("event", CASE_TYPES)
def test_of_other_cases_only_a_missed_clock_and_a_lapse_are_never_held(event: str) -> None:
    assert rules().is_never_held(facts(event=event)) is (event in (CASE_CLOCK_MISSED, CASE_LAPSED))


@pytest.mark.parametrize("clock", law().text.clocks)
def test_a_missed_clock_is_never_held_whosever_it_is_and_a_warning_is(clock: str) -> None:
    kind = law().text.clocks[clock].kind

    assert rules().is_never_held(facts(event=CASE_CLOCK_MISSED, clock=clock, clock_kind=kind, step="due"))
    assert not rules().is_never_held(facts(event=CASE_CLOCK_WARNED, clock=clock, clock_kind=kind, step="7 days"))


@pytest.mark.parametrize("authority", ["desk", *law().authorities])
def test_an_urgent_case_is_never_held_where_it_waits_on_the_desk(authority: str) -> None:
    assert rules().is_never_held(facts(authority=authority, lane="urgent")) is (authority == "desk")
    assert not rules().is_never_held(facts(authority=authority, lane="normal"))


@pytest.mark.parametrize("kind", KINDS)
def test_of_our_own_alerts_those_are_never_held_after_which_nobody_would_hear(kind: str) -> None:
    alert = {"event": ALERT_RAISED, "kind": kind, "service": "router"}

    assert rules().is_never_held(alert) is (kind in NEVER_HELD_KINDS)
    assert rules().is_never_held({**alert, "lane": "urgent"}) is (kind in NEVER_HELD_KINDS | {"quarantine"})


ONLY: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {"urgency": ("emergency",)},
    {"type": ("provisional_arrest",), "party": ("FR", "TR")},
    {"event": ("case.clock_missed",)},
    {"event": ("case.clock_missed", "case.lapsed")},
    {"event": ("case.assigned",), "authority": ("desk",), "lane": ("urgent",)},
    {"event": ("alert.raised",), "kind": ("quarantine",), "lane": ("urgent",)},
    {"event": ("alert.raised",), "kind": ("audit-gap", "roster-gap", "stopped", "notice-failed")},
    # Only an alert has a kind, only a gap in the roster a rota.
    {"kind": ("stopped",)},
    {"kind": ("quarantine",), "lane": ("urgent",)},
    {"rota": ("desk",)},
    # Each of the four that it can match is in the class, each for a reason of its own.
    {"event": ("case.clock_missed", "case.assigned"), "authority": ("desk",), "lane": ("urgent",)},
    {"event": ("alert.raised",), "kind": ("quarantine", "stopped"), "lane": ("urgent",)},
)
BROADER: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {},
    {"urgency": ("emergency", "urgent")},
    {"event": ("case.clock_missed", "case.clock_warned")},
    {"event": ("case.assigned",), "authority": ("desk",)},
    {"event": ("case.assigned",), "authority": ("desk", "justice-ministry"), "lane": ("urgent",)},
    {"event": ("alert.raised",), "kind": ("quarantine",)},
    {"event": ("case.clock_missed", "case.closed"), "authority": ("desk",), "lane": ("urgent",)},
    {"party": ("FR",)},
)


@pytest.mark.parametrize("when", ONLY, ids=str)
def test_what_can_match_nothing_else_is_recognised(when: Mapping[str, tuple[str, ...]]) -> None:
    assert rules().can_only_be_never_held(when)
    assert rules().touches(when)


@pytest.mark.parametrize("when", BROADER, ids=str)
def test_what_can_match_something_else_too_may_be_silenced(when: Mapping[str, tuple[str, ...]]) -> None:
    assert not rules().can_only_be_never_held(when)


def test_only_what_can_happen_together_is_named() -> None:
    assert [one.says for one in rules().touches({"kind": ["audit-gap"]})] == ["a notice that was owed and not raised"]
    of_arrests = [one.says for one in rules().touches({"type": ["provisional_arrest"]})]
    assert "a gap in the roster" not in of_arrests
    assert of_arrests[:2] == ["an emergency", "the arrest of a person"]


def test_what_a_broader_silence_does_not_hold_back_is_said() -> None:
    says = [one.says for one in rules().touches({"party": ["FR"], "event": ["case.clock_missed", "case.closed"]})]

    assert says == ["an emergency", "the arrest of a person", "a clock that was missed"]
    assert not rules().touches({"event": ["case.closed"], "urgency": ["normal"], "type": ["extradition"]})


def test_what_matches_nothing_holds_nothing_back() -> None:
    assert rules().can_only_be_never_held({"urgency": []})
    assert not rules().touches({"urgency": []})


SMALL = {"event": ("a", "b"), "lane": ("x", "y"), "kind": ("k", "l", "m")}


def assignments(when: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    """Every set of facts that `when` matches; a fact that it does not name may be missing."""
    choices = [when.get(fact, (*values, None)) for fact, values in SMALL.items()]
    for values in product(*choices):
        yield {fact: value for fact, value in zip(SMALL, values, strict=True) if value is not None}


whens = st.fixed_dictionaries(
    {},
    optional={
        fact: st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple) for fact, values in SMALL.items()
    },
)


@given(whens, st.lists(whens.filter(bool), max_size=5))
def test_the_decision_is_exact(when: dict[str, tuple[str, ...]], whole: list[dict[str, tuple[str, ...]]]) -> None:
    matchers = [matcher("one", **one) for one in whole]

    all_held = all(is_never_held(facts, matchers) for facts in assignments(when))

    assert can_only_be_never_held(when, matchers) is all_held
    touched = [one for one in matchers if any(one.matches(facts) for facts in assignments(when))]
    assert list(touches(when, matchers)) == touched


def test_the_class_names_facts_that_there_are_with_values_that_there_can_be() -> None:
    for one in BUILT_IN:
        assert one.when.keys() <= {*FACTS}
        for fact, values in one.when.items():
            assert rules().values.wrong_with(fact, values) is None


def test_a_file_adds_to_the_class_and_takes_nothing_away() -> None:
    more = AlertRules((), kept=(*BUILT_IN, matcher("secrecy", event="case.confidentiality_breached")))

    assert more.is_never_held(facts(event="case.confidentiality_breached"))
    assert more.is_never_held(facts(urgency="emergency"))
    assert more.can_only_be_never_held({"event": ["case.confidentiality_breached", "case.lapsed"]})
    assert not rules().is_never_held(facts(event="case.confidentiality_breached"))


def test_an_audience_hears_only_of_the_class_when_every_rule_that_tells_it_does() -> None:
    def rule(name: str, *tell: str, **when: tuple[str, ...]) -> Rule:
        return Rule(name=name, when=when, tell=tell, says="Hear.")

    told = AlertRules(
        (
            rule("emergency", "night", "day", urgency=("emergency",)),
            rule("missed", "night", event=("case.clock_missed",)),
            rule("rest", "day", event=(CASE_ASSIGNED,)),
        )
    )

    assert told.hears_only_never_held("night")
    assert not told.hears_only_never_held("day")
    assert not told.hears_only_never_held("nobody")
