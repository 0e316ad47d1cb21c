"""Bad records by the hundred on every real topic: the services go on, and healthy letters among them are taken."""

from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared import topics
from shared.failures import NeverWill, NewerBuild, NotForUs
from shared.vocabulary import Lane
from tests.fuzz import scale
from tests.fuzz.test_topics import readers, records
from tests.service.running import AGENCY, SERVICES, Said, System, eventually, filed, letter

WHOLE = 5_000
GATE = topics.letters_from(AGENCY, Lane.NORMAL)
PARTS = 10


def some(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many of a strategy's values, the same ones every time."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def may_be_sent(record: Any) -> bool:
    """Whether a client can send it, and no reader takes it for a newer build's, which stops a service on purpose."""
    try:
        for name, _ in record.headers:
            name.encode()
    except UnicodeEncodeError:
        return False
    for read, topic in readers().values():
        if topic == record.topic:
            try:
                read(record)
            except NewerBuild:
                return False
            except (NeverWill, NotForUs):
                pass
    return len(record.value or b"") < 900_000


def memory(services: System) -> dict[str, int]:
    """What each service holds."""
    return {name: psutil.Process(one.running().pid).memory_info().rss for name, one in services.services.items()}


async def test_bad_records_hinder_no_healthy_letter(services: System, prefix: str) -> None:
    every = sorted({topic for _, topic in readers().values()})
    bad = {topic: [*filter(may_be_sent, some(records(topic), scale.of(WHOLE) // len(every)))] for topic in every}
    before = await services.metrics("intake")
    after_a_tenth: dict[str, int] = {}
    for part in range(PARTS):
        reference = f"{prefix}-{part}"
        for topic, found in bad.items():
            said = [Said(one.value, [*one.headers]) for one in found[part::PARTS]]
            if topic == GATE:
                # In the middle: what stands before it and behind it in its batch is bad.
                said.insert(len(said) // 2, filed(letter(reference), reference))
            await services.produce(topic, *said)
        letter_id = services.ids.letter(AGENCY, reference)
        await eventually(lambda: services.document("letters", letter_id), "the healthy letter")  # noqa: B023
        case_id = services.ids.case(letter_id, 1)
        await eventually(lambda: services.document("cases", case_id), "its case")  # noqa: B023
        after_a_tenth = after_a_tenth or memory(services)

    after = await services.metrics("intake")
    set_aside = [name for name in after if name.startswith("rogatory_quarantined_total")]
    assert sum(after[name] - before[name] for name in set_aside) > 0
    for name in SERVICES:
        assert not services.has_said(name, "bug"), services.said(name, "bug")
        assert not services.has_said(name, "stopping")
        # So short a run still fills caches; the long one is held to a tenth.
        most = after_a_tenth[name] * (1.1 if scale.IS_FULL else 1.5)
        assert memory(services)[name] < most, name
