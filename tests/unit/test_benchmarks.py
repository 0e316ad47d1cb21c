"""The results file of the benchmark: what is written, what is refused, what is left alone."""

import json
from pathlib import Path

import pytest

from benchmarks import report


def test_a_key_is_written_as_the_contract_says(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"

    median = report.write("e2e_vs_bare", [0.7, 0.9, 0.8, 0.71, 0.72], [0.1] * 5, {"letters": 300}, path)

    written = json.loads(path.read_text())["e2e_vs_bare"]
    assert median == written["median"] == 0.72
    assert written["rounds"] == [0.7, 0.9, 0.8, 0.71, 0.72]
    assert len(written["load"]) == 5
    assert written["letters"] == 300
    assert written["versions"]["motor"]
    assert "commit" in written


def test_a_run_replaces_only_its_own_keys(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    report.write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {}, path)
    report.write("router_p50_ms", [9.0] * 5, [0.1] * 5, {}, path)

    report.write("e2e_vs_bare", [0.8] * 5, [0.2] * 5, {}, path)

    results = json.loads(path.read_text())
    assert results["e2e_vs_bare"]["median"] == 0.8
    assert results["router_p50_ms"]["median"] == 9.0


def test_fewer_than_five_rounds_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    report.write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {}, path)
    before = path.read_text()

    with pytest.raises(report.TooFewRounds):
        report.write("e2e_vs_bare", [0.9] * 4, [0.1] * 4, {}, path)

    assert path.read_text() == before


@pytest.mark.parametrize(
    ("key", "median", "is_met"),
    [
        ("e2e_vs_bare", 0.7, True),
        ("e2e_vs_bare", 0.69, False),
        ("router_p50_ms", 15, True),
        ("router_p50_ms", 16, False),
    ],
)
def test_a_ratio_must_reach_its_aim_and_a_time_must_stay_below(key: str, median: float, is_met: bool) -> None:
    assert report.AIMS[key].is_met(median) is is_met


def test_the_medians_of_several_rounds_are_taken_name_by_name() -> None:
    rounds = [{"intake": 300.0, "mongod": 10.0}, {"intake": 320.0, "mongod": 90.0}, {"intake": 310.0, "mongod": 20.0}]

    assert report.medians(rounds) == {"intake": 310.0, "mongod": 20.0}
