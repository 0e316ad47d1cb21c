"""The notifier's fan-out by this deployment's files, for what runs its pure functions without MongoDB."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from deploy.local.jars import ROOT
from services.notifier.duty.roster import load_roster
from services.notifier.fanout import Fanout
from services.notifier.lists.directory import Directory
from services.notifier.rules.alert_file import load_rules
from shared import times
from shared.ids import Ids
from shared.law import Law
from shared.life_cycle import LifeCycle
from shared.partners import Partners

ALERTS, ROSTER = ROOT / "alerts.yaml", ROOT / "roster.yaml"


class Nobody(Directory):
    """Nobody has subscribed and nothing is silenced: it has no stores, and is never refreshed."""

    def __init__(self) -> None:
        """A directory is empty until its first look."""


def fanout(
    partners: Partners,
    law: Law,
    life: LifeCycle,
    ids: Ids,
    now: Callable[[], datetime] = times.now,
    alerts: Path = ALERTS,
) -> Fanout:
    """As a notifier has it to which the desk has added nothing."""
    roster = load_roster(ROSTER)
    rules = load_rules(alerts, partners, law, life, roster)
    return Fanout(rules, partners.subscribers, roster, Nobody(), ids, now)
