"""Quix Streams as a side: an application that routes letters by their type, and keeps nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ground import Ground
from benchmarks.measure import RECEIVED
from benchmarks.peers.environments import HERE
from benchmarks.peers.routes import routes
from deploy.local.processes import Child, stop_all
from shared import topics
from shared.vocabulary import Lane

AS_IN_THE_TUTORIAL: Mapping[str, Any] = {}
"""Where Kafka is, a group, and to begin with the earliest: nothing else stands there."""
TUNED: Mapping[str, Any] = {"commit_interval": 1.0, "producer_extra_config": {"linger.ms": 0}}
ONCE: Mapping[str, Any] = {
    **TUNED,
    "processing_guarantee": "exactly-once",
    "commit_interval": 0.1,
    "consumer_poll_timeout": 0.02,
}
"""In transactions: what is sent is seen once they are committed, which is every 5 s if nobody says otherwise."""


class Quix:
    """A new process for each round."""

    ports: Sequence[int] = ()

    def __init__(self, ground: Ground, python: Path, name: str, tuned: Mapping[str, Any]) -> None:
        self.name, self._ground, self._python, self._tuned = name, ground, python, tuned
        self._child: Child | None = None

    def start(self, services: Sequence[str]) -> None:
        """Start it in the router's place; the letters that warm it up tell when it reads."""
        (service,) = services
        wanted = routes()
        settings = {
            "kafka": self._ground.kafka.bootstrap,
            "group": self.name,
            "letters": self.topic(RECEIVED),
            "routes": wanted,
            "topics": {to: self.topic(topics.cases_of(to, Lane.NORMAL)) for to in sorted({*wanted.values()})},
            "tuned": self._tuned,
        }
        command = [str(self._python), "-I", str(HERE / "quix_app.py"), json.dumps(settings)]
        self._child = Child(f"{self.name} {service}", command, self._ground.logs / f"{self.name}.log")

    def stop(self) -> None:
        """Stop it; it commits what it has done."""
        stop_all([self._child] if self._child else [])
        self._child = None

    def empty(self) -> None:
        """It has no database."""

    def topic(self, name: str) -> str:
        """The side's name before the topic's."""
        return f"{self.name}.{name}"

    @property
    def pids(self) -> Mapping[str, int]:
        """Its process."""
        return {"router": self._child.pid} if self._child else {}
