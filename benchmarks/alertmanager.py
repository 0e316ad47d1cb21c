"""Debian's Alertmanager as a side: fifty receivers, each alert a group of its own, so that each is its own webhook."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

import aiohttp

from benchmarks.books import Measured
from benchmarks.cpu import Cpu
from benchmarks.ground import Ground, Side
from benchmarks.measure import Seen
from benchmarks.offices import NAMES, Offices
from benchmarks.taken import Taken
from deploy.local.ports import HOST, free_ports, takes_connections
from deploy.local.processes import Child, stop_all, wait_until

PROGRAM = "prometheus-alertmanager"
MEASURED = Measured(("alertmanager",), {}, (), what="notice")
AT_ONCE = 100
"""Alerts in one post."""
POSTERS = 4
"""Posts at a time."""


class Alertmanager:
    """A new one for each round."""

    name = "alertmanager"

    def __init__(self, ground: Ground, offices: Offices) -> None:
        self._folder, self._logs, self._offices = ground.folder / "alertmanager", ground.logs, offices
        self.ports = free_ports(1)
        self._child: Child | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether it can be measured here."""
        return shutil.which(PROGRAM) is not None

    @staticmethod
    def version() -> str:
        """Which one it is."""
        said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
        return (said.stdout or said.stderr).split()[2]

    def start(self, services: Sequence[str]) -> None:
        """Start it over an empty folder, alone, and wait until it listens."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        (self._folder / "config.json").write_text(json.dumps(self._config()))
        command = [
            PROGRAM,
            f"--config.file={self._folder / 'config.json'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={HOST}:{self._port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        [name] = services
        self._child = Child(name, command, self._logs / "alertmanager.log")
        wait_until(lambda: takes_connections(self._port), "Alertmanager's start", [self._child])

    def stop(self) -> None:
        """Stop it."""
        stop_all([self._child] if self._child else [])
        self._child = None

    def empty(self) -> None:
        """It has no database."""

    def topic(self, name: str) -> str:
        """It reads none."""
        return name

    @property
    def _port(self) -> int:
        return self.ports[0]

    @property
    def pids(self) -> Mapping[str, int]:
        """Its process."""
        return {"alertmanager": self._child.pid} if self._child else {}

    def _config(self) -> dict[str, object]:
        receivers = [
            {"name": name, "webhook_configs": [{"url": self._offices.url(name), "send_resolved": False}]}
            for name in NAMES
        ]
        routes = [{"receiver": name, "matchers": [f'office="{name}"']} for name in NAMES]
        # Every label tells groups apart, and a group is told of at once.
        waits = {"group_by": ["..."], "group_wait": "0s", "group_interval": "1h", "repeat_interval": "24h"}
        return {"route": {"receiver": NAMES[0], "routes": routes, **waits}, "receivers": receivers}


class AlertRounds:
    """Its part of a round: alerts are posted as fast as it takes them."""

    def __init__(self, ground: Ground, offices: Offices, warm: int) -> None:
        self._ground, self._offices, self._warm = ground, offices, warm

    def run(self, side: Side, measured: Measured, count: int) -> Seen:
        """Measure so many alerts."""
        side.start(measured.services)
        try:
            return asyncio.run(self._run(side, count))
        finally:
            side.stop()

    async def _run(self, side: Side, count: int) -> Seen:
        async with (
            Taken(self._offices.port) as taken,
            aiohttp.ClientSession(f"http://{HOST}:{side.ports[0]}") as session,
        ):
            await self._go(session, taken, "warm", self._warm)
            cpu = Cpu({**side.pids, **self._ground.pids, "sink": taken.pid})
            seconds = await self._go(session, taken, "run", count)
            used = cpu.microseconds_each(count)
            await asyncio.sleep(0.3)
            await taken.check_count(count)
            return Seen(count / seconds, used)

    async def _go(self, session: aiohttp.ClientSession, taken: Taken, name: str, count: int) -> float:
        """Seconds from the first post until the last webhook is taken."""
        bodies = iter(_bodies(name, count))
        await taken.expect(count)

        async def post() -> None:
            for body in bodies:
                headers = {"content-type": "application/json"}
                async with session.post("/api/v2/alerts", data=body, headers=headers) as response:
                    response.raise_for_status()

        began = time.monotonic()
        await asyncio.gather(*(post() for _ in range(POSTERS)))
        return await taken.last() - began


def _bodies(name: str, count: int) -> list[bytes]:
    """Alerts about as large as our notices, each with labels of its own."""
    alerts = [
        {
            "labels": {
                "alertname": "case.assigned",
                "about": f"cas_{name}_{number:027}",
                "office": NAMES[number % len(NAMES)],
                "type": "stored_data_access",
                "authority": "security-service",
                "lane": "normal",
                "urgency": "normal",
                "direction": "incoming",
                "party": "FR",
            },
            "annotations": {"says": "stored_data_access (incoming, FR) is with security-service."},
        }
        for number in range(count)
    ]
    return [json.dumps(alerts[at : at + AT_ONCE]).encode() for at in range(0, count, AT_ONCE)]
