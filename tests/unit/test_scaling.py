"""What so many letters a second take, and that docs/scaling.md says what the results say."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.costs import SERVERS, SERVICES, SLOW, TOTALS, Costs
from benchmarks.drawn import Bar, drawn
from benchmarks.model import Assumed, Model
from benchmarks.scaling import BEGIN, DOCUMENT, END, PICTURE, modelled, picture_of, put_into, text_of

RENEW = "renew it: python -m benchmarks.scaling --write"
COSTS = Costs(
    fast={"intake": 1_000, "router": 500, "notifier": 250, "mongod": 1_000, "kafka": 500},
    slow={"intake": 2_000, "router": 1_000, "notifier": 500, "mongod": 2_000, "kafka": 1_000},
    at_rest=dict.fromkeys((*SERVICES, *SERVERS), 10_000.0),
    operations={**dict.fromkeys(SERVICES, (1.0, 3.0, 10.0)), TOTALS: (0.5, 1.0, 0.0)},
    round_trips=(1.0, 5.0),
    written=30_000,
    journal=20_000,
    oplog=10_000,
    syncs=(0.1, 1.0),
    kept={"letters": (3_000, 100), "cases": (4_000, 900)},
    records={"letters.received.v1": 2_000, "cases.events.v1": 1_000},
    rates=(500, 510),
    verified=1_200,
    measured="once",
)
MODEL = Model(COSTS, replicas=2, partitions=6, agency=750)


def test_the_document_says_what_the_results_say() -> None:
    made, document = modelled(), DOCUMENT.read_text()

    assert put_into(document, text_of(made)) == document, RENEW
    assert PICTURE.read_text() == picture_of(made), RENEW


def test_what_gives_first_comes_first_and_partitions_end_what_processes_can_do() -> None:
    parts = {part.name: part for part in MODEL.parts()}

    assert [part.gives_at for part in MODEL.parts()] == sorted(part.gives_at for part in parts.values())
    assert [*parts][:2] == ["one agency over HTTP, intakes", "intake, processes"]
    assert (parts["intake, processes"].gives_at, parts["intake, processes"].ends_at) == (2_000, None)
    assert (parts["router, processes"].gives_at, parts["router, processes"].ends_at) == (4_000, 12_000)
    assert parts["MongoDB, the primary's disk"].gives_at == pytest.approx(10_000)


def test_slow_letters_cost_what_they_cost_at_that_rate() -> None:
    need = MODEL.need(SLOW)

    assert need.processes == {"intake": 2, "router": 2, "notifier": 2}  # never fewer than are deployed
    assert (need.primary_cores, need.shards, need.partitions) == (1, 1, 6)
    assert (need.operations, need.syncs) == (100 * 10, 100)
    assert need.looks == 6 * 10


def test_many_letters_take_more_of_everything_and_more_partitions_than_there_are() -> None:
    need = MODEL.need(12_000)

    assert need.processes == {"intake": 20, "router": 10, "notifier": 5}
    assert need.partitions == 20  # intake reads what became of its letters
    assert (need.primary_cores, need.shards) == (20, 3)
    assert need.broker_cores == 30  # three copies
    assert need.brokers == 8
    assert need.looks == (20 + 10 + 5) * 10 * 3
    assert need.verify_hours == pytest.approx(240)
    assert need.kept_gb == pytest.approx(12_000 * 8_000 * 3 * 86_400 / 1e9)


def test_a_slow_disk_asks_for_shards_where_processors_do_not() -> None:
    slow_disk = replace(MODEL, assumed=Assumed(disk_mb=30, primary_cores=1_000))

    assert slow_disk.need(12_000).shards == 20


def test_a_document_without_a_place_is_refused() -> None:
    assert put_into(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\n\nnew\n\n{END} b"
    with pytest.raises(ValueError, match="no place"):
        put_into(f"a {BEGIN} b", "new")


def test_ten_times_the_rate_is_one_step_further_in_the_picture() -> None:
    picture = ElementTree.fromstring(drawn("Rates", [Bar("one", 10, None), Bar("two & three", 100, 1_000)], [100]))

    widths = [float(bar.attrib["width"]) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    [one, most, two] = widths
    assert two - one == pytest.approx(most - two, abs=0.2)
    assert "two & three" in {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
