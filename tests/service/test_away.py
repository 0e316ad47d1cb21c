"""MongoDB or Kafka away: services wait, say so once, and go on when it is back; what was promised is kept.

The tests stand in the order of one bad day: both away at the start, then each dies, then MongoDB stands still.
"""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from shared import topics
from shared.events import ANSWER_RECEIPT, ANSWER_STATUS
from shared.limits import CONTRACT
from shared.posts import AT_ONCE, MAX_WAITING
from shared.vocabulary import Lane
from tests.service.running import (
    AGENCY,
    SERVICES,
    System,
    eventually,
    filed,
    letter,
    lines,
    make_topics,
    system,
    without_repeats,
)

ANSWERS = topics.answers_to(AGENCY)
GATE = topics.letters_from(AGENCY, Lane.NORMAL)


@pytest.fixture(scope="module")
def own_kafka(needs_kafka: None, module_folder: Path) -> Iterator[Kafka]:
    """A Kafka for this file, which may kill it."""
    with Kafka(module_folder / "kafka") as server:
        yield server


@pytest.fixture(scope="module")
def own_mongo(needs_mongod: None, module_folder: Path) -> Iterator[Mongo]:
    """A mongod for this file, which may kill it."""
    with Mongo(module_folder / "mongo") as server:
        yield server


@pytest.fixture(scope="module")
def running(own_kafka: Kafka, own_mongo: Mongo, module_folder: Path) -> Iterator[System]:
    """The services, not started yet."""
    asyncio.run(make_topics(own_kafka.bootstrap))
    with system(own_kafka.bootstrap, own_mongo.uri, "away_tests", module_folder / "away") as made:
        made.settings["ROGATORY_RATE_PER_AGENCY"] = "0"  # one agency alone fills the queue
        yield made


def counted(running: System, name: str) -> Counter[tuple[str, str, str]]:
    """How often a service said that something is away or back: (event, what, which part of it says so)."""
    return Counter(
        (fact["event"], fact["what"], fact.get("part") or fact.get("collection") or "start")
        for event in ("away", "back")
        for fact in running.said(name, event)
    )


def news(running: System, name: str, before: Counter[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    """What a service has said of that since then."""
    return counted(running, name) - before


async def waits_for(running: System, name: str) -> list[str]:
    """What a service says that it waits for."""
    async with httpx.AsyncClient(timeout=10, verify=False) as client:
        try:
            found: list[str] = (await client.get(running.url(name, "/ready"))).json().get("waiting_for", [])
        except httpx.ConnectError:
            return ["everything"]
    return found


async def test_services_wait_for_servers_that_are_away_at_the_start(
    running: System, own_kafka: Kafka, own_mongo: Mongo, prefix: str
) -> None:
    await asyncio.gather(asyncio.to_thread(own_kafka.kill), asyncio.to_thread(own_mongo.kill))
    running.launch(*SERVICES)
    for name in SERVICES:
        await eventually(lambda name=name: running.has_said(name, "away"), f"{name}'s saying that it waits")  # type: ignore[misc]
        assert "MongoDB" in await waits_for(running, name)

    await asyncio.to_thread(own_mongo.restart)
    for name in SERVICES:
        left = [] if name == "intake" else ["Kafka"]
        await eventually(
            lambda name=name, left=left: _is(running, name, left),  # type: ignore[misc]
            f"{name}'s being without MongoDB no more",
        )
    taken = await running.post(letter(prefix))
    await asyncio.to_thread(own_kafka.restart)
    await asyncio.to_thread(running.wait, *SERVICES)

    assert taken.status_code == 202
    for name in SERVICES:
        said = counted(running, name)
        assert said["away", "MongoDB", "start"] == said["back", "MongoDB", "start"] == 1
        assert said["away", "Kafka", "consumer"] == said["back", "Kafka", "consumer"] == 1
        assert set(said.values()) == {1}, said
    case = running.ids.case(taken.json()["id"], 1)
    await eventually(lambda: running.documents("notices", {"state.about": case}), "the notice of the letter")


async def _is(running: System, name: str, left: list[str]) -> bool:
    return await waits_for(running, name) == left


async def test_letters_are_taken_while_kafka_is_down_and_delivered_later(
    running: System, own_kafka: Kafka, prefix: str
) -> None:
    before = {name: counted(running, name) for name in SERVICES}
    references = [f"{prefix}-{n}" for n in range(30)]
    await running.post(letter(f"{prefix}-before"))
    await asyncio.to_thread(own_kafka.kill)

    answers = await asyncio.gather(*(running.post(letter(reference)) for reference in references))
    again = await running.post(letter(references[0]))
    ready = await waits_for(running, "intake")
    await asyncio.to_thread(own_kafka.restart)

    assert {answer.status_code for answer in answers} == {202}
    assert (again.status_code, ready) == (200, [])
    letters = {answer.json()["id"] for answer in answers}
    async with running.listening(ANSWERS) as ear:
        await ear.from_the_beginning()
        await ear.wait_for(lambda one: one.record in letters and one.type == ANSWER_STATUS, len(letters))
        told = without_repeats(ear.heard)
    for record in letters:
        assert [one.type for one in told[record, ANSWERS]] == [ANSWER_RECEIPT, ANSWER_STATUS]
        assert [one.sequence for one in told[record, ANSWERS]] == [1, 2]
    for name in SERVICES:
        said = news(running, name, before[name])
        assert set(said.values()) <= {1}, (name, said)


async def test_a_receipt_outlives_mongods_death(running: System, own_mongo: Mongo, prefix: str) -> None:
    before = counted(running, "intake")
    answers = await asyncio.gather(*(running.post(letter(f"{prefix}-{n}")) for n in range(20)))
    await asyncio.to_thread(own_mongo.kill)  # as a crash does

    away = running.post(letter(f"{prefix}-away"))
    many = running.post(lines([letter(f"{prefix}-line"), {"no": "letter"}]), media_type="application/x-ndjson")
    refused, lined = await asyncio.gather(away, many)
    still = asyncio.create_task(running.post(letter(f"{prefix}-still")))
    await eventually(lambda: news(running, "intake", before), "intake's saying that MongoDB is away")
    await asyncio.to_thread(own_mongo.restart)
    taken = await still

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    assert refused.headers["content-type"] == "application/problem+json"
    assert [json.loads(line)["status"] for line in lined.text.splitlines()] == [503, 422]
    assert taken.status_code == 202
    for answer in answers:
        assert answer.status_code == 202
        view = await running.get(f"/v1/letters/{answer.json()['id']}")
        assert {name: view.json()[name] for name in answer.json()} == answer.json()
    assert (await running.post(letter(f"{prefix}-away"))).status_code in {200, 202}
    said = news(running, "intake", before)
    assert said["away", "MongoDB", "letters"] == said["back", "MongoDB", "letters"] == 1, said
    assert set(said.values()) == {1}, said


async def test_what_comes_by_kafka_waits_for_mongodb(running: System, own_mongo: Mongo, prefix: str) -> None:
    before = {name: counted(running, name) for name in SERVICES}
    letters = [running.ids.letter(AGENCY, f"{prefix}-{n}") for n in range(10)]
    async with running.listening(ANSWERS) as ear:
        await asyncio.to_thread(own_mongo.kill)
        await running.produce(GATE, *(filed(letter(f"{prefix}-{n}"), f"{prefix}-{n}") for n in range(10)))
        await eventually(lambda: news(running, "intake", before["intake"]), "intake's saying that MongoDB is away")
        await asyncio.to_thread(own_mongo.restart)
        await ear.wait_for(lambda one: one.record in letters and one.type == ANSWER_STATUS, 10)

    assert running.documents("intake_quarantine") == []
    for name in SERVICES:
        assert set(news(running, name, before[name]).values()) <= {1}


async def test_letters_that_wait_together_are_written_together(running: System, own_mongo: Mongo, prefix: str) -> None:
    before = (await running.metrics("intake")).get("rogatory_batch_seconds_count{source=http}", 0)
    [server] = own_mongo.children
    server.signal(signal.SIGSTOP)
    try:
        posts = [asyncio.create_task(running.post(letter(f"{prefix}-{n}"))) for n in range(50)]
        done, _ = await asyncio.wait(posts, timeout=1)
    finally:
        server.signal(signal.SIGCONT)
    answers = await asyncio.gather(*posts)

    after = (await running.metrics("intake"))["rogatory_batch_seconds_count{source=http}"]
    assert not done  # nobody has a receipt for what MongoDB does not have
    assert [answer.status_code for answer in answers] == [202] * 50
    assert after - before <= 5


async def test_who_comes_when_the_queue_is_full_is_told_when_to_come_again(
    running: System, own_mongo: Mongo, prefix: str
) -> None:
    [server] = own_mongo.children
    bodies = [lines(letter(f"{prefix}-{n}-{m}") for m in range(AT_ONCE)) for n in range(MAX_WAITING // AT_ONCE + 1)]
    assert CONTRACT.batch_lines >= AT_ONCE
    server.signal(signal.SIGSTOP)
    try:
        posts = [asyncio.create_task(running.post(body, media_type="application/x-ndjson")) for body in bodies]

        async def refused() -> httpx.Response | None:
            """One of many single letters for which there is no room."""
            more = [asyncio.create_task(running.post(letter(f"{prefix}-{len(posts)}-{n}"))) for n in range(50)]
            posts.extend(more)
            done, _ = await asyncio.wait(more, timeout=0.5)
            told = (post.result() for post in done)
            return next((one for one in told if one.json().get("type") == "urn:rogatory:problem:queue-full"), None)

        answer: httpx.Response = await eventually(refused, "the refusal of one too many")
    finally:
        server.signal(signal.SIGCONT)
        answers = await asyncio.gather(*posts)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    told = Counter(json.loads(line)["status"] for one in answers[: len(bodies)] for line in one.text.splitlines())
    assert told[202] + told[503] == len(bodies) * AT_ONCE
    assert {one.status_code for one in answers} <= {200, 202, 503}
    assert (await running.post(letter(f"{prefix}-after"))).status_code == 202


async def test_a_stop_in_the_middle_loses_nothing(running: System, prefix: str) -> None:
    answers = await asyncio.gather(*(running.post(letter(f"{prefix}-{n}")) for n in range(50)))
    for name in SERVICES:
        running.services[name].child.stop()  # type: ignore[union-attr]  # it was launched
    codes = [running.services[name].child.exit_code for name in SERVICES]  # type: ignore[union-attr]  # as above
    for name in SERVICES:
        running.services[name].launch()
    for name in SERVICES:
        await eventually(running.services[name].is_ready, f"{name}'s readiness")

    assert codes == [0, 0, 0]
    letters = {answer.json()["id"] for answer in answers}
    async with running.listening(ANSWERS) as ear:
        await ear.from_the_beginning()
        await ear.wait_for(lambda one: one.record in letters and one.type == ANSWER_STATUS, len(letters))
    for (record, _), told in without_repeats(ear.heard).items():
        assert [one.sequence for one in told] == list(range(1, len(told) + 1)), record
