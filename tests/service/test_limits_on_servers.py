"""A deployment's own limits at a running intake: too many, too large, too fast."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.local.kafka import Kafka
from deploy.local.mongo import Mongo
from tests.service.running import System, letter, lines, make_topics, system

NDJSON = "application/x-ndjson"
TYPES = ("extradition", "stored_data_access", "data_preservation")


@pytest.fixture(scope="module")
async def strict(kafka: Kafka, mongo: Mongo, session_folder: Path) -> AsyncIterator[System]:
    """An intake that takes small letters, and of each agency one request now and the next in a hundred seconds."""
    await make_topics(kafka.bootstrap)
    with system(kafka.bootstrap, mongo.uri, "limit_tests", session_folder / "limit-tests") as made:
        made.settings.update(
            ROGATORY_RATE_PER_AGENCY="0.01",
            ROGATORY_MAX_MEASURES="2",
            ROGATORY_MAX_LETTER_BYTES="4096",
            ROGATORY_MAX_BATCH_LINES="3",
        )
        made.launch("intake")
        made.wait("intake")
        yield made


def is_too_fast(answer: httpx.Response) -> bool:
    """Whether an answer is the problem of who comes too fast."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:rogatory:problem:too-many-requests"
    return answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 400


async def test_an_agency_that_comes_too_fast_is_told_when_to_come_again(strict: System) -> None:
    agency = "contact-point"
    assert (await strict.post(letter("r1"), agency=agency)).status_code == 202

    assert is_too_fast(await strict.post(letter("r2"), agency=agency))
    message = {"message": "status_inquiry"}
    path = f"/v1/letters/{strict.ids.letter(agency, 'r1')}"
    async with httpx.AsyncClient(verify=False) as client:
        said = await client.post(strict.url("intake", f"{path}/messages"), json=message, headers=strict.bearer(agency))
    assert is_too_fast(said)
    assert (await strict.get(path, agency=agency)).status_code == 200
    assert is_too_fast(await strict.get(path, agency=agency))
    assert (await strict.post(letter("r1"), agency="interpol-bureau")).status_code == 202
    assert (await strict.metrics("intake"))["rogatory_http_refusals_total{status=429}"] >= 3


async def test_every_line_counts(strict: System) -> None:
    agency = "foreign-ministry"
    answer = await strict.post(lines(letter(f"n{n}") for n in range(3)), agency=agency, media_type=NDJSON)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [202] * 3

    again = await strict.post(letter("n1"), agency=agency)

    assert is_too_fast(again)
    assert int(again.headers["retry-after"]) > 200


async def test_what_is_too_large_here_is_refused_with_its_limit(strict: System) -> None:
    large = letter("large", urgency_reason="x" * 4_096)
    body = lines([letter("good", *TYPES[:2]), letter("many", *TYPES), large])

    answer = await strict.post(body, agency="central-authority", media_type=NDJSON)

    good, many, over = [json.loads(line) for line in answer.text.splitlines()]
    assert (good["status"], many["status"], over["status"]) == (202, 422, 413)
    assert many["problem"]["errors"] == [{"pointer": "/measures", "detail": "Must have at most 2 entries here."}]
    assert "4096" in over["problem"]["detail"]


async def test_too_many_lines_are_refused_whole(strict: System) -> None:
    body = lines(letter(f"m{n}") for n in range(4))

    answer = await strict.post(body, agency="cyber-investigations", media_type=NDJSON)

    assert (answer.status_code, "3 lines" in answer.json()["detail"]) == (413, True)
    assert strict.documents("letters", {"context.agency": "cyber-investigations"}) == []
