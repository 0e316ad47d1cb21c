"""Each bug of the kill test is planted where the product would run into it."""

import subprocess
import sys

import pytest

from tests.fault.planted import BUGS


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_stands_in_the_place_of_what_is_there_and_used(bug: str) -> None:
    """In a process of its own, which ends with it."""
    planted = subprocess.run(
        [sys.executable, "-c", f"from tests.fault.planted import BUGS; BUGS[{bug!r}]()"], capture_output=True, text=True
    )

    assert planted.returncode == 0, planted.stderr
