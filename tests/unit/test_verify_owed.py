"""What an event owes by a set of rules, and what of it stands."""

from collections.abc import Mapping

import pytest

from services.notifier.audit.audit_owed import Named, Seen
from services.notifier.audit.audit_rules import RuleSet
from services.notifier.rules.alert_rules import AlertRules, Rule
from tests.unit.alerts import facts
from tests.unit.verify_world import IDS
from verify.owed import Owed, Way, standing, way

SEEN = Seen("cause", "cas_1", facts(), None, 0)
ALERT = IDS.alert("rule", SEEN.cause)
KAFKA, WEBHOOK = (IDS.notice(ALERT, "operations", channel) for channel in ("kafka", "webhook"))
BOTH = Named((("operations", "kafka"), ("operations", "webhook")))
TO_A_PERSON = (IDS.notice(ALERT, "person.leyla", "email"), ALERT)


def by(named: Named, name: str = "rule") -> Way:
    """What one rule asks for that tells these."""
    rules = AlertRules((Rule(name=name, tell=(), says={"en": "x"}),))
    return way(RuleSet(rules, {name: named}, None), SEEN, IDS)


def owed(*ways: Mapping[str, str]) -> Owed:
    return Owed("cas_1", list(ways), 0, 0, 0, "", "case.assigned")


@pytest.mark.parametrize(
    ("named", "told", "lacks"),
    [
        (BOTH, [(KAFKA, ALERT), (WEBHOOK, ALERT)], None),
        (BOTH, [(KAFKA, ALERT), TO_A_PERSON], "no notice to operations by webhook (rule)"),
        (Named(climbs=True), [(ALERT, ALERT)], None),
        (Named(climbs=True), [TO_A_PERSON], "no ladder (rule)"),
        (Named(), [TO_A_PERSON], None),
        (Named(), [], "no notice to anybody (rule)"),
        (
            Named(tuple((f"s{n}", "log") for n in range(5))),
            [],
            "no notice to s0 by log (rule), no notice to s1 by log (rule), no notice to s2 by log (rule) and 2 more",
        ),
    ],
)
def test_whoever_a_rule_names_must_be_told_and_its_ladder_begun(
    named: Named, told: list[tuple[str, str]], lacks: str | None
) -> None:
    one, stand = owed(by(named)), standing(told)

    assert one.is_told(stand) == (lacks is None)
    if lacks:
        assert one.lacks(stand) == lacks


def test_by_any_rules_that_may_have_decided_it_is_told_and_what_is_missing_is_said_by_those_that_lack_least() -> None:
    one = owed(by(BOTH), by(Named((("others", "log"),)), "new"))

    assert one.is_told(standing([(IDS.notice(IDS.alert("new", SEEN.cause), "others", "log"), "alert")]))
    assert not one.is_told(standing([(KAFKA, ALERT)]))
    assert one.lacks(standing([(KAFKA, ALERT)])) == "no notice to operations by webhook (rule)"


def test_a_rule_that_tells_nobody_asks_for_nothing() -> None:
    rules = AlertRules((Rule(name="rule", tell=(), says={"en": "x"}),))

    assert way(RuleSet(rules, {}, None), SEEN, IDS) == {}
