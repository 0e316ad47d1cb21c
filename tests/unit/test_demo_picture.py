"""The picture of the demo's table shows it whole and loads nothing."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from cli.demo_picture import drawn
from tests.unit.test_demo import SAMPLE, board_of, come

COMMITTED = Path(__file__).parents[2] / "docs" / "make-run.svg"
SVG = "http://www.w3.org/2000/svg"


def words(svg: str) -> str:
    return " ".join(text.text or "" for text in ElementTree.fromstring(svg).iter(f"{{{SVG}}}text")).replace("\xa0", " ")


def loaded(svg: str) -> list[str]:
    return re.findall(r"@font-face|@import|href|src:|url\((?!#)", svg)


def test_a_case_is_drawn_in_its_own_script() -> None:
    board = board_of(replace(SAMPLE, reference="طلب-沪-88"))
    come(board)
    board.received("let_1", "registry", "طلب-沪-88")

    svg = drawn(board.rows())

    assert "طلب-沪-88" in words(svg)
    assert "make run" in words(svg)
    assert loaded(svg) == []


def test_the_committed_picture_is_of_a_run_in_which_all_was_right() -> None:
    svg = COMMITTED.read_text(encoding="utf-8")

    assert words(svg).count("✓") == 18
    assert "S15" in words(svg)
    assert loaded(svg) == []
    assert not re.search(r"127\.0\.0\.1|localhost|/work|/root|/home|:\d{4,5}\b", svg)
