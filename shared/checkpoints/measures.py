"""How the checkpoints of a process stand."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class CheckpointMetrics:
    """Made only where checkpoints are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge(
            "rogatory_checkpoint_records_waiting", "Records that changed and are not anchored.", registry=registry
        )
        self.anchored = Counter(
            "rogatory_checkpoint_leaves_total", "Heads of records that were anchored.", registry=registry
        )
        self.until = Gauge(
            "rogatory_checkpoint_last_timestamp_seconds",
            "Until when all changes of this process are anchored; 0: not yet.",
            registry=registry,
        )
