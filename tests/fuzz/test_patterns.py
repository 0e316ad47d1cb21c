"""No regular expression of ours takes more than its share of time for any text (ReDoS).

Every pattern is found where it is kept, so a new one is tried too. What pydantic is told is matched by Rust's `regex`,
which is linear by its making.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import services
import shared
from deploy.local.jars import ROOT
from shared.identifiers import defects_of
from tests.fuzz.steepness import LARGE, SMALL, compare, seconds


def every_pattern() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern of text in a module of ours, by its name."""
    seen: set[int] = set()
    for package in (shared, services):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{found.name}.{name}", value


PATTERNS = dict(every_pattern())
SOURCE = "".join(path.read_text() for name in ("shared", "services") for path in (ROOT / name).rglob("*.py"))
PUMPS: tuple[str, ...] = (
    "a",
    "0",
    "1.",
    "a.",
    "a-",
    ".",
    "-",
    ":",
    "::",
    "0:",
    "00:",
    "1:1:",
    "[.]",
    "1[.]",
    "/",
    " ",
    "\t",
    "A1",
    "_",
    "é",
    "\n",
)
PUMPS += ("v1/", "v1:", "12.12.", "2026-", "+", "@", "a@a.", "a@", "\0", "🙂", "x" * 63 + ".", "12:30:", "255.255.255.")
BEFORE, BEHIND = ("", "a", "1", "a@", "1.1.1.1"), ("", "!", "\n", "\udc80", "@", ":")


def pumped(size: int) -> Iterator[str]:
    """Texts of about a size that make a pattern try again and again."""
    for pump in PUMPS:
        body = pump * (size // len(pump))
        for before in BEFORE:
            yield from (before + body + behind for behind in BEHIND)


def test_patterns_were_found() -> None:
    assert {"shared.identifiers._FOUR", "shared.moment._MOMENT", "services.notifier.lists.addresses._EMAIL"} <= {
        *PATTERNS
    }


@pytest.mark.parametrize("name", PATTERNS)
def test_four_times_the_text_takes_about_four_times_the_time(name: str) -> None:
    how = way_of_use(name)
    # An exponential one shows at once, and would never end at the sizes below.
    assert max(seconds(partial(how, text), 1) for text in pumped(28)) < 1, "exponential"
    for small, large in zip(pumped(SMALL), pumped(LARGE), strict=True):
        compare(how, small, large)


def way_of_use(name: str) -> Callable[[str], object]:
    """How a pattern is used: where it is only held against whole texts, it is not searched for here either."""
    own = name.rpartition(".")[2]
    searched = re.search(rf"\b{own}\.(search|finditer|findall|sub|subn|split)\(", SOURCE)
    return PATTERNS[name].search if searched else PATTERNS[name].fullmatch


def test_addresses_are_looked_for_in_time_that_grows_with_the_text() -> None:
    for small, large in zip(pumped(SMALL), pumped(LARGE), strict=True):
        compare(looked_for, small, large)


def looked_for(text: str) -> object:
    """What a letter's completeness asks of a text."""
    return defects_of([("facts", text)])
