"""What the nemesis works on: linked servers, and disks and clocks of their own as far as this machine allows."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.services import PORTS
from tests.fault import disks, skew
from tests.fault.disks import Disk
from tests.fault.linked import NODES, LinkedKafka, LinkedMongo
from tests.fault.links import Links
from tests.fault.skew import Skew

INSTANCES = 2


@dataclass(frozen=True)
class Stand:
    """The servers, the clocks of the services, and what this machine does not allow."""

    kafka: LinkedKafka
    mongo: LinkedMongo
    clocks: Mapping[str, Skew]
    """By instance."""
    left_out: tuple[str, ...]

    def own(self, instance: str) -> Mapping[str, str]:
        """What one instance is told."""
        return self.clocks[instance].environment if instance in self.clocks else {}


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Start it all, and end it."""
    left_out = []
    with ExitStack() as held:
        links = held.enter_context(Links())
        small: dict[int, Disk] = {}
        if why := disks.why_not(folder):
            left_out.append(f"full disks: {why}")
        else:
            data = {node: folder / "mongo" / f"node-{node}" for node in range(1, NODES + 1)}
            small = {node: held.enter_context(Disk(place)) for node, place in data.items()}
        of_services: dict[str, Skew] = {}
        of_mongod: dict[int, Skew] = {}
        if skew.compiler() is None:
            left_out.append("clocks that are set: no C compiler (cc)")
        else:
            library = skew.build(folder)
            instances = [f"{name}-{n}" for name in PORTS for n in range(1, INSTANCES + 1)]
            of_services = {name: Skew(library, folder / f"clock-{name}") for name in instances}
            of_mongod = {node: Skew(library, folder / f"clock-mongod-{node}") for node in range(1, NODES + 1)}
        kafka = LinkedKafka(folder / "kafka", links)
        mongo = LinkedMongo(folder / "mongo", links, small, of_mongod)
        for servers in (kafka, mongo):
            held.callback(servers.stop)
            servers.launch()
        mongo.wait()
        kafka.wait()
        yield Stand(kafka, mongo, of_services, tuple(left_out))
        for link in links.all:
            link.mend()
