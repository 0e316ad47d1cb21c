"""Apache Kafka as child processes: one node, or a cluster of three whose nodes can be killed."""

import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.jars import CACHE, HERE, jars
from deploy.local.java import java
from deploy.local.nodes import Nodes
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import PATIENCE, Child, ChildStopped, last_lines, stop_all, wait_until
from deploy.local.screen import SILENCE, Screen

QUICK = ("-XX:TieredStopAtLevel=1",)
"""Starts sooner and runs at three quarters of the speed: right for a demo and for tests, wrong for measuring."""

_CLUSTER_ID = "cm9nYXRvcnktbG9jYWwtMQ"
_JVM = ("-Xshare:auto", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={HERE}/log4j2.properties")


class Kafka(Nodes):
    """A Kafka whose data, logs and nodes belong to whoever made it."""

    def __init__(
        self,
        folder: Path,
        node_count: int = 1,
        *,
        port: int | None = None,
        logs: Path | None = None,
        settings: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        jvm: Sequence[str] = QUICK,
        screen: Screen = SILENCE,
    ) -> None:
        """Choose ports and fetch the jars if nobody has yet; `users` (name: password) are known to SCRAM."""
        chosen = free_ports(2 * node_count)
        super().__init__(folder, logs, dict(enumerate([port or chosen[0], *chosen[1:node_count]], 1)))
        self._settings, self._users, self._jvm = settings or {}, users or {}, jvm
        self._controllers = dict(enumerate(chosen[node_count:], 1))
        self._libs = jars(java(), screen, CACHE)

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return ",".join(f"{HOST}:{port}" for port in self._ports.values())

    @property
    def replication(self) -> int:
        """On how many nodes a topic should be."""
        return min(3, len(self._ports))

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until every node that should run takes connections, which it does only once it is in the cluster."""
        for node, child in self._nodes.items():
            if child.is_running:
                self._wait_for_port(node, patience)

    def kill(self, node: int = 1, how: int = signal.SIGKILL) -> None:
        """End one node, as a crash does or (SIGTERM) as an operator does, and see it gone."""
        self._nodes[node].signal(how)
        self._nodes[node].stop() if how == signal.SIGTERM else self._nodes[node].kill()

    def restart(self, node: int = 1) -> None:
        """Start one node again on its data and its ports, and wait for it."""
        self._nodes[node].stop()
        self._launch(node)
        self.wait()

    def stop(self) -> None:
        """Stop all nodes; of several the last has no majority left to sign off with, so they are not given long."""
        stop_all(self.children, patience=10 if len(self._ports) == 1 else 2)
        self._keep_class_archive()

    def _launch(self, node: int) -> None:
        folder = self.folder / f"node-{node}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "server.properties"
        config.write_text(self._config(node, folder / "data"))
        if not (folder / "data" / "meta.properties").exists():
            self._format(node, config, folder / "data")
        name = "Kafka" if len(self._ports) == 1 else f"Kafka node {node}"
        memory = "-Xmx512m" if len(self._ports) == 1 else "-Xmx256m"
        command = [str(java().program), *_JVM, memory, *self._jvm, *self._class_archive(node)]
        command += ["-cp", f"{self._libs}/*", "kafka.Kafka", str(config)]
        self._nodes[node] = Child(name, command, self.logs / f"kafka-{node}.log")

    def _config(self, node: int, data: Path) -> str:
        several = len(self._ports) > 1
        fields = {
            "NODE": node,
            "VOTERS": ",".join(f"{voter}@{HOST}:{port}" for voter, port in self._controllers.items()),
            "PORT": self._ports[node],
            "CONTROLLER_PORT": self._controllers[node],
            "DATA": data,
            "REPLICAS": self.replication,
            "IN_SYNC": 2 if several else 1,
            # A lone broker on a busy machine must not be taken for dead by itself.
            "SESSION": 2000 if several else 6000,
            "HEARTBEAT": 400 if several else 300,
        }
        text = (HERE / "server.properties").read_text()
        text += "".join(
            f"{name}={value}\n" for name, value in self._settings.items()
        )  # of two equal names the last wins
        for name, value in fields.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def _format(self, node: int, config: Path, data: Path) -> None:
        """Make the node's empty storage; Kafka's tool for that takes a second, so what it makes is kept and copied."""
        made = CACHE / "formatted" / f"node-{node}"
        if made.exists() and not self._users:
            shutil.copytree(made, data)
            return
        log = self.logs / f"kafka-{node}-format.log"
        command = [str(java().program), *_JVM, *QUICK, "-cp", f"{self._libs}/*", "kafka.tools.StorageTool", "format"]
        command += ["-t", _CLUSTER_ID, "-c", str(config)]
        for name, password in self._users.items():
            command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        tool = Child("Kafka's storage tool", command, log)
        wait_until(lambda: not tool.is_running, "formatting", [])
        if tool.exit_code != 0:
            raise ChildStopped(f"Kafka's storage tool failed; the end of {log}:\n{last_lines(log)}")
        if not self._users:
            _publish(data, made)

    def _class_archive(self, node: int) -> list[str]:
        """The JVM's archive of loaded classes, which halves the start; the first node ever to stop writes it."""
        archive = _archive()
        if archive.exists():
            return [f"-XX:SharedArchiveFile={archive}"]
        return [f"-XX:ArchiveClassesAtExit={self.folder / 'classes.jsa'}"] if node == 1 else []

    def _keep_class_archive(self) -> None:
        made = self.folder / "classes.jsa"
        if made.exists() and self._nodes[1].exit_code in (0, 128 + signal.SIGTERM):
            _publish(made, _archive())


def _archive() -> Path:
    return CACHE / f"java-{java().version}.jsa"


def _publish(made: Path, kept: Path) -> None:
    """Copy a file or a folder so that others see it whole or not at all; whoever was first wins."""
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_name(f"{kept.name}.{made.stat().st_ino}.half")
    if made.is_dir():
        shutil.copytree(made, half)
    else:
        shutil.copy(made, half)
    try:
        half.rename(kept)
    except OSError:  # another process was first
        shutil.rmtree(half, ignore_errors=True)
