"""`python -m benchmarks.scaling`: from what a letter costs here, what so many a second take, and what gives first.

It prints what stands in docs/scaling.md; with `--write` it puts it there, and draws docs/scaling.svg. Its numbers come
from `results/latest.json` and `results/footprint.json`; what was not measured stands in `model.Assumed`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks.costs import SERVERS, SERVICES, SLOW, TOTALS, Costs
from benchmarks.drawn import Bar, drawn
from benchmarks.footprint import FOOTPRINT
from benchmarks.model import Model
from benchmarks.report import LATEST
from deploy.local.jars import ROOT
from services.intake.settings import IntakeSettings
from shared import topics
from shared.vocabulary import Lane

DOCUMENT, PICTURE = ROOT / "docs" / "scaling.md", ROOT / "docs" / "scaling.svg"
BEGIN, END = "<!-- made by python -m benchmarks.scaling --write -->", "<!-- end -->"
POD = ROOT / "deploy" / "k8s" / "base" / "pod.yaml"
RATES = (SLOW, 10_000)
NAMES = {"mongod": "MongoDB", "kafka": "Kafka"}
WORTH_A_ROW = 20
"""Bytes."""


def text_of(model: Model) -> str:
    """All of it, as Markdown."""
    parts = {
        "What gives first": _first(model),
        "What so many letters a second take": _needs(model),
        "What one letter costs": f"{_letter(model.costs)}\n\n{_bytes(model.costs)}",
    }
    return "\n\n".join(f"### {heading}\n\n{text}" for heading, text in parts.items())


def picture_of(model: Model) -> str:
    """The parts and where each gives, as SVG."""
    bars = [Bar(part.name, part.gives_at, part.ends_at) for part in model.parts()]
    return drawn("Letters a second at which each part gives, as deployed", bars, RATES)


def _letter(costs: Costs) -> str:
    rows = []
    for name in (*SERVICES, *SERVERS):
        told = _told(costs.operations.get(name))
        cells = (f"{costs.fast[name]:,.0f}", f"{costs.slow[name]:,.0f}", f"{costs.at_rest[name] / 1e4:.1f} %")
        rows.append([NAMES.get(name, name), *cells, *told])
    rows.insert(len(SERVICES), [f"`{TOTALS}`, written by all three", "", "", "", *_told(costs.operations[TOTALS])])
    totals = (sum(costs.fast.values()), sum(costs.slow.values()))
    rows.append(["all", *(f"{one:,.0f}" for one in totals), f"{sum(costs.at_rest.values()) / 1e4:.1f} %", "", "", ""])
    head = [
        "process",
        "CPU µs a letter, as fast as it goes",
        "at 100 letters/s",
        "at rest, of a core",
        "MongoDB operations a letter, as fast as it goes",
        "at 100 letters/s",
        "at rest, a second",
    ]
    measured, allowed = costs.rates
    said = (
        f"Measured: {costs.measured}. As a check: by these costs, with those of the load and of the watch, the "
        f"processors of this machine allow {allowed:,.0f} letters a second; {measured:,.0f} were measured."
    )
    return f"{table(head, rows)}\n\n{said}"


def _told(operations: tuple[float, float, float] | None) -> tuple[str, str, str]:
    return (f"{operations[0]:.2f}", f"{operations[1]:.2f}", f"{operations[2]:.1f}") if operations else ("", "", "")


def _bytes(costs: Costs) -> str:
    kept = {name: sum(one) for name, one in costs.kept.items() if sum(one) >= WORTH_A_ROW}
    rows = [
        [f"`{name}`", *(f"{one:,}" for one in costs.kept[name])]
        for name in sorted(kept, key=kept.__getitem__, reverse=True)
    ]
    rows.append(["all", *(f"{sum(one[n] for one in costs.kept.values()):,}" for n in (0, 1))])
    mongo = table(["kept in MongoDB", "bytes a letter, compressed", "its indexes"], rows)
    records = sorted(costs.records.items(), key=lambda one: -one[1])
    rows = [[f"`{name}`", f"{size:,.0f}"] for name, size in records if size >= WORTH_A_ROW]
    rows.append(["all", f"{sum(costs.records.values()):,.0f}"])
    kafka = table(["on Kafka", "bytes a letter, one copy"], rows)
    checkpoints = sum(sum(one) for name, one in costs.kept.items() if name.endswith("_checkpoints"))
    share = checkpoints / sum(map(sum, costs.kept.values()))
    said = (
        f"Checkpoints are {checkpoints:,} bytes of what is kept ({share:.0%}): at {RATES[-1]:,} letters/s "
        f"{checkpoints * RATES[-1] * 86_400 / 1e9:,.0f} GB a day in each copy.\n\n"
        f"On its way a letter makes MongoDB write {costs.written:,.0f} bytes to its disk, {costs.journal:,.0f} of them "
        f"to the journal, and {costs.oplog:,.0f} to the oplog, in {costs.round_trips[0]:.2f} round trips "
        f"({costs.round_trips[1]:.2f} at {SLOW} letters/s) and {costs.syncs[0]:.2f} syncs of the journal "
        f"({costs.syncs[1]:.2f})."
    )
    return f"{mongo}\n\n{kafka}\n\n{said}"


def _needs(model: Model) -> str:
    needs = [model.need(rate) for rate in RATES]
    rows = [
        *([f"{name}, processes", *(str(need.processes[name]) for need in needs)] for name in SERVICES),
        ["partitions of a topic between services", *(str(need.partitions) for need in needs)],
        ["MongoDB, cores of primaries", *(str(need.primary_cores) for need in needs)],
        ["MongoDB, bytes written, MB/s", *(f"{need.written_mb:,.1f}" for need in needs)],
        ["MongoDB, syncs of the journal a second", *(f"{need.syncs:,}" for need in needs)],
        ["MongoDB, shards", *(str(need.shards) for need in needs)],
        ["MongoDB, operations a second for letters", *(f"{need.operations:,}" for need in needs)],
        ["MongoDB, looks a second, on all shards together", *(f"{need.looks:,}" for need in needs)],
        ["Kafka, cores", *(str(need.broker_cores) for need in needs)],
        ["Kafka, bytes in, MB/s, one copy", *(f"{need.records_mb:,.1f}" for need in needs)],
        ["Kafka, brokers", *(str(need.brokers) for need in needs)],
        ["kept in MongoDB, GB a day, all copies", *(f"{need.kept_gb:,.0f}" for need in needs)],
        ["kept in Kafka for a week, GB, all copies", *(f"{need.in_kafka_gb:,.0f}" for need in needs)],
        ["`rogatory verify`, hours for a day's letters", *(_hours(need.verify_hours) for need in needs)],
    ]
    return table(["what", *(f"{need.rate:,} letters/s" for need in needs)], rows)


def _hours(hours: float | None) -> str:
    return "not measured" if hours is None else f"{hours:,.1f}"


def _first(model: Model) -> str:
    rows = [
        [
            part.name,
            f"{part.each:,.0f}",
            str(part.deployed),
            f"**{part.gives_at:,.0f}**",
            f"{part.most}: {part.ends_at:,.0f}" if part.most is not None else "",
            part.because,
        ]
        for part in model.parts()
    ]
    return table(["what", "letters/s of one", "deployed", "gives at", "at most", "more by"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column hold numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def modelled(latest: Path = LATEST, footprint: Path = FOOTPRINT) -> Model:
    """From the results, and from how the services are deployed."""
    costs = Costs.of(json.loads(latest.read_text()), json.loads(footprint.read_text()))
    partitions = topics.all_topics((), (), ())[topics.letters_received(Lane.NORMAL)]
    replicas: int = yaml.safe_load(POD.read_text())["spec"]["replicas"]
    return Model(costs, replicas, partitions, IntakeSettings.model_fields["rate_per_agency"].default)


def put_into(document: str, text: str) -> str:
    """A document with this text between its marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no place for it: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> int:
    """Print, or write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md and docs/scaling.svg")
    made = modelled()
    if parser.parse_args().write:
        DOCUMENT.write_text(put_into(DOCUMENT.read_text(), text_of(made)))
        PICTURE.write_text(picture_of(made))
    else:
        print(text_of(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
