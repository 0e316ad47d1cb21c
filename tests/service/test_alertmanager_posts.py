"""What a real Alertmanager posts is taken; what we cannot keep it posts again; what is ours raises nothing."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from deploy.local.ports import HOST, free_ports
from deploy.local.processes import Child, stop_all
from services.notifier.alertmanager_in import PATH, SCOPE, TRUNCATED, Technical, add_alertmanager
from shared.failures import TryAgain
from shared.http import api
from shared.tokens import KeySource, Verifier, make_key, make_token
from tests.service.running import eventually

PROGRAM = "prometheus-alertmanager"
MARK = "Nigar Mammadova"

pytestmark = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed")


@dataclass
class Duty:
    """Our side, and the address of the Alertmanager that posts to it."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    taken: list[Technical] = field(default_factory=list)
    refuse: int = 0
    """So many posts are refused before one is taken."""
    url: str = ""

    async def take(self, alerts: Sequence[Technical]) -> None:
        """Keep them."""
        if self.refuse:
            self.refuse -= 1
            raise TryAgain("no primary")
        self.taken += alerts

    def named(self, name: str) -> list[Technical]:
        """What was taken under a name."""
        return [one for one in self.taken if one.alertname == name]

    def came_back(self) -> float | None:
        """How many of our own the metric counts."""
        return self.registry.get_sample_value("rogatory_technical_alerts_total", {"outcome": "ours"})

    async def fire(self, *alerts: dict[str, str]) -> None:
        """Tell Alertmanager that these fire."""
        body = [{"labels": labels, "annotations": {"summary": MARK}} for labels in alerts]
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/api/v2/alerts", json=body)).raise_for_status()


@pytest.fixture
async def duty(tmp_path: Path) -> AsyncIterator[Duty]:
    """Our route on a real port, and an Alertmanager that posts there."""
    made, (ours, theirs) = Duty(), free_ports(2)
    private, jwks = make_key()
    (tmp_path / "jwks.json").write_text(json.dumps(jwks))
    token = make_token(private, issuer="i", audience="a", scopes=(SCOPE,), lifetime=timedelta(hours=1))
    (tmp_path / "token").write_text(token)
    config = {
        "route": {"receiver": "us", "group_by": ["alertname"], "group_wait": "100ms", "group_interval": "1s"},
        "receivers": [
            {
                "name": "us",
                "webhook_configs": [
                    {
                        "url": f"http://{HOST}:{ours}{PATH}",
                        "max_alerts": 2,
                        "http_config": {"authorization": {"credentials_file": str(tmp_path / "token")}},
                    }
                ],
            }
        ],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(config))
    app = api("Notifier", [])
    add_alertmanager(app, Verifier("i", "a", KeySource(tmp_path / "jwks.json")), made.take, made.registry)
    made.url = f"http://{HOST}:{theirs}"
    command = [
        PROGRAM,
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address={HOST}:{theirs}",
        "--cluster.listen-address=",
    ]
    async with _serving(app, ours):
        alertmanager = Child("alertmanager", command, tmp_path / "alertmanager.log")
        try:
            await eventually(lambda: _is_ready(made.url), "Alertmanager's start")
            yield made
        finally:
            await asyncio.to_thread(stop_all, [alertmanager])


@asynccontextmanager
async def _serving(app: object, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(app, host=HOST, port=port, log_config=None, lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _is_ready(url: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/-/ready")).is_success
    except httpx.HTTPError:
        return False


async def test_what_fires_is_taken_and_what_ends_too(duty: Duty) -> None:
    labels = {"alertname": "KafkaDown", "severity": "critical", "instance": MARK}
    await duty.fire(labels)
    await eventually(lambda: duty.named("KafkaDown"), "the alert")

    async with httpx.AsyncClient() as client:
        over = [{"labels": labels, "endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-12-31T00:00:00Z"}]
        (await client.post(f"{duty.url}/api/v2/alerts", json=over)).raise_for_status()
    await eventually(lambda: len(duty.named("KafkaDown")) == 2, "its end")

    first, last = duty.named("KafkaDown")
    assert (first.firing, last.firing, first.severity) == (True, False, "critical")
    assert (first.fingerprint, first.labels) == (last.fingerprint, last.labels)
    assert MARK not in str(duty.taken)


async def test_what_we_could_not_keep_comes_again(duty: Duty) -> None:
    duty.refuse = 1

    await duty.fire({"alertname": "DiskFull", "severity": "warning"})
    await eventually(lambda: duty.named("DiskFull"), "the alert, posted again")

    assert duty.refuse == 0


async def test_what_was_left_out_is_an_alert_and_what_is_ours_is_none(duty: Duty) -> None:
    await duty.fire({"alertname": "Ours", "rogatory": "notice"})
    await duty.fire(*({"alertname": "Many", "instance": str(number)} for number in range(5)))

    await eventually(lambda: duty.named(TRUNCATED), "that alerts were left out")
    await eventually(lambda: duty.came_back() == 1, "our own alert")

    assert len(duty.named("Many")) == 2
    assert not duty.named("Ours")
