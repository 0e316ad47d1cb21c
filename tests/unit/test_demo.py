"""The demo's board says what came and what did not, and its table stays in its columns whatever the script."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from rich.cells import cell_len
from rich.console import Console

from cli.demo_board import Arrival, Board
from cli.demo_letters import Expected, Sample, load_samples
from cli.demo_table import cells_of, clean, line, mark, table, why
from cli.demo_watch import what_to_hear
from services.intake.domain import decide_by
from services.intake.handlers import on_letter
from shared import topics
from shared.envelope import Envelope
from shared.events import CASE_ASSIGNED, LETTER_RECEIVED, NOTICE_RAISED
from shared.failures import BadStart, NeverWill
from shared.ids import Ids
from shared.law import load_law
from shared.life_cycle import load_life_cycle
from shared.partners import load_partners
from shared.records import Record
from shared.times import text_of
from shared.vocabulary import Direction, Lane, Urgency

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
IDS = Ids(b"k" * 32)
FACTS = {
    "type": "asset_freeze",
    "party": "CN",
    "direction": "incoming",
    "lane": "urgent",
    "authority": "desk",
    "status": "triage",
    "because": "The law names nobody for freezing; candidates: service, court.",
    "gate": "passed: uncc",
}
EXPECTED = Expected(type="asset_freeze", authority="desk", lane=Lane.URGENT, alert=True, why="nobody is named")
SAMPLE = Sample(
    "S08", "registry", "kafka", b"{}", "CN-2026-沪-0088", "CN", Direction.INCOMING, Urgency.URGENT, (EXPECTED,), NOW
)
CLOCK = {
    "clock": "triage-normal",
    "kind": "policy",
    "started_at": text_of(NOW),
    "due": text_of(NOW + timedelta(days=2)),
    "steps": [[text_of(NOW + timedelta(days=1)), "24 hours"], [text_of(NOW + timedelta(days=2)), "due"]],
    "basis": [],
}
TOPIC = "desk.cases.urgent.v1"


def board_of(*samples: Sample, fresh: bool = True) -> Board:
    return Board(samples, {"duty-officers": ("kafka", "webhook")}, fresh)


def come(board: Board, *, topic: str = TOPIC, told: str = "duty-officers", facts: Mapping[str, Any] = FACTS) -> None:
    """All of the sample's case comes, half a second after it was filed."""
    board.filed("S08", at=10.0, written=1000.0)
    board.arrived("cas_1", Arrival(topic, at=10.5, written=1000.4))
    board.happened(CASE_ASSIGNED, "cas_1", "let_1", 1, facts)
    board.received("let_1", "registry", SAMPLE.reference)
    for channel in ("kafka", "webhook"):
        board.told("cas_1", told, channel)


def test_a_case_is_matched_to_its_sample_in_whatever_order_things_come() -> None:
    board = board_of(SAMPLE)
    come(board)

    (row,) = board.rows()
    assert (row.case, row.milliseconds, mark(row)) == ("cas_1", 500, "ok")
    assert board.lacks() == board.wrong() == []


def test_what_did_not_come_is_named() -> None:
    board = board_of(SAMPLE)

    assert board.lacks() == [
        "S08 asset_freeze: the receipt did not come",
        "S08 asset_freeze: the case on desk.cases.urgent.v1 did not come",
        "S08 asset_freeze: a notice to anybody did not come",
    ]


def test_an_alert_must_come_on_every_channel() -> None:
    board = board_of(SAMPLE)
    come(board, told="operations")
    board.told("cas_1", "duty-officers", "kafka")

    assert board.lacks() == ["S08 asset_freeze: the alert by webhook did not come"]


@pytest.mark.parametrize(
    ("change", "arrival", "said"),
    [
        (
            {"authority": "justice-ministry"},
            {},
            "stands on desk.cases.urgent.v1, expected on justice-ministry.cases.urgent.v1",
        ),
        ({"lane": Lane.NORMAL}, {}, "stands on desk.cases.urgent.v1, expected on desk.cases.v1"),
        ({"type": "extradition"}, {}, "its type is asset_freeze"),
        ({"alert": False}, {}, "duty-officers heard of it, and nothing calls for it"),
        ({}, {"told": "operations"}, "duty-officers did not hear of it"),
    ],
)
def test_what_is_not_as_expected_is_named(change: dict[str, Any], arrival: dict[str, Any], said: str) -> None:
    expected = EXPECTED.model_copy(update=change)
    board = board_of(replace(SAMPLE, measures=(expected,)))
    come(board, **arrival)

    assert board.wrong() == [f"S08 {expected.type}: {said}"]
    assert mark(board.rows()[0]) == "WRONG"


def test_a_case_on_two_authorities_topics_is_wrong() -> None:
    board = board_of(SAMPLE)
    come(board)
    board.arrived("cas_1", Arrival("security-service.cases.urgent.v1", 11.0, 1001.0))

    assert "stands on security-service.cases.urgent.v1" in board.wrong()[0]


@pytest.mark.parametrize(
    ("statuses", "lacks"),
    [
        (["executed", "closed"], []),
        (["executed"], ["its end (executed, closed; it is executed) did not come"]),
        (["refused", "closed"], ["its end (executed, closed; it is closed) did not come"]),
        (["executed", "closed", "executed"], ["its end (executed, closed; it is executed) did not come"]),
    ],
)
def test_a_case_must_come_to_its_end(statuses: list[str], lacks: list[str]) -> None:
    expected = EXPECTED.model_copy(update={"end": ("executed", "closed")})
    board = board_of(replace(SAMPLE, measures=(expected,)))
    come(board)
    for number, status in enumerate(statuses, 2):
        board.happened("case.something", "cas_1", "let_1", 1, {"status": status}, number)

    assert board.lacks() == [f"S08 asset_freeze: {what}" for what in lacks]


def test_what_is_heard_again_changes_nothing() -> None:
    board = board_of(SAMPLE)
    come(board)
    board.happened("case.closed", "cas_1", "let_1", 1, {"status": "closed"}, 3)
    board.happened("case.executed", "cas_1", "let_1", 1, {"status": "executed"}, 2)

    assert board.rows()[0].statuses == ("triage", "closed")


@pytest.mark.parametrize(("lacking", "wrong"), [([], 0), (["order_copy"], 1)])
def test_what_a_letter_lacks_is_what_is_expected(lacking: list[str], wrong: int) -> None:
    board = board_of(SAMPLE)
    come(board, facts={**FACTS, "missing": [{"field": field} for field in lacking]})

    assert len(board.wrong()) == wrong


def test_a_case_that_the_desk_gives_away_must_come_to_the_other_too() -> None:
    expected = EXPECTED.model_copy(update={"goes_to": "security-service"})
    board = board_of(replace(SAMPLE, measures=(expected,)))
    come(board)
    assert board.lacks() == ["S08 asset_freeze: the case on security-service.cases.urgent.v1 did not come"]

    board.arrived("cas_1", Arrival("security-service.cases.urgent.v1", 11.0, 1001.0))
    assert (board.lacks(), board.wrong()) == ([], [])


def test_time_waits_for_clocks_that_are_due_and_for_cases_that_are_not_open() -> None:
    board = board_of(SAMPLE)
    board.filed("S08", at=10.0, written=1000.0)
    assert not board.has_opened_all()

    come(board, facts={**FACTS, "clocks": [CLOCK]})
    assert board.has_opened_all()
    assert board.next_end() == NOW + timedelta(days=2)
    assert [board.is_to_ring(NOW + timedelta(days=days)) for days in (0, 1, 2)] == [False, True, True]

    board.happened("case.closed", "cas_1", "let_1", 1, {"clocks": [{**CLOCK, "stopped_at": text_of(NOW)}]}, 2)
    assert (board.next_end(), board.is_to_ring(NOW + timedelta(days=2))) == (None, False)


@pytest.mark.parametrize("width", [120, 200])
def test_a_running_clock_says_its_kind_and_what_is_left_of_it_and_the_time_that_it_is_simulated(width: int) -> None:
    board = board_of(SAMPLE)
    come(board, facts={**FACTS, "clocks": [CLOCK]})
    console = Console(width=width, color_system=None)

    with console.capture() as captured:
        console.print(table(board.rows(), width, 40, NOW))

    shown = " ".join(captured.get().split())
    assert "2 d 0 h left" in shown
    assert "policy" in shown
    assert "simulated time: 10 March 2026 08:00 UTC" in shown


def test_a_notice_of_what_happened_later_is_not_the_alert_of_a_sample() -> None:
    partners, board = load_partners(ROOT / "partners.yaml"), board_of(SAMPLE)
    topic = topics.notices_to("duty-officers")
    hear = what_to_hear([], partners)[topic]
    for event in ("case.clock_missed", CASE_ASSIGNED):
        notice = {"about": event, "subscriber": "duty-officers", "channel": "kafka", "facts": {"event": event}}
        hear(board, filed("", []), Envelope("1", "/notices", NOTICE_RAISED, {}, b""), notice)
    for case in ("case.clock_missed", CASE_ASSIGNED):
        board.happened(CASE_ASSIGNED, case, f"let_{case}", 1, FACTS)
        board.received(f"let_{case}", "registry", case)

    assert {row.reference: bool(row.told) for row in board.others()} == {
        "case.clock_missed": False,
        CASE_ASSIGNED: True,
    }


@pytest.mark.parametrize(("fresh", "count"), [(True, 1), (False, 0)])
def test_a_case_of_no_sample_is_wrong_where_nothing_else_can_be(fresh: bool, count: int) -> None:
    board = board_of(SAMPLE, fresh=fresh)
    come(board)
    board.arrived("cas_2", Arrival(TOPIC, 11.0, 1001.0))

    assert len(board.wrong()) == count


def test_a_case_of_an_earlier_run_has_no_milliseconds_and_waits_for_no_webhook() -> None:
    board = board_of(SAMPLE, fresh=False)
    board.filed("S08", at=10.0, written=1000.0)
    board.arrived("cas_1", Arrival(TOPIC, at=10.1, written=400.0))
    board.happened(CASE_ASSIGNED, "cas_1", "let_1", 1, FACTS)
    board.received("let_1", "registry", SAMPLE.reference)
    board.told("cas_1", "duty-officers", "kafka")

    assert board.lacks() == []
    assert cells_of(board.rows()[0], short=True)["ms"] == "kept"


def test_another_letter_gets_a_row_of_its_own_after_the_samples() -> None:
    board = board_of(SAMPLE)
    come(board)
    board.received("let_2", "registry", "MY-1")
    board.happened(CASE_ASSIGNED, "cas_2", "let_2", 1, FACTS)

    assert [row.reference for row in board.rows()] == [SAMPLE.reference, "MY-1"]
    assert [row.case for row in board.others()] == ["cas_2"]


@pytest.mark.parametrize(
    "reference", ["CN-2026-沪-0088", "طلب-٣٣١", "RU-2026-77/14", "非常に長い参照番号と書かれている"]
)
@pytest.mark.parametrize("width", [100, 120, 200])
def test_no_script_breaks_the_columns(reference: str, width: int) -> None:
    sample = replace(SAMPLE, reference=reference)
    board = board_of(sample)
    come(board)
    board.received("let_1", "registry", reference)

    shown = list(_lines(board, width))
    assert {cell_len(text) for text in shown} == {width}
    assert len({_cells_before(text, "desk") for text in shown if "desk" in text}) == 1
    assert _cells_before(line(board.rows()[0]), "desk") == _cells_before(line(_ascii_row()), "desk")


def _lines(board: Board, width: int) -> Iterator[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table([*board.rows(), _ascii_row()], width, 40))
    yield from captured.get().splitlines()


def _ascii_row() -> Any:
    board = board_of(replace(SAMPLE, reference="FR-1"))
    come(board)
    board.received("let_1", "registry", "FR-1")
    return board.rows()[0]


def _cells_before(text: str, word: str) -> int:
    return cell_len(text[: text.index(word)])


def test_a_low_terminal_gets_one_line_per_case() -> None:
    board = board_of(SAMPLE)
    come(board)
    console = Console(width=120, color_system=None)

    with console.capture() as captured:
        console.print(table(board.rows(), 120, 24))

    assert len(captured.get().splitlines()) == 3


def test_a_strangers_text_moves_no_cursor_and_turns_no_line() -> None:
    assert clean("A\x1b[2J\u202eB\nC") == "A[2JBC"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"because": "The 24/7 limb."}, "The 24/7 limb"),
        ({"because": "The law names nobody for freezing; candidates: court."}, "The law names nobody for freezing"),
        ({"because": "No legal basis is known.", "gate": "no basis: bc", "party": "GE"}, "No legal basis with GE"),
        ({}, ""),
    ],
)
def test_the_reason_is_its_first_clause(facts: dict[str, str], said: str) -> None:
    assert why(facts) == said


def test_every_topic_that_somebody_outside_reads_is_heard() -> None:
    partners = load_partners(ROOT / "partners.yaml")
    names = topics.all_topics(["security-service", "justice-ministry"], partners.agencies, partners.subscribers)

    heard = what_to_hear(names, partners)

    assert heard.keys() <= names.keys()
    for authority in ("security-service", "justice-ministry", "desk"):
        assert {topics.cases_of(authority, lane) for lane in Lane} <= heard.keys()
    assert {topics.notices_to(name) for name in partners.subscribers} <= heard.keys()
    assert {topics.answers_to(name) for name in partners.agencies} <= heard.keys()


@pytest.mark.parametrize(
    ("reference", "which"), [('"reference": "FR-1"', "FR-1"), ('"reference": 7', "event e1 from /systems/x")]
)
def test_a_refused_letter_is_a_trouble_that_says_which_and_why(reference: str, which: str) -> None:
    partners, topic = load_partners(ROOT / "partners.yaml"), topics.answers_to("contact-point")
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"e1"), ("ce_source", b"/systems/x")]
    sent = filed("{" + reference + "}", [*headers, ("ce_type", LETTER_RECEIVED.encode())])
    law = load_law(ROOT / "laws/azerbaijan.yaml")
    life = load_life_cycle(ROOT / "life-cycle.yaml", law)
    with pytest.raises(NeverWill) as refusal:
        on_letter(partners.agencies, {"extradition"}, IDS, life)(sent)
    (message,) = refusal.value.also
    (draft,) = decide_by(law)(Record("let_1", "let_1", {}), message, NOW).events
    answer = Envelope("1", "/answers", draft.type, {}, b"")
    board = board_of()

    what_to_hear([], partners)[topic](board, sent, answer, {**draft.data, "content": draft.content})

    (trouble,) = board.wrong()
    assert trouble.startswith(f"a letter of contact-point was refused ({which}): ")
    assert '"pointer": "/party"' in trouble


def filed(value: str, headers: list[tuple[str, bytes]]) -> "ConsumerRecord[Any, Any]":
    raw = value.encode()
    return ConsumerRecord("agency.contact-point.letters.v1", 0, 0, 0, 0, None, raw, None, 0, len(raw), headers)


def test_the_samples_are_read_with_what_is_expected_of_them() -> None:
    samples = load_samples(ROOT / "samples")

    assert len(samples) == 15
    assert sum(len(sample.measures) for sample in samples) == 18
    assert sum(sample.door == "kafka" for sample in samples) >= 5


def test_a_mistake_in_what_is_expected_is_one_sentence_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "expected.yaml").write_text("S01:\n  file: S01.json\n  agency: a\n  door: fax\n  measures: []\n")

    with pytest.raises(BadStart, match=r"expected\.yaml.*4"):
        load_samples(tmp_path)
