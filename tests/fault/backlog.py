"""What waits in services, by their own metrics: where to look when all is not well again."""

import contextlib
import http.client
from collections import Counter
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import HOST

_WAITS = {"rogatory_consumer_lag_messages": "topic", "rogatory_records_unsent": "collection"}
"""What waits, and by which label it is told."""
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
        for family in text_string_to_metric_families(metrics_of(port)):
            if label := _WAITS.get(family.name):
                for sample in family.samples:
                    found[f"{instance} {label} {sample.labels[label]}"] += int(sample.value)
    return ", ".join(f"{what} {number}" for what, number in found.most_common(_SHOWN) if number) or "nothing"
