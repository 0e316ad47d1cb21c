"""The end of tests on real servers: `rogatory verify` over what they left, in this process, finds nothing wrong."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from shared import times
from verify.command import verified
from verify.findings import Report
from verify.running import Asked
from verify.telling import sentences

WAITS = (0.0, 1.0, 2.0, 5.0, 10.0)
"""Seconds between further looks at what may settle: tests come to rest before they end."""


def report_on(settings: Mapping[str, str], since: datetime | None = None, *only: str) -> Report:
    """What is found; in a thread, for the test may have a loop of its own."""
    asked = Asked(since, only) if only else Asked(since)
    with ThreadPoolExecutor(1) as threads, TemporaryDirectory() as state:
        return threads.submit(verified, settings, asked, Path(state), waits=WAITS).result()


def verify(settings: Mapping[str, str], since: datetime | None = None, *only: str) -> None:
    """Nothing may be wrong with what came since then: other tests' events lie before it on the same topics.

    `only`: the collections whose services run.
    """
    report = report_on(settings, since, *only)
    assert report.is_right, "\n" + "\n".join(sentences(report))


@contextmanager
def verified_after(settings: Mapping[str, str]) -> Iterator[None]:
    """Verifies at the end of the block what came during it."""
    since = times.now()
    yield
    verify(settings, since)
