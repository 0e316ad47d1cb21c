"""Another State needs another law file and nothing else: an invented one is held against the first and the programs."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.law.coverage import coverage
from cli.law.worked_cases import Ran, run_cases
from deploy.k8s.topics import topics_of
from deploy.local.deployment import Deployment
from services.notifier.duty.roster import load_roster
from services.notifier.rules.alert_file import load_rules
from shared import clocks
from shared.law import Law, load_law
from shared.law.text import holding
from shared.life_cycle import load_life_cycle
from shared.partners import load_partners
from shared.states import STATES
from shared.vocabulary import Direction, Urgency

ROOT = Path(__file__).parents[2]
FIRST, SECOND = ROOT / "laws" / "azerbaijan.yaml", ROOT / "laws" / "zedland.yaml"
AUTHORITIES = {"cyber-prosecution", "interior-police", "chancellery"}
LATE = date(2027, 6, 1)
"""A day on which every row of both files has begun."""
REAL = {"uncc", "bc"}
"""Sources that are not invented, only who is bound by them."""


@cache
def law(path: Path = SECOND) -> Law:
    return load_law(path)


@cache
def worked() -> Mapping[str, Ran]:
    return {ran.case.case: ran for ran in run_cases(SECOND)}


@cache
def named(path: Path) -> dict[tuple[str, Direction], bool]:
    """Whether the law gives a type and direction to somebody, as far as the table itself says."""
    return {
        (code, direction): holding(request_type.rows(direction), LATE)[0].to != "nobody"
        for code, request_type in law(path).request_types.items()
        for direction in Direction
    }


@pytest.mark.parametrize("name", worked())
def test_a_worked_case_is_answered_as_its_writer_says(name: str) -> None:
    assert worked()[name].wrong == {}


def test_the_worked_cases_touch_every_row_and_both_sides_of_every_date() -> None:
    assert list(coverage(law(), worked().values()).sentences()) == []


def test_it_is_invented_and_says_so() -> None:
    assert law().text.state not in STATES
    assert SECOND.read_text().startswith("# INVENTED, for tests and rehearsals")
    for name, source in law().text.sources.items():
        assert name in REAL or "invented" in source.title, name
        assert name == "uncc" or source.certainty == "inference", name


def test_no_answer_of_an_invented_law_is_surer_than_an_inference() -> None:
    assert {ran.answer.certainty for ran in worked().values()} == {"inference"}


def test_both_laws_have_the_same_types_and_nothing_else_in_common() -> None:
    one, other = law(FIRST), law()

    assert one.request_types.keys() == other.request_types.keys()
    assert one.authorities.keys() & other.authorities.keys() == set()
    assert one.executing_bodies.keys() & other.executing_bodies.keys() == set()
    assert one.zone != other.zone
    assert other.text.weekend != one.text.weekend
    assert one.text.clocks.keys() & other.text.clocks.keys() <= {"requested-deadline"}
    assert set(other.authorities) == AUTHORITIES


def test_each_gives_to_somebody_what_the_other_gives_to_nobody() -> None:
    one, other = named(FIRST), named(SECOND)

    assert sum(other[key] and not one[key] for key in one) >= 20
    assert sum(one[key] and not other[key] for key in one) >= 5


def test_every_authority_gets_something_in_both_directions() -> None:
    for direction in Direction:
        got = {holding(one.rows(direction), LATE)[0].to for one in law().request_types.values()}
        assert got >= AUTHORITIES | {"nobody"}


def test_partners_alerts_and_the_life_cycle_fit_every_law() -> None:
    partners, roster = load_partners(ROOT / "partners.yaml"), load_roster(ROOT / "roster.yaml")
    for path in (FIRST, SECOND):
        life = load_life_cycle(ROOT / "life-cycle.yaml", law(path))
        load_rules(ROOT / "alerts.yaml", partners, law(path), life, roster)


def test_the_topics_are_those_of_its_own_authorities() -> None:
    one, other = topics_of(ROOT / "partners.yaml"), topics_of(ROOT / "partners.yaml", SECOND)

    owners = {topic.split(".")[0] for topic in other.keys() - one.keys()}
    gone = {topic.split(".")[0] for topic in one.keys() - other.keys()}
    assert owners == AUTHORITIES
    assert gone == set(law(FIRST).authorities)


def test_the_local_stack_is_told_by_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARTNERS", "LAW_ASSUMPTIONS", "ALERTS"):
        monkeypatch.delenv(f"ROGATORY_{name}", raising=False)
    monkeypatch.setenv("ROGATORY_LAW", str(SECOND))

    deployment = Deployment.prepare(tmp_path)

    assert deployment.settings("k:1", "m", "http://w")["ROGATORY_LAW"] == str(SECOND)
    assert deployment.topics == topics_of(ROOT / "partners.yaml", SECOND)
    tokens = {path.stem for path in (tmp_path / "tokens").rglob("*.jwt")}
    assert tokens >= AUTHORITIES
    assert not tokens & law(FIRST).authorities.keys()


def test_explain_speaks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROGATORY_LAW_ASSUMPTIONS", raising=False)
    asked = ["explain", "--type", "asset_freeze", "--direction", "incoming", "--party", "CN", "--on", "2026-05-01"]

    said = CliRunner().invoke(app, [*asked, "--json"], env={"ROGATORY_LAW": str(SECOND)})

    answer = json.loads(said.stdout)
    assert (answer["law"], answer["authority"], answer["gate"]) == ("zedland", "cyber-prosecution", "passed: uncc")


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 1, 14, 23, 59, 59, tzinfo=UTC), date(2026, 1, 14)),
        (datetime(2026, 1, 15, tzinfo=UTC), date(2026, 1, 15)),
        (datetime(2026, 6, 30, 22, 59, 59, tzinfo=UTC), date(2026, 6, 30)),
        (datetime(2026, 6, 30, 23, tzinfo=UTC), date(2026, 7, 1)),
    ],
)
def test_a_day_begins_at_its_own_midnight_in_winter_and_in_summer(at: datetime, day: date) -> None:
    assert law().day_of(at) == day


# By hand: Thursday 26 November 2026 is followed by the weekend; 17 December by the weekend and a week of holidays.
ENDS = {
    "ninety days into the summer": ("kept-90-days", "2026-03-10T12:00", "2026-06-08T23:00"),
    "forty-five days out of the summer": ("decided-in-45-days", "2026-10-20T12:00", "2026-12-05T00:00"),
    "minutes through the night of the change": ("receipt-15-minutes", "2026-03-29T00:50", "2026-03-29T01:05"),
    "hours through the night of the other change": ("receipt-2-hours", "2026-10-25T00:30", "2026-10-25T02:30"),
    "two working days over a weekend": ("receipt-2-working-days", "2026-11-26T12:00", "2026-12-01T00:00"),
    "two working days over the holidays": ("receipt-2-working-days", "2026-12-17T12:00", "2026-12-30T00:00"),
    "from a Sunday, when offices are open": ("triage-1-working-day", "2026-11-29T12:00", "2026-12-01T00:00"),
}


@pytest.mark.parametrize("name", ENDS)
def test_its_clocks_end_by_its_own_calendar(name: str) -> None:
    clock, start, end = ENDS[name]
    span = holding(law().text.clocks[clock].versions, LATE)[0]

    due = clocks.end_of(_utc(start), span.lasts or "", span.counted, span.rounding, law().calendar)

    assert due == _utc(end)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_same_letter_has_other_clocks_under_another_law() -> None:
    of = {
        path: {
            rule.name
            for rule in law(path).clocks_for("data_preservation", Direction.INCOMING, Urgency.NORMAL, None, LATE)
        }
        for path in (FIRST, SECOND)
    }

    assert "kept-90-days" in of[SECOND]
    assert of[FIRST] & of[SECOND] <= {"requested-deadline"}


@pytest.mark.parametrize("authority", sorted(AUTHORITIES))
def test_what_an_authority_may_never_have_no_row_gives_it(authority: str) -> None:
    kept = law().authorities[authority].never
    assert kept
    for code in kept.types:
        assert not law().may_hold(authority, code)
        assert all(row.to != authority for d in Direction for row in law().request_types[code].rows(d))
