"""Every query that our services send to MongoDB, taken from its own profiler while they do all that they ever do.

The servers here have no shards. Which shards a query goes to follows from the shard key alone: what names ids goes to
those that hold them, anything else to all. `docs/scaling.md` names what goes to all, and what looks at more than it
finds.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.jars import ROOT
from deploy.local.mongo import Mongo
from deploy.local.ports import HOST, free_ports
from tests.service.crowd import crowd
from tests.service.everything import ALERTS, Round, rarely
from tests.service.office import office
from tests.service.profiled import Asked, Profile
from tests.service.running import SERVICES

pytestmark = pytest.mark.timeout(240)

SCALING = (ROOT / "docs" / "scaling.md").read_text()
SHARDED = ("letters", "cases", "notices", "quarantine")
"""What grows with the letters; everything else stays on one shard."""
A_FEW = 100
"""Documents more than twice what is found: so many are nobody's burden."""
AT_LEAST = 60
"""Kinds of queries: fewer, and something has not been done."""
_ROW = re.compile(r"^\| `(?P<collection>\w+)` \| `(?P<name>[\w.]+)` \| [^|]+ \|", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """What was asked, and the indexes that there are."""

    asked: list[Asked]
    indexes: Mapping[str, set[str]]


@pytest.fixture(scope="module")
def seen(needs_kafka: None, mongo: Mongo, module_folder: Path) -> Seen:
    """One round; then many records of long ago; then another round, which is looked at from the services' start on."""
    [dead] = free_ports(1)
    with office(mongo, module_folder, ALERTS, *SERVICES, colin=f"json://{HOST}:{dead}/") as duty:
        services = duty.services
        asyncio.run(Round(duty, "first").run())
        services.stop()
        crowd(mongo.uri, services.database, services.sealer, 4_000)
        profile = Profile(mongo.uri, services.database)
        profile.begin()
        services.launch(*SERVICES)
        services.wait(*SERVICES)
        asyncio.run(Round(duty, "second").run())
        asyncio.run(rarely(services.connection()))
        profile.end()
        return Seen(list(profile.asked()), profile.indexes())


def test_every_query_goes_by_an_index(seen: Seen) -> None:
    assert {one.shape for one in seen.asked if not one.indexes} == set()
    assert len({one.shape for one in seen.asked}) > AT_LEAST
    hints = {(one.collection, one.hint) for one in seen.asked if one.hint}
    assert hints
    assert {(name, hint) for name, hint in hints if hint not in seen.indexes[name]} == set()


def test_what_is_looked_at_is_what_is_found_but_for_what_is_named(seen: Seen) -> None:
    named = named_under("What looks at more than it finds")
    wasteful = [one for one in seen.asked if one.examined > 2 * one.found + A_FEW]

    reasons = {one.shape: {(kind(one), field) for field in one.fields} & named for one in wasteful}
    assert [shape for shape, reason in reasons.items() if not reason] == []
    assert named <= {(kind(one), field) for one in seen.asked for field in one.fields}


def test_what_goes_to_every_shard_is_what_is_named(seen: Seen) -> None:
    everywhere = [one for one in seen.asked if kind(one) in SHARDED and not one.names_its_shards]

    assert {(kind(one), index) for one in everywhere for index in one.indexes} == named_under("One shard or all")


def test_every_index_is_of_use(seen: Seen) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for one in seen.asked:
        used[kind(one)].update(one.indexes)

    assert {(name, index) for name, indexes in kinds(seen.indexes.items()) for index in indexes - used[name]} == set()


def kind(one: Asked) -> str:
    """The collection; those of the services that are alike are one."""
    return one.collection.rpartition("_")[2]


def kinds(indexes: Iterable[tuple[str, set[str]]]) -> list[tuple[str, set[str]]]:
    """The same of their indexes."""
    return [(name.rpartition("_")[2], names) for name, names in indexes]


def named_under(heading: str) -> set[tuple[str, str]]:
    """What the document names under a heading, by collection."""
    section = SCALING.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = {(row["collection"], row["name"]) for row in _ROW.finditer(section)}
    assert found, f"docs/scaling.md names nothing under {heading}"
    return found
