"""The service that neither counts nor logs, for the benchmark alone: in a process of its own, for it spoils that."""

import subprocess
import sys

SAYS = """
import logging, sys
if sys.argv[1] == "muted":
    from benchmarks.muted import mute
    mute()
from prometheus_client import generate_latest
from shared.log import logger, start_logging
from shared.metrics import Metrics
metrics = Metrics("router")
metrics.sent.inc()
metrics.messages.labels("kafka", "new").inc()
metrics.batch_seconds.labels("kafka").observe(1)
metrics.unsent.labels("cases").set(7)
shown = generate_latest(metrics.registry).decode().splitlines()
counted = [line for line in shown if line.startswith("rogatory_") and not line.endswith(" 0.0")]
print(len([line for line in counted if "build_info" not in line]))
start_logging("router", "json")
logger().error("a line of ours")
logging.getLogger("somebody").error("a line of a library")
logger().critical("stopping")
"""


def said(how: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SAYS, how], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_nothing_is_counted_and_only_what_ends_a_service_is_logged() -> None:
    [counted, *lines] = said("muted")

    assert counted == "0"
    assert len(lines) == 1
    assert "stopping" in lines[0]


def test_the_same_service_counts_and_logs_otherwise() -> None:
    [counted, *lines] = said("as it is")

    assert int(counted) > 3
    assert len(lines) == 3
