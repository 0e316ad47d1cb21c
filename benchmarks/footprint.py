"""`python -m benchmarks.footprint`: what a letter costs in bytes and operations; writes results/footprint.json.

The same letters as the benchmarks', all the way, on one machine: at rest, at 100 a second, and as fast as it goes, for
in a batch of many each costs less. Bytes are counted where they are kept; CPU is beside them.
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import meter, report
from benchmarks.__main__ import FOLDER
from benchmarks.books import Books
from benchmarks.costs import SLOW
from benchmarks.ground import SERVICES, Ground
from benchmarks.measure import END_TO_END, NOTICES, Letters, Rounds
from benchmarks.ours import Ours
from deploy.local.jars import ROOT
from deploy.local.locks import locked
from deploy.local.processes import signals_interrupt

FOOTPRINT = ROOT / "benchmarks" / "results" / "footprint.json"
CONNECTIONS = 64
WARM = 500
SETTLING = 12.0
"""Seconds in which what comes after the last letter has come: a checkpoint, and a sweep."""


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="at rest, and at 100 letters a second")
    parser.add_argument("--letters", type=int, default=8_000, help="as fast as it goes")
    parser.add_argument("--to", type=Path, default=FOOTPRINT, help="where to write")
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("ROGATORY_")]:
        del os.environ[name]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry
    with signals_interrupt(), locked(FOLDER.with_name("bench.lock"), _refuse_second), Ground(FOLDER) as ground:
        ground.warm(10)
        ours = Ours(ground)
        ground.clear([ours])
        ours.start(SERVICES)
        try:
            found = asyncio.run(_measure(ground, ours, asked.seconds, asked.letters))
        finally:
            ours.stop()
        found |= {"commit": report.commit(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        found |= {"servers": ground.servers(), "versions": report.versions()}
    shutil.rmtree(FOLDER)
    asked.to.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"written to {asked.to}")
    return 0


async def _measure(ground: Ground, ours: Ours, seconds: int, fast: int) -> dict[str, Any]:
    rounds = Rounds(ground, Letters(ground, 1, 1), CONNECTIONS)
    async with rounds.watch(ours, NOTICES) as watch:
        books = Books(ground, ours, END_TO_END, watch)
        await books.open()
        written = 0

        async def go(name: str, count: int, rate: float = 0) -> None:
            nonlocal written
            await rounds.post(ours, name, count, CONNECTIONS, rate)
            written += count
            await books.settle(written)

        await go("warm", WARM)
        await asyncio.sleep(SETTLING)
        found: dict[str, Any] = {"at_rest": await _metered(ground, ours, lambda: asyncio.sleep(seconds))}
        for name, count, rate in (("slow", seconds * SLOW, SLOW), ("fast", fast, 0)):
            found[name] = await _metered(ground, ours, lambda n=name, c=count, r=rate: go(n, c, r), count)  # type: ignore[misc]
            await asyncio.sleep(SETTLING)
        await books.check(written)
        return found | {"warm": WARM, "collections": meter.collections(ground, ours)}


async def _metered(
    ground: Ground, ours: Ours, run: Callable[[], Awaitable[None]], letters: int = 0
) -> Mapping[str, Any]:
    """What something costs, for each letter; for each second where there are none."""
    load, before, began = os.getloadavg()[0], meter.read(ground, ours), time.monotonic()
    await run()
    lasted = time.monotonic() - began
    used = meter.read(ground, ours).since(before, letters or lasted)
    print(f"{letters or 'no'} letters in {lasted:.1f} s: {json.dumps(used)}", flush=True)
    return {**used, "letters": letters, "seconds": round(lasted, 1), "load": round(load, 2)}


def _refuse_second() -> None:
    sys.exit("Another benchmark runs from this folder.")


if __name__ == "__main__":
    sys.exit(main())
