"""What Kafka and MongoDB have in common: nodes that are child processes, each with a port of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from deploy.local.ports import takes_connections
from deploy.local.processes import PATIENCE, Child, wait_until


class Nodes(ABC):
    """Servers whose data, logs and processes belong to whoever made them."""

    def __init__(self, folder: Path, logs: Path | None, ports: Mapping[int, int]) -> None:
        """Choose the folders, and each node's port."""
        self.folder, self.logs, self._ports = folder, logs or folder, ports
        self._nodes: dict[int, Child] = {}

    @property
    def children(self) -> list[Child]:
        """The processes, one per node."""
        return list(self._nodes.values())

    def launch(self) -> None:
        """Start all nodes without waiting for them."""
        for node in self._ports:
            self._launch(node)

    @abstractmethod
    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until clients can work."""

    def start(self) -> Self:
        """Start and wait."""
        self.launch()
        self.wait()
        return self

    @abstractmethod
    def stop(self) -> None:
        """Stop all nodes."""

    def __enter__(self) -> Self:
        """Start, and stop when the block ends."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @abstractmethod
    def _launch(self, node: int) -> None:
        """Start one node, on the data that it has."""

    def _wait_for_port(self, node: int, patience: float) -> None:
        child = self._nodes[node]
        wait_until(lambda: takes_connections(self._ports[node]), f"{child.name}'s start", [child], patience)
