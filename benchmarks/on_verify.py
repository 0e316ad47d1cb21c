"""`verify_vs_scan`: a verification against a bare read of the same topics and documents, which looks at nothing."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure
from benchmarks.ground import SERVICES, Ground
from benchmarks.measure import END_TO_END, Rounds
from benchmarks.ours import Ours
from benchmarks.prepared import ASSUMPTIONS
from benchmarks.sizes import Size
from verify.command import settings_from, verified
from verify.deployment import Deployment
from verify.documents import Mongo
from verify.running import Asked
from verify.telling import sentences
from verify.topics import Kafka
from verify.world import COLLECTIONS


def vs_scan(ground: Ground, rounds: Rounds, size: Size) -> Figure:
    """Letters go all the way once; what they left is read barely and verified, in turn, the order changing."""
    ours, figure = Ours(ground), Figure()
    ground.clear([ours])
    told = ground.deployment.settings(ground.kafka.bootstrap, ground.mongo.uri, "http://127.0.0.1:9/") | {
        "ROGATORY_DATABASE": ours.name,
        "ROGATORY_LAW_ASSUMPTIONS": ",".join(map(str, ASSUMPTIONS)),
    }
    seconds: dict[str, list[float]] = {"scan": [], "verify": []}
    with rounds.fresh(ours, SERVICES):
        rounds.go(ours, END_TO_END, size.letters)
        turns: list[tuple[str, Callable[[], dict[str, int]]]] = [
            ("scan", partial(_scan, told)),
            ("verify", partial(_verify, told)),
        ]
        for number in range(size.rounds + 1):
            load, now = os.getloadavg()[0], {}
            for name, run in turns:
                began = time.monotonic()
                read = run()
                now[name] = time.monotonic() - began
            turns.reverse()
            ratio = now["scan"] / now["verify"]
            said = f"scan {now['scan']:.2f} s, verify {now['verify']:.2f} s, ratio {ratio:.2f}"
            print(f"  {'warm-up' if number == 0 else f'round {number}'}: {said} (load {load:.1f})", flush=True)
            if number:
                figure.rounds.append(ratio)
                figure.load.append(load)
                for name, one in now.items():
                    seconds[name].append(round(one, 3))
    figure.more = {"seconds": seconds, "letters": size.letters + size.warm, "read": read}
    return figure


def _scan(told: Mapping[str, str]) -> dict[str, int]:
    """Every record of every topic, and every document, whole."""
    settings = settings_from(told)
    deployment = Deployment.of(settings)

    async def topics() -> int:
        async with Kafka(settings.kafka) as kafka:
            bounds = await kafka.bounds(deployment.topics, [], None)
            count = 0
            async for batch in kafka.records(bounds.starts, bounds.ends):
                count += len(batch)
            return count

    records = asyncio.run(topics())
    with Mongo(settings.mongo.get_secret_value(), settings.database) as mongo:
        documents = sum(1 for name in COLLECTIONS for _ in mongo.all(name))
    return {"records": records, "documents": documents}


def _verify(told: Mapping[str, str]) -> dict[str, int]:
    """The same, verified; anything wrong ends the run."""
    with TemporaryDirectory() as state:
        report = verified(told, Asked(), Path(state))
    if not report.is_right:
        raise AssertionError("\n".join(sentences(report)))
    counts = report.tally.counts
    return {"records": counts["events on topics"], "documents": sum(counts[name] for name in COLLECTIONS)}
