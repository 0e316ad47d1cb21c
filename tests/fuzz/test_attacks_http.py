"""The attacks that have names, over HTTP: each is refused, and a healthy letter afterwards gets its receipt."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared import strict_json
from shared.limits import CONTRACT
from tests.fuzz import costs
from tests.fuzz.raw import Answer, request, said
from tests.service.running import AGENCY, System, eventually, letter

DEARER, ABOVE = 10, 2.0
"""An attack may cost so many times as much as something ordinary of its size, and so many seconds of the processor."""
PUMPS = ("1.1.1.1.", "1.1.1.1 ", "12:30:", "::", "0:", "a@a.", "1[.]", "255.255.255.255:", "2026-03-10T", " ", "\u00e9")
"""What patterns for addresses and times try again and again (see `test_patterns`)."""
JSON, GZIP = "application/json", "gzip"
ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHS_XML = f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "lol">{ENTITIES}]><letter>&l9;</letter>'
LAUGHS_YAML = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))


@pytest.fixture
async def healthy(services: System, prefix: str) -> AsyncIterator[System]:
    """The services; after the attack a letter must still be taken, no service may have a bug, or have grown."""
    before = costs.held(services)["intake"]
    yield services
    assert (await services.post(letter(prefix))).status_code == 202
    for name in services.services:
        assert not services.has_said(name, "bug"), name
    assert costs.held(services)["intake"] - before < 64 * 1024 * 1024


async def attacked(services: System, body: bytes, media_type: str = JSON, **headers: str) -> Answer:
    """The answer to a letter of this body."""
    authorization = services.bearer()["authorization"]
    whole = request("POST", "/v1/letters", body, authorization=authorization, content_type=media_type, **headers)
    [answer] = await said(services.services["intake"].port, whole)
    assert answer.media_type == "application/problem+json"
    assert json.loads(answer.body)["status"] == answer.status
    return answer


def within(facts: Any) -> bytes:
    """A letter that says this."""
    return json.dumps(letter("x", measures=[{"type": "extradition", "contents": {"facts": facts}}])).encode()


async def test_a_zip_bomb_stays_packed(healthy: System) -> None:
    bomb = gzip.compress(b"[" * 100_000_000)
    assert len(bomb) < CONTRACT.letter_bytes

    assert (await attacked(healthy, bomb, content_encoding=GZIP)).status == 400


async def test_a_bomb_of_many_lines_stays_packed(healthy: System) -> None:
    bomb = gzip.compress(b'{"reference":1}\n' * 5_000_000)

    whole = request(
        "POST",
        "/v1/letters",
        bomb,
        authorization=healthy.bearer()["authorization"],
        content_type="application/x-ndjson",
        content_encoding=GZIP,
    )
    [answer] = await said(healthy.services["intake"].port, whole)

    assert answer.status in (200, 413)  # so many lines as its bytes happen to have, each refused
    if answer.status == 200:
        assert {json.loads(line)["status"] for line in answer.body.splitlines()} <= {400, 413, 422}


@pytest.mark.parametrize("media_type", [JSON, "application/xml", "text/xml"])
async def test_a_billion_laughs_in_xml_are_not_laughed(healthy: System, media_type: str) -> None:
    answer = await attacked(healthy, LAUGHS_XML.encode(), media_type)

    assert answer.status == (400 if media_type == JSON else 415)


@pytest.mark.parametrize("media_type", [JSON, "application/yaml"])
async def test_a_billion_laughs_in_yaml_are_not_laughed(healthy: System, media_type: str) -> None:
    answer = await attacked(healthy, LAUGHS_YAML.encode(), media_type)

    assert answer.status == (400 if media_type == JSON else 415)


async def test_laughs_within_a_letter_are_words(healthy: System, prefix: str) -> None:
    body = within(LAUGHS_XML + "\n" + LAUGHS_YAML)
    posted = await healthy.post(json.loads(body) | {"reference": f"{prefix}-laughs"})

    assert posted.status_code == 202
    assert len(posted.content) < 1_000


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
async def test_depth_is_refused_unread(healthy: System, bracket: str) -> None:
    deep = bracket * (CONTRACT.letter_bytes // len(bracket) - 1)

    assert (await attacked(healthy, deep.encode())).status == 400
    closed = "[" * 17 + "]" * 17
    assert (await attacked(healthy, within("@").replace(b'"@"', closed.encode()))).status == 422


async def test_names_that_collide_cost_no_more_than_others(healthy: System) -> None:
    """Python salts the hashes of texts, so nobody can choose such names; numbers are no names in JSON.

    Nor can numbers collide that we keep: `hash(n) == hash(n + 2**61 - 1)`, and the largest that is taken is smaller. So
    they are tried as texts, as numbers that are too large, and, small enough, as multiples of what a table is long.
    """
    step = 2**61 - 1
    assert step > strict_json.LARGEST
    assert (await attacked(healthy, within({str(n * step): n for n in range(8_000)}))).status == 422
    named = {str(n * step): n for n in range(8_000)}
    plain = {f"{n:018}": n for n in range(8_000)}

    async def cost(value: Any) -> float:
        before = costs.used(healthy, "intake")
        strange = json.dumps(letter("x") | {"strange": value})
        assert (await attacked(healthy, strange.encode())).status == 422
        assert (await attacked(healthy, json.dumps(value).encode())).status == 422
        return costs.used(healthy, "intake") - before

    ordinary = await cost(plain)
    assert await cost(named) < DEARER * ordinary + ABOVE
    ordinary = await cost([*range(8_000)])
    assert await cost([n * step for n in range(8_000)]) < DEARER * ordinary + ABOVE
    assert await cost([n * 2**20 for n in range(8_000)]) < DEARER * ordinary + ABOVE
    twice = b"{" + b",".join(b'"a":1' for _ in range(60_000)) + b"}"
    assert (await attacked(healthy, twice)).status == 422


async def test_texts_that_make_patterns_try_again_cost_no_more_than_others(healthy: System, prefix: str) -> None:
    async def cost(name: str, pump: str) -> float:
        before = costs.used(healthy, "intake", "router")
        facts = pump * (CONTRACT.letter_bytes * 3 // 4 // len(pump.encode()))
        body = letter(f"{prefix}-{name}", measures=[{"type": "extradition", "contents": {"facts": facts}}])
        assert (await healthy.post(json.dumps(body, ensure_ascii=False).encode())).status_code == 202
        case = healthy.ids.case(healthy.ids.letter(AGENCY, body["reference"]), 1)
        await eventually(lambda: healthy.document("cases", case), f"the case of {name}")
        return costs.used(healthy, "intake", "router") - before

    ordinary = await cost("words", "and then ")
    dear = {pump: await cost(str(number), pump) for number, pump in enumerate(PUMPS)}
    assert {pump: seconds for pump, seconds in dear.items() if seconds > DEARER * ordinary + ABOVE} == {}


async def test_a_body_that_never_ends_is_cut_off_at_its_limit(healthy: System) -> None:
    authorization = healthy.bearer()["authorization"]
    head = request(
        "POST",
        "/v1/letters",
        authorization=authorization,
        content_type=JSON,
        content_length="",
        transfer_encoding="chunked",
    )
    chunk = b"10000\r\n" + b"[" * 65_536 + b"\r\n"

    answers = await said(healthy.services["intake"].port, head + chunk * 40)

    assert [answer.status for answer in answers] == [413]


async def test_a_length_that_promises_more_is_not_waited_for(healthy: System) -> None:
    told = {"authorization": healthy.bearer()["authorization"], "content_type": JSON, "content_length": "100000"}
    port = healthy.services["intake"].port
    whole = [request("POST", path, b'{"message":"x"}', **told) for path in ("/v1/letters", "/v1/letters/x/messages")]

    answers = await asyncio.gather(*(said(port, one) for one in whole))

    assert [[answer.status for answer in of_it] for of_it in answers] == [[408], [408]]


async def test_a_length_that_promises_less_makes_the_rest_no_request(healthy: System) -> None:
    body = within("x")
    authorization = healthy.bearer()["authorization"]
    whole = request(
        "POST",
        "/v1/letters",
        body,
        authorization=authorization,
        content_type=JSON,
        content_length=str(len(body) - 7),
        connection="keep-alive",
    )

    answers = await said(healthy.services["intake"].port, whole)

    assert answers[0].status == 400
    assert all(answer.status == 400 for answer in answers)


async def test_a_length_over_the_limit_is_refused_before_its_body(healthy: System) -> None:
    for length in (CONTRACT.letter_bytes + 1, 2**31, 2**63 - 1):
        answer = await attacked(healthy, b"", content_length=str(length))
        assert answer.status == 413


async def test_files_are_never_read_by_name(healthy: System, tmp_path: Path) -> None:
    for path in ("/v1/letters/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/v1/letters/%00"):
        [answer] = await said(
            healthy.services["intake"].port, request("GET", path, authorization=healthy.bearer()["authorization"])
        )
        assert answer.status == 404
