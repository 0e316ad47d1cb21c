"""The benchmark: what it writes and what it refuses, and that the bare loop's bytes are what ours would write."""

import json
from pathlib import Path

import bson
import httpx
import pytest

from benchmarks.keys import KEYS
from benchmarks.letters import AGENCY, bodies
from benchmarks.offices import NAMES, Offices
from benchmarks.pace import moments
from benchmarks.prepared import Prepared, Preparer
from benchmarks.prepared_cases import as_marked
from benchmarks.prepared_notices import happenings
from benchmarks.report import Results, TooFewRounds, medians
from benchmarks.taken import Taken
from deploy.local.jars import ROOT
from deploy.local.keys import Keys
from deploy.local.ports import HOST, free_ports
from shared import times

README = ROOT / "benchmarks" / "README.md"


def at(path: Path, commit: str = "0123456789abcdef") -> Results:
    """Results of a run that begins now."""
    results = Results(path)
    results.commit = commit
    return results


def test_a_key_is_written_as_the_contract_says(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"

    median = at(path).write("e2e_vs_bare", [0.7, 0.9, 0.8, 0.71, 0.72], [0.1] * 5, {"letters": 300})

    written = json.loads(path.read_text())["e2e_vs_bare"]
    assert median == written["median"] == 0.72
    assert written["rounds"] == [0.7, 0.9, 0.8, 0.71, 0.72]
    assert len(written["load"]) == 5
    assert written["letters"] == 300
    assert written["versions"]["motor"]
    assert written["commit"] == "0123456789abcdef"


def test_a_run_replaces_only_its_own_keys(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    at(path).write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {})
    at(path).write("router_p50_ms", [9.0] * 5, [0.1] * 5, {})

    at(path).write("e2e_vs_bare", [0.8] * 5, [0.2] * 5, {})

    results = json.loads(path.read_text())
    assert results["e2e_vs_bare"]["median"] == 0.8
    assert results["router_p50_ms"]["median"] == 9.0


def test_what_was_measured_of_a_commit_stays_when_the_next_is_measured(tmp_path: Path) -> None:
    path, older, newer = tmp_path / "latest.json", "a" * 40, "b" * 40
    at(path, older).write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {})
    at(path, older).write("router_p50_ms", [9.0] * 5, [0.1] * 5, {})

    at(path, newer).write("e2e_vs_bare", [0.8] * 5, [0.1] * 5, {})

    kept = {file.name: json.loads(file.read_text()) for file in (tmp_path / "by-commit").iterdir()}
    assert {name: {key: one["median"] for key, one in keys.items()} for name, keys in kept.items()} == {
        "aaaaaaaaa.json": {"e2e_vs_bare": 0.7, "router_p50_ms": 9.0},
        "bbbbbbbbb.json": {"e2e_vs_bare": 0.8},
    }
    assert json.loads(path.read_text())["e2e_vs_bare"] == kept["bbbbbbbbb.json"]["e2e_vs_bare"]


def test_changes_that_nobody_committed_are_kept_under_no_commit(tmp_path: Path) -> None:
    at(tmp_path / "latest.json", "a" * 40 + "+").write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {})

    assert [file.name for file in tmp_path.iterdir()] == ["latest.json"]


def test_fewer_than_five_rounds_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    at(path).write("e2e_vs_bare", [0.7] * 5, [0.1] * 5, {})
    before = path.read_text()

    with pytest.raises(TooFewRounds):
        at(path, "b" * 40).write("e2e_vs_bare", [0.9] * 4, [0.1] * 4, {})

    assert path.read_text() == before
    assert len(list((tmp_path / "by-commit").iterdir())) == 1


@pytest.mark.parametrize(
    ("rounds", "median", "said"),
    [
        ([0.5] * 5, 0.6, "before 0.50 at aaaaaaaaa, +20 %"),
        ([20.0] * 5, 15.0, "before 20.00 at aaaaaaaaa, -25 %"),
        ([0.4, 0.5, 0.5, 0.5, 0.7], 0.6, "before 0.50 at aaaaaaaaa, +20 %, within its rounds"),
        ([-3.0] * 5, 6.0, "before -3.00 at aaaaaaaaa"),
        ([0.0] * 5, 6.0, "before 0.00 at aaaaaaaaa"),
    ],
)
def test_a_run_says_how_a_median_changed_since_the_last_one(
    tmp_path: Path, rounds: list[float], median: float, said: str
) -> None:
    path = tmp_path / "latest.json"
    at(path, "a" * 40).write("e2e_vs_bare", rounds, [0.1] * 5, {})
    run = at(path, "b" * 40)

    run.write("e2e_vs_bare", [median] * 5, [0.1] * 5, {})

    assert str(run.change("e2e_vs_bare", median)) == said


def test_what_is_measured_for_the_first_time_has_not_changed(tmp_path: Path) -> None:
    assert at(tmp_path / "latest.json").change("e2e_vs_bare", 0.7) is None


@pytest.mark.parametrize(
    ("key", "median", "is_met"),
    [
        ("e2e_vs_bare", 0.8, True),
        ("e2e_vs_bare", 0.79, False),
        ("router_p50_ms", 12, True),
        ("router_p50_ms", 13, False),
    ],
)
def test_a_ratio_must_reach_its_aim_and_a_time_must_stay_below(key: str, median: float, is_met: bool) -> None:
    assert KEYS[key].aim.is_met(median) is is_met


def test_what_is_sent_at_a_rate_leaves_once_in_every_slot() -> None:
    at = moments(5, 50, seed=1)

    assert [int(moment * 5) for moment in at] == list(range(50))
    assert at == moments(5, 50, seed=1) != moments(5, 50, seed=2)


def test_the_medians_of_several_rounds_are_taken_name_by_name() -> None:
    rounds = [{"intake": 300.0, "mongod": 10.0}, {"intake": 320.0, "mongod": 90.0}, {"intake": 310.0, "mongod": 20.0}]

    assert medians(rounds) == {"intake": 310.0, "mongod": 20.0}


def test_the_readme_says_of_every_key_what_it_is_and_what_it_should_be() -> None:
    rows = [line.split("|") for line in README.read_text().splitlines() if line.startswith("| `")]

    assert {row[1].strip(" `"): row[-2].strip() for row in rows} == {key: str(one.aim) for key, one in KEYS.items()}


@pytest.fixture(scope="module")
def preparer() -> Preparer:
    return Preparer("11" * 32, "22" * 32, AGENCY)


def test_each_letter_gives_one_case_one_notice_and_one_news_and_its_update_one_more(
    preparer: Preparer,
) -> None:
    prepared = Prepared()

    preparer.prepare(bodies("warm", 3), prepared, assigned=True)

    assert len(prepared.posts) == len(prepared.cases) == len(prepared.raisings) == len(prepared.said) == 3
    assert len(prepared.openings) == len(prepared.news) == 6
    # Each write of a record is guarded by what the one before it left, or the bare loop would not be exact.
    assert {(step.guard, step.version) for step in prepared.openings.values()} == {(0, 1), (1, 2)}
    assert {(step.guard, step.version) for step in prepared.news.values()} == {(2, 3), (3, 4)}


def test_a_case_lies_in_mongodb_as_it_stands_once_its_opening_is_sent(preparer: Preparer) -> None:
    _, opening = preparer.opened(bodies("run", 1)[0], times.now())

    lying = bson.decode(as_marked(opening).raw)

    assert lying["published"] == lying["version"] == opening.version
    assert "unsent_since" not in lying
    assert len(lying["history"]) == 1


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Offices:
    made = Offices(tmp_path_factory.mktemp("offices"), 1, "whsec_" + "c2VjcmV0" * 4)
    made.write()
    return made


def test_each_event_of_a_state_is_one_webhook_for_one_office(offices: Offices, tmp_path: Path) -> None:
    made = happenings(Keys.load_or_make(tmp_path / "keys.json"), tmp_path, offices, 0, 2 * len(NAMES))

    assert {len(one.notices) for one in made.parts["run"]} == {1}
    assert len(made.notices("run")) == 2 * len(NAMES)


def test_an_event_for_all_is_one_webhook_for_each_office(offices: Offices, tmp_path: Path) -> None:
    made = happenings(Keys.load_or_make(tmp_path / "keys.json"), tmp_path, offices, 1, 2, for_all=True)

    assert [len(one.notices) for one in made.parts["warm"]] == [1]
    assert [len(one.notices) for one in made.parts["run"]] == [len(NAMES)] * 2


async def test_the_sink_says_when_so_many_have_come_and_what_came_twice_spoils_the_round() -> None:
    [port] = free_ports(1)
    async with Taken(port) as taken, httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client:
        await taken.expect(2)
        for name in ("a", "b"):
            assert (await client.post("/", headers={"webhook-id": name}, content=b"{}")).status_code == 204
        last = await taken.last()

        assert (await taken.check({"a", "b"}))["b"] == last
        await client.post("/", headers={"webhook-id": "a"}, content=b"{}")
        with pytest.raises(AssertionError, match="1 webhooks came again"):
            await taken.check({"a", "b"})


async def test_the_sink_tells_alertmanagers_webhooks_apart_by_their_alert() -> None:
    [port] = free_ports(1)
    async with Taken(port) as taken, httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client:
        await taken.expect(1)
        await client.post("/", content=b'{"alerts":[{"fingerprint":"0a1b"}]}')
        await taken.last()

        assert (await taken.check_count(1)).keys() == {"0a1b"}
