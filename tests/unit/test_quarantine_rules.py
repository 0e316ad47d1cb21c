"""The rules for Prometheus and the page on the quarantine name what there is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.metrics import Metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/quarantine.yaml"
PAGE = ROOT / "docs/quarantine.md"
_NAME = re.compile(r"\brogatory_\w+")


def shown() -> set[str]:
    """The names of a service's samples."""
    return {sample.name for metric in Metrics("test").registry.collect() for sample in metric.samples}


def rules() -> list[Mapping[str, Any]]:
    """The rules for Prometheus."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[Mapping[str, Any]] = group["rules"]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_is_shown_and_says_where_to_read_on(rule: Mapping[str, Any]) -> None:
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    headings = [line[3:] for line in (ROOT / page).read_text().splitlines() if line.startswith("## ")]

    assert set(_NAME.findall(rule["expr"])) <= shown()
    assert heading in [one.lower().replace(" ", "-") for one in headings]


def test_the_page_names_only_what_is_shown() -> None:
    assert set(_NAME.findall(PAGE.read_text())) <= shown()
