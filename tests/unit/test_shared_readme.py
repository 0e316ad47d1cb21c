"""The table in shared/README.md: who looks for a subject finds its file there."""

import re
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"


def test_every_file_stands_in_the_table_and_every_name_in_it_is_a_file() -> None:
    named = set(re.findall(r"`(\w+\.py)`", (SHARED / "README.md").read_text()))
    there = {path.name for path in SHARED.glob("*.py")} - {"__init__.py"}

    assert (there - named, named - there) == (set(), set())
