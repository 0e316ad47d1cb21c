"""IntelMQ as a side: a collector that takes letters over TCP, parser, sieve and output, with Redis between them."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.letters import AUTHORITY
from benchmarks.peers.environments import HERE
from benchmarks.peers.routes import routes
from deploy.local.ports import HOST, free_ports, takes_connections
from deploy.local.processes import Child, stop_all, wait_until
from shared.vocabulary import DESK, Direction

PROGRAM = "redis-server"


@dataclass(frozen=True, slots=True)
class Bot:
    """So many bots that share one kind of work."""

    kind: str
    module: str
    instances: int = 1

    @property
    def names(self) -> list[str]:
        """The first has the plain name."""
        return [self.kind, *(f"{self.kind}-{number}" for number in range(2, self.instances + 1))]


BOTS = (
    Bot("collector", "intelmq.bots.collectors.tcp.collector"),
    Bot("parser", "intelmq.bots.parsers.json.parser", 2),
    Bot("sieve", "intelmq.bots.experts.sieve.expert", 2),
    Bot("output", "intelmq.bots.outputs.file.output"),
)
"""The two that do most share their work, as its documentation advises for speed; a second output gained nothing."""
_QUEUES, _STATISTICS = 2, 3
"""Databases of Redis, as IntelMQ numbers them."""


class IntelMQ:
    """New bots and a new Redis for each round."""

    name = "intelmq"

    def __init__(self, ground: Ground, python: Path) -> None:
        self._python, self._logs, self._folder = python, ground.logs, ground.folder / "intelmq"
        [self.port] = free_ports(1)
        self.events = self._folder / "events.txt"
        self._children: dict[str, Child] = {}

    @staticmethod
    def is_installed() -> bool:
        """Whether its Redis is there."""
        return shutil.which(PROGRAM) is not None

    @staticmethod
    def redis_version() -> str:
        """Which Redis it is."""
        said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
        return next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))

    def start(self) -> None:
        """Start Redis and then the bots, over an empty folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("etc", "var/log", "redis"):
            (self._folder / name).mkdir(parents=True)
        # Linux takes no path of more than 107 letters for a socket.
        self._sockets = Path(tempfile.mkdtemp(prefix="redis-"))
        self._configure()
        self._start_redis()
        environment = {"INTELMQ_ROOT_DIR": str(self._folder)}
        for bot in BOTS:
            for name in bot.names:
                command = [str(self._python), "-I", "-W", "ignore", str(HERE / "intelmq_bot.py"), bot.module, name]
                log = self._logs / f"intelmq-{name}.log"
                self._children[name] = Child(f"IntelMQ's {name}", command, log, environment)
        wait_until(lambda: takes_connections(self.port), "IntelMQ's start", list(self._children.values()))

    def stop(self) -> None:
        """Stop the bots, then Redis."""
        redis = self._children.pop("redis", None)
        stop_all(self._children.values())
        stop_all([redis] if redis else [])
        self._children = {}
        shutil.rmtree(self._sockets, ignore_errors=True)

    @property
    def pids(self) -> Mapping[str, int]:
        """The bots and Redis."""
        return {name: child.pid for name, child in self._children.items()}

    def check_queues(self) -> None:
        """Raise unless every queue is empty, and Redis writes down what it takes, every second."""
        left = self._ask("-n", str(_QUEUES), "DBSIZE")
        assert left == "0", f"IntelMQ left {left} queues with something in them"
        written = (self._ask("CONFIG", "GET", "appendonly"), self._ask("CONFIG", "GET", "appendfsync"))
        assert written == ("appendonly\nyes", "appendfsync\neverysec"), written

    @property
    def _socket(self) -> str:
        return str(self._sockets / "redis.sock")

    def _ask(self, *command: str) -> str:
        said = subprocess.run(["redis-cli", "-s", self._socket, *command], capture_output=True, text=True, check=True)
        return said.stdout.strip()

    def _start_redis(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": self._socket,
            "dir": str(self._folder / "redis"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        command = [PROGRAM, *(part for name, value in settings.items() for part in (f"--{name}", value))]
        self._children["redis"] = Child("Redis", command, self._logs / "redis.log")
        wait_until(Path(self._socket).exists, "Redis's start", [self._children["redis"]])

    def _configure(self) -> None:
        etc = self._folder / "etc"
        (harmonization,) = self._python.parent.parent.glob("lib/python3*/site-packages/intelmq/etc/harmonization.conf")
        shutil.copy(harmonization, etc)
        (etc / "routes.sieve").write_text(sieve(routes()))
        (etc / "runtime.yaml").write_text(json.dumps(self._runtime(etc / "routes.sieve")))

    def _runtime(self, rules: Path) -> Mapping[str, object]:
        every = {
            "logging_level": "WARNING",  # as its documentation wants it in production
            "load_balance": True,
            "source_pipeline_host": self._socket,
            "destination_pipeline_host": self._socket,
            "statistics_host": self._socket,
            "source_pipeline_db": _QUEUES,
            "destination_pipeline_db": _QUEUES,
            "statistics_database": _STATISTICS,
        }
        # Only the authority of all letters has an output: what another gets stays in its queue, and is seen.
        paths = {to: [f"{to}-queue"] for to in routes().values()} | {AUTHORITY: _queues("output")}
        told: Mapping[str, Mapping[str, object]] = {
            "collector": {
                "ip": HOST,
                "port": self.port,
                "name": "letters",
                "provider": "agencies",
                "destination_queues": {"_default": _queues("parser")},
            },
            "parser": {"destination_queues": {"_default": _queues("sieve")}},
            "sieve": {"file": str(rules), "destination_queues": {"_default": [f"{DESK}-queue"], **paths}},
            "output": {"file": str(self.events)},
        }
        bots = {
            name: {"module": bot.module, "run_mode": "continuous", "enabled": True, "parameters": told[bot.kind]}
            for bot in BOTS
            for name in bot.names
        }
        return {"global": every, **bots}


def _queues(kind: str) -> list[str]:
    return [f"{name}-queue" for bot in BOTS if bot.kind == kind for name in bot.names]


def sieve(wanted: Mapping[str, str]) -> str:
    """The routes as sieve rules; raw data goes first, as IntelMQ's documentation advises for speed."""
    rules = []
    for to in dict.fromkeys(wanted.values()):
        types = ", ".join(f"'{type}'" for type, authority in wanted.items() if authority == to)
        incoming = f"extra.direction == '{Direction.INCOMING}'"
        rules.append(f"if {incoming} && classification.identifier :in [{types}] {{ path '{to}' }}")
    return "\n".join(["remove raw", *rules]) + "\n"
