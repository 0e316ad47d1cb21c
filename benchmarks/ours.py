"""Rogatory itself as a side: its services as `make run` starts them, one of each or several."""

from collections.abc import Mapping, Sequence

from benchmarks.ground import Ground
from benchmarks.prepared import ASSUMPTIONS
from deploy.local.ports import free_ports
from deploy.local.processes import stop_all, wait_until
from deploy.local.services import Service

_NOWHERE = "http://127.0.0.1:9/"
"""Where subscribers hear by webhook of whom no letter here tells."""


class Ours:
    """Rogatory itself; what it is told beside the settings of `make run` stands in `settings`."""

    def __init__(
        self,
        ground: Ground,
        settings: Mapping[str, str] | None = None,
        *,
        name: str = "ours",
        instances: int = 1,
        kind: type[Service] = Service,
    ) -> None:
        """`instances`: of each service; `kind`: how a service is started."""
        self.name, self._ground, self._instances, self._kind = name, ground, instances, kind
        self._settings = settings or {}
        self.services: list[Service] = []

    def start(self, services: Sequence[str]) -> None:
        """Start these services and wait until they are ready."""
        told = {
            **self._ground.deployment.settings(self._ground.kafka.bootstrap, self._ground.mongo.uri, _NOWHERE),
            "ROGATORY_DATABASE": self.name,
            "ROGATORY_RATE_PER_AGENCY": "0",  # all letters are one agency's
            "ROGATORY_LAW_ASSUMPTIONS": ",".join(map(str, ASSUMPTIONS)),
            **self._settings,
        }
        names = [(name, f"{name}-{number}") for number in range(1, self._instances + 1) for name in services]
        self.services = [
            self._kind(name, port, told, self._ground.logs, instance)
            for (name, instance), port in zip(names, free_ports(len(names)), strict=True)
        ]
        children = [service.launch() for service in self.services]
        for service in self.services:
            others = [child for child in children if child is not service.child]
            wait_until(service.is_ready, f"{service.instance}'s readiness", [*others, service.running()])

    def stop(self) -> None:
        """Stop them."""
        stop_all(service.child for service in self.services if service.child)
        self.services = []

    def empty(self) -> None:
        """Drop its database."""
        self._ground.client.drop_database(self.name)

    def topic(self, name: str) -> str:
        """The names as they are."""
        return name

    @property
    def ports(self) -> Sequence[int]:
        """Of every intake."""
        return [service.port for service in self.services if service.name == "intake"]

    @property
    def pids(self) -> Mapping[str, int]:
        """The services; the first of each has the plain name."""
        return {service.instance.removesuffix("-1"): service.running().pid for service in self.services}
