"""What alert rules are tested with: this deployment's files, and the facts of a case."""

from functools import cache
from pathlib import Path

from services.notifier.duty.roster import Roster, load_roster
from services.notifier.rules.alert_file import load_rules
from services.notifier.rules.alert_rules import AlertRules
from shared.events import CASE_ASSIGNED
from shared.law import Law, load_law
from shared.life_cycle import LifeCycle, load_life_cycle
from shared.partners import Partners, load_partners

ROOT = Path(__file__).parents[2]


@cache
def law() -> Law:
    return load_law(ROOT / "laws/azerbaijan.yaml")


@cache
def life() -> LifeCycle:
    return load_life_cycle(ROOT / "life-cycle.yaml", law())


@cache
def partners() -> Partners:
    return load_partners(ROOT / "partners.yaml")


@cache
def roster() -> Roster:
    return load_roster(ROOT / "roster.yaml")


@cache
def rules() -> AlertRules:
    return loaded(ROOT / "alerts.yaml")


def loaded(path: Path, on_duty: Roster | None = None) -> AlertRules:
    return load_rules(path, partners(), law(), life(), on_duty or roster())


def facts(**changed: str) -> dict[str, str]:
    """The facts of a case that nobody need be woken for."""
    usual = {
        "event": CASE_ASSIGNED,
        "type": "extradition",
        "authority": "justice-ministry",
        "lane": "normal",
        "urgency": "normal",
        "direction": "incoming",
        "party": "FR",
    }
    return {**usual, **changed}
