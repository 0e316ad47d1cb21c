"""The rules for Prometheus, and the pages on what they watch, name what there is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.checkpoints.measures import CheckpointMetrics
from shared.metrics import Metrics

ROOT = Path(__file__).parents[2]
WATCHED = ("quarantine", "checkpoints")
_NAME = re.compile(r"\brogatory_\w+")


def shown() -> set[str]:
    """The names of a service's samples."""
    registry = Metrics("test").registry
    CheckpointMetrics(registry)
    return {sample.name for metric in registry.collect() for sample in metric.samples}


def rules() -> list[Mapping[str, Any]]:
    """The rules for Prometheus."""
    groups = [yaml.safe_load((ROOT / f"deploy/prometheus/{name}.yaml").read_text())["groups"] for name in WATCHED]
    return [rule for (group,) in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_is_shown_and_says_where_to_read_on(rule: Mapping[str, Any]) -> None:
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    headings = [line[3:] for line in (ROOT / page).read_text().splitlines() if line.startswith("## ")]

    assert set(_NAME.findall(rule["expr"])) <= shown()
    assert heading in [one.lower().replace(" ", "-") for one in headings]


@pytest.mark.parametrize("name", WATCHED)
def test_the_page_names_only_what_is_shown(name: str) -> None:
    assert set(_NAME.findall((ROOT / f"docs/{name}.md").read_text())) <= shown()
