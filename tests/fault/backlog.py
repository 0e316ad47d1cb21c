"""What waits in services, by their own metrics: where to look when all is not well again."""

import contextlib
import http.client
import re
from collections import Counter
from collections.abc import Mapping

from deploy.local.ports import HOST

_WAITS = re.compile(
    r'^rogatory_(?:consumer_lag_messages\{.*topic="([^"]+)".*|records_unsent\{.*collection="(\w+)".*) (\S+)$',
    re.MULTILINE,
)
_SHOWN = 8


def metrics_of(port: int) -> str:
    """A service's metrics as Prometheus reads them; empty while it is dead."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    return ""


def waiting(ports: Mapping[str, int]) -> str:
    """What waits most, by instance: records to be read of a topic, records of a collection to be sent."""
    found: Counter[str] = Counter()
    for instance, port in ports.items():
        for topic, collection, number in _WAITS.findall(metrics_of(port)):
            found[f"{instance} {topic or f'unsent {collection}'}"] += int(float(number))
    return ", ".join(f"{what} {number}" for what, number in found.most_common(_SHOWN) if number) or "nothing"
