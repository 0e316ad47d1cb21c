"""The local deployment tells the services what the partners file says, whatever names stand in it."""

import json
from pathlib import Path

import pytest

from deploy.local.deployment import Deployment
from services.notifier.channels.webhook import check_targets
from services.notifier.settings import NotifierSettings
from shared.partners import load_partners
from shared.settings import read_settings

ROOT = Path(__file__).parents[2]
PARTNERS = f"""\
law: {ROOT / "laws" / "azerbaijan.yaml"}
agencies:
  registry: {{title: Registry}}
subscribers:
  night-shift: {{title: Night shift, channels: [webhook]}}
  day-shift: {{title: Day shift, channels: [kafka, webhook]}}
  archive: {{title: Archive, channels: [kafka]}}
"""


@pytest.mark.parametrize("text", [PARTNERS, None], ids=["others", "the repository's"])
def test_everybody_who_hears_by_webhook_has_a_target_and_nobody_else(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ROOT / "partners.yaml"
    if text:
        file = tmp_path / "partners.yaml"
        file.write_text(text)
    for name in ("LAW", "LAW_ASSUMPTIONS", "ALERTS"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)
    monkeypatch.setenv("ROGATORY_PARTNERS", str(file))

    told = Deployment.prepare(tmp_path).settings("localhost:9092", "mongodb://localhost/", "http://localhost:8004/")

    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(NotifierSettings)
    check_targets(settings.webhooks, load_partners(file), settings.webhooks_allow_http)
    assert json.loads(told["ROGATORY_WEBHOOKS"])
