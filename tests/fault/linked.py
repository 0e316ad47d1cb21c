"""A Kafka and a MongoDB whose nodes stand behind links that can be cut, with disks and clocks of their own."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import Child
from tests.fault.disks import Disk
from tests.fault.links import Link, Links
from tests.fault.skew import Skew

NODES = 3


class LinkedKafka(Kafka):
    """Our services reach each node by a link; the nodes reach each other, and a test reaches them, without."""

    def __init__(self, folder: Path, links: Links, nodes: int = NODES) -> None:
        super().__init__(folder, nodes)
        self._inner = dict(enumerate(free_ports(nodes), 1))
        self.links: Mapping[int, Link] = {node: links.to(port) for node, port in self._inner.items()}

    @property
    def for_services(self) -> str:
        """What our services connect to."""
        return ",".join(f"{HOST}:{link.port}" for link in self.links.values())

    def _config(self, node: int, data: Path) -> str:
        own, controller = self._ports[node], self._controllers[node]
        more = {
            "listeners": f"PLAINTEXT://{HOST}:{own},LINKED://{HOST}:{self._inner[node]},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{own},LINKED://{HOST}:{self.links[node].port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        # Of two equal names the last wins.
        return super()._config(node, data) + "".join(f"{name}={value}\n" for name, value in more.items())


class LinkedMongo(Mongo):
    """Everybody reaches each node by its link, the other nodes too: a node that is cut off is so for all of them."""

    def __init__(
        self,
        folder: Path,
        links: Links,
        disks: Mapping[int, Disk] = MappingProxyType({}),
        clocks: Mapping[int, Skew] = MappingProxyType({}),
        nodes: int = NODES,
    ) -> None:
        """`disks`, `clocks`: of the nodes; none where this machine does not allow it."""
        super().__init__(folder, nodes)
        self.links: Mapping[int, Link] = {node: links.to(port) for node, port in self._ports.items()}
        self.disks, self.clocks = disks, clocks

    def address(self, node: int) -> str:
        """Where others find a node."""
        return f"{HOST}:{self.links[node].port}"

    def environment(self, node: int) -> Mapping[str, str]:
        """What a node is told beside."""
        return self.clocks[node].environment if node in self.clocks else {}

    def child(self, node: int) -> Child:
        """The process of a node."""
        return self._nodes[node]
