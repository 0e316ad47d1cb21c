"""What an event owes by a set of rules, and what of it stands."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from benchmarks.fanout import fanout
from services.notifier.audit.audit_owed import Named, Seen, telling
from services.notifier.audit.audit_rules import RuleSet
from services.notifier.domain import Happened
from services.notifier.domain.bodies import Raising
from services.notifier.rules.alert_rules import AlertRules, Rule
from shared.decisions import Message
from shared.events import LADDER_BEGUN, LADDER_STEPPED, LADDER_TOLD, NOTICE_HANDED_ON
from shared.times import text_of
from tests.unit.alerts import facts, law, life, partners, rules
from tests.unit.verify_world import IDS, NOW
from verify.documents import NoticeHead
from verify.history import Known
from verify.owed import Owed, Way, fewest, promised, standing, way

SEEN = Seen("cause", "cas_1", facts(), None, 0)
ALERT = IDS.alert("rule", SEEN.cause)
KAFKA, WEBHOOK = (IDS.notice(ALERT, "operations", channel) for channel in ("kafka", "webhook"))
BOTH = Named((("operations", "kafka"), ("operations", "webhook")))
BY_KAFKA, BY_WEBHOOK = NoticeHead(KAFKA, ALERT, "operations", ""), NoticeHead(WEBHOOK, ALERT, "operations", "")
LADDER = NoticeHead(ALERT, ALERT, "", "")
TO_A_PERSON = NoticeHead(IDS.notice(ALERT, "person.leyla", "email"), ALERT, "person.leyla", "")
BY_A_STEP = NoticeHead(IDS.notice(f"{ALERT}/0.0", "person.leyla", "email"), ALERT, "person.leyla", "0.0")
TO_ANOTHER = NoticeHead("not_1", ALERT, "subscription.siem", "")


def by(named: Named, name: str = "rule") -> Way:
    """What one rule asks for that tells these."""
    rules = AlertRules((Rule(name=name, tell=(), says={"en": "x"}),))
    return way(RuleSet(rules, {name: named}, None), SEEN, IDS)


def owed(*ways: Mapping[str, str]) -> Owed:
    return Owed("cas_1", list(ways), 0, 0, 0, "", "case.assigned")


@pytest.mark.parametrize(
    ("named", "told", "lacks"),
    [
        (BOTH, [BY_KAFKA, BY_WEBHOOK], None),
        (BOTH, [BY_KAFKA, TO_A_PERSON], "no notice to operations by webhook (rule)"),
        (Named(climbs=True), [LADDER], None),
        (Named(climbs=True), [TO_A_PERSON], "no ladder (rule)"),
        (Named(people=True), [TO_A_PERSON], None),
        (Named(people=True), [LADDER, BY_A_STEP, TO_ANOTHER], "no notice to a person (rule)"),
        (replace(BOTH, people=True), [BY_KAFKA, BY_WEBHOOK], "no notice to a person (rule)"),
        (
            Named(tuple((f"s{n}", "log") for n in range(5))),
            [],
            "no notice to s0 by log (rule), no notice to s1 by log (rule), no notice to s2 by log (rule) and 2 more",
        ),
    ],
)
def test_whoever_a_rule_names_must_be_told_and_its_ladder_begun(
    named: Named, told: list[NoticeHead], lacks: str | None
) -> None:
    one, stand = owed(by(named)), standing(told)

    assert one.is_told(stand) == (lacks is None)
    if lacks:
        assert one.lacks(stand) == lacks


def test_by_any_rules_that_may_have_decided_it_is_told_and_what_is_missing_is_said_by_those_that_lack_least() -> None:
    one = owed(by(BOTH), by(Named((("others", "log"),)), "new"))

    assert one.is_told(
        standing([NoticeHead(IDS.notice(IDS.alert("new", SEEN.cause), "others", "log"), "alert", "others", "")])
    )
    assert not one.is_told(standing([BY_KAFKA]))
    assert one.lacks(standing([BY_KAFKA])) == "no notice to operations by webhook (rule)"


def test_a_rule_that_tells_nobody_asks_for_nothing() -> None:
    rules = AlertRules((Rule(name="rule", tell=(), says={"en": "x"}),))

    assert way(RuleSet(rules, {}, None), SEEN, IDS) == {}


def test_of_every_rule_of_this_deployment_the_fan_out_writes_what_is_asked_for_and_each_of_it_is_missed() -> None:
    telling_all = fanout(partners(), law(), life(), IDS, lambda: NOW)
    channels = {name: one.channels for name, one in partners().subscribers.items()}
    in_force = RuleSet(rules(), telling(rules(), channels), None)
    asked_of: set[str] = set()
    for rule in rules().rules:
        said = {name: values[0] for name, values in rule.when.items()}
        left = rule.headroom_under / 2 if rule.headroom_under else timedelta(days=9)
        happened = Happened(facts(**said), "cas_1", SEEN.cause, text_of(NOW), text_of(NOW + left))
        heads = [_head(message) for message in telling_all.messages(happened)]

        one = owed(way(in_force, Seen(SEEN.cause, "cas_1", dict(happened.facts), left, 0), IDS))

        assert one.is_told(standing(heads)), one.lacks(standing(heads))
        for head in heads:
            rest = [other for other in heads if other is not head]
            is_of_many = head.subscriber.startswith("person.") and any(
                other.alert == head.alert and other.subscriber.startswith("person.") for other in rest
            )
            assert one.is_told(standing(rest)) is is_of_many
        asked_of.update(who.split("(")[0] for who in one.ways[0].values())
    assert {"ladder ", "notice to a person ", "notice to duty-officers by webhook "} <= asked_of


def test_ways_that_ask_for_more_than_another_are_left_out() -> None:
    one, more, other = {"a": "x"}, {"a": "x", "b": "y"}, {"c": "z"}

    assert fewest([more, other, one, dict(other)]) == [other, one]


def test_what_a_ladder_told_and_what_was_handed_on_must_be_there() -> None:
    leyla, deputy = ({"subscriber": f"person.{name}", "channel": "apprise"} for name in ("leyla", "deputy"))
    ladder: list[Any] = [
        Mock(type=LADDER_BEGUN, data={"tells": [leyla]}),
        Mock(type=LADDER_TOLD, data={"at": "0.0"}),
        Mock(type=LADDER_STEPPED, data={"tells": [leyla, deputy]}),
        Mock(type=LADDER_TOLD, data={"at": "0.1"}),
        Mock(type=LADDER_STEPPED, data={"tells": [deputy]}),  # whose notices are still to be raised
    ]
    notice: list[Any] = [Mock(type=NOTICE_HANDED_ON, data={"channel": "email"})]

    by_ladder = dict(promised(Known({"_id": ALERT, "state": {}}, ladder, True), IDS))
    by_notice = dict(promised(Known({"_id": "not_1", "state": {"subscriber": "person.leyla"}}, notice, True), IDS))

    assert by_ladder == {
        IDS.notice(f"{ALERT}/0.0", "person.leyla", "apprise"): "step 0.0: person.leyla by apprise",
        IDS.notice(f"{ALERT}/0.1", "person.leyla", "apprise"): "step 0.1: person.leyla by apprise",
        IDS.notice(f"{ALERT}/0.1", "person.deputy", "apprise"): "step 0.1: person.deputy by apprise",
    }
    assert by_notice == {IDS.notice("not_1", "person.leyla", "email"): "handed on: person.leyla by email"}


def _head(message: Message) -> NoticeHead:
    """As it stands in MongoDB once it is written."""
    if isinstance(message.body, Raising):
        return NoticeHead(message.record, message.body.alert, message.body.subscriber, message.body.step or "")
    return NoticeHead(message.record, message.record, "", "")
