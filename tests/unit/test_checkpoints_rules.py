"""The rules for Prometheus over checkpoints name what is shown, and a page that is there."""

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from shared.checkpoints.measures import CheckpointMetrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/checkpoints.yaml"


def test_a_rule_asks_for_what_is_shown_and_leads_to_a_page() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    registry = CollectorRegistry()
    CheckpointMetrics(registry)

    shown = {metric.name for metric in registry.collect()}
    for rule in group["rules"]:
        assert set(re.findall(r"\brogatory_\w+", rule["expr"])) <= shown
        page, _, heading = rule["annotations"]["runbook"].partition("#")
        lines = (ROOT / page).read_text().splitlines()
        assert heading in [line[3:].lower().replace(" ", "-") for line in lines if line.startswith("## ")]
