"""Our own services as child processes: what they are told, how they start, when they are ready."""

import http.client
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.jars import ROOT
from deploy.local.ports import HOST
from deploy.local.processes import Child
from deploy.local.secret_files import write_secret

PORTS = {"intake": 8001, "router": 8002, "notifier": 8003}
"""The services in the order in which a letter meets them, and where each prefers to listen."""
C_LIBRARY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1048576"}
"""How the C library keeps memory. Heaps: one for each of the driver's threads would cost a fifth more under load. Bytes
from which on memory goes back to the system at once: else a tenth more was kept after two minutes of bad records."""


@dataclass
class Service:
    """One process of one service."""

    name: str
    port: int
    environment: Mapping[str, str]
    logs: Path
    instance: str = ""
    child: Child | None = None

    def __post_init__(self) -> None:
        """Name the process: the name stays the same over restarts, so that a restart is no rebalance."""
        self.instance = self.instance or f"{self.name}-1"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """Its settings, without the rest of the environment."""
        return {
            # The links in notices: on this machine people reach the notifier where it listens.
            **({"ROGATORY_PUBLIC_URL": self.url} if self.name == "notifier" else {}),
            **self.environment,
            "ROGATORY_HOST": HOST,
            "ROGATORY_PORT": str(self.port),
            "ROGATORY_INSTANCE": self.instance,
        }

    @property
    def command(self) -> list[str]:
        """What is started."""
        return [sys.executable, "-m", f"services.{self.name}"]

    def launch(self) -> Child:
        """Start it without waiting; also after it was killed."""
        environment = os.environ | C_LIBRARY | {"PYTHONPATH": str(ROOT)} | self.settings
        self.child = Child(self.name, self.command, self.logs / f"{self.instance.removesuffix('-1')}.log", environment)
        return self.child

    def running(self) -> Child:
        """Its process."""
        if self.child is None:
            raise LookupError(f"{self.name} was not started")
        return self.child

    def is_ready(self) -> bool:
        """Whether it says that it can work."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def write_environment(self, folder: Path) -> None:
        """Write its settings to a file for who wants to start it by hand or in a debugger."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.settings.items()]
        write_secret(folder / f"{self.name}.env", "".join(lines))
