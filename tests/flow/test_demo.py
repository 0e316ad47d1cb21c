"""`rogatory demo --once`, as a user runs it: real servers, real doors, an honest exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.usefixtures("needs_kafka", "needs_mongod"), pytest.mark.timeout(240)]


def demo(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "demo", "--once", "--data", str(folder), *options]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_every_sample_letter_goes_where_the_law_puts_it_and_lives_on_to_its_end(tmp_path: Path) -> None:
    shown = demo(tmp_path / "data")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("ok")] == [
        ["ok", f"S{number:02}"] for number in (*range(1, 11), 10, 10, *range(11, 14), 13, 14, 15)
    ]
    assert len(lines) == 18
    assert "Today it is not." in shown.stderr
    assert "The time is simulated" in shown.stderr
    assert "\nverified: nothing is wrong (" in shown.stderr
    assert [line.split(":")[1].split()[0] for line in shown.stderr.splitlines() if line.startswith("rejected")] == [
        "S01",
        "S05",
        "S06",
    ]


def test_a_case_elsewhere_than_expected_is_named_and_the_exit_code_says_no(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(ROOT / "samples", samples)
    expected = samples / "expected.yaml"
    right = "type: testimony, authority: security-service"
    assert right in expected.read_text()
    expected.write_text(expected.read_text().replace(right, "type: testimony, authority: justice-ministry"))

    shown = demo(tmp_path / "data", "--json", ROGATORY_SAMPLES=str(samples))

    assert shown.returncode == 1, shown.stdout + shown.stderr
    told: dict[str, Any] = json.loads(shown.stdout)
    said = "S06 testimony: stands on security-service.cases.v1, expected on justice-ministry.cases.v1"
    assert told["bad"] == [said]
    assert said in shown.stderr
    assert [case["letter"] for case in told["cases"] if case["wrong"]] == ["S06"]
    assert told["time"]["simulated"] is True
    preservation = told["cases"][0]
    assert preservation["statuses"] == ["received", "acknowledged", "in_execution", "lapsed", "closed"]
    assert preservation["rejected"].keys() == {"extension_requested"}


def test_samples_that_are_not_there_are_wrong_use(tmp_path: Path) -> None:
    shown = demo(tmp_path / "data", ROGATORY_SAMPLES=str(tmp_path))

    assert shown.returncode == 2
    assert len(shown.stderr.splitlines()) == 1
    assert "expected.yaml" in shown.stderr
