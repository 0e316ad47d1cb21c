"""The rules for Prometheus and the page on accounts name what there is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from shared.accounting import Accounting
from shared.accounts import ADDS_UP, terms_of

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/accounts.yaml"
PAGE = ROOT / "docs/accounts.md"


def rules() -> list[Mapping[str, Any]]:
    """The rules for Prometheus."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[Mapping[str, Any]] = group["rules"]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_is_shown(rule: Mapping[str, Any]) -> None:
    async def alarm(*_: object) -> None: ...

    registry = CollectorRegistry()
    Accounting([], registry, alarm, lambda: pytest.fail("no time is needed"))
    shown = {metric.name for metric in registry.collect()}

    assert set(re.findall(r"\brogatory_\w+", rule["expr"])) <= shown
    for quantity, term in re.findall(r'quantity="(\w+)", term="(\w+)"', rule["expr"]):
        assert term in terms_of(quantity)
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    headings = [
        line[3:].lower().replace(" ", "-") for line in (ROOT / page).read_text().splitlines() if line[:3] == "## "
    ]
    assert heading in headings


def test_the_page_has_every_sum() -> None:
    for quantity, sums in ADDS_UP.items():
        parts = (f"`{whole}` = " + " + ".join(f"`{part}`" for part in of) for whole, of in sums.items())
        assert f"| `{quantity}` | {'; '.join(parts)} |" in PAGE.read_text()
